/** Blobs as bytes: ranges across pieces, files beside, and blobs that fail while they are read. Node has the browsers' class. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DamagedFileError, WeightsError } from "#src/core/errors.js";
import { blobReader } from "#src/io/blob-bytes.js";
import { fails } from "./fails.js";

/** A piece of 16 MiB and a bit. */
const bytes = Uint8Array.from({ length: 2 ** 24 + 77 }, (_, i) => (i * 2654435761) >>> 13);
const blob = new Blob([bytes]);

test("ranges: none, the first, the last, across the pieces, all", async () => {
  const reader = blobReader(blob, "a.bin");
  assert.equal([reader.name, reader.sizeBytes], ["a.bin", bytes.length]);
  for (const [offset, size] of [
    [0, 0],
    [0, 1],
    [bytes.length - 1, 1],
    [bytes.length, 0],
    [2 ** 24 - 3, 10],
    [5, 2 ** 24 + 50],
    [0, bytes.length],
  ]) {
    const expected = Buffer.from(bytes.buffer, offset, size);
    assert.is(expected.compare(await reader.read(offset, size)), 0, `${offset} ${size}`);
    const target = new Uint8Array(size + 2);
    await reader.readInto(offset, target.subarray(1, size + 1));
    assert.is(expected.compare(target.subarray(1, size + 1)), 0, `${offset} ${size}`);
    assert.equal([target[0], target[size + 1]], [0, 0]);
  }
  await reader.close();
});

test("ranges outside of the blob: before anything is allocated", async () => {
  const reader = blobReader(blob, "a.bin");
  for (const [offset, size] of [
    [0, bytes.length + 1],
    [bytes.length, 1],
    [-1, 1],
    [0, 2 ** 52],
  ]) {
    await fails(reader.read(offset, size), DamagedFileError, "a.bin");
  }
});

test("files beside it are those that were chosen together", async () => {
  const files = new Map([
    ["a.bin", new Blob(["a"])],
    ["b.bin", new Blob(["bc"])],
  ]);
  const sibling = await blobReader(new Blob(["a"]), "a.bin", files).sibling("b.bin");
  assert.equal([sibling.name, await sibling.read(0, 2)], ["b.bin", Uint8Array.of(98, 99)]);
  assert.is((await sibling.sibling("a.bin")).sizeBytes, 1);
  for (const name of ["c.bin", "__proto__", "../b.bin"]) {
    await fails(
      sibling.sibling(name),
      WeightsError,
      `load: a file beside b.bin is missing (file ${JSON.stringify(name)}). Choose it together with this one.`,
    );
  }
});

/** A blob that says it has four bytes. */
class Failing extends Blob {
  constructor(private readonly part: () => Promise<ArrayBuffer>) {
    super(["four"]);
  }

  override slice(): Blob {
    return Object.assign(new Blob(), { arrayBuffer: this.part });
  }
}

test("a file that is changed, or may not be read any more", async () => {
  await fails(
    blobReader(new Failing(async () => new ArrayBuffer(3))).read(0, 4),
    DamagedFileError,
    "load: the file became shorter while it was read (wanted 4 bytes, got 3). Choose it again.",
  );
  const gone = new Failing(async () => {
    throw new Error("it was moved");
  });
  await fails(
    blobReader(gone, "a.bin").read(0, 4),
    WeightsError,
    "load: a.bin cannot be read (it was moved). Choose it again.",
  );
});

test.run();
