/** WebGPU's element-wise kernels, copies and sums against the plain loops: lengths around vectors, workgroups and chunks. */
import { test } from "uvu";
import { add, mul, relu, scale, sum } from "#src/ops/index.js";
import { randomTensor } from "../helpers/run-op.js";
import { compareOnGpu, gpuTests } from "./gpu-tests.js";

const LENGTHS = [1, 3, 4, 5, 255, 256, 257, 4095, 4096, 4097, 70001];

gpuTests();

for (const length of LENGTHS) {
  const values = (name: string) => randomTensor(`${name} ${length}`, [length]);
  compareOnGpu(`relu x=[${length}]`, () => ({
    inputs: { x: values("x") },
    forward: ({ x }) => relu(x),
    dy: values("dy"),
  }));
  compareOnGpu(`add a=[${length}]`, () => ({
    inputs: { a: values("a"), b: values("b") },
    forward: ({ a, b }) => add(a, b),
    dy: values("dy"),
  }));
  compareOnGpu(`mul a=[${length}]`, () => ({
    inputs: { a: values("a"), b: values("b") },
    forward: ({ a, b }) => mul(a, b),
    dy: values("dy"),
  }));
  compareOnGpu(`mul with itself x=[${length}]`, () => ({
    inputs: { x: values("x") },
    forward: ({ x }) => mul(x, x),
    dy: values("dy"),
  }));
  compareOnGpu(`scale x=[${length}]`, () => ({
    inputs: { x: values("x") },
    forward: ({ x }) => scale(x, -0.3),
    dy: values("dy"),
  }));
  compareOnGpu(`sum x=[${length}]`, () => ({ inputs: { x: values("x") }, forward: ({ x }) => sum(x), dy: null }));
}

test.run();
