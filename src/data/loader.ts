/**
 * Cuts a data set into batches of normalised float32 pictures, in an order and with random changes that depend on
 * (seed, epoch, picture) alone: an epoch can be read again, or from its middle, and gives the same numbers. What is done to one
 * picture is in transforms.ts.
 */
import { UsageError } from "../core/errors.js";
import { Random } from "../core/random.js";
import type { Batch, BatchSource } from "./batch-source.js";
import type { Dataset, Normalise } from "./dataset.js";
import { cropPadded, flipHorizontal, normalise, normaliseTable } from "./transforms.js";

/** Random changes to training pictures. */
export interface Augment {
  /** Pads by so many pixels of the mean colour on each side and cuts a window of the old size at random. Default 0: no crop. */
  readonly cropPadding?: number;
  /** Mirrors each picture left to right with probability 1/2. Default false. */
  readonly flip?: boolean;
}

export interface LoaderOptions {
  /** Pictures in one batch; the last batch of an epoch may be smaller. */
  readonly batch: number;
  /** For order and augmentation; whole number from 0 to 2^53 - 1. Default 1. */
  readonly seed?: number;
  /** A new random order each epoch. Default false: the order of the data set. */
  readonly shuffle?: boolean;
  /** Mean and std of the training pictures (`pixelStatistics(train)`), or those that the net was trained with. */
  readonly normalise: Normalise;
  readonly augment?: Augment;
  /** Leaves out a last batch that would be smaller. Default false. */
  readonly dropLast?: boolean;
}

/**
 * ```ts
 * const loader = new Loader(train, { batch: 64, shuffle: true, normalise: pixelStatistics(train) });
 * for (const { x, shape, labels } of loader.epoch(0)) …
 * ```
 */
export class Loader implements BatchSource {
  readonly dataset: Dataset;
  readonly batch: number;
  /** Batches in one epoch. */
  readonly steps: number;
  /** Pictures in one epoch. */
  readonly count: number;
  readonly #seed: number;
  readonly #shuffle: boolean;
  readonly #cropPadding: number;
  readonly #flip: boolean;
  readonly #table: Float32Array;

  /**
   * @throws UsageError for a batch size, padding, seed or normalisation out of range, or where dropLast leaves no batch.
   * @throws ShapeError where `normalise` does not have one mean and std a channel.
   */
  constructor(dataset: Dataset, options: LoaderOptions) {
    const { batch, seed = 1, shuffle = false, dropLast = false } = options;
    const { cropPadding = 0, flip = false } = options.augment ?? {};
    const count = dataset.labels.length;
    if (!Number.isInteger(batch) || batch < 1) {
      throw new UsageError(
        `loader: the batch is not a positive whole number (batch ${batch}). Pass the number of pictures in a batch.`,
      );
    }
    if (dropLast && batch > count) {
      throw new UsageError(
        `loader: no batch is left (batch ${batch}, count ${count}, dropLast true). Pass a smaller batch.`,
      );
    }
    if (!Number.isInteger(cropPadding) || cropPadding < 0) {
      throw new UsageError(
        `loader: the padding is not a whole number of at least 0 (cropPadding ${cropPadding}). Pass the number of pixels.`,
      );
    }
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new UsageError(`loader: the seed is not a whole number from 0 to 2^53 - 1 (seed ${seed}). Pass one.`);
    }
    this.dataset = dataset;
    this.batch = batch;
    this.count = dropLast ? count - (count % batch) : count;
    this.steps = dropLast ? Math.floor(count / batch) : Math.ceil(count / batch);
    this.#seed = seed;
    this.#shuffle = shuffle;
    this.#cropPadding = cropPadding;
    this.#flip = flip;
    this.#table = normaliseTable(options.normalise, dataset.channels);
  }

  /**
   * The batches of one epoch, made one at a time.
   * @param epoch whole number from 0: names the order and the augmentation.
   * @param firstStep leaves out the batches before it, to go on in the middle of an epoch.
   * @throws UsageError for an epoch or step out of range.
   */
  *epoch(epoch: number, firstStep = 0): Generator<Batch, void, undefined> {
    if (!Number.isSafeInteger(epoch) || epoch < 0) {
      throw new UsageError(
        `loader.epoch: the epoch is not a whole number of at least 0 (epoch ${epoch}). Count epochs from 0.`,
      );
    }
    if (!Number.isInteger(firstStep) || firstStep < 0 || firstStep > this.steps) {
      throw new UsageError(
        `loader.epoch: there is no such step (firstStep ${firstStep}, steps ${this.steps}). Pass 0 to ${this.steps}.`,
      );
    }
    const count = this.dataset.labels.length;
    const order = this.#shuffle ? new Random(this.#seed, "order", epoch).permutation(count) : undefined;
    const augment = new Random(this.#seed, "augment", epoch);
    for (let step = firstStep; step < this.steps; step++) {
      const begin = step * this.batch;
      const indices = new Int32Array(Math.min(this.batch, count - begin));
      for (let i = 0; i < indices.length; i++) indices[i] = order === undefined ? begin + i : order[begin + i];
      yield this.#read(indices, augment);
    }
  }

  /** Nothing to end: the pictures are in memory. */
  async close(): Promise<void> {}

  #read(indices: Int32Array, augment: Random): Batch {
    const { channels, height, width, images, labels } = this.dataset;
    const size = channels * height * width;
    const padding = this.#cropPadding;
    const x = new Float32Array(indices.length * size);
    const batchLabels = new Int32Array(indices.length);
    const whole = new Float32Array(padding > 0 ? size : 0); // the picture before it is cropped
    for (let i = 0; i < indices.length; i++) {
      const index = indices[i];
      const pixels = images.subarray(index * size, (index + 1) * size);
      const out = x.subarray(i * size, (i + 1) * size);
      batchLabels[i] = labels[index];
      if (padding === 0 && !this.#flip) {
        normalise(pixels, this.dataset, this.#table, out);
        continue;
      }
      const random = augment.fork(index);
      if (padding > 0) {
        normalise(pixels, this.dataset, this.#table, whole);
        const top = random.integer(2 * padding + 1);
        const left = random.integer(2 * padding + 1);
        cropPadded(whole, this.dataset, padding, top, left, out);
      } else {
        normalise(pixels, this.dataset, this.#table, out);
      }
      if (this.#flip && random.integer(2) === 1) flipHorizontal(out, this.dataset);
    }
    return { x, shape: [indices.length, channels, height, width], labels: batchLabels, indices };
  }
}
