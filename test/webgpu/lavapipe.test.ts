/**
 * The tests of operations on lavapipe, Mesa's driver on the processor: other limits, another compiler than SwiftShader's, and half precision.
 * Each file runs in a process of its own, since a process has one driver.
 */
import { execFile } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify, stripVTControlCharacters } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PAGE_OP_FILES } from "../helpers/op-files.js";
import { driverFile } from "../helpers/vulkan-drivers.js";
import { isThorough } from "../helpers/webgpu.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const run = promisify(execFile);
/** Some take half a minute. */
const LIMIT_MS = 300_000;
const SUMMARY = /^ {2}Total: +(\d+)\s+Passed: +(\d+)\s+Skipped: +(\d+)/m;
const UVU = path.join(root, "node_modules/uvu/bin.js");

const driver = driverFile("lavapipe");

/** Node on this driver; what it printed, whatever its end. */
async function child(args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
  const options = { cwd: root, env: { ...process.env, ...env, NO_COLOR: "1" }, timeout: LIMIT_MS, maxBuffer: 1 << 26 };
  const { stdout, stderr } = await run(process.execPath, ["--import", "tsx", ...args], options).catch((error) => error);
  return stripVTControlCharacters(`${stdout}${stderr}`);
}

const ADAPTER = `import("webgpu").then(async ({ create }) => {
  const adapter = await create([]).requestAdapter();
  console.log("adapter:", adapter?.info.description ?? "none");
})`;

async function obstacle(): Promise<string | null> {
  if (driver === null) return "lavapipe is not installed (mesa-vulkan-drivers)";
  const said = await child(["-e", ADAPTER], { VK_DRIVER_FILES: driver });
  return /^adapter: .*llvmpipe/m.test(said)
    ? null
    : "lavapipe gives no adapter; Mesa 22.3 is too old, 25 is known to do";
}

const missing = await obstacle();
if (missing !== null) console.log(`SKIPPED operations on lavapipe: ${missing}`);

/** Its compiler is slow too: with TEST_WEBGPU=all everything that runs on other drivers. */
const FILES = isThorough()
  ? [...PAGE_OP_FILES.map((file) => ["ops", file] as const), ["webgpu", "f16"] as const, ["webgpu", "nets"] as const]
  : [["ops", "activation"] as const, ["ops", "upsample"] as const, ["webgpu", "f16"] as const];
for (const [folder, file] of FILES) {
  const name = `lavapipe: ${folder}/${file}`;
  if (driver === null || missing !== null) {
    test.skip(name, async () => {});
    continue;
  }
  test(name, async () => {
    const args = [UVU, "--no-color", path.join(root, "test", folder), `^${file}\\.test\\.ts$`];
    const output = await child(args, { VK_DRIVER_FILES: driver, TEST_BACKEND: "webgpu" });
    const [total, passed, skipped] = SUMMARY.exec(output)?.slice(1).map(Number) ?? [0, 0, 0];
    console.log(`${name}: ${passed} of ${total} passed, ${skipped} skipped`);
    assert.ok(total > 1 && passed === total && skipped === 0, output);
  });
}

test.run();
