/**
 * The README's ten lines on Deno and Bun, from the installed package: the same output as on Node, with one and with two threads.
 * Both come from npm's cache: `npx --yes deno --version` and `npx --yes bun --version` put them there (.ci/run does).
 */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { cachedVersion, npmExec } from "../../scripts/npm.js";
import { install, root } from "./install.js";

const LIMIT_MS = 120_000;

const installed = await install();
const folder = installed?.folder ?? "";

/** What follows the example: how many threads there were, and what the package's net, read from its file, makes of a grey picture. */
const ENDING = `console.log(engine.threads, "threads");
const { model } = await loadModel("node_modules/verydeep/weights/shapes-vgg.safetensors", engine);
console.log((await model.forward(picture).data()).join());
`;

/** The example, made smaller, with so many threads, and the ending. */
function writeExample(threads: number): string {
  const text = readFileSync(path.join(root, "examples/train.js"), "utf8");
  const small = text
    .replace("import { createEngine", "import { createEngine, loadModel")
    .replace("count: 6000", "count: 600")
    .replace("epochs: 8", "epochs: 2")
    .replace("createEngine()", `createEngine({ threads: ${threads}, deterministic: true })`)
    .replace(
      "console.log(await net.eval().forward(picture).data())",
      "console.log((await net.eval().forward(picture).data()).join())",
    );
  const file = path.join(folder, `train-${threads}.js`);
  writeFileSync(file, small + ENDING);
  return file;
}

const expected = new Map<number, Promise<string>>();

/** What Node prints. */
function onNode(threads: number): Promise<string> {
  const known = expected.get(threads);
  if (known) return known;
  const output = promisify(execFile)(process.execPath, [writeExample(threads)], { cwd: folder, timeout: LIMIT_MS });
  const text = output.then(({ stdout }) => stdout);
  expected.set(threads, text);
  return text;
}

for (const [name, args] of [
  ["deno", ["run", "--allow-all"]],
  ["bun", ["run"]],
] as const) {
  const version = await cachedVersion(name, name);
  if (version === null) console.log(`SKIPPED ${name}: npm has it not at hand; npx --yes ${name} --version fetches it`);
  const runtimeTest = version === null || installed === null ? test.skip : test;
  for (const threads of [1, 2]) {
    runtimeTest(`${name} ${version}: the ten lines with ${threads} threads print what Node prints`, async () => {
      const file = writeExample(threads);
      const { stdout } = await npmExec(name, [name, ...args, file], { offline: true, cwd: folder, timeout: LIMIT_MS });
      const lines = stdout.trim().split("\n");
      assert.is(lines.length, 5, stdout);
      assert.match(lines[1], /^epoch 2: [\d.]+ % of validation pictures$/);
      assert.is(lines[3], `${threads} threads`);
      assert.is(stdout, await onNode(threads));
    });
  }
}

test.run();
