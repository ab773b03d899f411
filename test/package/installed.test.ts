/** The package as users get it: packed, installed without optional dependencies, run and type-checked from outside. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { install, root } from "./install.js";

const MAX_TARBALL_BYTES = 1_000_000;

const installed = await install();
const { folder, tarballBytes } = installed ?? { folder: "", tarballBytes: 0 };
const installedTest = installed === null ? test.skip : test;
const run = promisify(execFile);

installedTest("the tarball has at most 1 MB", () => {
  console.log(`tarball ${tarballBytes} bytes`);
  assert.ok(tarballBytes <= MAX_TARBALL_BYTES, `${tarballBytes} bytes`);
});

installedTest("node_modules holds verydeep and piscina, and no native file", () => {
  const modules = path.join(folder, "node_modules");
  const names = readdirSync(modules).filter((name) => !name.startsWith("."));
  assert.equal(names, ["piscina", "verydeep"]);
  const files = readdirSync(modules, { recursive: true, encoding: "utf8" });
  assert.equal(
    files.filter((file) => /\.(node|so|dll|dylib|exe)$/.test(file)),
    [],
  );
});

installedTest("the installed command trains: train --data shapes:500 --epochs 1", async () => {
  const bin = path.join(folder, "node_modules/.bin", process.platform === "win32" ? "verydeep.cmd" : "verydeep");
  assert.ok(existsSync(bin));
  // What .bin starts, with this very Node.
  const main = path.join(folder, "node_modules/verydeep/dist/cli/main.js");
  const args = ["train", "--data", "shapes:500", "--epochs", "1", "--out", "netz ✓.safetensors"];
  const { stdout, stderr } = await run(process.execPath, [main, ...args], { cwd: folder });
  assert.match(stdout, /epoch +1\/1 +loss \d/);
  assert.match(stdout, /netz ✓\.safetensors/);
  assert.is(stderr, "");
  const heart = path.join(root, "weights/pictures/heart.png");
  const classified = await run(process.execPath, [main, "classify", heart, "--weights", "netz ✓.safetensors"], {
    cwd: folder,
  });
  assert.match(classified.stdout, /heart\.png\n +[\d.]+ %/);
  const pictures = ["noise-420.jpg", "lossy.webp"].map((name) => path.join(root, "test/fixtures/pictures", name));
  const decoded = await run(process.execPath, [main, "classify", ...pictures], { cwd: folder });
  assert.match(decoded.stdout, /noise-420\.jpg\n +[\d.]+ %[\s\S]*lossy\.webp\n +[\d.]+ %/);
});

installedTest("the installed command lists published weights; the library knows ImageNet's classes", async () => {
  const main = path.join(folder, "node_modules/verydeep/dist/cli/main.js");
  const { stdout } = await run(process.execPath, [main, "pull", "--dir", folder], { cwd: folder });
  assert.match(stdout, /^vgg16 +553\.4 MB .* -$/m);
  const code = 'import { imagenetNames } from "verydeep"; console.log((await imagenetNames())[999]);';
  const named = await run(process.execPath, ["--input-type=module", "-e", code], { cwd: folder });
  assert.is(named.stdout, "toilet tissue, toilet paper, bathroom tissue\n");
});

/** What an application might write, with types that would not fit if they were missing. */
const CONSUMER = `import { createEngine, type Engine, relu, type Tensor } from "verydeep";
export const engine: Promise<Engine> = createEngine({ threads: 1 });
export const positive = (x: Tensor): Tensor => relu(x);
// @ts-expect-error: a number is no tensor
relu(1);
`;

for (const [name, options, more] of [
  ["NodeNext", { module: "NodeNext", moduleResolution: "NodeNext" }, "loadModel"],
  ["Bundler", { module: "ESNext", moduleResolution: "Bundler" }, "loadModel"],
  [
    "Bundler, condition browser",
    { module: "ESNext", moduleResolution: "Bundler", customConditions: ["browser"] },
    "decodeModel",
  ],
] as const) {
  installedTest(`types resolve: ${name}, strict, libraries checked too, without @types/node`, async () => {
    writeFileSync(path.join(folder, "consumer.ts"), `${CONSUMER}export { ${more} } from "verydeep";\n`);
    const compilerOptions = {
      target: "ES2022",
      lib: ["ES2023", "DOM", "DOM.AsyncIterable", "ESNext.Disposable"],
      types: [],
      strict: true,
      skipLibCheck: false,
      noEmit: true,
      ...options,
    };
    writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["consumer.ts"] }));
    const tsc = path.join(root, "node_modules/typescript/bin/tsc");
    const { stdout } = await run(process.execPath, [tsc, "-p", folder]).catch((error) => error);
    assert.is(stdout, "");
  });
}

test.run();
