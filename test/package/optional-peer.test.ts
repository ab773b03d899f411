/** The package `webgpu` is an optional peer: a plain `npm install` brings neither it nor a word about it, and all but WebGPU runs. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { npm } from "../../scripts/npm.js";
import { install } from "./install.js";

const installed = await install();
const run = promisify(execFile);

/** Asks for every backend, the last one by name. */
const PROGRAM = `import { createEngine, relu } from "verydeep";
for (const backend of ["wasm", "auto"]) {
  const engine = await createEngine({ backend });
  console.log(backend, [...(await relu(engine.tensor([-1, 2], [2])).data())].join());
  await engine.close();
}
await createEngine({ backend: "webgpu" }).catch((error) => console.log(String(error)));
`;

(installed === null ? test.skip : test)(
  "npm install as users do it: no webgpu and no warning about it; wasm runs",
  async () => {
    assert.ok(installed);
    const folder = path.join(path.dirname(installed.tarball), "plain");
    mkdirSync(folder);
    writeFileSync(path.join(folder, "package.json"), JSON.stringify({ name: "plain", private: true, type: "module" }));
    const args = ["install", "--loglevel=warn", "--prefer-offline", "--no-audit", "--no-fund", installed.tarball];
    const { stderr } = await npm(args, { cwd: folder });
    // npm 11.19 lists every package that has scripts, also `prepare`, which it does not run for what is packed.
    const warnings = stderr.split("\n").filter((line) => line !== "" && !line.startsWith("npm warn install-scripts"));
    assert.equal(warnings, []);
    assert.ok(existsSync(path.join(folder, "node_modules/piscina")));
    assert.not(existsSync(path.join(folder, "node_modules/webgpu")));
    writeFileSync(path.join(folder, "program.js"), PROGRAM);
    const ran = await run(process.execPath, ["program.js"], { cwd: folder });
    assert.is(ran.stderr, "");
    assert.equal(ran.stdout.trim().split("\n"), [
      "wasm 0,2",
      "auto 0,2",
      "BackendError: webgpu: there is no GPU (the package webgpu is not installed). Use the wasm backend.",
    ]);
  },
);

test.run();
