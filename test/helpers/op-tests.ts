/**
 * What the tests of a family of operations share: kernels against the plain loops in float64,
 * gradients against finite differences, and the text of errors. Each call registers one test; test.run() is the caller's.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import type { Tensor } from "#src/core/tensor.js";
import { createEngine } from "#src/engine.js";
import { throws } from "../engine/nets.js";
import { maxRelativeError } from "./compare.js";
import { checkGradients } from "./finite-differences.js";
import { checkOp, type OpRun } from "./run-op.js";
import { GPU_TOLERANCE, gpuEngines, isTaken, onGpu, shareOf } from "./webgpu.js";

/** One float32 rounding or a few, of values that both compute alike. */
export const ROUNDING = 1e-6;

/**
 * What the tests run on: one thread and two, which must give the same bits; with TEST_BACKEND=webgpu (test/webgpu/ops.test.ts) a GPU with the
 * limits of its adapter and with WebGPU's default ones, which may differ. All files share them; an idle engine needs no closing.
 */
export const engines: readonly Engine[] = onGpu()
  ? await gpuEngines()
  : await Promise.all([1, 2].map((threads) => createEngine({ threads })));
/** Those of a group give the same bits. */
export const groups: readonly (readonly Engine[])[] = onGpu() ? engines.map((engine) => [engine]) : [engines];
/** The plain loops in double precision. */
export const oracle: Engine = await createEngine({ backend: "reference", precision: "float64" });

/** What results may be off by: as tests of wasm ask, and on a GPU, whose sums and functions are the driver's, a little more. */
export function toleranceOf(tolerance: number): number {
  return onGpu() ? Math.max(tolerance, GPU_TOLERANCE) : tolerance;
}

const worst = new Map<string, number>();

/** Prints the worst relative errors of a file's comparisons. Call it before test.run(). */
export function reportAfter(): void {
  test.after(() => {
    console.log(`\n  worst relative errors: ${[...worst].map(([op, e]) => `${op} ${e.toExponential(1)}`).join(", ")}`);
    worst.clear();
  });
}

/** A test that kernels agree with the oracle, and threads with one another to the bit. */
export function compare(op: string, name: string, run: () => OpRun, tolerance = ROUNDING): void {
  if (!isTaken(`${op} ${name}`, shareOf(op))) return;
  test(`${op} ${name}`, async () => {
    worst.set(op, Math.max(worst.get(op) ?? 0, await checkOp(groups, oracle, run(), toleranceOf(tolerance))));
  });
}

/** A test that the oracle's gradients are the finite differences of its forward pass. */
export function gradients(op: string, name: string, run: () => OpRun): void {
  test(`${op} ${name}: finite differences`, () => checkGradients(oracle, run()));
}

/** A test of an error's class and text. */
export function refuses(errorClass: new (message: string) => Error, text: string, act: () => unknown): void {
  test(text, () => throws(act, errorClass, text));
}

/** Runs forward on all engines, which must agree on every value, NaN included; returns the oracle's. */
export async function valuesOf(
  x: readonly number[],
  shape: readonly number[],
  op: (x: Tensor) => Tensor,
  tolerance = ROUNDING,
): Promise<number[]> {
  const expected = await op(oracle.tensor(x, shape)).values();
  for (const engine of engines) {
    const error = maxRelativeError(await op(engine.tensor(x, shape)).values(), expected);
    assert.ok(error <= toleranceOf(tolerance), `relative error ${error.toExponential(2)}`);
  }
  return [...expected];
}
