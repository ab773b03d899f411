/** What a set of pictures in files needs of whoever reads them: types alone. Node's reader is folder-loader.ts. */
import type { BatchSource } from "./batch-source.js";
import type { ColourSums } from "./colour.js";
import type { FolderDataset } from "./dataset.js";
import type { LoaderOptions } from "./loader.js";

/** How files are read; of no concern to pictures in memory. */
export interface ReadingOptions {
  /**
   * Threads that decode files, beside those that compute. Default 1, which decodes a photograph of 300 pixels in a few hundredths of the time
   * that a picture takes VGG-11's training step at 224 on two cores (scripts/long/folder-loading.ts). Small nets may want more.
   */
  readonly workers?: number | undefined;
  /** Batches made ahead of the one in use, at most. Default 2, and fewer where they would take more than 256 MB, but at least 1. */
  readonly prefetch?: number | undefined;
  /** Folder for decoded, rescaled pictures, made if missing; may be shared and removed at any time. Default: no cache. It changes no bits. */
  readonly cacheDir?: string | undefined;
  /**
   * A picture that cannot be decoded ends the epoch ("fail", the default), or its place is taken by the next good picture of the set, in the
   * set's order ("skip"). A file that cannot be read always ends the epoch.
   */
  readonly onBadPicture?: "fail" | "skip" | undefined;
  /** Told once for each picture that is skipped, and once where the cache cannot be written. */
  readonly onNote?: ((text: string) => void) | undefined;
}

/** All that batches depend on. */
export interface OpenBatchesOptions extends LoaderOptions, ReadingOptions {}

export interface SumOptions {
  /** Rescales each picture first, to this smaller side. Default: as it is. */
  readonly scale?: number | undefined;
  readonly workers?: number | undefined;
  readonly onBadPicture?: "fail" | "skip" | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told how many pictures are done. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Reads the pictures of batches, ahead where it can. */
export interface PictureReader {
  /** Batches of a set's pictures. */
  batches(set: FolderDataset, options: OpenBatchesOptions): BatchSource;
  /** Sums over all pixels of some files. */
  colourSums(files: readonly string[], options: SumOptions): Promise<ColourSums>;
}
