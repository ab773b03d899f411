/** What the tests of WebGPU's kernels share: each operation against the plain loops in float64, at the adapter's limits and at the default ones. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { createEngine } from "#src/engine.js";
import { checkOp, type OpRun } from "../helpers/run-op.js";
import { GPU_TOLERANCE, gpuEngine, gpuEngines } from "../helpers/webgpu.js";

/** All files share them; an idle engine needs no closing. Empty where there is no adapter; then tests are registered as skipped. */
export const engines: readonly Engine[] = await gpuEngines();
/** The plain loops in double precision. */
export const oracle: Engine = await createEngine({ backend: "reference", precision: "float64" });

const worst = new Map<string, number>();

/** Reports after a file's tests, and says why where they cannot run. Call it before test.run(). */
export function gpuTests(): void {
  test.after(async () => {
    if (worst.size > 0) {
      console.log(
        `\n  worst relative errors: ${[...worst].map(([op, e]) => `${op} ${e.toExponential(1)}`).join(", ")}`,
      );
    }
  });
  if (engines.length === 0) {
    test("skipped", async () => {
      const found = await gpuEngine();
      console.log(`skipped WebGPU: ${"reason" in found ? found.reason : "no reason"}`);
    });
  }
}

/** A test that runs where there is an adapter. */
export function gpuTest(name: string, run: () => Promise<void>): void {
  if (engines.length > 0) test(name, run);
  else test.skip(name, run);
}

/** A test that an operation and all its gradients agree with the plain loops, on all engines. The first word names the operation. */
export function compareOnGpu(name: string, run: () => OpRun, tolerance = GPU_TOLERANCE): void {
  const op = name.split(" ")[0];
  gpuTest(name, async () => {
    const groups = engines.map((engine) => [engine]);
    worst.set(op, Math.max(worst.get(op) ?? 0, await checkOp(groups, oracle, run(), tolerance)));
    assert.ok(worst.has(op));
  });
}
