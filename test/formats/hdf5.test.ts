/** HDF5 files: h5py's of every kind of storage (test/fixtures/make-hdf5.py), and damaged and hostile ones. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DamagedFileError, VerydeepError, WeightsError } from "#src/core/errors.js";
import { type Hdf5File, openHdf5 } from "#src/formats/keras/hdf5.js";
import { hdf5Tensor } from "#src/formats/keras/hdf5-chunks.js";
import { bytesReader } from "#src/io/byte-reader.js";
import { fails } from "../io/fails.js";

const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))));
const bytes = fixture("hdf5-storage.h5");
const reader = bytesReader(bytes, "storage.h5");
const file = await openHdf5(reader);

function tensorOf(name: string, from: Hdf5File = file): NonNullable<ReturnType<typeof hdf5Tensor>> {
  const dataset = from.datasets.get(name);
  assert.ok(dataset, name);
  const tensor = hdf5Tensor(reader, name, dataset);
  assert.ok(tensor, name);
  return tensor;
}

/** What make-hdf5.py writes, as a type without fractions has it. */
const elementOf = (i: number, dtype: string): number => {
  const value = i * 0.25 - 1;
  return /^[IU]/.test(dtype) ? Math.trunc(value) : value;
};

const DATASETS: [name: string, dtype: string, shape: number[]][] = [
  ["plain<f4", "F32", [5, 3]],
  ["plain>f4", "F32", [5, 3]],
  ["plain<f8", "F64", [5, 3]],
  ["plain<f2", "F16", [5, 3]],
  ["plain<i4", "I32", [5, 3]],
  ["plain>i2", "I16", [5, 3]],
  ["chunks", "F32", [5, 7]],
  ["gzip", "F32", [5, 7, 2]],
  ["shuffled", "F32", [40]],
  ["compact", "F32", [4]],
];

for (const [name, dtype, shape] of DATASETS) {
  test(`${name} [${shape}]`, async () => {
    const tensor = tensorOf(name);
    assert.is(tensor.dtype, dtype);
    assert.equal(tensor.shape, shape);
    const size = shape.reduce((product, side) => product * side, 1);
    const whole = new Float32Array(size);
    await tensor.readFloats(0, whole);
    const expected = Float32Array.from({ length: size }, (_, i) => elementOf(i, dtype));
    // -0.75 becomes -0 as a whole number in TypeScript alone.
    assert.equal(
      [...whole].map((value) => value + 0),
      [...expected].map((value) => value + 0),
    );
    const part = new Float32Array(2);
    await tensor.readFloats(1, part);
    assert.equal(
      [...part].map((value) => value + 0),
      [...expected.subarray(1, 3)].map((value) => value + 0),
    );
    assert.is((await tensor.readBytes(1, 3)).length, (await tensor.readBytes(0, 1)).length * 2);
  });
}

test("a scalar, an empty data set, and one of texts", async () => {
  const value = new Float32Array(1);
  await tensorOf("scalar").readFloats(0, value);
  assert.is(value[0], 2.5);
  assert.equal(tensorOf("empty").shape, [0, 3]);
  await tensorOf("empty").readFloats(0, new Float32Array(0));
  const text = file.datasets.get("text");
  assert.ok(text);
  assert.is(hdf5Tensor(reader, "text", text), null);
});

test("another compression is an error", () => {
  assert.throws(
    () => tensorOf("lzf"),
    (error: unknown) => error instanceof WeightsError && error.message.includes('"lzf", filter 32000'),
  );
});

test("attributes that are texts, and links that lead back or name a path", () => {
  const texts = file.groups.get("texts");
  assert.equal(Object.fromEntries(texts ?? []), {
    fixed: ["ab", "cdef"],
    variable: ["über", "x".repeat(300)],
    one: ["single"],
    none: [],
  });
  assert.equal([...file.groups.keys()].sort(), ["", "texts"]);
});

test("only the structure is read", async () => {
  // The file of a net with one large tensor: data between the pages of the structure.
  let read = 0;
  const large = new Uint8Array(bytes.length + 2 ** 24);
  large.set(bytes);
  const counted = bytesReader(large, "large.h5");
  await openHdf5({
    ...counted,
    read(offset, sizeBytes) {
      read += sizeBytes;
      return counted.read(offset, sizeBytes);
    },
  });
  assert.ok(read <= 2 ** 17, `${read} bytes`);
});

/** Reads all that can be read. Only errors of the library may come. */
async function survives(data: Uint8Array): Promise<boolean> {
  const source = bytesReader(data, "changed.h5");
  try {
    const { datasets } = await openHdf5(source);
    for (const [name, dataset] of datasets) {
      const tensor = hdf5Tensor(source, name, dataset);
      const size = dataset.shape.reduce((product, side) => product * side, 1);
      assert.ok(!tensor || size <= 2 ** 24, `${name} claims ${size} elements`);
      await tensor?.readFloats(0, new Float32Array(size));
    }
    return true;
  } catch (error) {
    assert.instance(error, VerydeepError, `${error instanceof Error ? error.stack : error}`);
    return false;
  }
}

const FILES = ["hdf5-storage.h5", "formats/layers-sequential.h5", "formats/keras-old.h5"];

for (const name of FILES) {
  test(`${name}, cut at every hundredth`, async () => {
    const whole = fixture(name);
    for (let part = 0; part < 100; part++) {
      assert.not.ok(await survives(whole.subarray(0, Math.floor((whole.length * part) / 100))), `${part} %`);
    }
  });

  test(`${name}, changed at random`, async () => {
    const whole = fixture(name);
    let seed = 1;
    const next = (below: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    let damaged = 0;
    for (let round = 0; round < 300; round++) {
      const changed = whole.slice();
      for (let i = 0; i < 1 + (round % 4); i++) changed[next(changed.length)] = [0, 1, 127, 255, next(256)][next(5)];
      if (!(await survives(changed))) damaged++;
    }
    assert.ok(damaged > 5, `${damaged} were noticed`);
  });
}

/** All places of four letters. */
function places(data: Uint8Array, letters: string): number[] {
  const text = Buffer.from(data).toString("latin1");
  return [...text.matchAll(new RegExp(letters, "g"))].map(({ index }) => index);
}

/** A node of a tree of groups: all its children are the same. */
function writeNode(view: DataView, at: number, level: number, children: number, child: number): void {
  for (const [i, letter] of [..."TREE"].entries()) view.setUint8(at + i, letter.charCodeAt(0));
  view.setUint8(at + 5, level);
  view.setUint16(at + 6, children, true);
  for (let i = 0; i < children; i++) view.setBigUint64(at + 24 + 16 * i + 8, BigInt(child), true);
}

test("a tree of 1000^4 nodes, which are four, ends in an error within seconds", async () => {
  const [tree] = places(bytes, "TREE");
  const nodeBytes = 24 + 16 * 1000 + 8;
  const hostile = new Uint8Array(bytes.length + 5 * nodeBytes);
  hostile.set(bytes);
  const view = new DataView(hostile.buffer);
  for (let level = 4; level >= 1; level--) {
    const at = bytes.length + (4 - level) * nodeBytes;
    writeNode(view, at, level, 1000, level > 1 ? at + nodeBytes : tree);
  }
  // All that refers to the tree refers to the new one.
  for (let at = 0; at + 8 <= bytes.length; at++) {
    if (view.getBigUint64(at, true) === BigInt(tree)) view.setBigUint64(at, BigInt(bytes.length), true);
  }
  const begin = performance.now();
  await fails(openHdf5(bytesReader(hostile, "tree.h5")), DamagedFileError, "its structure has no end");
  assert.ok(performance.now() - begin < 60_000, `${performance.now() - begin} ms`);
});

test("a heap that claims 2^60 bytes is an error", async () => {
  const hostile = bytes.slice();
  const [heap] = places(hostile, "HEAP");
  new DataView(hostile.buffer).setBigUint64(heap + 8, 2n ** 60n, true);
  // The range is cut at the file's end, as an ArrayBuffer's would be; what lies there are no names.
  await openHdf5(bytesReader(hostile, "heap.h5")).catch((error) => assert.instance(error, DamagedFileError));
  new DataView(hostile.buffer).setBigUint64(heap + 24, 2n ** 60n, true);
  await fails(openHdf5(bytesReader(hostile, "heap.h5")), DamagedFileError, "outside of the file");
});

test("no HDF5 file at all", async () => {
  await fails(
    openHdf5(bytesReader(new Uint8Array(0), "none.h5")),
    DamagedFileError,
    "none.h5 is damaged, or no HDF5 file",
  );
  await fails(openHdf5(bytesReader(new Uint8Array(5000), "zeros.h5")), DamagedFileError, "zeros.h5 is damaged");
});

test.run();
