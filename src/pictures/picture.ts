/**
 * Pictures: tells the format by content, resizes, and cuts the square that a net looks at. The formats are in png.ts, jpeg.ts and webp.ts;
 * the codecs of JPEG and WebP come from the host (decode-wasm.ts, decode-browser.ts); resizing is in resample.ts, files in picture-file.ts.
 */
import { DataError, UsageError } from "../core/errors.js";
import { decodeJpeg, isJpeg } from "./jpeg.js";
import { type Codecs, MAX_PIXELS, type Picture } from "./pixels.js";
import { decodePng, isPng } from "./png.js";
import { interleaved, type ResizeOptions, resample, rescaledSize } from "./resample.js";
import { decodeWebp, isWebp } from "./webp.js";

export { fromPlanes, type Picture, toPlanes } from "./pixels.js";
export { encodePng } from "./png.js";
export type { ResizeOptions } from "./resample.js";

/** First bytes of formats that people take for pictures we read, to name them in the error. */
const OTHER_FORMATS: readonly (readonly [name: string, offset: number, text: string])[] = [
  ["GIF", 0, "GIF8"],
  ["AVIF", 4, "ftypavif"],
  ["HEIC", 4, "ftyphei"],
  ["TIFF", 0, "II*\0"],
  ["TIFF", 0, "MM\0*"],
  ["BMP", 0, "BM"],
  ["SVG or XML", 0, "<"],
];

/** Decodes with a host's codecs: what its `decodePicture` is made of. PNG needs none. */
export async function decodeWith(codecs: Codecs, bytes: Uint8Array, name = "the bytes"): Promise<Picture> {
  if (isPng(bytes)) return decodePng(bytes, name);
  if (isJpeg(bytes)) return decodeJpeg(codecs, bytes, name);
  if (isWebp(bytes)) return decodeWebp(codecs, bytes, name);
  throw new DataError(
    `decodePicture: ${name} is not a PNG, JPEG or WebP picture (${describe(bytes)}). Convert it to one of them.`,
  );
}

/**
 * Resizes: bilinear, every pixel counting, unless told otherwise.
 * @throws UsageError for a size that is not a positive whole number, or above 100 megapixels; for an unknown mode.
 */
export function resizePicture(picture: Picture, width: number, height: number, options: ResizeOptions = {}): Picture {
  checkOptions("resizePicture", options);
  if (!isSize(width) || !isSize(height) || width * height > MAX_PIXELS) {
    throw new UsageError(
      `resizePicture: the size is not two positive whole numbers of at most 100 megapixels (width ${width}, height ${height}). ` +
        "Pass a smaller size.",
    );
  }
  const pixels = new Uint8Array(width * height * 3);
  const window = { width, height, top: 0, left: 0, rows: height, columns: width };
  resample(interleaved(picture), window, pixels, 3, options);
  return { width, height, pixels };
}

/**
 * Rescales all of a picture, keeping its proportions, until the smaller side is `smallerSide` (the larger one rounded down, as torchvision
 * does): what a net that takes any size is evaluated on, densely.
 * @throws UsageError for a side that is not a positive whole number, a result above 100 megapixels, or an unknown mode.
 */
export function rescalePicture(picture: Picture, smallerSide: number, options: ResizeOptions = {}): Picture {
  const { width, height } = rescaledSize(picture.width, picture.height, smallerSide);
  if (!isSize(smallerSide) || width * height > MAX_PIXELS) {
    throw new UsageError(
      `rescalePicture: the smaller side is not a positive whole number that keeps the picture below 100 megapixels ` +
        `(smallerSide ${smallerSide}, picture ${picture.width}x${picture.height}). Pass such as 256.`,
    );
  }
  return resizePicture(picture, width, height, options);
}

/**
 * What a net sees of a picture: rescaled, keeping its proportions, until the smaller side is `scale`, then the square of `size` in the
 * middle. Only that square is computed, so even a very long picture costs little. Where the middle lies between two pixels, the square is the
 * one nearer to the top left; torchvision's CenterCrop rounds, to the even one: there it may lie one pixel further.
 * @param scale at least `size`, which is the default: all of the smaller side.
 * @returns planes R, G, B: `[3, size, size]`.
 * @throws UsageError for a size that is not a positive whole number, or whose square is above 100 megapixels, a scale below it, or an
 * unknown mode.
 */
export function fitPicture(picture: Picture, size: number, scale = size, options: ResizeOptions = {}): Uint8Array {
  checkOptions("fitPicture", options);
  if (!isSize(size) || size * size > MAX_PIXELS) {
    throw new UsageError(
      `fitPicture: the size is not a positive whole number, 10000 at most (size ${size}). Pass the input size of the net.`,
    );
  }
  if (!isSize(scale) || scale < size || scale * scale > MAX_PIXELS) {
    throw new UsageError(
      `fitPicture: the scale is not a whole number from the size to 10000 (scale ${scale}, size ${size}). Leave it out, or pass a larger one.`,
    );
  }
  const { width, height } = rescaledSize(picture.width, picture.height, scale);
  const planes = new Uint8Array(3 * size * size);
  const top = Math.floor((height - size) / 2);
  const left = Math.floor((width - size) / 2);
  resample(interleaved(picture), { width, height, top, left, rows: size, columns: size }, planes, 1, options);
  return planes;
}

function checkOptions(op: string, { mode = "bilinear", antialias = true }: ResizeOptions): void {
  if (mode !== "bilinear" && mode !== "bicubic") {
    throw new UsageError(`${op}: there is no such mode (mode ${String(mode)}). Pass "bilinear" or "bicubic".`);
  }
  if (typeof antialias !== "boolean") {
    throw new UsageError(
      `${op}: antialias is neither true nor false (antialias ${String(antialias)}). Pass one of them.`,
    );
  }
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}

function describe(bytes: Uint8Array): string {
  if (bytes.length === 0) return "it is empty";
  const start = String.fromCharCode(...bytes.subarray(0, 16));
  const known = OTHER_FORMATS.find(([, offset, text]) => start.startsWith(text, offset));
  if (known) return `it looks like ${known[0]}`;
  const hex = [...bytes.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, "0"));
  return `it begins with bytes ${hex.join(" ")}`;
}
