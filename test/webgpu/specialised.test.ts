/**
 * Shaders as GPUs get them, with the shape as constants: software adapters, which take long to compile, run all other tests with sizes as
 * uniforms and only check these texts.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { GpuHost } from "#src/backend/webgpu/host.js";
import { conv2dCandidates } from "#src/backend/webgpu/kernels/conv-plan.js";
import { GEMM_TILES } from "#src/backend/webgpu/kernels/gemm.js";
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
import { checkOp, type OpRun, randomTensor, recordParameter } from "../helpers/run-op.js";
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

// ---- tiles of the product ------------------------------------------------------------------------------------------------

const SHAPE = {
  ...{ batch: 2, inC: 5, inH: 9, inW: 12, outC: 70, outH: 9, outW: 12, kH: 3, kW: 3, strideH: 1, strideW: 1 },
  ...{ padH: 1, padW: 1, dilationH: 1, dilationW: 1, groups: 1 },
};
const DIRECTIONS = ["forward", "backwardInput", "backwardWeight"] as const;

/** An engine that was told which tile is the fastest for the shape. */
async function engineWithTile(tile: string): Promise<Engine> {
  const open = (recall: GpuHost["recall"]): Promise<WebGpuBackend> =>
    WebGpuBackend.create({ ...NODE, recall }, { specialise: true });
  const untold = await open(async () => null);
  const winners = Object.fromEntries(
    DIRECTIONS.map((direction) => [conv2dCandidates(SHAPE, { direction }, untold.context).key, `gemm ${tile}`]),
  );
  await untold.close();
  const backend = await open(async (name) =>
    name.includes("tuning") ? JSON.stringify({ version: 1, winners }) : null,
  );
  return new Engine(backend, async () => {}, { keepTransformedWeights: true });
}

for (const tile of Object.keys(GEMM_TILES)) {
  gpuTest(`conv2d in tiles of ${tile}, all directions`, async () => {
    const engine = await engineWithTile(tile);
    const { batch, inC, inH, inW, outC } = SHAPE;
    const run: OpRun = {
      inputs: {
        x: randomTensor("x", [batch, inC, inH, inW]),
        weight: randomTensor("weight", [outC, inC, 3, 3]),
        bias: randomTensor("bias", [outC]),
      },
      forward: (t) => conv2d(t.x, t.weight, t.bias, { padding: 1 }),
      dy: randomTensor("dy", [batch, outC, inH, inW]),
    };
    await checkOp([[engine]], oracle, run, 2e-5);
    await engine.close();
  });
}

test.run();
