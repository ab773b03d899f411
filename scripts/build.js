// Builds dist/: the two .wasm files of assembly/, the JavaScript and types of src/, and the bundled third-party code of
// src/vendor/ (so that the installed package needs piscina alone). Run by `npm install` (prepare) and `npm run build`.
// `node scripts/build.js vendor` (or wasm, types) does one part over, in a dist/ that is there.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import { build, transformSync } from "esbuild";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Packages of C libraries in WebAssembly, and the names of their files. */
const CODECS = ["jpeg-turbo", "webp"];

/** Runs the command-line script of an installed package with this very Node: no shell, so it works on Windows too. */
function runBin(packageName, bin, args) {
  execFileSync(process.execPath, [path.join(root, "node_modules", packageName, bin), ...args], {
    cwd: root,
    stdio: "inherit",
  });
}

function buildWasm() {
  mkdirSync(path.join(root, "dist/wasm"), { recursive: true });
  for (const target of ["plain", "relaxed"])
    runBin("assemblyscript", "bin/asc.js", ["--config", "asconfig.json", "--target", target]);
}

function buildTypes() {
  runBin("typescript", "bin/tsc", ["-p", "tsconfig.json"]);
  dropComments(path.join(root, "dist"));
  buildShaders();
}

/** Each .wgsl of src/ as a module that exports its text, without comments and indents. */
function buildShaders() {
  for (const file of readdirSync(path.join(root, "src"), { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".wgsl")) continue;
    const lines = readFileSync(path.join(root, "src", file), "utf8")
      .split("\n")
      .map((line) => line.replace(/\/\/.*/, "").trim())
      .filter((line) => line !== "");
    const text = `export default ${JSON.stringify(lines.join("\n"))};\n`;
    writeFileSync(path.join(root, "dist", `${file}.js`), text);
  }
}

/**
 * Comments are in the sources and, of what is exported, in the .d.ts files; a third copy, and the blanks around the code, would be a tenth
 * of the package. Names stay, so errors still tell where they come from.
 */
function dropComments(folder) {
  for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!/\.c?js$/.test(file)) continue;
    const place = path.join(folder, file);
    const options = { target: "es2022", legalComments: "none", minifyWhitespace: true };
    writeFileSync(place, transformSync(readFileSync(place, "utf8"), options).code);
  }
}

/**
 * The bundle of hdf5.ts: the sources of jsfive's parser with our view in place of DataView, without what they log and without pako, which
 * only what we do not use would call.
 */
const HDF5 = {
  define: { DataView: "PagedView" },
  inject: ["src/vendor/hdf5/view.ts"],
  drop: ["console"],
  plugins: [
    {
      name: "jsfive",
      setup({ onResolve }) {
        const parts = { jsfive: "high-level", "jsfive-core": "core", "jsfive-btree": "btree" };
        onResolve({ filter: /^jsfive(-core|-btree)?$/ }, ({ path: name }) => ({
          path: path.join(root, `node_modules/jsfive/esm/${parts[name]}.js`),
        }));
        onResolve({ filter: /pako/ }, () => ({ path: path.join(root, "src/vendor/hdf5/no-pako.ts") }));
      },
    },
  ],
};

async function buildVendor() {
  const vendored = readdirSync(path.join(root, "src/vendor")).filter((file) => file.endsWith(".ts"));
  const inputs = [];
  for (const file of vendored) {
    // These files' packages are CommonJS and call require("node:…"); all else runs in browsers too.
    const node = file === "command-line.ts" || file === "proxy.ts";
    const { metafile } = await build({
      absWorkingDir: root,
      entryPoints: [path.join(root, "src/vendor", file)],
      outdir: path.join(root, "dist/vendor"),
      bundle: true,
      format: "esm",
      platform: node ? "node" : "browser",
      target: node ? "node20" : "es2022",
      // Nobody reads these files, and the package is to stay small.
      minify: true,
      legalComments: "inline",
      metafile: true,
      // The alias: packages import createRequire too.
      banner: node
        ? {
            js: 'import { createRequire as bannerRequire } from "node:module"; const require = bannerRequire(import.meta.url);',
          }
        : {},
      logLevel: "warning",
      ...(file === "hdf5.ts" ? HDF5 : {}),
    });
    inputs.push(...Object.keys(metafile.inputs));
  }
  for (const codec of CODECS) packCodec(codec);
  // They are in the bundle.
  for (const file of ["view.js", "no-pako.js", "no-pako.d.ts"]) {
    rmSync(path.join(root, "dist/vendor/hdf5", file), { force: true });
  }
  writeFileSync(path.join(root, "dist/vendor/THIRD-PARTY.txt"), thirdPartyNotice(inputs));
}

/** Decoders of JPEG and WebP, packed as Node unpacks them: the package is to stay small. */
function packCodec(name) {
  const bytes = readFileSync(path.join(root, `node_modules/@cwasm/${name}/${name}.wasm`));
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 };
  writeFileSync(path.join(root, `dist/vendor/${name}.wasm.br`), brotliCompressSync(bytes, { params }));
}

/** Name, version, licence and licence text of each package that a bundle took files from, and notices in the files themselves. */
function thirdPartyNotice(inputs) {
  const folders = inputs.map((input) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1]);
  const notices = [...new Set(folders.filter(Boolean))].sort().map((folder) => {
    const { name, version, license, author, homepage } = JSON.parse(
      readFileSync(path.join(root, folder, "package.json"), "utf8"),
    );
    const by = typeof author === "object" ? author.name : author;
    const file = readdirSync(path.join(root, folder)).find((entry) => /^licen[cs]e/i.test(entry));
    // A package without a licence file states its licence in package.json alone; ours holds the text of Apache-2.0.
    const text = file
      ? readFileSync(path.join(root, folder, file), "utf8").trim()
      : `The text of ${license} is in the LICENSE file of verydeep.`;
    const own = inputs.filter((input) => input.startsWith(`${folder}/`)).flatMap(copyrightComments);
    return [`${name} ${version} (${license})`, by, homepage, "", text, ...own]
      .filter((line) => line !== undefined)
      .join("\n");
  });
  for (const file of ["wasm-codecs.txt", "pyfive.txt"]) {
    notices.push(readFileSync(path.join(root, "src/vendor", file), "utf8").trim());
  }
  const rule = `\n\n${"-".repeat(80)}\n\n`;
  return `The files of this folder contain code of these packages.${rule}${notices.join(rule)}\n`;
}

/** Block comments at the top of a file that speak of copyright: parts that a package took from elsewhere. */
function copyrightComments(input) {
  const top = readFileSync(path.join(root, input), "utf8").slice(0, 6000);
  return [...top.matchAll(/\/\*[\s\S]*?\*\//g)]
    .map(([comment]) => comment)
    .filter((comment) => /copyright/i.test(comment))
    .map((comment) => `\n${path.posix.basename(input)}:\n${comment}`);
}

const parts = { wasm: buildWasm, types: buildTypes, vendor: buildVendor };
const asked = process.argv.slice(2);
// The compiler also writes src/vendor/, unbundled: the bundles have to follow.
if (asked.includes("types")) asked.push("vendor");
if (asked.length === 0) rmSync(path.join(root, "dist"), { recursive: true, force: true });
for (const part of asked.length === 0 ? Object.keys(parts) : asked) await parts[part]();
