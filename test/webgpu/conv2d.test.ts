/** WebGPU's convolutions as products: which tile, the ways to load four neighbours, long sums, sums in chunks, max-pooling on top. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { GEMM_TILES, gemmTileNames } from "#src/backend/webgpu/kernels/gemm.js";
import type { Engine } from "#src/core/engine.js";
import type { Tensor } from "#src/core/tensor.js";
import { conv2d, maxPool2d, relu } from "#src/ops/index.js";
import { maxRelativeError } from "../helpers/compare.js";
import { randomTensor, type TensorData } from "../helpers/run-op.js";
import { GPU_TOLERANCE } from "../helpers/webgpu.js";
import { compareOnGpu, engines, gpuTest, gpuTests, oracle } from "./gpu-tests.js";

gpuTests();

type Job = (x: Tensor, weight: Tensor, bias: Tensor) => Tensor;
type Four = readonly [number, number, number, number];

function compareConv(
  x: Four,
  weight: Four,
  options: { padding?: number; dilation?: number; stride?: number } = {},
): void {
  const { padding = 0, dilation = 1, stride = 1 } = options;
  const sides = [2, 3].map((i) => Math.floor((x[i] + 2 * padding - dilation * (weight[i] - 1) - 1) / stride) + 1);
  const words = Object.entries(options).map(([key, value]) => `${key}=${value}`);
  compareOnGpu(["conv2d", `x=[${x}]`, `w=[${weight}]`, ...words].join(" "), () => ({
    inputs: {
      x: randomTensor("x", x),
      weight: randomTensor("weight", weight),
      bias: randomTensor("bias", [weight[0]]),
    },
    forward: (t) => conv2d(t.x, t.weight, t.bias, options),
    dy: randomTensor("dy", [x[0], weight[0], ...sides]),
  }));
}

/** Channels and side of a map for which each tile is the best. */
const TILED: readonly (readonly [tile: keyof typeof GEMM_TILES, channels: number, side: number])[] = [
  ["32x32", 3, 9],
  ["16x64", 1, 90],
  ["32x64", 20, 90],
  ["32x128", 20, 128],
  ["64x32", 128, 45],
  ["64x64", 33, 90],
  ["64x128", 33, 128],
  ["128x64", 128, 90],
  ["128x128", 256, 90],
];

test("each tile (specialised.test.ts runs them) is the best of some product", () => {
  assert.equal(TILED.map(([tile]) => tile).sort(), Object.keys(GEMM_TILES).sort());
  for (const [tile, channels, side] of TILED) assert.is(gemmTileNames(channels, side ** 2)[0], tile);
});

/** A test of the forward pass alone. */
function compareForward(name: string, on: readonly Engine[], values: readonly TensorData[], job: Job): void {
  gpuTest(name, async () => {
    const run = async (engine: Engine): Promise<Float64Array> => {
      const y = await engine.scope(() => {
        const [x, weight, bias] = values.map(({ data, shape }) => engine.tensor(data, shape));
        return job(x, weight, bias);
      });
      return y.values();
    };
    const expected = await run(oracle);
    assert.not.ok(expected.every(Number.isNaN));
    for (const engine of on) {
      const error = maxRelativeError(await run(engine), expected);
      assert.ok(error <= GPU_TOLERANCE, `relative error ${error.toExponential(2)}`);
    }
  });
}

// Rows of whole vectors that are shifted by 0 to 3 places, to either side.
for (const padding of [0, 1, 2, 3, 5])
  compareConv([2, 2, 5, 8], [3, 2, 3, 5], { padding, dilation: padding > 2 ? 2 : 1 });
// Vectors in outputs alone, in inputs alone; pixels that go on in the next row and the next image.
compareConv([2, 3, 6, 10], [4, 3, 3, 3]);
compareConv([2, 3, 8, 8], [4, 3, 3, 3]);
compareConv([3, 2, 3, 3], [4, 2, 2, 2], { stride: 2 });
compareConv([5, 2, 1, 1], [4, 2, 1, 1]);
// More terms than are added up in one go.
compareConv([1, 9001, 2, 2], [3, 9001, 1, 1]);
compareConv([2, 1, 100, 100], [2, 1, 3, 3], { padding: 1 });

for (const [x, padding] of [
  [[2, 3, 6, 10], 1],
  [[3, 4, 8, 8], 1],
  [[1, 2, 4, 12], 2],
  [[5, 3, 4, 4], 0],
] as const) {
  const values = [randomTensor("x", x), randomTensor("weight", [5, x[1], 3, 3]), randomTensor("bias", [5])];
  values[0].data[7] = Number.NaN;
  compareForward(`conv2d, relu, maxPool2d x=[${x}] padding=${padding}`, engines, values, (x, weight, bias) =>
    maxPool2d(relu(conv2d(x, weight, bias, { padding })), { kernelSize: 2 }),
  );
}

test.run();
