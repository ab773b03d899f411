/** One way to batches for every kind of set: the loader that fits where the pictures are. */
import { UsageError } from "../core/errors.js";
import type { BatchSource } from "./batch-source.js";
import { isFolder, isInMemory, type PictureSet } from "./dataset.js";
import { Loader } from "./loader.js";
import type { OpenBatchesOptions } from "./picture-reader.js";

/**
 * ```ts
 * const batches = openBatches(data.train, { batch: 64, shuffle: true, normalise });
 * for await (const { x, shape, labels } of batches.epoch(0)) …
 * await batches.close();
 * ```
 * Pictures in files need a `view`, since they have all sizes.
 * @throws UsageError for a set that is neither in memory nor in files; and what the loaders' constructors throw.
 */
export function openBatches(set: PictureSet, options: OpenBatchesOptions): BatchSource {
  if (isInMemory(set)) return new Loader(set, options);
  if (isFolder(set)) return set.reader.batches(set, options);
  throw new UsageError(
    `openBatches: the set has neither pixels nor files (set ${set.name}). Pass what openData or arrayDataset returns.`,
  );
}
