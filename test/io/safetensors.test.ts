import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { WeightsError } from "#src/core/errors.js";
import { openSafetensors, parseSafetensors, type SafetensorsSource, writeSafetensors } from "#src/io/safetensors.js";
import { fails, has } from "./fails.js";

const folder = mkdtempSync(path.join(tmpdir(), "verydeep-safetensors-"));
const file = path.join(folder, "a.safetensors");

const weight = Float32Array.from({ length: 30 }, (_, i) => (i - 15) / 7);
const bias = Float32Array.of(1.5, -0, Number.MIN_VALUE, 3e38, -1e-40);
const tensors = () => [
  { name: "features.0.weight", shape: [5, 3, 2, 1], chunks: chunks(weight, 7) },
  { name: "features.0.bias", shape: [5], chunks: chunks(bias, 5) },
  { name: "empty", shape: [0, 4], chunks: chunks(new Float32Array(0), 1) },
  { name: "scalar ☃", shape: [], chunks: [Float32Array.of(42)] },
];
const metadata = { format: "test", "a key": 'with "quotes" and ☃', empty: "" };

test("what is written comes back, in the order written, by file and by bytes", async () => {
  await writeSafetensors(file, tensors(), metadata);
  for (const source of [await openSafetensors(file), parseSafetensors(readFileSync(file))]) {
    assert.equal(source.metadata, metadata);
    assert.equal([...source.tensors.keys()], ["features.0.weight", "features.0.bias", "empty", "scalar ☃"]);
    assert.equal(source.tensors.get("features.0.weight")?.shape, [5, 3, 2, 1]);
    assert.is(source.tensors.get("features.0.weight")?.dtype, "F32");
    assert.equal(await source.read("features.0.weight"), weight);
    assert.equal(await source.read("features.0.bias"), bias);
    assert.ok(Object.is((await source.read("features.0.bias", 1, 2))[0], -0));
    assert.equal(await source.read("features.0.weight", 3, 11), weight.slice(3, 11));
    assert.is((await source.read("features.0.weight", 30, 30)).length, 0);
    assert.is((await source.read("empty")).length, 0);
    assert.equal(await source.read("scalar ☃"), Float32Array.of(42));
    await source.close();
    await source.close();
  }
  assert.equal(readdirSync(folder), ["a.safetensors"]);
});

test("the file is laid out as the format says: length, header padded to 8 bytes, little-endian floats", async () => {
  await writeSafetensors(file, tensors(), metadata);
  const bytes = readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  assert.is(length % 8, 0);
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString("utf8"));
  assert.equal(header["features.0.bias"], { dtype: "F32", shape: [5], data_offsets: [120, 140] });
  assert.is(bytes.readFloatLE(8 + length), weight[0]);
  assert.is(bytes.readFloatLE(8 + length + 120), 1.5);
  assert.is(bytes.length, 8 + length + 144);
});

test("equal values give equal bytes, whatever the chunks", async () => {
  await writeSafetensors(file, tensors(), metadata);
  const first = readFileSync(file);
  await writeSafetensors(file, [{ ...tensors()[0], chunks: [weight] }, ...tensors().slice(1)], metadata);
  assert.is(first.compare(readFileSync(file)), 0);
});

test("no tensors, no metadata", async () => {
  await writeSafetensors(file, []);
  const source = await openSafetensors(file);
  assert.is(source.tensors.size, 0);
  assert.equal(source.metadata, {});
  await source.close();
});

test("readInto: the file's bytes, into plain and shared memory, from a file and from bytes", async () => {
  await writeSafetensors(file, tensors());
  for (const source of [await openSafetensors(file), parseSafetensors(readFileSync(file))]) {
    for (const memory of [new ArrayBuffer(40), new SharedArrayBuffer(40)]) {
      const floats = new Float32Array(memory, 8, 5);
      await source.readInto("features.0.bias", new Uint8Array(memory, 8, 20));
      assert.equal(Float32Array.from(floats), bias);
      assert.equal(Array.from(new Float32Array(memory)).slice(7), [0, 0, 0]);
    }
    await source.readInto("empty", new Uint8Array(0));
    await source.close();
  }
});

test("reading what is not there", async () => {
  await writeSafetensors(file, tensors());
  const source = await openSafetensors(file);
  await fails(source.read("nothing"), WeightsError, `safetensors: ${file} has no such tensor (name "nothing").`);
  for (const [begin, end] of [
    [-1, 2],
    [3, 2],
    [0, 6],
    [0.5, 1],
    [Number.NaN, 1],
  ]) {
    await fails(
      source.read("features.0.bias", begin, end),
      WeightsError,
      `safetensors: the range is outside the tensor (tensor "features.0.bias", range ${begin} to ${end}, elements 5).`,
    );
  }
  const four = new Uint8Array(4);
  await fails(
    source.readInto("nothing", four),
    WeightsError,
    `safetensors: ${file} has no such tensor (name "nothing").`,
  );
  await fails(
    source.readInto("features.0.bias", four),
    WeightsError,
    'safetensors: the tensor does not fill the bytes (tensor "features.0.bias", 20 bytes, given 4). Give 20.',
  );
  truncateSync(file, readFileSync(file).length - 4);
  await fails(source.read("scalar ☃"), WeightsError, "became shorter while it was read");
  await fails(source.readInto("scalar ☃", four), WeightsError, "became shorter while it was read");
  await source.close();
});

test("other dtypes are read as float32, and as they are", async () => {
  const header =
    '{"steps":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},"half":{"dtype":"F16","shape":[3],"data_offsets":[16,22]},' +
    '"mask":{"dtype":"BOOL","shape":[2],"data_offsets":[22,24]}}';
  const bytes = build(header, 24);
  const view = new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 24);
  view.setBigInt64(0, -3n, true);
  view.setBigInt64(8, 2n ** 40n, true);
  for (const [i, half] of [0x3c00, 0xc000, 0x0001].entries()) view.setUint16(16 + 2 * i, half, true);
  view.setUint8(23, 1);
  const source = parseSafetensors(bytes, "x");
  assert.is(source.tensors.get("steps")?.sizeBytes, 16);
  assert.equal(await source.read("steps"), Float32Array.of(-3, 2 ** 40));
  assert.equal(await source.read("half"), Float32Array.of(1, -2, 2 ** -24));
  assert.equal(await source.read("half", 1, 2), Float32Array.of(-2));
  assert.equal(await source.read("mask"), Float32Array.of(0, 1));
  assert.equal([...(await source.readBytes("half", 1, 3))], [0, 0xc0, 1, 0]);
});

test("int8 with scales: times the row's scale; scales are read, but not listed", async () => {
  const header = (metadata: string, scale = "w_scale"): string =>
    `{"__metadata__":{${metadata}},"w":{"dtype":"I8","shape":[2,2,1],"data_offsets":[0,4]},"${scale}":${entry(4, 12, '"dtype":"F32","shape":[2]')}}`;
  const open = (text: string): SafetensorsSource => {
    const bytes = build(text, 12);
    bytes.set([1, 0xff, 127, 0x81], bytes.length - 12);
    bytes.set(new Uint8Array(Float32Array.of(0.5, 0.1).buffer), bytes.length - 8);
    return parseSafetensors(bytes, "x");
  };
  const source = open(header('"quantized":"int8"'));
  assert.equal([...source.tensors.keys()], ["w"]);
  assert.equal(await source.read("w"), Float32Array.of(0.5, -0.5, 127 * Math.fround(0.1), -127 * Math.fround(0.1)));
  assert.equal(await source.read("w", 1, 3), Float32Array.of(-0.5, 127 * Math.fround(0.1)));
  assert.equal(await source.read("w_scale"), Float32Array.of(0.5, 0.1));
  assert.equal([...(await source.readBytes("w", 1, 4))], [0xff, 127, 0x81]);
  const plain = open(header(""));
  assert.equal([...plain.tensors.keys()], ["w", "w_scale"]);
  assert.equal(await plain.read("w"), Float32Array.of(1, -1, 127, -127));
  assert.throws(
    () => open(header('"quantized":"int8"', "other")),
    (error: unknown) =>
      has(error, WeightsError, 'int8 weights in x have no scale for each row (tensor "w" [2,2,1], "w_scale" missing).'),
  );
});

const entry = (begin: number, end: number, more = '"dtype":"F32","shape":[1]'): string =>
  `{${more},"data_offsets":[${begin},${end}]}`;

const MALFORMED: [name: string, bytes: Uint8Array, text: string][] = [
  ["empty", new Uint8Array(0), "safetensors: x is too short for a header (0 bytes)."],
  ["7 bytes", new Uint8Array(7), "safetensors: x is too short for a header (7 bytes)."],
  [
    "header beyond the end",
    Buffer.from("\x09\0\0\0\0\0\0\0{}", "latin1"),
    "safetensors: x ends inside its header (header 9, file 10 bytes).",
  ],
  [
    "header above 100 MB",
    Buffer.from("\x01\xe1\xf5\x05\0\0\0\0{}", "latin1"),
    "safetensors: x claims a header above 100000000 bytes (header 100000001).",
  ],
  ["text file", Buffer.from("hello, this is text"), "It is not a safetensors file."],
  ["a header of no bytes", new Uint8Array(8), "safetensors: the header of x is not JSON"],
  ["not JSON", build("{oops}"), "safetensors: the header of x is not JSON"],
  ["not UTF-8", build(Buffer.from([0x7b, 0xff, 0x7d])), "safetensors: the header of x is not UTF-8 text."],
  ["a list", build("[]"), "safetensors: the header of x is not a JSON object ([])."],
  ["null", build("null"), "safetensors: the header of x is not a JSON object (null)."],
  ["deep nesting", build("[".repeat(200_000)), "safetensors: the header of x is not JSON"],
  ["metadata no table", build('{"__metadata__":[1]}'), "safetensors: the metadata of x is not a table of texts ([1])."],
  [
    "metadata of numbers",
    build('{"__metadata__":{"a":1}}'),
    'safetensors: the metadata of x is not a table of texts ("a" 1).',
  ],
  ["entry no object", build('{"w":7}'), 'safetensors: an entry is not a JSON object in x (tensor "w", entry 7).'],
  [
    "unknown dtype",
    build(`{"w":${entry(0, 4, '"dtype":"F128","shape":[1]')}}`, 4),
    'safetensors: an unknown dtype in x (tensor "w", dtype "F128").',
  ],
  [
    "dtype of Object's",
    build(`{"w":${entry(0, 4, '"dtype":"toString","shape":[1]')}}`, 4),
    'safetensors: an unknown dtype in x (tensor "w", dtype "toString").',
  ],
  [
    "no shape",
    build(`{"w":${entry(0, 4, '"dtype":"F32"')}}`, 4),
    'safetensors: a shape that is no list of whole numbers in x (tensor "w", shape undefined).',
  ],
  ["negative shape", build(`{"w":${entry(0, 4, '"dtype":"F32","shape":[-1]')}}`, 4), '(tensor "w", shape [-1])'],
  [
    "shape beyond 2^53",
    build(`{"w":${entry(0, 4, '"dtype":"F32","shape":[9007199254740993]')}}`, 4),
    "a shape that is no list of whole numbers",
  ],
  [
    "product overflows",
    build(`{"w":${entry(0, 0, '"dtype":"F32","shape":[4294967296,4294967296]')}}`),
    "safetensors: shape and size disagree in x",
  ],
  [
    "offsets missing",
    build('{"w":{"dtype":"F32","shape":[1]}}', 4),
    'safetensors: offsets that are no pair of whole numbers in x (tensor "w", data_offsets undefined).',
  ],
  [
    "offsets backwards",
    build(`{"w":${entry(4, 0)}}`, 4),
    'safetensors: offsets that run backwards in x (tensor "w", data_offsets [4,0]).',
  ],
  [
    "size of another shape",
    build(`{"w":${entry(0, 8)}}`, 8),
    'safetensors: shape and size disagree in x (tensor "w", shape [1], dtype F32, data_offsets [0,8]).',
  ],
  [
    "overlap",
    build(`{"a":${entry(0, 4)},"b":${entry(0, 4)}}`, 8),
    'safetensors: tensors overlap in x (tensor "b", begins 0, expected 4).',
  ],
  [
    "hole",
    build(`{"a":${entry(0, 4)},"b":${entry(8, 12)}}`, 12),
    'safetensors: a hole lies before a tensor in x (tensor "b", begins 8, expected 4).',
  ],
  [
    "beyond the end",
    build(`{"a":${entry(0, 4)},"b":${entry(4, 8)}}`, 7),
    'safetensors: x is truncated (tensor "b" ends at byte',
  ],
  ["goes on after the end", build(`{"a":${entry(0, 4)}}`, 5), "safetensors: x goes on after its last tensor"],
  [
    "twice the same name",
    build(`{"a":${entry(0, 4)},"\\u0061":${entry(0, 4)}}`, 4),
    'safetensors: x lists a tensor twice (name "a").',
  ],
  [
    "twice the metadata",
    build('{"__metadata__":{"a":"{,\\"b\\":"},"__metadata__":{}}'),
    'lists a tensor twice (name "__metadata__")',
  ],
];

for (const [name, bytes, text] of MALFORMED) {
  test(`malformed: ${name}`, async () => {
    assert.throws(
      () => parseSafetensors(bytes, "x"),
      (error: unknown) => has(error, WeightsError, text),
    );
    const bad = path.join(folder, "bad.safetensors");
    writeFileSync(bad, bytes);
    await fails(openSafetensors(bad), WeightsError, text.replace(/\bx\b(?= |$)/, bad));
    rmSync(bad);
  });
}

test("a key that is repeated inside an entry or a text is no repeated tensor", () => {
  const source = parseSafetensors(
    build(
      `{"__metadata__":{"a":"x\\\\\\",\\"b"},"a":${entry(0, 4)},"b":${entry(4, 8)},"__proto__":${entry(8, 12)}}`,
      12,
    ),
  );
  assert.equal([...source.tensors.keys()], ["a", "b", "__proto__"]);
});

test("truncated at every 97th byte, and random damage: a WeightsError, never anything else", async () => {
  await writeSafetensors(file, tensors(), metadata);
  const bytes = readFileSync(file);
  const cut = path.join(folder, "cut.safetensors");
  for (let length = 0; length < bytes.length; length += length < 64 ? 1 : 97) {
    writeFileSync(cut, bytes.subarray(0, length));
    await fails(openSafetensors(cut), WeightsError, cut);
    assert.throws(
      () => parseSafetensors(bytes.subarray(0, length)),
      (error: unknown) => has(error, WeightsError, "safetensors: "),
    );
  }
  rmSync(cut);
  let state = 1;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 8;
  };
  const header = 8 + Number(bytes.readBigUInt64LE(0));
  let survivors = 0;
  for (let round = 0; round < 3000; round++) {
    const damaged = Uint8Array.from(bytes);
    for (let hit = 0; hit <= round % 3; hit++)
      damaged[random() % header] = round % 2 ? 32 + (random() % 96) : random() % 256;
    try {
      const source = parseSafetensors(damaged);
      survivors++;
      for (const name of source.tensors.keys()) await source.read(name);
    } catch (error) {
      assert.instance(error, WeightsError, String(error));
    }
  }
  assert.ok(survivors > 100 && survivors < 2500, `${survivors} of 3000 are still files`);
});

test("missing file, folder, part of the path a file", async () => {
  await fails(
    openSafetensors(path.join(folder, "no")),
    WeightsError,
    `openSafetensors: the file does not exist (path ${path.join(folder, "no")}). Check the path.`,
  );
  await fails(
    openSafetensors(folder),
    WeightsError,
    `openSafetensors: the path is no regular file (path ${folder}). Name a weights file.`,
  );
  await fails(openSafetensors(path.join(file, "x")), WeightsError, "openSafetensors: the file does not exist");
});

test.after(() => rmSync(folder, { recursive: true, force: true }));

async function* chunks(values: Float32Array, size: number): AsyncGenerator<Float32Array> {
  for (let i = 0; i < values.length; i += size) yield values.subarray(i, i + size);
}

function build(header: string | Uint8Array, dataBytes = 0): Uint8Array {
  const text = Buffer.from(header);
  const bytes = Buffer.alloc(8 + text.length + dataBytes);
  bytes.writeBigUInt64LE(BigInt(text.length));
  text.copy(bytes, 8);
  return bytes;
}

test.run();
