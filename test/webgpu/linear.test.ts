/** WebGPU's linear layers at the borders of its tiles, of the images that count as few, and where sums are split. */
import { test } from "uvu";
import { linear } from "#src/ops/index.js";
import { randomTensor } from "../helpers/run-op.js";
import { compareOnGpu, gpuTests } from "./gpu-tests.js";

gpuTests();

for (const [batch, inFeatures, outFeatures] of [
  [1, 1, 1],
  [1, 516, 70],
  [3, 1030, 5],
  [8, 700, 515],
  [9, 33, 70],
  [2, 5, 2050],
  [12, 9000, 20],
  [70, 129, 131],
  [130, 20, 257],
]) {
  compareOnGpu(`linear x=[${batch},${inFeatures}] w=[${outFeatures},${inFeatures}]`, () => ({
    inputs: {
      x: randomTensor("x", [batch, inFeatures]),
      weight: randomTensor("weight", [outFeatures, inFeatures]),
      bias: randomTensor("bias", [outFeatures]),
    },
    forward: (t) => linear(t.x, t.weight, t.bias),
    dy: randomTensor("dy", [batch, outFeatures]),
  }));
}

test.run();
