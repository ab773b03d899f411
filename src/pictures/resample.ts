/**
 * Resizing, by one implementation for files (picture.ts) and for data sets (data/view.ts). Which input pixels an output pixel takes, and
 * with what weights, is settled for each axis alone (axisTaps). Any window of the resized picture can be computed alone, with the same
 * bits as in the whole. Plain arithmetic only.
 */
import type { Picture } from "./pixels.js";

/** How to resize; all optional. */
export interface ResizeOptions {
  /** Weights fall off along a straight line, or along a cubic curve, which is sharper. Default "bilinear". */
  readonly mode?: "bilinear" | "bicubic" | undefined;
  /**
   * When shrinking, the weights widen with the scale, so that every pixel counts and nothing flickers: what PIL does (BILINEAR, BICUBIC).
   * Without, each pixel is made of the 2x2 (bilinear) or 4x4 (bicubic) around its place: what PyTorch's `interpolate` with
   * `align_corners=False` does unless told otherwise, OpenCV's INTER_LINEAR, and TensorFlow's `resize`. Default true.
   */
  readonly antialias?: boolean | undefined;
}

/** Reach of the weights in pixels, where they are not widened. */
const REACH = { bilinear: 1, bicubic: 2 };
/** Keys' parameter of the cubic curve: PIL's, and PyTorch's without antialiasing. */
const PIL_CUBIC = -0.5;
const PYTORCH_CUBIC = -0.75;

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
export function resample(
  source: Raster,
  window: Window,
  out: Uint8Array,
  pixelStep = 1,
  options: ResizeOptions = {},
): void {
  const { channels } = source;
  const columns = axisTaps(source.width, window.width, window.left, window.columns, options);
  const rows = axisTaps(source.height, window.height, window.top, window.rows, options);
  // A cubic curve overshoots. PIL keeps what it computes along x in bytes, so that the overshoot ends there.
  const clampsLines = options.mode === "bicubic" && options.antialias !== false;
  const channelStep = pixelStep === 1 ? window.rows * window.columns : 1;
  const lineLength = window.columns * channels;
  // A ring: line y is at y mod the number of lines that one output row takes at most.
  const lines = Array.from({ length: rows.stride }, () => new Float64Array(lineLength));
  const sums = new Float64Array(lineLength);
  let next = rows.first[0];
  for (let o = 0; o < window.rows; o++) {
    for (next = Math.max(next, rows.first[o]); next < rows.end[o]; next++) {
      const line = lines[next % rows.stride];
      resampleLine(source, next, columns, line);
      if (clampsLines) for (let i = 0; i < lineLength; i++) line[i] = Math.min(255, Math.max(0, line[i]));
    }
    sums.fill(0);
    for (let y = rows.first[o]; y < rows.end[o]; y++) {
      const weight = rows.weights[o * rows.stride + y - rows.first[o]];
      const line = lines[y % rows.stride];
      for (let i = 0; i < lineLength; i++) sums[i] += weight * line[i];
    }
    for (let c = 0; c < channels; c++) {
      let to = c * channelStep + o * window.columns * pixelStep;
      for (let x = 0; x < window.columns; x++, to += pixelStep) {
        out[to] = Math.min(255, Math.max(0, Math.floor(sums[c * window.columns + x] + 0.5)));
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
function axisTaps(inSize: number, outSize: number, begin: number, count: number, options: ResizeOptions): AxisTaps {
  const { mode = "bilinear", antialias = true } = options;
  const scale = inSize / outSize;
  const widened = antialias ? Math.max(1, scale) : 1;
  const reach = REACH[mode] * widened;
  const cubic = antialias ? PIL_CUBIC : PYTORCH_CUBIC;
  const weightAt = (distance: number): number => (mode === "bilinear" ? 1 - distance : cubicWeight(distance, cubic));
  const stride = Math.min(inSize, 2 * Math.ceil(reach) + 1);
  const first = new Int32Array(count);
  const end = new Int32Array(count);
  const weights = new Float64Array(count * stride);
  const last = inSize - 1;
  for (let o = 0; o < count; o++) {
    const centre = (begin + o + 0.5) * scale;
    const from = Math.ceil(centre - reach - 0.5);
    const to = Math.floor(centre + reach - 0.5);
    first[o] = Math.min(last, Math.max(0, from));
    end[o] = Math.min(last, Math.max(0, to)) + 1;
    const place = o * stride - first[o];
    let sum = 0;
    for (let i = from; i <= to; i++) {
      // Beyond the border there is nothing (PIL), or the pixel at the border goes on for ever (PyTorch).
      const inside = Math.min(last, Math.max(0, i));
      if (antialias && inside !== i) continue;
      const weight = weightAt(Math.abs(i + 0.5 - centre) / widened);
      weights[place + inside] += weight;
      sum += weight;
    }
    for (let i = first[o]; i < end[o]; i++) weights[place + i] /= sum;
  }
  return { count, first, end, weights, stride };
}

/** Keys' cubic convolution (IEEE Trans. ASSP 29, 1981) at a distance of up to 2. */
function cubicWeight(distance: number, a: number): number {
  return distance < 1
    ? ((a + 2) * distance - (a + 3)) * distance * distance + 1
    : (((distance - 5) * distance + 8) * distance - 4) * a;
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
