/**
 * Pictures: decodes PNG and JPEG by content, resizes, and cuts the square that a net looks at. The two formats are in png.ts and
 * jpeg.ts, resizing in resample.ts, files in picture-file.ts. Plain arithmetic only: the same bytes give the same pixels on every machine.
 */
import { DataError, UsageError } from "../core/errors.js";
import { decodeJpeg, isJpeg } from "./jpeg.js";
import { MAX_PIXELS, type Picture } from "./pixels.js";
import { decodePng, isPng } from "./png.js";
import { interleaved, resample, rescaledSize } from "./resample.js";

export { fromPlanes, type Picture, toPlanes } from "./pixels.js";
export { encodePng } from "./png.js";

/** First bytes of formats that people take for pictures we read, to name them in the error. */
const OTHER_FORMATS: readonly (readonly [name: string, offset: number, text: string])[] = [
  ["GIF", 0, "GIF8"],
  ["WebP", 8, "WEBP"],
  ["AVIF", 4, "ftypavif"],
  ["HEIC", 4, "ftyphei"],
  ["TIFF", 0, "II*\0"],
  ["TIFF", 0, "MM\0*"],
  ["BMP", 0, "BM"],
  ["SVG or XML", 0, "<"],
];

/**
 * Decodes a PNG (all colour types and depths, interlaced or not; transparency lies over white) or a JPEG (baseline and progressive;
 * turned as its EXIF orientation says). The content decides, not the file's name.
 * @param name what to call the picture in errors.
 * @throws DataError for anything else: another format, truncated, damaged, empty, above 100 megapixels.
 */
export async function decodePicture(bytes: Uint8Array, name = "the bytes"): Promise<Picture> {
  if (isPng(bytes)) return decodePng(bytes, name);
  if (isJpeg(bytes)) return decodeJpeg(bytes, name);
  throw new DataError(
    `decodePicture: ${name} is not a PNG or JPEG picture (${describe(bytes)}). Convert it to one of them.`,
  );
}

/**
 * Resizes, bilinear; when shrinking, the triangle of weights widens with the scale, so that every pixel counts and nothing flickers
 * (what PIL calls BILINEAR).
 * @throws UsageError for a size that is not a positive whole number, or above 100 megapixels.
 */
export function resizePicture(picture: Picture, width: number, height: number): Picture {
  if (!isSize(width) || !isSize(height) || width * height > MAX_PIXELS) {
    throw new UsageError(
      `resizePicture: the size is not two positive whole numbers of at most 100 megapixels (width ${width}, height ${height}). ` +
        "Pass a smaller size.",
    );
  }
  const pixels = new Uint8Array(width * height * 3);
  resample(interleaved(picture), { width, height, top: 0, left: 0, rows: height, columns: width }, pixels, 3);
  return { width, height, pixels };
}

/**
 * What a net sees of a picture: rescaled, keeping its proportions, until the smaller side is `scale`, then the square of `size` in the
 * middle. Only that square is computed, so even a very long picture costs little.
 * @param scale at least `size`, which is the default: all of the smaller side.
 * @returns planes R, G, B: `[3, size, size]`.
 * @throws UsageError for a size that is not a positive whole number, or whose square is above 100 megapixels, or a scale below it.
 */
export function fitPicture(picture: Picture, size: number, scale = size): Uint8Array {
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
  resample(interleaved(picture), { width, height, top, left, rows: size, columns: size }, planes);
  return planes;
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
