/**
 * What a data set is: labelled pictures, in memory as bytes or in files. Owns the checks, splitting and the mean and deviation of those
 * in memory; leaves files to cifar10.ts, mnist.ts and folder.ts, made-up pictures to shapes.ts, batches to loader.ts.
 */
import { DataError, ShapeError, UsageError } from "../core/errors.js";
import { Random } from "../core/random.js";
import type { PictureReader } from "./picture-reader.js";

/** Labelled pictures, wherever they are: what all sets have in common. */
export interface PictureSet {
  readonly name: string;
  /** Name of each class, by class index. */
  readonly classNames: readonly string[];
  readonly channels: number;
  /** Class index of each picture; its length is the count of pictures. */
  readonly labels: Uint16Array;
}

/** Labelled pictures in memory: bytes, NCHW (RGB planes), one class index each. */
export interface Dataset extends PictureSet {
  readonly height: number;
  readonly width: number;
  /** Pixels, `[count, channels, height, width]`, 0..255. */
  readonly images: Uint8Array;
}

/** Labelled pictures in files, PNG, JPEG or WebP, of any size; always RGB (`channels` 3). */
export interface FolderDataset extends PictureSet {
  /** Path of each picture. */
  readonly files: readonly string[];
  /** What reads them. It comes with the set, so that nothing that works in browsers need know Node's. */
  readonly reader: PictureReader;
}

/** A data set cut in three: learn from `train`, choose by `validation`, report `test`. */
export interface DataSplits<S extends PictureSet = PictureSet> {
  readonly train: S;
  readonly validation: S;
  readonly test: S;
  /** What the user must be told about these pictures; mostly empty. */
  readonly notes: readonly string[];
}

/** Whether the pictures are in memory. */
export function isInMemory(set: PictureSet): set is Dataset {
  return "images" in set;
}

/** Whether the pictures are in files. */
export function isFolder(set: PictureSet): set is FolderDataset {
  return "files" in set;
}

/**
 * The set as one in memory, for what can use no other.
 * @throws UsageError for pictures in files.
 */
export function inMemory(op: string, set: PictureSet): Dataset {
  if (isInMemory(set)) return set;
  throw new UsageError(`${op}: the pictures are not in memory (set ${set.name}). Read them with openBatches.`);
}

/** Per-channel normalisation, in units of bytes (0..255): x = (pixel - mean[c]) / std[c]. */
export interface Normalise {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/**
 * A data set from its parts, checked. The arrays are kept, not copied.
 * @throws ShapeError where sizes do not fit together.
 * @throws DataError for no pictures, no classes, or a label without a class.
 */
export function arrayDataset(parts: Dataset): Dataset {
  const { name, classNames, channels, height, width, images, labels } = parts;
  for (const [side, size] of Object.entries({ channels, height, width })) {
    if (!Number.isInteger(size) || size < 1) {
      throw new ShapeError(
        `arrayDataset: a size of ${name} is not a positive whole number (${side} ${size}). Pass the size of one picture.`,
      );
    }
  }
  if (classNames.length < 1 || classNames.length > 65536) {
    throw new DataError(
      `arrayDataset: ${name} needs 1 to 65536 classes (classNames ${classNames.length}). Pass one name a class.`,
    );
  }
  if (labels.length === 0) {
    throw new DataError(
      `arrayDataset: ${name} has no pictures (labels ${labels.length}). Pass at least one picture and its label.`,
    );
  }
  const expected = labels.length * channels * height * width;
  if (images.length !== expected) {
    throw new ShapeError(
      `arrayDataset: pixels of ${name} do not fill the shape (images ${images.length}, ` +
        `[${labels.length},${channels},${height},${width}] ${expected}). Pass one byte for each channel of each pixel.`,
    );
  }
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] >= classNames.length) {
      throw new DataError(
        `arrayDataset: a label of ${name} has no class (labels[${i}] ${labels[i]}, classNames ${classNames.length}). ` +
          "Count classes from 0, or name the missing ones.",
      );
    }
  }
  return { name, classNames, channels, height, width, images, labels };
}

/**
 * The pictures at `indices`, in that order, copied; an index may occur more than once.
 * @throws DataError for no indices; UsageError for an index outside the data set.
 */
export function subset(dataset: Dataset, indices: ArrayLike<number>): Dataset {
  const count = dataset.labels.length;
  const size = dataset.channels * dataset.height * dataset.width;
  const images = new Uint8Array(indices.length * size);
  const labels = new Uint16Array(indices.length);
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i];
    if (!Number.isInteger(index) || index < 0 || index >= count) {
      throw new UsageError(
        `subset: an index is outside ${dataset.name} (indices[${i}] ${index}, count ${count}). Pass whole numbers from 0 to ${count - 1}.`,
      );
    }
    images.set(dataset.images.subarray(index * size, (index + 1) * size), i * size);
    labels[i] = dataset.labels[index];
  }
  return arrayDataset({ ...dataset, images, labels });
}

/**
 * Takes `fraction` of the pictures (rounded, at least one, never all) away as a validation set: a random choice that depends
 * on the seed and the count alone. Both parts keep the order of the data set.
 * @throws UsageError unless 0 < fraction < 1; DataError for fewer than two pictures.
 */
export function splitValidation(
  dataset: Dataset,
  fraction: number,
  seed: number,
): { train: Dataset; validation: Dataset } {
  const count = dataset.labels.length;
  const validationCount = partCount("splitValidation", "fraction", count, fraction);
  const order = new Random(seed, "validation").permutation(count);
  // Typed arrays sort by number, so both parts are in the order of the data set.
  return {
    train: subset(dataset, order.slice(validationCount).sort()),
    validation: subset(dataset, order.slice(0, validationCount).sort()),
  };
}

/**
 * How many of `count` pictures a fraction is: rounded, at least one, and at least one is left.
 * @throws UsageError unless 0 < fraction < 1; DataError for fewer than two pictures.
 */
export function partCount(op: string, name: string, count: number, fraction: number): number {
  if (!(fraction > 0 && fraction < 1)) {
    throw new UsageError(`${op}: the fraction is not between 0 and 1 (${name} ${fraction}). Pass a part such as 0.1.`);
  }
  if (count < 2) {
    throw new DataError(`${op}: too few pictures to split (count ${count}). Pass at least two.`);
  }
  return Math.min(Math.max(Math.floor(count * fraction + 0.5), 1), count - 1);
}

/**
 * Mean and standard deviation (of the population) of each channel over all pictures, in units of bytes (0..255).
 * Sums are whole numbers below 2^53 up to 10^11 pixels a channel, so they are exact and the result has the same bits anywhere.
 * A constant channel gets std 1, so that normalising gives zeros rather than NaN.
 */
export function pixelStatistics(dataset: Dataset): { mean: number[]; std: number[] } {
  const { channels, images } = dataset;
  const plane = dataset.height * dataset.width;
  const mean: number[] = [];
  const std: number[] = [];
  for (let c = 0; c < channels; c++) {
    let sum = 0;
    let sumOfSquares = 0;
    for (let start = c * plane; start < images.length; start += channels * plane) {
      for (let i = start; i < start + plane; i++) {
        sum += images[i];
        sumOfSquares += images[i] * images[i];
      }
    }
    const pixels = dataset.labels.length * plane;
    const average = sum / pixels;
    const variance = sumOfSquares / pixels - average * average;
    mean.push(average);
    // 1e-9 is far below the smallest variance of bytes that differ, and above the rounding of 255^2.
    std.push(variance > 1e-9 ? Math.sqrt(variance) : 1);
  }
  return { mean, std };
}
