/**
 * Winograd's convolutions on WebGPU, kernel by kernel: tiles that reach beyond maps, channels that fill no vectors, tiles in several parts,
 * blocks and pieces of memory.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Conv2dShape } from "#src/backend/backend.js";
import { findAdapter, openDevice } from "#src/backend/webgpu/device.js";
import { WebGpuBackend } from "#src/backend/webgpu/webgpu-backend.js";
import { Engine } from "#src/core/engine.js";
import { NODE } from "#src/node-host.js";
import { maxRelativeError } from "../helpers/compare.js";
import { randomTensor } from "../helpers/run-op.js";
import { GPU_TOLERANCE } from "../helpers/webgpu.js";
import { gpuTest, gpuTests, oracle } from "./gpu-tests.js";

gpuTests();

/** F(4x4) multiplies by up to 25 and adds what nearly cancels. */
const TOLERANCE = { winograd2: GPU_TOLERANCE, winograd4: 5e-5 } as const;
type Algorithm = keyof typeof TOLERANCE;
const ALGORITHMS = ["winograd2", "winograd4"] as const;

/** Factors of 11 bits, of which some tens are added; F(2x2) adds what partly cancels. */
const HALF_TOLERANCE = 5e-3;

/** Pieces so small that tensors lie in several, and tiles in many blocks. */
const SMALL_PIECE_BYTES = 8192;

const open = new Map<string, Engine>();
test.after(async () => {
  for (const engine of open.values()) await engine.close();
});

/** An engine whose kernels see `pieceBytes` at once. */
async function engineOf(
  convAlgorithm: Algorithm,
  pieceBytes: number | null,
  precision: "float32" | "f16" = "float32",
): Promise<Engine> {
  const key = `${convAlgorithm} ${pieceBytes} ${precision}`;
  const known = open.get(key);
  if (known) return known;
  const found = await findAdapter(NODE);
  if ("reason" in found) throw new Error(found.reason);
  const device = await openDevice(found.adapter, found.facts, "default");
  const facts = { ...device.facts, ...(pieceBytes === null ? {} : { pieceBytes }) };
  const backend = await WebGpuBackend.open({ ...device, facts }, NODE, { convAlgorithm, precision });
  const engine = new Engine(backend, async () => {}, { keepTransformedWeights: true });
  open.set(key, engine);
  return engine;
}

function shapeOf(
  [batch, inC, inH, inW]: readonly number[],
  outC: number,
  [padH, padW]: readonly number[],
): Conv2dShape {
  const [outH, outW] = [inH + 2 * padH - 2, inW + 2 * padW - 2];
  const window = { kH: 3, kW: 3, strideH: 1, strideW: 1, dilationH: 1, dilationW: 1, groups: 1 };
  return { batch, inC, inH, inW, outC, outH, outW, padH, padW, ...window };
}

/** What all kernels of the family make of random tensors. */
async function resultsOf(engine: Engine, s: Conv2dShape): Promise<Record<string, Float64Array>> {
  const { batch, inC, inH, inW, outC, outH, outW } = s;
  const tensor = (name: string, shape: readonly number[]) => engine.tensor(randomTensor(name, shape).data, shape);
  const [xShape, yShape, weightShape] = [
    [batch, inC, inH, inW],
    [batch, outC, outH, outW],
    [outC, inC, 3, 3],
  ];
  const tensors = await engine.scope(() => {
    const [x, dy] = [tensor("x", xShape), tensor("dy", yShape)];
    const [weight, dWeight] = [tensor("weight", weightShape), tensor("dWeight", weightShape)];
    const [bias, inBias, mask] = [tensor("bias", [outC]), tensor("bias of dx", [inC]), tensor("mask", xShape)];
    const [plain, rectified] = [engine.emptyTensor(yShape), engine.emptyTensor(yShape)];
    engine.record("conv2dForward", { ...s, relu: false }, { x, weight, bias: null, y: plain });
    engine.record("conv2dForward", { ...s, relu: true }, { x, weight, bias, y: rectified });
    const [dx, masked] = [engine.emptyTensor(xShape), engine.emptyTensor(xShape)];
    engine.record("conv2dBackwardInput", s, { dy, weight, bias: inBias, mask: null, dx });
    engine.record("conv2dBackwardInput", s, { dy, weight, bias: null, mask, dx: masked });
    const overwritten = engine.emptyTensor(weightShape);
    engine.record("conv2dBackwardWeight", { ...s, accumulate: false }, { x, dy, dWeight: overwritten });
    engine.record("conv2dBackwardWeight", { ...s, accumulate: true }, { x, dy, dWeight });
    const results = { plain, rectified, dx, masked, overwritten, dWeight };
    if (outH % 2 > 0 || outW % 2 > 0) return results;
    const pooled = engine.emptyTensor([batch, outC, outH / 2, outW / 2]);
    engine.record("conv2dMaxPool2dForward", s, { x, weight, bias, y: pooled });
    return { ...results, pooled };
  });
  const values: Record<string, Float64Array> = {};
  for (const [name, result] of Object.entries(tensors)) values[name] = await result.values();
  return values;
}

function compareKernels(s: Conv2dShape, pieceBytes: number | null): void {
  const { batch, inC, inH, inW, outC, padH, padW } = s;
  const pieces = pieceBytes === null ? "" : ` in pieces of ${pieceBytes} bytes`;
  for (const algorithm of ALGORITHMS) {
    gpuTest(`${algorithm} x=[${batch},${inC},${inH},${inW}] outC=${outC} pad=[${padH},${padW}]${pieces}`, async () => {
      const expected = await resultsOf(oracle, s);
      const actual = await resultsOf(await engineOf(algorithm, pieceBytes), s);
      for (const [name, values] of Object.entries(expected)) {
        const error = maxRelativeError(actual[name], values);
        assert.ok(error <= TOLERANCE[algorithm], `${name}: relative error ${error.toExponential(2)}`);
      }
    });
  }
}

// Maps around tiles of 2 and 4; outputs beyond the padding; rows that are whole vectors, and that are not.
compareKernels(shapeOf([1, 1, 1, 1], 1, [1, 1]), null);
compareKernels(shapeOf([2, 3, 4, 8], 5, [1, 1]), null);
compareKernels(shapeOf([1, 5, 5, 7], 3, [0, 1]), null);
compareKernels(shapeOf([3, 4, 6, 3], 4, [2, 3]), null);
compareKernels(shapeOf([2, 17, 8, 12], 33, [1, 1]), null);
// The sum over tiles in several parts.
compareKernels(shapeOf([1, 2, 32, 36], 3, [1, 1]), null);
// Images that begin anywhere in a piece and go on in the next, blocks of several images and of some tiles of one.
for (const x of [
  [9, 3, 7, 8],
  [5, 3, 16, 17],
  [3, 2, 24, 22],
]) {
  compareKernels(shapeOf(x, 3, [1, 1]), SMALL_PIECE_BYTES);
}

gpuTest("winograd2 x=[2,17,6,9] outC=21 pad=[1,1] in half precision", async () => {
  const found = await findAdapter(NODE);
  if ("reason" in found || !found.facts.f16) {
    console.log("SKIPPED half precision: the GPU has none");
    return;
  }
  const s = shapeOf([2, 17, 6, 9], 21, [1, 1]);
  const expected = await resultsOf(oracle, s);
  for (const pieceBytes of [null, 4 * SMALL_PIECE_BYTES]) {
    const actual = await resultsOf(await engineOf("winograd2", pieceBytes, "f16"), s);
    for (const [name, values] of Object.entries(expected)) {
      const error = maxRelativeError(actual[name], values);
      assert.ok(error <= HALF_TOLERANCE, `${name}: relative error ${error.toExponential(2)}`);
      assert.ok(error > GPU_TOLERANCE, `${name}: not in half precision`);
    }
  }
});

gpuTest("winograd4: what is not finite in one tile stays there, NaN is rectified and pooled to NaN", async () => {
  const engine = await engineOf("winograd4", null);
  const s = shapeOf([1, 1, 4, 16], 1, [1, 1]);
  const data = randomTensor("x", [1, 1, 4, 16]).data.slice();
  data[14] = Number.NaN;
  const { y, pooled } = await engine.scope(() => {
    const [x, weight] = [engine.tensor(data, [1, 1, 4, 16]), engine.tensor(randomTensor("w", [9]).data, [1, 1, 3, 3])];
    const tensors = { x, weight, bias: null };
    const [y, pooled] = [engine.emptyTensor([1, 1, 4, 16]), engine.emptyTensor([1, 1, 2, 8])];
    engine.record("conv2dForward", { ...s, relu: true }, { ...tensors, y });
    engine.record("conv2dMaxPool2dForward", s, { ...tensors, y: pooled });
    return { y, pooled };
  });
  const nan = [...(await y.values())].map(Number.isNaN);
  assert.ok([13, 14, 15, 29, 30, 31].every((i) => nan[i]));
  assert.ok(nan.every((value, i) => !value || i % 16 >= 12));
  const nanOfPooled = [...(await pooled.values())].map(Number.isNaN);
  assert.ok([6, 7].every((i) => nanOfPooled[i]));
  assert.ok(nanOfPooled.every((value, i) => !value || i % 8 >= 6));
});

test.run();
