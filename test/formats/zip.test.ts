import { test } from "uvu";
import * as assert from "uvu/assert";
import { DamagedFileError, WeightsError } from "#src/core/errors.js";
import { openZip } from "#src/formats/zip.js";
import { bytesReader } from "#src/io/byte-reader.js";
import { zipBytes } from "../helpers/zip-writer.js";
import { fails } from "../io/fails.js";

const noise = Uint8Array.from({ length: 5000 }, (_, i) => (i * 2654435761) >>> 24);
const entries = new Map([
  ["a/data.pkl", Buffer.from("hello")],
  ["a/folder/", new Uint8Array(0)],
  ["a/data/☃", noise],
  ["a/empty", new Uint8Array(0)],
]);

for (const options of [{}, { zip64: true }, { packed: true }, { packed: true, zip64: true }, { align: 1 }]) {
  test(`entries come back: ${JSON.stringify(options)}`, async () => {
    const reader = bytesReader(zipBytes(entries, options), "x.zip");
    const zip = await openZip(reader);
    assert.equal([...zip.entries.keys()], ["a/data.pkl", "a/data/☃", "a/empty"]);
    const part = await zip.open("a/data/☃");
    assert.is(part.sizeBytes, 5000);
    assert.equal([...(await part.read(4990, 10))], [...noise.subarray(4990)]);
    assert.is((await (await zip.open("a/empty")).read(0, 0)).length, 0);
    assert.is(Buffer.from(await (await zip.open("a/data.pkl")).read(0, 5)).toString(), "hello");
    await fails(part.read(4990, 11), DamagedFileError, "(byte ");
    await fails(zip.open("a/b"), WeightsError, 'load: x.zip lacks a part (entry "a/b").');
  });
}

test("a comment at the end, with an end record inside", async () => {
  const bytes = Buffer.from(zipBytes(entries));
  const comment = Buffer.concat([Buffer.from("PK\x05\x06", "latin1"), Buffer.alloc(40)]);
  bytes.writeUInt16LE(comment.length, bytes.length - 2);
  const zip = await openZip(bytesReader(Buffer.concat([bytes, comment])));
  assert.is(zip.entries.size, 3);
});

test("entries that lie over each other may not unpack to more than the whole file could hold", async () => {
  // 200 names, one packed entry: 20 kB unpack from some 200 bytes, which one entry may.
  const text = Buffer.from(
    Array.from({ length: 5000 }, (_, i) => ((i * 2654435761) % 4294967296 < 0.02 * 4294967296 ? "abcd" : "aaaa")).join(
      "",
    ),
  );
  const one = Buffer.from(zipBytes(new Map([["0", text]]), { packed: true }));
  const names = new Map(Array.from({ length: 200 }, (_, i): [string, Uint8Array] => [`${i}`, new Uint8Array(0)]));
  const many = Buffer.from(zipBytes(names, { packed: true }));
  const central = Buffer.from("PK\x01\x02", "latin1");
  const entry = one.subarray(one.indexOf(central));
  const directory = many.subarray(many.indexOf(central), many.indexOf(Buffer.from("PK\x05\x06", "latin1")));
  for (let at = directory.indexOf(central); at !== -1; at = directory.indexOf(central, at + 4)) {
    // Method, times, checksum, both sizes; then the place of the local header.
    entry.copy(directory, at + 10, 10, 28);
    entry.copy(directory, at + 42, 42, 46);
  }
  const body = one.subarray(0, one.indexOf(central));
  const end = Buffer.from(many.subarray(many.indexOf(Buffer.from("PK\x05\x06", "latin1"))));
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(body.length, 16);
  const zip = await openZip(bytesReader(Buffer.concat([body, directory, end]), "x.zip"));
  assert.is(zip.entries.size, 200);
  const open = async (): Promise<void> => {
    for (const name of zip.entries.keys()) await zip.open(name);
  };
  await fails(open(), DamagedFileError, "unpacks to more than it can hold (");
});

test("damage: sizes that are not in the file, records elsewhere, packed nonsense, encryption", async () => {
  const change = async (at: number, value: number, packed = false): Promise<void> => {
    const bytes = Buffer.from(zipBytes(entries, { packed }));
    bytes.writeUInt32LE(value, at < 0 ? bytes.length + at : at);
    const zip = await openZip(bytesReader(bytes, "x"));
    for (const name of zip.entries.keys()) await zip.open(name);
  };
  await fails(
    change(-10, 0xfffffff),
    DamagedFileError,
    "x claims a directory that does not fit (4 entries, 268435455 bytes) (byte ",
  );
  await fails(change(-6, 3), DamagedFileError, "x lacks an entry of its directory (entry 0 of 4) (byte 3)");
  await fails(change(-22, 7), DamagedFileError, "x ends before its directory (byte ");
  await fails(change(0, 7), DamagedFileError, 'x has no entry "a/data.pkl" where its directory says (byte 0)');
  await fails(
    change(26, 0xffff000a),
    DamagedFileError,
    'x has an entry that reaches into its directory (entry "a/data.pkl", 5 bytes)',
  );
  await fails(change(64, 0xffffffff, true), DamagedFileError, 'x cannot be unpacked (entry "a/data.pkl"');
  const names = [...entries.keys()].reduce((sum, name) => sum + Buffer.byteLength(name), 0);
  const directory = -(22 + 4 * 46 + names);
  await fails(change(directory + 8, 1), WeightsError, 'x is encrypted (entry "a/data.pkl"');
  await fails(
    change(directory + 8, 9 << 16),
    WeightsError,
    'x is packed by an unknown method (entry "a/data.pkl", method 9)',
  );
  await fails(change(directory + 24, 6), DamagedFileError, 'has a wrong entry in its directory (entry "a/data.pkl")');
  await fails(
    change(directory + 24, 0x7fffffff, true),
    DamagedFileError,
    "x claims an entry of 2147483647 bytes from ",
  );
});

test("cut anywhere: the directory is missing", async () => {
  const bytes = zipBytes(entries);
  for (let length = 0; length < bytes.length; length += 13) {
    await fails(
      openZip(bytesReader(bytes.subarray(0, length), "x")),
      DamagedFileError,
      `load: x ends before its directory (byte ${length}).`,
    );
  }
});

test.run();
