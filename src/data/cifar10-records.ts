/**
 * Decodes CIFAR-10 (Krizhevsky 2009) in its "binary version" (https://www.cs.toronto.edu/~kriz/cifar.html) from bytes; cifar10.ts
 * reads them from a directory.
 *
 *     records of 3073 bytes, one a picture:
 *       | label 0..9, 1 byte | red plane, 1024 | green plane, 1024 | blue plane, 1024 |    planes row by row
 */
import { DataError } from "../core/errors.js";
import { arrayDataset, type Dataset } from "./dataset.js";

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
 * Decodes the records of some files, in order.
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
