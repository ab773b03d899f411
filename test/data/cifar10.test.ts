import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DataError } from "#src/core/errors.js";
import { cifar10 } from "#src/data/cifar10.js";
import { CIFAR10_NAMES, decodeCifar10 } from "#src/data/cifar10-records.js";
import type { Dataset } from "#src/data/dataset.js";

const REAL = fileURLToPath(new URL("../../../shared/data/cifar-10-batches-bin", import.meta.url));

/** Records with the given labels; all pixels of record i are `first + i`. */
function records(first: number, ...labels: number[]): Uint8Array {
  const bytes = new Uint8Array(labels.length * 3073);
  for (const [i, label] of labels.entries()) {
    bytes.fill(first + i, i * 3073, (i + 1) * 3073);
    bytes[i * 3073] = label;
  }
  return bytes;
}

/** Runs with a directory that holds these files, and removes it. */
async function withFiles(
  files: Record<string, Uint8Array | string>,
  run: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), "verydeep-cifar10-"));
  try {
    for (const [name, content] of Object.entries(files)) await writeFile(path.join(directory, name), content);
    await run(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function fails(directory: string, text: string): Promise<void> {
  const error = await cifar10(directory).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.instance(error, DataError);
  assert.is(error instanceof Error ? error.message : "", text);
}

/** First pixel and label of each picture. */
function summary(dataset: Dataset): string[] {
  return Array.from(dataset.labels, (label, i) => `${dataset.images[i * 3072]}:${label}`);
}

test("decodeCifar10: labels, then the three planes", () => {
  const bytes = records(1, 9, 0);
  bytes[1 + 1024] = 77; // first green pixel
  const dataset = decodeCifar10("two", [{ path: "two.bin", bytes }]);
  assert.equal([...dataset.labels], [9, 0]);
  assert.equal(
    [dataset.images.length, dataset.images[0], dataset.images[1024], dataset.images[3072]],
    [6144, 1, 77, 2],
  );
});

test("directory: batches 1, 2, 10 in numeric order, names from batches.meta.txt", async () => {
  const names = "a b c d e f g h i j".split(" ");
  const files = {
    "data_batch_10.bin": records(30, 3, 3),
    "data_batch_2.bin": records(20, 2, 2),
    "data_batch_1.bin": records(10, 1, 1),
    "test_batch.bin": records(90, 9),
    "batches.meta.txt": `${names.join("\r\n")}\r\n\r\n`,
    "readme.html": "not data",
  };
  await withFiles(files, async (directory) => {
    const { train, validation, test: held } = await cifar10(directory, { validationFraction: 0.01 });
    assert.equal(held.classNames, names);
    assert.equal(summary(held), ["90:9"]);
    const [left] = summary(validation);
    assert.equal(
      summary(train),
      ["10:1", "11:1", "20:2", "21:2", "30:3", "31:3"].filter((picture) => picture !== left),
    );
  });
});

test("bad files: missing directory, no batches, no test file", async () => {
  await fails(
    "no/such/place",
    "cifar10: cannot be read (no/such/place ENOENT). Pass the directory that holds data_batch_1.bin and test_batch.bin.",
  );
  await withFiles({ "test_batch.bin": records(0, 1) }, (directory) =>
    fails(
      directory,
      `cifar10: there are no training files (${directory} 1 entries, none data_batch_*.bin). ` +
        "Pass the directory of CIFAR-10's binary version.",
    ),
  );
  await withFiles({ "data_batch_1.bin": records(0, 1, 2) }, (directory) =>
    fails(
      directory,
      `cifar10: cannot be read (${path.join(directory, "test_batch.bin")} ENOENT). ` +
        "Pass the directory that holds data_batch_1.bin and test_batch.bin.",
    ),
  );
});

test("bad files: empty, cut off, label 10, nine names", async () => {
  const good = { "data_batch_1.bin": records(0, 1, 2), "test_batch.bin": records(0, 1) };
  await withFiles({ ...good, "data_batch_2.bin": new Uint8Array(0) }, (directory) =>
    fails(
      directory,
      `cifar10: a file is empty (${path.join(directory, "data_batch_2.bin")} 0 bytes). Download it again.`,
    ),
  );
  await withFiles({ ...good, "test_batch.bin": records(0, 1, 2).subarray(0, 6000) }, (directory) =>
    fails(
      directory,
      `cifar10: a file does not hold whole records of 3073 bytes (${path.join(directory, "test_batch.bin")} 6000 bytes). ` +
        "Use the binary version of CIFAR-10, or download it again.",
    ),
  );
  await withFiles({ ...good, "data_batch_1.bin": records(0, 1, 10) }, (directory) =>
    fails(
      directory,
      `cifar10: a label is not 0 to 9 (${path.join(directory, "data_batch_1.bin")} record 1, label 10). ` +
        "Use the binary version of CIFAR-10 (not CIFAR-100), or download it again.",
    ),
  );
  await withFiles({ ...good, "batches.meta.txt": "a\nb\n" }, (directory) =>
    fails(
      directory,
      `cifar10: there are not ten class names (${path.join(directory, "batches.meta.txt")} 2 lines). ` +
        "Download it again, or remove it.",
    ),
  );
});

test("the real CIFAR-10: first ten training labels 6 9 9 4 1 1 2 7 8 3", async () => {
  if (!existsSync(REAL)) {
    console.log(`skip: no CIFAR-10 at ${REAL}`);
    return;
  }
  const { train, validation, test: held } = await cifar10(REAL, { validationFraction: 0.00005 });
  assert.equal(held.classNames, CIFAR10_NAMES);
  assert.is(train.labels.length + validation.labels.length, 20000);
  assert.is(held.labels.length, 1000);
  assert.is(validation.labels.length, 1); // not one of the first ten, so the training set begins as the file does
  assert.equal([...train.labels.subarray(0, 10)], [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]);
});

test.run();
