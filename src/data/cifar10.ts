/**
 * Reads CIFAR-10 from a directory (Node); its records are cifar10-records.ts's.
 *
 *     data_batch_1.bin … data_batch_n.bin, test_batch.bin      records
 *     batches.meta.txt                                          ten class names, one a line; optional
 *
 * Any number of training files will do, so part of the data set can be used.
 */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { DataError } from "../core/errors.js";
import { CIFAR10_NAMES, type Cifar10File, decodeCifar10 } from "./cifar10-records.js";
import { type DataSplits, type Dataset, splitValidation } from "./dataset.js";

/**
 * Reads a directory: all `data_batch_*.bin` in numeric order, a seeded part of them as validation set, and `test_batch.bin`.
 * @throws DataError naming the file or directory that is missing or malformed; UsageError for a fraction or seed out of range.
 */
export async function cifar10(
  directory: string,
  { seed = 1, validationFraction = 0.1 }: { readonly seed?: number; readonly validationFraction?: number } = {},
): Promise<DataSplits<Dataset>> {
  const unreadable = (file: string, error: unknown): DataError =>
    new DataError(
      `cifar10: cannot be read (${file} ${errorCode(error)}). Pass the directory that holds data_batch_1.bin and test_batch.bin.`,
    );

  const entries = await readdir(directory).catch((error: unknown) => {
    throw unreadable(directory, error);
  });
  const read = async (file: string): Promise<Cifar10File> => {
    const whole = path.join(directory, file);
    const bytes = await readFile(whole).catch((error: unknown) => {
      throw unreadable(whole, error);
    });
    return { path: whole, bytes };
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
  return { train, validation: { ...validation, name: "cifar10 validation" }, test, notes: [] };
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
