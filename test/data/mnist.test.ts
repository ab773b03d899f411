import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DataError } from "#src/core/errors.js";
import { mnist } from "#src/data/mnist.js";
import { openData } from "#src/data/open-data.js";
import { failsWith, withFolder } from "./tiny-folder.js";

const REAL = fileURLToPath(new URL("../../../shared/data/mnist", import.meta.url));

function idx(magic: number, sizes: number[], data: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * sizes.length);
  header.writeUInt32BE(magic, 0);
  for (const [d, size] of sizes.entries()) header.writeUInt32BE(size, 4 + 4 * d);
  return Buffer.concat([header, data]);
}

/** `count` pictures; pixel p of picture i is (i + p) mod 256. */
function images(count: number): Buffer {
  return idx(
    0x803,
    [count, 28, 28],
    Uint8Array.from({ length: count * 784 }, (_, k) => (Math.floor(k / 784) + (k % 784)) % 256),
  );
}

/** Labels 0, 1, … 9, 0, … */
function labels(count: number): Buffer {
  return idx(
    0x801,
    [count],
    Uint8Array.from({ length: count }, (_, i) => i % 10),
  );
}

const GOOD = { "t10k-images-idx3-ubyte": images(20), "t10k-labels-idx1-ubyte": labels(20) };

async function fails(files: Record<string, Uint8Array>, text: (directory: string) => string): Promise<void> {
  await withFolder(files, (directory) => failsWith(mnist(directory), DataError, text(directory)));
}

test("train and test, plain and gz, '-' and '.': 28x28 grey in the middle of 32x32, three times", async () => {
  const files = {
    ...GOOD,
    "train-images.idx3-ubyte.gz": gzipSync(images(50)),
    "train-labels-idx1-ubyte.gz": gzipSync(labels(50)),
  };
  await withFolder(files, async (directory) => {
    const { train, validation, test: held, notes } = await mnist(directory, { validationFraction: 0.2 });
    assert.equal([train.labels.length, validation.labels.length, held.labels.length], [40, 10, 20]);
    assert.equal([held.channels, held.height, held.width, held.classNames.join("")], [3, 32, 32, "0123456789"]);
    assert.equal(notes, []);
    assert.equal([...held.labels.subarray(0, 12)], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    for (let k = 0; k < 20 * 3072; k++) {
      const [i, row, column] = [Math.floor(k / 3072), (Math.floor(k / 32) % 32) - 2, (k % 32) - 2];
      const inside = row >= 0 && row < 28 && column >= 0 && column < 28;
      assert.is(held.images[k], inside ? (i + row * 28 + column) % 256 : 0);
    }
    assert.equal(
      await openData(`mnist:${directory}`, { validationFraction: 0.2 }),
      await mnist(directory, { validationFraction: 0.2 }),
    );
  });
});

test("test files alone: split in three by the seed, each class in proportion, and a note", async () => {
  await withFolder(
    { "t10k-images.idx3-ubyte": images(120), "t10k-labels.idx1-ubyte": labels(120) },
    async (directory) => {
      const { train, validation, test: held, notes } = await mnist(directory);
      assert.equal([train.labels.length, validation.labels.length, held.labels.length], [90, 10, 20]);
      assert.equal([...held.labels].sort().join(""), "00112233445566778899");
      assert.equal(notes, [
        `MNIST's training files are not in ${directory}: its 120 test pictures were split by the seed into ` +
          "90 to learn, 10 to validate and 20 to test. Results are not comparable with those of the whole MNIST.",
      ]);
      assert.equal((await mnist(directory)).test, held);
      assert.not.equal((await mnist(directory, { seed: 2 })).test, held);
    },
  );
});

test("missing: the directory, all files, one of two", async () => {
  await failsWith(
    mnist("no/such/place"),
    DataError,
    "mnist: cannot be read (no/such/place ENOENT). Pass the directory that holds t10k-images-idx3-ubyte.gz.",
  );
  await fails(
    { "readme.txt": new Uint8Array(3) },
    (directory) =>
      `mnist: there are no test files (${directory} 1 entries, none t10k-images-idx3-ubyte). Pass the directory of MNIST's idx files.`,
  );
  await fails(
    { "t10k-images-idx3-ubyte": images(1) },
    (directory) => `mnist: a file is missing (${path.join(directory, "t10k-labels-idx1-ubyte")}). Download it too.`,
  );
  await fails(
    { ...GOOD, "train-labels-idx1-ubyte": labels(1) },
    (directory) => `mnist: a file is missing (${path.join(directory, "train-images-idx3-ubyte")}). Download it too.`,
  );
});

test("bad files: truncated, magic, sizes, counts, label 10, too long, damaged gz, gz that grows", async () => {
  const at = (directory: string, name: string): string => path.join(directory, name);
  const imagesName = "t10k-images-idx3-ubyte";
  const labelsName = "t10k-labels-idx1-ubyte";
  await fails(
    { ...GOOD, [imagesName]: images(20).subarray(0, 9000) },
    (d) => `mnist: a file is truncated (${at(d, imagesName)} 9000 bytes, expected 15696). Download it again.`,
  );
  await fails(
    { ...GOOD, [labelsName]: labels(20).subarray(0, 5) },
    (d) => `mnist: a file is truncated (${at(d, labelsName)} 5 bytes, expected 8). Download it again.`,
  );
  await fails(
    { ...GOOD, [labelsName]: images(20) },
    (d) =>
      `mnist: this is no such idx file (${at(d, labelsName)} magic 0x00000803, expected 0x00000801). Use the file of that name from MNIST.`,
  );
  await fails(
    { ...GOOD, [imagesName]: idx(0x803, [20, 32, 32], new Uint8Array(20480)) },
    (d) =>
      `mnist: the sizes are not those of MNIST (${at(d, imagesName)} 20x32x32). Pass the directory of MNIST's idx files.`,
  );
  await fails(
    { ...GOOD, [labelsName]: labels(19) },
    (d) =>
      `mnist: there are not as many labels as pictures (${at(d, labelsName)} 19, ${at(d, imagesName)} 20). Download both again.`,
  );
  await fails(
    { ...GOOD, [labelsName]: idx(0x801, [20], new Uint8Array(20).fill(10, 7)) },
    (d) => `mnist: a label is not 0 to 9 (${at(d, labelsName)} label 7 is 10). Download it again.`,
  );
  await fails(
    { ...GOOD, [labelsName]: Buffer.concat([labels(20), Buffer.alloc(1)]) },
    (d) => `mnist: a file holds more than its header says (${at(d, labelsName)} expected 28 bytes). Download it again.`,
  );
  const gz = (content: Buffer): Record<string, Uint8Array> => ({
    [`${imagesName}.gz`]: content,
    [labelsName]: labels(20),
  });
  await fails(
    gz(gzipSync(images(20)).subarray(0, 200)),
    (d) => `mnist: a file cannot be read (${at(d, `${imagesName}.gz`)} Z_BUF_ERROR). Download it again.`,
  );
  await fails(
    gz(images(20)),
    (d) => `mnist: a file cannot be read (${at(d, `${imagesName}.gz`)} Z_DATA_ERROR). Download it again.`,
  );
  await fails(
    gz(gzipSync(Buffer.concat([images(20), Buffer.alloc(50_000_000)]))),
    (d) =>
      `mnist: a file holds more than its header says (${at(d, `${imagesName}.gz`)} expected 15696 bytes). Download it again.`,
  );
});

test("the real MNIST: 10,000 test pictures, each digit as often as published", async () => {
  if (!existsSync(REAL)) {
    console.log(`SKIPPED: no MNIST at ${REAL}`);
    return;
  }
  const { train, validation, test: held, notes } = await mnist(REAL);
  assert.equal([train.labels.length, validation.labels.length, held.labels.length], [7500, 833, 1667]);
  assert.match(notes[0], /^MNIST's training files are not in .*: its 10000 test pictures were split/);
  const counts = new Int32Array(10);
  for (const part of [train, validation, held]) for (const label of part.labels) counts[label]++;
  // As published for the test set.
  assert.equal([...counts], [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
  // Ink in the middle, none at the border.
  const ink = (k: number): number =>
    Array.from(held.labels, (_, i) => held.images[i * 3072 + k]).reduce((a, c) => a + c, 0);
  assert.ok(ink(16 * 32 + 16) > 100 * 1667 && ink(33) === 0);
});

test.run();
