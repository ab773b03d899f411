/**
 * The gradients of every operation against central finite differences of its own forward pass, in double precision on the
 * reference backend: so the oracle of all other backends is right, whatever PyTorch's conventions.
 */
import { test } from "uvu";
import type { Engine } from "#src/core/engine.js";
import { createEngine } from "#src/engine.js";
import {
  add,
  conv2d,
  crossEntropy,
  dropout,
  flatten,
  labelsTensor,
  linear,
  localResponseNorm,
  logSoftmax,
  maxPool2d,
  mul,
  relu,
  reshape,
  scale,
  sum,
} from "#src/ops/index.js";
import { apart, checkGradients } from "../helpers/finite-differences.js";
import { type Inputs, type OpRun, randomTensor, type TensorData } from "../helpers/run-op.js";

interface Case {
  readonly name: string;
  readonly inputs: Readonly<Record<string, TensorData>>;
  readonly forward: OpRun["forward"];
  /** Shape of y; null for a loss. */
  readonly y: readonly number[] | null;
}

function conv2dCase(
  x: readonly number[],
  w: readonly number[],
  y: readonly number[],
  options: { stride?: number | readonly [number, number]; padding?: number | readonly [number, number] },
  bias = true,
): Case {
  const { stride = 1, padding = 0 } = options;
  return {
    name: `conv2d x=[${x}] w=[${w}] stride=${stride} pad=${padding}${bias ? "" : " no bias"}`,
    inputs: {
      x: randomTensor("x", x),
      weight: randomTensor("weight", w),
      ...(bias ? { bias: randomTensor("bias", [w[0]]) } : {}),
    },
    forward: (t: Inputs) => conv2d(t.x, t.weight, t.bias ?? null, options),
    y,
  };
}

function maxPool2dCase(
  x: readonly number[],
  y: readonly number[],
  kernelSize: number | readonly [number, number],
  stride: number | readonly [number, number],
  padding: number | readonly [number, number],
): Case {
  return {
    name: `maxPool2d x=[${x}] kernel=${kernelSize} stride=${stride} pad=${padding}`,
    inputs: { x: apart(x) },
    forward: (t) => maxPool2d(t.x, { kernelSize, stride, padding }),
    y,
  };
}

function lrnCase(x: readonly number[], options: { size: number; alpha: number; beta: number; k: number }): Case {
  const { size, alpha, beta, k } = options;
  return {
    name: `localResponseNorm x=[${x}] size=${size} alpha=${alpha} beta=${beta} k=${k}`,
    inputs: { x: randomTensor("x", x, -2, 2) },
    forward: (t) => localResponseNorm(t.x, options),
    y: x,
  };
}

const CASES: readonly Case[] = [
  conv2dCase([1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], {}),
  conv2dCase([2, 2, 4, 3], [3, 2, 3, 3], [2, 3, 4, 3], { padding: 1 }),
  conv2dCase([1, 2, 5, 6], [2, 2, 3, 2], [1, 2, 3, 3], { stride: [2, 3], padding: [1, 2] }),
  conv2dCase([2, 1, 3, 3], [2, 1, 2, 2], [2, 2, 1, 1], { stride: 3 }, false),
  conv2dCase([1, 2, 2, 2], [1, 2, 5, 5], [1, 1, 2, 2], { padding: 2 }),
  {
    name: "linear x=[3,4] w=[2,4]",
    inputs: { x: randomTensor("x", [3, 4]), weight: randomTensor("weight", [2, 4]), bias: randomTensor("bias", [2]) },
    forward: (t) => linear(t.x, t.weight, t.bias),
    y: [3, 2],
  },
  {
    name: "linear x=[1,5] w=[3,5] no bias",
    inputs: { x: randomTensor("x", [1, 5]), weight: randomTensor("weight", [3, 5]) },
    forward: (t) => linear(t.x, t.weight),
    y: [1, 3],
  },
  maxPool2dCase([2, 2, 4, 4], [2, 2, 2, 2], 2, 2, 0),
  maxPool2dCase([1, 2, 5, 5], [1, 2, 2, 2], 3, 2, 0),
  maxPool2dCase([1, 1, 4, 5], [1, 1, 4, 5], 3, 1, 1),
  maxPool2dCase([1, 2, 3, 6], [1, 2, 2, 6], [2, 3], [2, 1], [1, 1]),
  { name: "relu x=[2,3,4]", inputs: { x: apart([2, 3, 4]) }, forward: (t) => relu(t.x), y: [2, 3, 4] },
  {
    name: "add a=[2,5] b=[2,5]",
    inputs: { a: randomTensor("a", [2, 5]), b: randomTensor("b", [2, 5]) },
    forward: (t) => add(t.a, t.b),
    y: [2, 5],
  },
  {
    name: "mul a=[2,5] b=[2,5]",
    inputs: { a: randomTensor("a", [2, 5]), b: randomTensor("b", [2, 5]) },
    forward: (t) => mul(t.a, t.b),
    y: [2, 5],
  },
  {
    name: "mul of x=[5] with itself",
    inputs: { x: randomTensor("x", [5]) },
    forward: (t) => mul(t.x, t.x),
    y: [5],
  },
  {
    name: "scale x=[7] factor=-1.5",
    inputs: { x: randomTensor("x", [7]) },
    forward: (t) => scale(t.x, -1.5),
    y: [7],
  },
  { name: "sum x=[2,3,2]", inputs: { x: randomTensor("x", [2, 3, 2]) }, forward: (t) => sum(t.x), y: [] },
  lrnCase([2, 5, 3], { size: 3, alpha: 0.5, beta: 0.75, k: 1 }),
  lrnCase([1, 6, 2, 2], { size: 5, alpha: 1, beta: 0.5, k: 2 }),
  // An even window reaches one channel further back than ahead.
  lrnCase([1, 5, 2], { size: 4, alpha: 2, beta: 1.25, k: 0.5 }),
  lrnCase([1, 3, 2], { size: 2, alpha: 2, beta: 0.75, k: 1 }),
  lrnCase([1, 2, 3], { size: 9, alpha: 1, beta: 0.75, k: 1 }),
  {
    name: "logSoftmax x=[3,4]",
    inputs: { x: randomTensor("x", [3, 4], -3, 3) },
    forward: (t) => logSoftmax(t.x),
    y: [3, 4],
  },
  {
    name: "crossEntropy x=[3,4]",
    inputs: { x: randomTensor("x", [3, 4], -3, 3) },
    forward: (t, engine) => crossEntropy(t.x, labelsTensor(engine, [1, 3, 0], 4)),
    y: null,
  },
  {
    name: "dropout x=[21] p=0.4",
    inputs: { x: apart([21]) },
    forward: (t) => dropout(t.x, { p: 0.4, random: { key0: 1, key1: 2, counter: 3 } }),
    y: [21],
  },
  {
    name: "reshape x=[2,3,4] shape=[6,4]",
    inputs: { x: randomTensor("x", [2, 3, 4]) },
    forward: (t) => reshape(t.x, [6, 4]),
    y: [6, 4],
  },
  {
    name: "flatten x=[2,3,2]",
    inputs: { x: randomTensor("x", [2, 3, 2]) },
    forward: (t) => flatten(t.x),
    y: [2, 6],
  },
];

let engine: Engine;

test.before(async () => {
  engine = await createEngine({ backend: "reference", precision: "float64" });
});

test.after(async () => {
  await engine.close();
});

for (const { name, inputs, forward, y } of CASES) {
  test(name, async () => {
    await checkGradients(engine, { inputs, forward, dy: y === null ? null : randomTensor("dy", y) });
  });
}

test.run();
