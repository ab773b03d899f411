// Builds dist/: the two .wasm files of assembly/, the JavaScript and types of src/, and the bundled third-party code of
// src/vendor/ (so that the installed package needs piscina alone). Run by `npm install` (prepare) and `npm run build`.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Runs the command-line script of an installed package with this very Node: no shell, so it works on Windows too. */
function runBin(packageName, bin, args) {
  execFileSync(process.execPath, [path.join(root, "node_modules", packageName, bin), ...args], { cwd: root, stdio: "inherit" });
}

rmSync(path.join(root, "dist"), { recursive: true, force: true });
mkdirSync(path.join(root, "dist/wasm"), { recursive: true });

for (const target of ["shared", "plain"]) runBin("assemblyscript", "bin/asc.js", ["--config", "asconfig.json", "--target", target]);

runBin("typescript", "bin/tsc", ["-p", "tsconfig.json"]);

const vendored = readdirSync(path.join(root, "src/vendor")).filter((file) => file.endsWith(".ts"));
await build({
  entryPoints: vendored.map((file) => path.join(root, "src/vendor", file)),
  outdir: path.join(root, "dist/vendor"),
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  legalComments: "linked",
  // CommonJS packages inside an ES module bundle still call require("node:…").
  banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  logLevel: "warning",
});
