/**
 * Reads CIFAR-10 (Krizhevsky 2009) in its "binary version" (https://www.cs.toronto.edu/~kriz/cifar.html) from a directory:
 *
 *     data_batch_1.bin … data_batch_n.bin, test_batch.bin      records of 3073 bytes, one a picture:
 *       | label 0..9, 1 byte | red plane, 1024 | green plane, 1024 | blue plane, 1024 |    planes row by row
 *     batches.meta.txt                                          ten class names, one a line; optional
 *
 * Any number of training files will do, so part of the data set can be used.
 */
import { DataError } from "../core/errors.js";
import { arrayDataset, type DataSplits, type Dataset, splitValidation } from "./dataset.js";

/** The class names, by class index. */
export const CIFAR10_NAMES: readonly string[] = [
  "airplane",
  "automobile",
  "bird",
  "cat",
  "deer",
  "dog",
  "frog",
  "horse",
  "ship",
  "truck",
];

const PICTURE_BYTES = 3 * 32 * 32;
const RECORD_BYTES = 1 + PICTURE_BYTES;

/** One file of records and the path that errors name. */
export interface Cifar10File {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/**
 * Decodes the records of some files, in order. Works in browsers too.
 * @throws DataError naming the file: empty, not a multiple of 3073 bytes, or a label above 9.
 */
export function decodeCifar10(
  name: string,
  files: readonly Cifar10File[],
  classNames: readonly string[] = CIFAR10_NAMES,
): Dataset {
  let count = 0;
  for (const { path, bytes } of files) {
    if (bytes.length === 0) throw new DataError(`cifar10: a file is empty (${path} 0 bytes). Download it again.`);
    if (bytes.length % RECORD_BYTES !== 0) {
      throw new DataError(
        `cifar10: a file does not hold whole records of ${RECORD_BYTES} bytes (${path} ${bytes.length} bytes). ` +
          "Use the binary version of CIFAR-10, or download it again.",
      );
    }
    count += bytes.length / RECORD_BYTES;
  }
  const images = new Uint8Array(count * PICTURE_BYTES);
  const labels = new Uint16Array(count);
  let picture = 0;
  for (const { path, bytes } of files) {
    for (let start = 0; start < bytes.length; start += RECORD_BYTES) {
      if (bytes[start] > 9) {
        throw new DataError(
          `cifar10: a label is not 0 to 9 (${path} record ${start / RECORD_BYTES}, label ${bytes[start]}). ` +
            "Use the binary version of CIFAR-10 (not CIFAR-100), or download it again.",
        );
      }
      labels[picture] = bytes[start];
      images.set(bytes.subarray(start + 1, start + RECORD_BYTES), picture * PICTURE_BYTES);
      picture++;
    }
  }
  return arrayDataset({ name, classNames, channels: 3, height: 32, width: 32, images, labels });
}

/**
 * Reads a directory (Node only): all `data_batch_*.bin` in numeric order, a seeded part of them as validation set, and `test_batch.bin`.
 * @throws DataError naming the file or directory that is missing or malformed; UsageError for a fraction or seed out of range.
 */
export async function cifar10(
  directory: string,
  { seed = 1, validationFraction = 0.1 }: { readonly seed?: number; readonly validationFraction?: number } = {},
): Promise<DataSplits> {
  const { readdir, readFile } = await import("node:fs/promises");
  const { join } = await import("node:path");
  const unreadable = (path: string, error: unknown): DataError =>
    new DataError(
      `cifar10: cannot be read (${path} ${errorCode(error)}). Pass the directory that holds data_batch_1.bin and test_batch.bin.`,
    );

  const entries = await readdir(directory).catch((error: unknown) => {
    throw unreadable(directory, error);
  });
  const read = async (file: string): Promise<Cifar10File> => {
    const path = join(directory, file);
    const bytes = await readFile(path).catch((error: unknown) => {
      throw unreadable(path, error);
    });
    return { path, bytes };
  };

  const numbers = entries
    .map((entry) => /^data_batch_(\d+)\.bin$/.exec(entry)?.[1])
    .filter((digits) => digits !== undefined)
    .sort((a, b) => Number(a) - Number(b));
  if (numbers.length === 0) {
    throw new DataError(
      `cifar10: there are no training files (${directory} ${entries.length} entries, none data_batch_*.bin). ` +
        "Pass the directory of CIFAR-10's binary version.",
    );
  }
  const classNames = entries.includes("batches.meta.txt") ? parseNames(await read("batches.meta.txt")) : CIFAR10_NAMES;
  const files: Cifar10File[] = [];
  for (const digits of numbers) files.push(await read(`data_batch_${digits}.bin`));
  const test = decodeCifar10("cifar10 test", [await read("test_batch.bin")], classNames);
  const learn = decodeCifar10("cifar10 train", files, classNames);
  const { train, validation } = splitValidation(learn, validationFraction, seed);
  return { train, validation: { ...validation, name: "cifar10 validation" }, test };
}

function parseNames({ path, bytes }: Cifar10File): string[] {
  const names = new TextDecoder()
    .decode(bytes)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  if (names.length !== CIFAR10_NAMES.length) {
    throw new DataError(
      `cifar10: there are not ten class names (${path} ${names.length} lines). Download it again, or remove it.`,
    );
  }
  return names;
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
