/**
 * From the words of a command line to a data set: `shapes`, `shapes:N`, `cifar10:DIR`, `mnist:DIR`, `folder:DIR`. Loads only the code of the one that is asked for.
 */
import { UsageError } from "../core/errors.js";
import type { DataSplits } from "./dataset.js";

const ALLOWED =
  "Use shapes, shapes:N (N pictures, 100 to 1000000), cifar10:DIR (a directory with data_batch_*.bin), " +
  "mnist:DIR (a directory with t10k-images-idx3-ubyte) or folder:DIR (a directory with a folder of pictures for each class)";

/** What {@link openData} takes; all optional. */
export interface OpenDataOptions {
  /** For drawing shapes and for choosing the validation pictures of files. Default 1. */
  readonly seed?: number;
  /** Part of the pictures that are not for testing. Default 0.1. */
  readonly validationFraction?: number;
}

/**
 * Opens the data set that a text names.
 * @param spec `shapes`, `shapes:N` (N pictures in all, 100 to 1,000,000), `cifar10:DIR`, `mnist:DIR` or `folder:DIR`.
 * @throws UsageError for any other text, listing what is allowed; and what the data sets' own readers throw.
 */
export async function openData(spec: string, options: OpenDataOptions = {}): Promise<DataSplits> {
  const { seed = 1, validationFraction = 0.1 } = options;
  const colon = spec.indexOf(":"); // the first: a Windows path has another
  const kind = colon < 0 ? spec : spec.slice(0, colon);
  const argument = colon < 0 ? undefined : spec.slice(colon + 1);

  if (kind === "shapes") {
    const { shapes } = await import("./shapes.js");
    if (argument === undefined) return shapes({ seed, validationFraction });
    const count = /^\d{1,9}$/.test(argument) ? Number(argument) : 0;
    if (count < 100 || count > 1_000_000) {
      throw new UsageError(
        `data: the count of shapes is not a whole number from 100 to 1000000 (spec ${spec}). ${ALLOWED}.`,
      );
    }
    return shapes({ count, seed, validationFraction });
  }
  if (kind === "cifar10" || kind === "mnist" || kind === "folder") {
    if (argument === undefined || argument === "") {
      throw new UsageError(`data: ${kind} needs a directory (spec ${spec}). ${ALLOWED}.`);
    }
    const files = { seed, validationFraction };
    if (kind === "cifar10") return (await import("./cifar10.js")).cifar10(argument, files);
    if (kind === "mnist") return (await import("./mnist.js")).mnist(argument, files);
    return (await import("./folder.js")).folder(argument, files);
  }
  throw new UsageError(`data: there is no such data set (spec ${spec}). ${ALLOWED}.`);
}
