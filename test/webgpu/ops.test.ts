/**
 * The tests of operations once more, on WebGPU: every operation, all gradients, odd shapes, special values, against the reference backend
 * (test/ops), with the adapter's limits and with the default ones.
 */
import { test } from "uvu";
import { OP_FILES } from "../helpers/op-files.js";
import { gpuEngine } from "../helpers/webgpu.js";

const found = await gpuEngine();
if ("reason" in found) {
  test("operations", () => console.log(`skipped operations on WebGPU: ${found.reason}`));
  test.run();
} else {
  await found.engine.close();
  // Read by helpers/webgpu.ts; this folder has a process of its own.
  process.env.TEST_BACKEND = "webgpu";
  for (const name of OP_FILES) {
    await import(`../ops/${name}.test.ts`);
  }
}
