/**
 * Files of test/ops as modules that a page can load: one file each, with collector.ts in place of uvu and the built library's modules for
 * browsers. The same for Node, to know which tests there must be.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build, type OutputFile, type Plugin } from "esbuild";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** In pages: parts of Node, and what helpers/webgpu.ts does for Node alone. */
const STAND_INS = /^(node:.*|#src\/node-host\.js)$/;
const NODE_ONLY = /vulkan-drivers\.js$/;

/** A module's text by its name. */
export type Modules = ReadonlyMap<string, string>;

/** The modules for pages of a site with the clone's files. */
export async function bundleForPages(files: readonly string[], siteUrl: string): Promise<Modules> {
  const { outputFiles = [] } = await bundle({ files, base: siteUrl, page: true, outdir: "/" });
  return new Map(outputFiles.map(({ path: file, text }) => [path.basename(file), text]));
}

/** The names of the tests that each file registers on WebGPU, in order. */
export async function namesInNode(files: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const outdir = mkdtempSync(path.join(tmpdir(), "verydeep-op-names-"));
  try {
    await bundle({ files, base: pathToFileURL(root).href, page: false, outdir });
    const names = new Map<string, readonly string[]>();
    for (const file of files) {
      const { takeNames } = await import(pathToFileURL(path.join(outdir, `${file}.mjs`)).href);
      names.set(file, takeNames());
    }
    return names;
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

interface BundleOptions {
  readonly files: readonly string[];
  /** The address of the clone's files. */
  readonly base: string;
  readonly page: boolean;
  readonly outdir: string;
}

function bundle({
  files,
  base,
  page,
  outdir,
}: BundleOptions): Promise<{ readonly outputFiles?: readonly OutputFile[] | undefined }> {
  return build({
    absWorkingDir: root,
    entryPoints: files.map((file) => ({ in: `op:${file}`, out: file })),
    outdir,
    // Modules whatever folder they are in.
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    format: "esm",
    platform: page ? "browser" : "node",
    target: "es2022",
    write: !page,
    logLevel: "error",
    // The package has no side effects; its tests are nothing else.
    ignoreAnnotations: true,
    define: {
      "process.env.TEST_BACKEND": '"webgpu"',
      // What Node's run on WebGPU has shown need not be shown again of each shape.
      "process.env.TEST_SHARE": '"3"',
      "process.env.TEST_WEBGPU": JSON.stringify(process.env.TEST_WEBGPU ?? ""),
      // Fixtures are found from test/helpers.
      "import.meta.url": JSON.stringify(new URL("test/helpers/fixtures.js", base).href),
    },
    plugins: [replacements(base, page)],
  });
}

function replacements(base: string, page: boolean): Plugin {
  const here = (file: string): string => path.join(root, "test/browser", file);
  return {
    name: "tests for pages",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^op:/ }, ({ path: name }) => ({ path: name.slice(3), namespace: "op" }));
      onLoad({ filter: /.*/, namespace: "op" }, ({ path: file }) => ({
        contents: `export * from "./browser/collector.js"; import "./ops/${file}.test.js";`,
        loader: "ts",
        resolveDir: path.join(root, "test"),
      }));
      onResolve({ filter: /^uvu$/ }, () => ({ path: here("collector.ts") }));
      if (page) {
        onResolve({ filter: STAND_INS }, () => ({ path: here("node-stand-ins.ts") }));
        onResolve({ filter: NODE_ONLY }, () => ({ path: "nothing", namespace: "empty" }));
        onLoad({ filter: /.*/, namespace: "empty" }, () => ({ contents: "" }));
      }
      onResolve({ filter: /^#src\// }, ({ path: name }) => {
        const file = page && name === "#src/engine.js" ? "engine-browser.js" : name.slice("#src/".length);
        return { path: new URL(`dist/${file}`, base).href, external: true };
      });
    },
  };
}
