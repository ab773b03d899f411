// Bundles the library for pages without a bundler of their own: `npm run bundle`, or `node scripts/bundle.js FOLDER`. The folder then holds
// verydeep.js to import, the script of the pool's workers, the kernels, and parts that load when they are needed: readers of weights files,
// backends. All lie beside each other; a server or CDN serves the folder as it is. Needs a build (dist/).
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const KERNELS = ["kernels.wasm", "kernels-relaxed.wasm"];

/** The kernels lie beside the code now. */
const KERNELS_BESIDE = {
  name: "kernels",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]wasm[\\/]instantiate\.js$/ }, ({ path: file }) => {
      const contents = readFileSync(file, "utf8");
      const beside = KERNELS.reduce((text, name) => text.replace(`"../../wasm/${name}"`, `"./${name}"`), contents);
      if (beside.includes("../../wasm/"))
        throw new Error("bundle: instantiate.js has an address that is not known here.");
      return { contents: beside };
    });
  },
};

/** Writes the bundle; resolves to esbuild's account of it. */
export async function bundle(folder) {
  mkdirSync(folder, { recursive: true });
  const { metafile } = await build({
    absWorkingDir: root,
    // The worker's name is what web-pool.ts looks for beside itself.
    entryPoints: { verydeep: "dist/browser.js", "web-worker": "dist/backend/wasm/web-worker.js" },
    outdir: folder,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    minify: true,
    plugins: [KERNELS_BESIDE],
    metafile: true,
    logLevel: "warning",
  });
  for (const name of KERNELS) copyFileSync(path.join(root, "dist/wasm", name), path.join(folder, name));
  copyFileSync(path.join(root, "dist/vendor/THIRD-PARTY.txt"), path.join(folder, "THIRD-PARTY.txt"));
  copyFileSync(path.join(root, "LICENSE"), path.join(folder, "LICENSE"));
  return metafile;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = path.resolve(process.argv[2] ?? path.join(root, "bundle"));
  const { outputs } = await bundle(folder);
  const bytes = Object.values(outputs).reduce((sum, output) => sum + output.bytes, 0);
  console.log(
    `${folder}: verydeep.js and ${Object.keys(outputs).length - 1} other scripts, ${Math.round(bytes / 1000)} kB`,
  );
}
