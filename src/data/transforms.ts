/**
 * What is done to one picture on its way into a batch: normalise bytes to float32, crop at random with padding, flip.
 * Pure functions of their arguments; the random choices are made by the caller (loader.ts).
 */
import { ShapeError, UsageError } from "../core/errors.js";
import type { Normalise } from "./dataset.js";

/** Sizes of one picture, [channels, height, width] in memory. */
export interface PictureShape {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/**
 * Looks the normalised value of each byte up: `table[256 c + pixel] = (pixel - mean[c]) / std[c]`, computed in float64, rounded once.
 * @throws ShapeError unless there is one mean and one std a channel; UsageError for a std that is not above 0, or a number that is not finite.
 */
export function normaliseTable({ mean, std }: Normalise, channels: number): Float32Array {
  if (mean.length !== channels || std.length !== channels) {
    throw new ShapeError(
      `normalise: one mean and one std are needed for each channel (mean ${mean.length}, std ${std.length}, channels ${channels}). ` +
        "Pass what pixelStatistics returns for the training pictures.",
    );
  }
  const table = new Float32Array(256 * channels);
  for (let c = 0; c < channels; c++) {
    if (!Number.isFinite(mean[c]) || !Number.isFinite(std[c]) || std[c] <= 0) {
      throw new UsageError(
        `normalise: channel ${c} cannot be normalised (mean ${mean[c]}, std ${std[c]}). Pass finite numbers, std above 0.`,
      );
    }
    for (let pixel = 0; pixel < 256; pixel++) table[256 * c + pixel] = (pixel - mean[c]) / std[c];
  }
  return table;
}

/**
 * Normalises one picture.
 * @param pixels [channels, height, width] bytes.
 * @param table from {@link normaliseTable}.
 * @param out receives as many float32; overwritten.
 */
export function normalise(pixels: Uint8Array, shape: PictureShape, table: Float32Array, out: Float32Array): void {
  const plane = shape.height * shape.width;
  for (let c = 0; c < shape.channels; c++) {
    const row = 256 * c;
    for (let i = c * plane; i < (c + 1) * plane; i++) out[i] = table[row + pixels[i]];
  }
}

/**
 * The window of the picture's own size whose top left corner is (top, left) in the picture padded by `padding` zeros on each side.
 * After normalisation 0 is the mean colour. `top = left = padding` is the picture itself.
 * @param x [channels, height, width]; must not overlap `out`.
 * @param top @param left whole numbers from 0 to 2 · padding.
 * @param out receives as many values; overwritten.
 */
export function cropPadded(
  x: Float32Array,
  shape: PictureShape,
  padding: number,
  top: number,
  left: number,
  out: Float32Array,
): void {
  const { channels, height, width } = shape;
  // Pixel (row, column) of the window is pixel (row + shiftY, column + shiftX) of the picture, where there is one.
  const shiftY = top - padding;
  const shiftX = left - padding;
  const begin = Math.min(Math.max(0, -shiftX), width);
  const end = Math.max(Math.min(width, width - shiftX), begin);
  for (let c = 0; c < channels; c++) {
    for (let row = 0; row < height; row++) {
      const to = (c * height + row) * width;
      if (row + shiftY < 0 || row + shiftY >= height) {
        out.fill(0, to, to + width);
        continue;
      }
      const from = to + shiftY * width + shiftX;
      for (let column = 0; column < begin; column++) out[to + column] = 0;
      for (let column = begin; column < end; column++) out[to + column] = x[from + column];
      for (let column = end; column < width; column++) out[to + column] = 0;
    }
  }
}

/** Mirrors one picture left to right, in place. @param x [channels, height, width]. */
export function flipHorizontal(x: Float32Array, shape: PictureShape): void {
  const { channels, height, width } = shape;
  for (let row = 0; row < channels * height; row++) {
    for (let left = row * width, right = left + width - 1; left < right; left++, right--) {
      const value = x[left];
      x[left] = x[right];
      x[right] = value;
    }
  }
}
