/**
 * Products in half precision, on adapters that have it (lavapipe.test.ts runs this on one), against the plain loops in float64; on others the
 * error that says so.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { BackendError } from "#src/core/errors.js";
import { createEngine, type EngineOptions } from "#src/engine.js";
import { conv2d, linear, relu, sum } from "#src/ops/index.js";
import { rejects } from "../engine/nets.js";
import { checkOp, type OpRun, randomTensor } from "../helpers/run-op.js";
import { GPU_TOLERANCE, gpuEngine } from "../helpers/webgpu.js";

/**
 * Of the largest value. Both factors of a product are rounded to 11 bits, by 2^-11 of each at most; signs are random and sums in float32, so a
 * result is off by some 2^-12 of its terms' root of squares, and the largest result is two to four of those. Measured: 3e-4.
 */
const HALVES = 1e-3;
/** Factors of Winograd's F(2x2) are sums of up to four values, that are rounded then; and what is added up nearly cancels. Measured: 7e-4. */
const SMALL_TILES = 2e-3;
/** F(4x4) stays float32: its own tolerance there (test/ops/against-reference.test.ts). */
const LARGE_TILES = 5e-5;
/** Fifty times what float32 has: less means that nothing was rounded to halves. */
const LEAST = 1e-5;

const found = await gpuEngine({ precision: "f16" });
const oracle = await createEngine({ backend: "reference", precision: "float64" });

if ("reason" in found) {
  test("without half precision: an error that says so", async () => {
    const plain = await gpuEngine();
    if ("reason" in plain) {
      console.log(`skipped half precision: ${plain.reason}`);
      return;
    }
    await plain.engine.close();
    console.log(`skipped half precision: ${found.reason}`);
    await rejects(
      () => createEngine({ backend: "webgpu", precision: "f16" }),
      BackendError,
      /^webgpu: the GPU has no half-precision arithmetic \(.+, precision f16\)\. Use precision float32\.$/,
    );
  });
} else {
  const engines: Engine[] = [found.engine];
  const engineOf = async (options: EngineOptions): Promise<Engine> => {
    const engine = await createEngine({ backend: "webgpu", precision: "f16", ...options });
    engines.push(engine);
    return engine;
  };
  test.after(async () => {
    for (const engine of engines) await engine.close();
  });

  const compare = (name: string, options: EngineOptions, tolerance: number, run: () => OpRun): void => {
    test(name, async () => {
      const error = await checkOp([[await engineOf(options)]], oracle, run(), tolerance);
      console.log(`${name}: relative error ${error.toExponential(1)}`);
      assert.ok(error > LEAST, `${error}: nothing was rounded`);
    });
  };

  const linearRun = (batch: number, inFeatures: number, outFeatures: number): OpRun => ({
    inputs: {
      x: randomTensor("x", [batch, inFeatures]),
      weight: randomTensor("weight", [outFeatures, inFeatures]),
      bias: randomTensor("bias", [outFeatures]),
    },
    forward: (t) => linear(t.x, t.weight, t.bias),
    dy: randomTensor("dy", [batch, outFeatures]),
  });

  compare("linear x=[70,129] w=[131,129]", {}, HALVES, () => linearRun(70, 129, 131));

  test("linear x=[1,300] w=[17,300]: small batches wait for memory, and are multiplied in float32", async () => {
    await checkOp([[await engineOf({})]], oracle, linearRun(1, 300, 17), GPU_TOLERANCE);
  });

  const convRun = (batch: number, inC: number, size: number, outC: number): OpRun => ({
    inputs: {
      x: randomTensor("x", [batch, inC, size, size]),
      weight: randomTensor("weight", [outC, inC, 3, 3]),
      bias: randomTensor("bias", [outC]),
    },
    forward: (t) => conv2d(t.x, t.weight, t.bias, { padding: 1 }),
    dy: randomTensor("dy", [batch, outC, size, size]),
  });

  for (const [batch, inC, size, outC] of [
    [1, 3, 8, 5],
    [2, 33, 9, 40],
  ]) {
    const shapes = `x=[${batch},${inC},${size},${size}] w=[${outC},${inC},3,3]`;
    const run = (): OpRun => convRun(batch, inC, size, outC);
    compare(`im2col ${shapes}`, { convAlgorithm: "im2col" }, HALVES, run);
    compare(`winograd2 ${shapes}`, { convAlgorithm: "winograd2" }, SMALL_TILES, run);
    test(`winograd4 ${shapes}: in float32`, async () => {
      await checkOp([[await engineOf({ convAlgorithm: "winograd4" })]], oracle, run(), LARGE_TILES);
    });
  }

  test("what is no product stays float32: relu, sum x=[1000]", async () => {
    const engine = await engineOf({});
    const x = randomTensor("x", [1000]);
    const run: OpRun = { inputs: { x }, forward: (t) => sum(relu(t.x)), dy: null };
    await checkOp([[engine]], oracle, run, GPU_TOLERANCE);
  });
}

test.run();
