/**
 * Shaders as GPUs get them, with the shape as constants: software adapters, which take long to compile, run all other tests with sizes as
 * uniforms and only check these texts.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { WebGpuBackend } from "#src/backend/webgpu/webgpu-backend.js";
import { Engine } from "#src/core/engine.js";
import { NODE } from "#src/node-host.js";
import {
  conv2d,
  crossEntropy,
  flatten,
  labelsTensor,
  linear,
  localResponseNorm,
  maxPool2d,
  relu,
} from "#src/ops/index.js";
import { SGD } from "#src/optim/index.js";
import { maxRelativeError } from "../helpers/compare.js";
import { randomTensor, recordParameter } from "../helpers/run-op.js";
import { gpuTest, gpuTests, oracle } from "./gpu-tests.js";

gpuTests();

/** Two steps of a small net; all its parameters afterwards. */
async function trained(engine: Engine): Promise<Float64Array[]> {
  const parameters = await engine.scope(() => ({
    filter: recordParameter(engine, "filter", randomTensor("filter", [8, 3, 3, 3])),
    bias: recordParameter(engine, "bias", randomTensor("bias", [8])),
    weight: recordParameter(engine, "weight", randomTensor("weight", [5, 8 * 5 * 4])),
  }));
  const { filter, bias, weight } = parameters;
  const { data, shape } = randomTensor("x", [3, 3, 10, 8]);
  const optimiser = new SGD([filter, bias, weight], { lr: 0.1, momentum: 0.9, weightDecay: 0.01 });
  for (let step = 0; step < 2; step++) {
    await engine.scope(() => {
      const map = relu(conv2d(engine.tensor(data, shape), filter, bias, { padding: 1 }));
      const features = flatten(
        maxPool2d(localResponseNorm(map, { size: 5, alpha: 1e-2, beta: 0.75, k: 2 }), { kernelSize: 2 }),
      );
      crossEntropy(linear(features, weight, null), labelsTensor(engine, [0, 4, 2], 5)).backward();
      optimiser.step();
      optimiser.zeroGrad();
    });
  }
  return Promise.all(Object.values(parameters).map((parameter) => parameter.values()));
}

gpuTest("two training steps of a small net: the parameters of the reference", async () => {
  const backend = await WebGpuBackend.create(NODE, { specialise: true });
  const engine = new Engine(backend, async () => {}, { keepTransformedWeights: true });
  const [actual, expected] = [await trained(engine), await trained(oracle)];
  for (const [i, values] of expected.entries()) assert.ok(maxRelativeError(actual[i], values) < 2e-5);
  await engine.close();
});

test.run();
