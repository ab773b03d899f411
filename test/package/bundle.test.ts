/** What bundlers make of the package for browsers: nothing of Node, and no more than is imported. */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Metafile } from "esbuild";
import { test } from "uvu";
import * as assert from "uvu/assert";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Bundles a module that imports the package by its name, as an application would. */
async function bundle(source: string): Promise<{ text: string; metafile: Metafile }> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: source, resolveDir: root, loader: "js" },
    bundle: true,
    platform: "browser",
    format: "esm",
    // Code behind dynamic imports goes to files of its own, as a page would load it.
    splitting: true,
    outdir: path.join(root, "never-written"),
    minify: true,
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  const entry = outputFiles.find((file) => file.path.endsWith("stdin.js"));
  return { text: entry?.text ?? "", metafile };
}

function externals({ inputs }: Metafile): string[] {
  return Object.values(inputs).flatMap(({ imports }) =>
    imports.filter(({ external }) => external).map((found) => found.path),
  );
}

test('import { relu } from "verydeep": a few kB, without the rest of the library', async () => {
  const { text, metafile } = await bundle('import { relu } from "verydeep"; console.log(relu);');
  assert.ok(text.length > 500, `${text.length} bytes`);
  // 3 kB when this was written: relu, the tape, tensors.
  assert.ok(text.length < 5_000, `${text.length} bytes`);
  assert.not.match(text, /node:|piscina|conv2d:/);
  assert.equal(externals(metafile), []);
});

test('import * from "verydeep": no module of Node, no piscina, in any part', async () => {
  const { metafile } = await bundle('import * as verydeep from "verydeep"; console.log(verydeep);');
  const inputs = Object.keys(metafile.inputs);
  assert.ok(inputs.includes("dist/browser.js") && inputs.includes("dist/backend/wasm/wasm-backend.js"));
  assert.equal(
    inputs.filter((file) => /node_modules|dist\/(cli|index\.js|engine\.js)/.test(file)),
    [],
  );
  assert.equal(externals(metafile), []);
});

test("the pool's worker is one script of a few kB, without import(): Vite makes one of no modules of it", async () => {
  const { outputFiles } = await build({
    entryPoints: [path.join(root, "dist/backend/wasm/web-worker.js")],
    bundle: true,
    format: "iife",
    minify: true,
    write: false,
    logLevel: "silent",
  });
  assert.is(outputFiles.length, 1);
  const [{ text }] = outputFiles;
  assert.not.match(text, /\bimport\b/);
  // 6 kB when this was written.
  assert.ok(text.length > 1000 && text.length < 10_000, `${text.length} bytes`);
});

test.run();
