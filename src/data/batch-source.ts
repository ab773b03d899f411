/** What a trainer reads: batches, epoch by epoch, from wherever the pictures are. loader.ts has the one for pictures in memory. */

/** One batch. All arrays are new in each batch, so it may be kept or handed to another thread. */
export interface Batch {
  /** Normalised pictures, NCHW. */
  readonly x: Float32Array;
  /** [pictures, channels, height, width] of `x`. */
  readonly shape: readonly [number, number, number, number];
  /** Class index of each picture. */
  readonly labels: Int32Array;
  /** Place of each picture in the data set. */
  readonly indices: Int32Array;
}

/** Batches in an order and with random changes that depend on (seed, epoch, picture) alone. */
export interface BatchSource {
  /** Pictures in one batch; the last batch of an epoch may be smaller. */
  readonly batch: number;
  /** Batches in one epoch. */
  readonly steps: number;
  /** Pictures in one epoch. */
  readonly count: number;
  /**
   * The batches of one epoch, one at a time; leaving the loop early ends what runs ahead.
   * @param epoch whole number from 0: names the order and the augmentation.
   * @param firstStep leaves out the batches before it, to go on in the middle of an epoch.
   */
  epoch(epoch: number, firstStep?: number): Iterable<Batch> | AsyncIterable<Batch>;
  /** Ends threads and files. */
  close(): Promise<void>;
}
