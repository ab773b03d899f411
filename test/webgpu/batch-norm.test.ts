/** WebGPU's batch norm: channels around workgroups, places around chunks, and outliers. The rest: test/ops/batch-norm.test.ts. */
import { test } from "uvu";
import { batchNorm } from "#src/ops/index.js";
import { type OpRun, randomTensor, type TensorData } from "../helpers/run-op.js";
import { compareOnGpu, gpuTests } from "./gpu-tests.js";

gpuTests();

function runOf(x: TensorData): OpRun {
  const channels = x.shape[1];
  return {
    inputs: { x, weight: randomTensor("weight", [channels]), bias: randomTensor("bias", [channels]) },
    forward: (t, engine) => {
      const [runningMean, runningVar] = ["mean", "var"].map((name) => engine.stateTensor([channels], name));
      return batchNorm(t.x, { weight: t.weight, bias: t.bias, runningMean, runningVar }, { training: true });
    },
    dy: randomTensor("dy", x.shape),
  };
}

// Chunks of 128 places of 32 channels; of 1024 of 4; of 4096 of one, several chunks and images.
for (const shape of [
  [129, 33],
  [5, 257, 2, 3],
  [1, 2, 64, 65],
  [3, 2, 63, 67],
]) {
  compareOnGpu(`batchNorm x=[${shape}]`, () => runOf(randomTensor(`x ${shape}`, shape, -2, 3)));
}

compareOnGpu("batchNorm x=[2,2,50,50] around 300, but for the first value", () => {
  const { shape, data } = randomTensor("x", [2, 2, 50, 50]);
  return runOf({ shape, data: data.map((value, i) => (i === 0 ? -200 : Math.round(value * 1024) / 1024 + 300)) });
});

test.run();
