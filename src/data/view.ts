/**
 * What the net sees of a picture of any size (paper, section 3.1): rescaled, proportions kept, until the smaller side is S, then a square
 * of it, at random or in the middle; mirrored and shifted in colour where that is asked for. Pure functions of the picture, the options
 * and one random stream; used by loader.ts in memory and by picture-worker.ts for files.
 */
import { UsageError } from "../core/errors.js";
import type { Random } from "../core/random.js";
import { type Raster, resample, rescaledSize } from "../pictures/resample.js";
import { type ColourShift, drawShift, shiftedTable } from "./colour.js";
import type { Normalise } from "./dataset.js";
import { flipHorizontal, normalise, normaliseTable } from "./transforms.js";

/** A square of the rescaled picture. */
export interface View {
  /** Side of the square that the net sees. */
  readonly size: number;
  /**
   * S, the smaller side of the rescaled picture, at least `size`; or [least, greatest], of which each picture and epoch takes a whole number
   * at random, all equally likely (the paper's scale jitter). Default: `size`.
   */
  readonly scale?: number | readonly [number, number] | undefined;
  /** Where in the rescaled picture: at random for training, in the centre for testing. */
  readonly place: "random" | "centre";
}

/** All that is done to one picture. */
export interface ViewRecipe {
  readonly view: View;
  readonly flip: boolean;
  readonly colourShift: ColourShift | undefined;
  readonly normalise: Normalise;
}

/** A side above this is a mistake: a square of it has 100 megapixels. */
const MAX_SIDE = 10_000;

/** Least and greatest S. */
export function scaleRange({ size, scale = size }: View): readonly [number, number] {
  return typeof scale === "number" ? [scale, scale] : scale;
}

/** @throws UsageError for sizes that are no whole numbers, a scale below the size, or a crop with padding beside the view. */
export function checkView(op: string, view: View, cropPadding: number): void {
  const { size, place } = view;
  const [least, greatest] = scaleRange(view);
  const whole = [size, least, greatest].every((side) => Number.isInteger(side) && side >= 1 && side <= MAX_SIDE);
  if (!whole || least < size || greatest < least) {
    throw new UsageError(
      `${op}: the view is not a size and a scale of at least that size, whole numbers up to ${MAX_SIDE} ` +
        `(size ${size}, scale ${least === greatest ? least : `[${least},${greatest}]`}). Pass such as size 224, scale 256.`,
    );
  }
  if (place !== "random" && place !== "centre") {
    throw new UsageError(`${op}: there is no such place (place ${String(place)}). Pass "random" or "centre".`);
  }
  if (cropPadding > 0) {
    throw new UsageError(
      `${op}: a view crops already (cropPadding ${cropPadding}, size ${size}). Leave cropPadding out, and make the scale larger than the size.`,
    );
  }
}

/**
 * Renders one picture as the net sees it. Draws from the stream, in this order and only what is needed: S, top, left, mirrored or not, colour.
 * @param out receives `[channels, size, size]` normalised values; overwritten.
 */
export function renderView(picture: Raster, recipe: ViewRecipe, random: Random, out: Float32Array): void {
  const { view, flip, colourShift } = recipe;
  const { size, place } = view;
  const [least, greatest] = scaleRange(view);
  const scale = least === greatest ? least : least + random.integer(greatest - least + 1);
  const { width, height } = rescaledSize(picture.width, picture.height, scale);
  const top = place === "random" ? random.integer(height - size + 1) : Math.floor((height - size) / 2);
  const left = place === "random" ? random.integer(width - size + 1) : Math.floor((width - size) / 2);
  const mirrored = flip && random.integer(2) === 1;
  const table =
    colourShift === undefined
      ? normaliseTable(recipe.normalise, picture.channels)
      : shiftedTable(recipe.normalise, drawShift(colourShift, random));

  const square = { channels: picture.channels, height: size, width: size };
  const pixels = new Uint8Array(picture.channels * size * size);
  resample(picture, { width, height, top, left, rows: size, columns: size }, pixels);
  normalise(pixels, square, table, out);
  if (mirrored) flipHorizontal(out, square);
}
