/**
 * Damaged weights files by the hundred thousand: each must be opened, or refused by an error of this library, soon and without filling the memory.
 *
 *   node --import tsx scripts/long/fuzz-formats.ts [--format pytorch] [--count 20000] [--seed 1]      after npm run build
 *
 * Without --format all formats, `count` copies each, spread over the format's files. Prints a line a file; exits with 1 and says which copy where one does
 * not survive. A format's files are damaged one at a time; those beside them stay sound.
 */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openCaffe } from "#src/formats/caffe/caffe.js";
import { openKerasArchive, openKerasH5 } from "#src/formats/keras/keras.js";
import { openOnnx } from "#src/formats/onnx/onnx.js";
import { openWeights } from "#src/formats/open-weights.js";
import { openPytorch } from "#src/formats/pytorch/pytorch.js";
import { openTfjs } from "#src/formats/tfjs/tfjs.js";
import type { ByteReader } from "#src/io/byte-reader.js";
import { openSafetensorsFile } from "#src/io/safetensors-format.js";
import { openSafetensorsIndex } from "#src/io/safetensors-shards.js";
import type { WeightsFile } from "#src/io/weights-file.js";
import { fuzz } from "../../test/helpers/fuzz.js";

interface FuzzedFormat {
  readonly open: (reader: ByteReader) => Promise<WeightsFile>;
  /** In test/fixtures/. */
  readonly folders: readonly string[];
  readonly files: RegExp;
}

/** Formats and the files that are damaged. */
const FORMATS: Readonly<Record<string, FuzzedFormat>> = {
  safetensors: { open: openSafetensorsFile, folders: ["formats"], files: /\.safetensors$/ },
  "safetensors-index": { open: openSafetensorsIndex, folders: ["formats/sharded"], files: /\.index\.json$/ },
  pytorch: { open: openPytorch, folders: ["torch", "formats"], files: /\.pth?$/ },
  onnx: { open: openOnnx, folders: ["formats"], files: /\.onnx$/ },
  tfjs: {
    open: openTfjs,
    folders: ["formats/tfjs", "formats/tfjs-uint8", "formats/tfjs-float16"],
    files: /^model\.json$/,
  },
  keras: { open: openKerasH5, folders: ["formats"], files: /\.h5$/ },
  "keras-archive": { open: openKerasArchive, folders: ["formats"], files: /\.keras$/ },
  caffe: { open: openCaffe, folders: ["formats"], files: /\.caffemodel$/ },
  /** Whatever it is taken for. */
  any: { open: openWeights, folders: ["formats"], files: /\.\w+$/ },
};

const FIXTURES = fileURLToPath(new URL("../../test/fixtures/", import.meta.url));

const { values } = parseArgs({
  options: {
    format: { type: "string" },
    count: { type: "string", default: "20000" },
    seed: { type: "string", default: "1" },
  },
});
const asked = values.format === undefined ? Object.keys(FORMATS) : [values.format];
for (const name of asked) {
  if (!Object.hasOwn(FORMATS, name)) {
    console.error(`fuzz-formats: unknown format (format ${name}). Known are ${Object.keys(FORMATS).join(", ")}.`);
    process.exit(2);
  }
}

for (const name of asked) {
  const { open, folders, files } = FORMATS[name];
  const found = folders.flatMap((folder) =>
    readdirSync(path.join(FIXTURES, folder), { withFileTypes: true })
      .filter((entry) => entry.isFile() && files.test(entry.name))
      .map((entry) => path.join(folder, entry.name)),
  );
  const count = Math.ceil(Number(values.count) / found.length);
  for (const file of found) {
    const folder = path.join(FIXTURES, path.dirname(file));
    const siblings = new Map(
      readdirSync(folder, { withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name !== path.basename(file))
        .map((entry) => [entry.name, new Uint8Array(readFileSync(path.join(folder, entry.name)))]),
    );
    const start = performance.now();
    const bytes = new Uint8Array(readFileSync(path.join(FIXTURES, file)));
    try {
      const ends = await fuzz(bytes, open, { count, seed: Number(values.seed), name: path.basename(file), siblings });
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      console.log(`${name} ${file}: ${ends.opened} opened, ${ends.refused} refused, ${seconds} s`);
    } catch (error) {
      console.error(`${name} ${file}: ${String(error)}`);
      process.exitCode = 1;
    }
  }
}
