/**
 * Resizing, by one implementation for files (picture.ts) and for data sets (data/view.ts): bilinear; when shrinking, the triangle of
 * weights widens with the scale, so that every pixel counts and nothing flickers (what PIL calls BILINEAR). Any window of the resized
 * picture can be computed alone, with the same bits as in the whole. Plain arithmetic only.
 */
import type { Picture } from "./pixels.js";

/** Bytes of a picture in either layout: channel c of pixel (x, y) is `pixels[c * channelStep + (y * width + x) * pixelStep]`. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly pixels: Uint8Array;
  readonly channelStep: number;
  readonly pixelStep: number;
}

/** A part of the picture that results from resizing to width x height: `rows` x `columns` pixels from (top, left). */
export interface Window {
  readonly width: number;
  readonly height: number;
  readonly top: number;
  readonly left: number;
  readonly rows: number;
  readonly columns: number;
}

/** The raster of a decoded picture. */
export function interleaved({ width, height, pixels }: Picture): Raster {
  return { width, height, channels: 3, pixels, channelStep: 1, pixelStep: 3 };
}

/** The raster of planes `[channels, height, width]`. */
export function planar(pixels: Uint8Array, channels: number, height: number, width: number): Raster {
  return { width, height, channels, pixels, channelStep: width * height, pixelStep: 1 };
}

/** The size of a picture whose smaller side is brought to `smallerSide`, proportions kept (the larger side rounded down). */
export function rescaledSize(width: number, height: number, smallerSide: number): { width: number; height: number } {
  const smaller = Math.min(width, height);
  return {
    width: Math.floor((width * smallerSide) / smaller),
    height: Math.floor((height * smallerSide) / smaller),
  };
}

/**
 * Computes a window of the resized picture. Goes through the input rows once: each is resampled along x, and an output row is the weighted
 * sum of the lines that it takes, top down. Memory beside the output is that of so many lines as one output row takes.
 * @param out receives `rows * columns * channels` bytes; overwritten.
 * @param pixelStep layout of `out`: 1 for planes (the default), the number of channels for interleaved.
 */
export function resample(source: Raster, window: Window, out: Uint8Array, pixelStep = 1): void {
  const { channels } = source;
  const columns = axisTaps(source.width, window.width, window.left, window.columns);
  const rows = axisTaps(source.height, window.height, window.top, window.rows);
  const channelStep = pixelStep === 1 ? window.rows * window.columns : 1;
  const lineLength = window.columns * channels;
  // A ring: line y is at y mod the number of lines that one output row takes at most.
  const lines = Array.from({ length: rows.stride }, () => new Float64Array(lineLength));
  const sums = new Float64Array(lineLength);
  let next = rows.first[0];
  for (let o = 0; o < window.rows; o++) {
    for (next = Math.max(next, rows.first[o]); next < rows.end[o]; next++) {
      resampleLine(source, next, columns, lines[next % rows.stride]);
    }
    sums.fill(0);
    for (let y = rows.first[o]; y < rows.end[o]; y++) {
      const weight = rows.weights[o * rows.stride + y - rows.first[o]];
      const line = lines[y % rows.stride];
      for (let i = 0; i < lineLength; i++) sums[i] += weight * line[i];
    }
    // The weights sum to 1 but for the last bits, so no clamp is needed below 255.5.
    for (let c = 0; c < channels; c++) {
      let to = c * channelStep + o * window.columns * pixelStep;
      for (let x = 0; x < window.columns; x++, to += pixelStep) {
        out[to] = Math.floor(sums[c * window.columns + x] + 0.5);
      }
    }
  }
}

/** For each output position of one axis, which input positions it takes and with what weights; both ends never go backwards. */
interface AxisTaps {
  readonly count: number;
  /** First input position of each output. */
  readonly first: Int32Array;
  /** One past the last. */
  readonly end: Int32Array;
  /** Weights of each output, `stride` apart, in the order of the inputs; they sum to 1. */
  readonly weights: Float64Array;
  readonly stride: number;
}

/** Taps of outputs `[begin, begin + count)` of an axis that is scaled from inSize to outSize. */
function axisTaps(inSize: number, outSize: number, begin: number, count: number): AxisTaps {
  const scale = inSize / outSize;
  const reach = Math.max(1, scale);
  const stride = Math.min(inSize, 2 * Math.ceil(reach) + 1);
  const first = new Int32Array(count);
  const end = new Int32Array(count);
  const weights = new Float64Array(count * stride);
  for (let o = 0; o < count; o++) {
    const centre = (begin + o + 0.5) * scale;
    first[o] = Math.max(0, Math.ceil(centre - reach - 0.5));
    end[o] = Math.min(inSize, Math.floor(centre + reach - 0.5) + 1);
    let sum = 0;
    for (let i = first[o]; i < end[o]; i++) sum += 1 - Math.abs(i + 0.5 - centre) / reach;
    for (let i = first[o]; i < end[o]; i++) {
      weights[o * stride + i - first[o]] = (1 - Math.abs(i + 0.5 - centre) / reach) / sum;
    }
  }
  return { count, first, end, weights, stride };
}

/** Row y along x, planes of the line one after the other. */
function resampleLine(source: Raster, y: number, columns: AxisTaps, line: Float64Array): void {
  const { count, first, end, weights, stride } = columns;
  const { channels, width, pixels, channelStep, pixelStep } = source;
  for (let c = 0; c < channels; c++) {
    const start = c * channelStep + y * width * pixelStep;
    for (let o = 0; o < count; o++) {
      let sum = 0;
      let from = start + first[o] * pixelStep;
      const stop = o * stride + end[o] - first[o];
      for (let tap = o * stride; tap < stop; tap++, from += pixelStep) sum += weights[tap] * pixels[from];
      line[c * count + o] = sum;
    }
  }
}
