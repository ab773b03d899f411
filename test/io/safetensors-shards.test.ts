import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DamagedFileError, WeightsError } from "#src/core/errors.js";
import { openWeights } from "#src/formats/open-weights.js";
import { bytesReader } from "#src/io/byte-reader.js";
import { openFileBytes } from "#src/io/file-bytes.js";
import { writeSafetensors } from "#src/io/safetensors.js";
import { fails } from "./fails.js";

const folder = mkdtempSync(path.join(tmpdir(), "verydeep-shards-"));
const index = path.join(folder, "model.safetensors.index.json");
const shard = async (file: string, names: string[]): Promise<void> =>
  writeSafetensors(
    path.join(folder, file),
    names.map((name) => ({ name, shape: [2], chunks: [Float32Array.of(name.length, names.indexOf(name))] })),
    { format: "pt" },
  );
const writeIndex = (map: unknown): void =>
  writeFileSync(index, JSON.stringify({ metadata: { total_size: 24 }, weight_map: map }));

test.before(async () => {
  await shard("model-1.safetensors", ["a", "bb"]);
  await shard("model-2.safetensors", ["ccc"]);
});
test.after(() => rmSync(folder, { recursive: true, force: true }));

test("an index and two files are one file", async () => {
  writeIndex({ ccc: "model-2.safetensors", a: "model-1.safetensors", bb: "model-1.safetensors" });
  const file = await openWeights(await openFileBytes(index));
  assert.is(file.variant, "weights only, 2 files");
  assert.equal([...file.tensors.keys()], ["a", "bb", "ccc"]);
  assert.equal(file.metadata, { format: "pt", total_size: "24" });
  const floats = new Float32Array(2);
  await file.readFloats("bb", 0, floats);
  assert.equal([...floats], [2, 1]);
  assert.equal([...(await file.readBytes("ccc", 0, 1))], [0, 0, 64, 64]);
  await fails(file.readFloats("no", 0, floats), WeightsError, 'has no such tensor (name "no")');
  await file.close();
  await file.close();
});

const WRONG: [name: string, map: unknown, text: string][] = [
  [
    "a tensor in another file",
    { a: "model-1.safetensors", bb: "model-2.safetensors", ccc: "model-2.safetensors" },
    'lacks a tensor (tensor "bb", file "model-2.safetensors", found in "model-1.safetensors")',
  ],
  [
    "a tensor in no file",
    { a: "model-1.safetensors", bb: "model-1.safetensors", d: "model-1.safetensors" },
    'lacks a tensor (tensor "d", file "model-1.safetensors")',
  ],
  [
    "a tensor that is not listed",
    { a: "model-1.safetensors" },
    'does not list a tensor of its files (tensor "bb", file "model-1.safetensors")',
  ],
  ["a file that is missing", { a: "model-3.safetensors" }, "load: the file does not exist (path "],
  [
    "a file elsewhere",
    { a: "../model-1.safetensors" },
    'names a file outside of its folder (name "../model-1.safetensors")',
  ],
  ["no name of a file", { a: 7 }, 'does not say which file each tensor is in (weight_map "a")'],
  ["an empty map", {}, "does not say which file each tensor is in (weight_map)"],
  ["a list", [], "does not say which file each tensor is in (weight_map)"],
];

for (const [name, map, text] of WRONG) {
  test(`refused: ${name}`, async () => {
    writeIndex(map);
    await fails(openFileBytes(index).then(openWeights), WeightsError, text);
  });
}

test("refused: a tensor in two files", async () => {
  await shard("model-3.safetensors", ["a"]);
  writeIndex({ a: "model-3.safetensors", bb: "model-1.safetensors" });
  await fails(
    openFileBytes(index).then(openWeights),
    WeightsError,
    'have the same tensor (tensor "a", files "model-1.safetensors" and "model-3.safetensors")',
  );
});

test("no JSON, and files of no known format", async () => {
  const open = (text: string): Promise<unknown> =>
    openWeights(bytesReader(Buffer.from(text, "latin1"), "x.index.json"));
  await fails(
    open('{"weight_map":{'),
    DamagedFileError,
    "safetensors: the index x.index.json is not JSON (byte 0 to 15",
  );
  await fails(
    open("\xff{}"),
    WeightsError,
    "load: x.index.json is of no known format (3 bytes, the first ff 7b 7d). Known are safetensors,",
  );
  await fails(open(""), WeightsError, "(0 bytes, the first none)");
});

test.run();
