/**
 * What training needs to know of its pictures before it begins: mean and deviation of each channel, and the principal axes of the colours.
 * Sums are whole numbers, exact in any order.
 */
import { UsageError } from "../core/errors.js";
import { Random } from "../core/random.js";
import {
  addColours,
  type ColourShift,
  type ColourSums,
  colourShiftOf,
  meanAndStd,
  noColours,
  planeSums,
} from "./colour.js";
import { type Dataset, type FolderDataset, inMemory, isFolder, type PictureSet, pixelStatistics } from "./dataset.js";
import type { SumOptions } from "./picture-reader.js";

/** Enough: the mean's error is that of 10,000 draws, a hundredth of the spread between pictures. */
const MAX_PICTURES = 10_000;

/** How files are looked at; pictures in memory are all taken, as they are. */
export interface StatisticsOptions extends SumOptions {
  /** Of more files, so many are taken at random. Default 10,000. */
  readonly maxPictures?: number | undefined;
  /** Names the choice. Default 1. */
  readonly seed?: number | undefined;
}

/** Statistics of the training pictures, in units of bytes. */
export interface TrainingStatistics {
  readonly mean: readonly number[];
  /** Of the population; 1 for a constant channel. */
  readonly std: readonly number[];
  /** For `augment.colourShift`; undefined where the pictures are not RGB. */
  readonly colour: ColourShift | undefined;
}

/**
 * Mean, standard deviation and colour axes of a training set: of all pictures in memory, of at most `maxPictures` files, which are decoded
 * in worker threads. The same set and seed give the same bits.
 * @throws UsageError for maxPictures that is no positive whole number; DataError for a file that is bad; the signal's reason.
 */
export async function trainingStatistics(
  set: PictureSet,
  options: StatisticsOptions = {},
): Promise<TrainingStatistics> {
  const { maxPictures = MAX_PICTURES, seed = 1, signal } = options;
  signal?.throwIfAborted();
  if (!Number.isInteger(maxPictures) || maxPictures < 1) {
    throw new UsageError(
      `trainingStatistics: the count is not a positive whole number (maxPictures ${maxPictures}). Pass how many pictures to look at.`,
    );
  }
  if (isFolder(set)) {
    const colours = await set.reader.colourSums(chooseFiles(set, maxPictures, seed), options);
    return { ...meanAndStd(colours), colour: colourShiftOf(colours) };
  }
  const dataset = inMemory("trainingStatistics", set);
  const colour = dataset.channels === 3 ? colourShiftOf(coloursInMemory(dataset)) : undefined;
  return { ...pixelStatistics(dataset), colour };
}

/** All files, or so many of them, in the set's order. */
function chooseFiles({ files }: FolderDataset, count: number, seed: number): readonly string[] {
  if (files.length <= count) return files;
  const chosen = new Random(seed, "statistics").permutation(files.length).subarray(0, count);
  return Array.from(chosen.sort(), (index) => files[index]);
}

function coloursInMemory({ images, height, width }: Dataset): ColourSums {
  const plane = height * width;
  let colours = noColours();
  for (let start = 0; start < images.length; start += 3 * plane) {
    colours = addColours(colours, planeSums(images.subarray(start, start + 3 * plane), plane, 1), plane);
  }
  return colours;
}
