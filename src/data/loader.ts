/**
 * Cuts a data set in memory into batches of normalised float32 pictures, in an order and with random changes that depend on
 * (seed, epoch, picture) alone: an epoch can be read again, or from its middle, and gives the same numbers. What is done to one
 * picture is in transforms.ts and view.ts, the order in epoch-plan.ts; pictures in files are folder-loader.ts's.
 */
import { UsageError } from "../core/errors.js";
import type { Random } from "../core/random.js";
import { planar } from "../pictures/resample.js";
import type { Batch, BatchSource } from "./batch-source.js";
import { type ColourShift, checkColourShift, drawShift, shiftedTable } from "./colour.js";
import type { Dataset, Normalise } from "./dataset.js";
import { EpochPlan } from "./epoch-plan.js";
import { cropPadded, flipHorizontal, normalise, normaliseTable } from "./transforms.js";
import { checkView, renderView, type View } from "./view.js";

/** Random changes to training pictures. They are drawn in this order, each only where it is asked for. */
export interface Augment {
  /**
   * Pads by so many pixels of the mean colour on each side and cuts a window of the old size at random. Default 0: no crop. Not together
   * with a `view`, which crops the rescaled picture.
   */
  readonly cropPadding?: number;
  /** Mirrors each picture left to right with probability 1/2. Default false. */
  readonly flip?: boolean;
  /** Shifts the colour of each picture along the main axes of the training set's colours (Krizhevsky 2012). Default: none. */
  readonly colourShift?: ColourShift | undefined;
}

/** How a {@link Loader} cuts and prepares batches. */
export interface LoaderOptions {
  /** Pictures in one batch; the last batch of an epoch may be smaller. */
  readonly batch: number;
  /** For order and augmentation; whole number from 0 to 2^53 - 1. Default 1. */
  readonly seed?: number;
  /** A new random order each epoch. Default false: the order of the data set. */
  readonly shuffle?: boolean;
  /** Mean and std of the training pictures (`trainingStatistics(train)`), or those that the net was trained with. */
  readonly normalise: Normalise;
  /** The square of the rescaled picture that the net sees. Default: the whole picture as it is, which takes pictures of one size. */
  readonly view?: View | undefined;
  readonly augment?: Augment | undefined;
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
  readonly #plan: EpochPlan;
  readonly #view: View | undefined;
  readonly #cropPadding: number;
  readonly #flip: boolean;
  readonly #normalise: Normalise;
  readonly #colourShift: ColourShift | undefined;
  readonly #table: Float32Array;
  /** The picture before it is cropped. */
  #whole: Float32Array | undefined;

  /**
   * @throws UsageError for a batch size, padding, view, colour shift, seed or normalisation out of range, or where dropLast leaves no batch.
   * @throws ShapeError where `normalise` does not have one mean and std a channel.
   */
  constructor(dataset: Dataset, options: LoaderOptions) {
    const { view } = options;
    const { cropPadding = 0, flip = false, colourShift } = options.augment ?? {};
    this.#plan = new EpochPlan(dataset.labels.length, options);
    if (!Number.isInteger(cropPadding) || cropPadding < 0) {
      throw new UsageError(
        `loader: the padding is not a whole number of at least 0 (cropPadding ${cropPadding}). Pass the number of pixels.`,
      );
    }
    if (view !== undefined) checkView("loader", view, cropPadding);
    if (colourShift !== undefined) checkColourShift("loader", colourShift, dataset.channels);
    this.dataset = dataset;
    this.batch = this.#plan.batch;
    this.count = this.#plan.count;
    this.steps = this.#plan.steps;
    this.#view = view;
    this.#cropPadding = cropPadding;
    this.#flip = flip;
    this.#normalise = options.normalise;
    this.#colourShift = colourShift;
    this.#table = normaliseTable(options.normalise, dataset.channels);
  }

  /**
   * The batches of one epoch, made one at a time.
   * @param epoch whole number from 0: names the order and the augmentation.
   * @param firstStep leaves out the batches before it, to go on in the middle of an epoch.
   * @throws UsageError for an epoch or step out of range.
   */
  *epoch(epoch: number, firstStep = 0): Generator<Batch, void, undefined> {
    const augment = this.#plan.augment(epoch);
    for (const indices of this.#plan.indices(epoch, firstStep)) yield this.#read(indices, augment);
  }

  /** Nothing to end: the pictures are in memory. */
  async close(): Promise<void> {}

  #read(indices: Int32Array, augment: Random): Batch {
    const { channels, labels } = this.dataset;
    const { height, width } = this.#view ? { height: this.#view.size, width: this.#view.size } : this.dataset;
    const size = channels * height * width;
    const x = new Float32Array(indices.length * size);
    for (let i = 0; i < indices.length; i++) {
      const out = x.subarray(i * size, (i + 1) * size);
      if (this.#view) this.#readView(indices[i], this.#view, augment, out);
      else this.#readWhole(indices[i], augment, out);
    }
    return {
      x,
      shape: [indices.length, channels, height, width],
      labels: Int32Array.from(indices, (index) => labels[index]),
      indices,
    };
  }

  /** The bytes of one picture. */
  #pixels(index: number): Uint8Array {
    const { channels, height, width, images } = this.dataset;
    const size = channels * height * width;
    return images.subarray(index * size, (index + 1) * size);
  }

  #readView(index: number, view: View, augment: Random, out: Float32Array): void {
    const { channels, height, width } = this.dataset;
    const recipe = { view, flip: this.#flip, colourShift: this.#colourShift, normalise: this.#normalise };
    renderView(planar(this.#pixels(index), channels, height, width), recipe, augment.fork(index), out);
  }

  #readWhole(index: number, augment: Random, out: Float32Array): void {
    const pixels = this.#pixels(index);
    const padding = this.#cropPadding;
    if (padding === 0 && !this.#flip && this.#colourShift === undefined) {
      normalise(pixels, this.dataset, this.#table, out);
      return;
    }
    const random = augment.fork(index);
    const top = padding > 0 ? random.integer(2 * padding + 1) : 0;
    const left = padding > 0 ? random.integer(2 * padding + 1) : 0;
    const mirrored = this.#flip && random.integer(2) === 1;
    const table =
      this.#colourShift === undefined
        ? this.#table
        : shiftedTable(this.#normalise, drawShift(this.#colourShift, random));
    if (padding > 0) {
      this.#whole ??= new Float32Array(out.length);
      normalise(pixels, this.dataset, table, this.#whole);
      cropPadded(this.#whole, this.dataset, padding, top, left, out);
    } else {
      normalise(pixels, this.dataset, table, out);
    }
    if (mirrored) flipHorizontal(out, this.dataset);
  }
}
