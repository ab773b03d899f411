/**
 * Pictures: decodes PNG and JPEG by content, resizes, and cuts the square that a net looks at. The two formats are in png.ts and
 * jpeg.ts, files in picture-file.ts. Plain arithmetic only: the same bytes give the same pixels on every machine.
 */
import { DataError, UsageError } from "../core/errors.js";
import { decodeJpeg, isJpeg } from "./jpeg.js";
import { MAX_PIXELS, type Picture, toPlanes } from "./pixels.js";
import { decodePng, isPng } from "./png.js";

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
  const columns = axisTaps(picture.width, width, 0, width);
  const rows = axisTaps(picture.height, height, 0, height);
  return { width, height, pixels: resample(picture, columns, rows) };
}

/**
 * What a net sees of a picture: rescaled, keeping its proportions, until the smaller side is `size`, then the square in the middle.
 * Only that square is computed, so even a very long picture costs little.
 * @returns planes R, G, B: `[3, size, size]`.
 * @throws UsageError for a size that is not a positive whole number, or whose square is above 100 megapixels.
 */
export function fitPicture(picture: Picture, size: number): Uint8Array {
  if (!isSize(size) || size * size > MAX_PIXELS) {
    throw new UsageError(
      `fitPicture: the size is not a positive whole number, 10000 at most (size ${size}). Pass the input size of the net.`,
    );
  }
  const { width, height } = picture;
  const smaller = Math.min(width, height);
  const columns = centredTaps(width, Math.floor((width * size) / smaller), size);
  const rows = centredTaps(height, Math.floor((height * size) / smaller), size);
  return toPlanes({ width: size, height: size, pixels: resample(picture, columns, rows) });
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

/** Taps of the middle `size` outputs; an odd pixel is left out at the far end. */
function centredTaps(inSize: number, outSize: number, size: number): AxisTaps {
  return axisTaps(inSize, outSize, Math.floor((outSize - size) / 2), size);
}

/**
 * Goes through the input rows once: each is resampled along x and added, weighted, to the output rows that take it. Memory is that of
 * the output, and the order of the sums is fixed.
 */
function resample({ width, pixels }: Picture, columns: AxisTaps, rows: AxisTaps): Uint8Array {
  const line = new Float64Array(columns.count * 3);
  const sums = new Float64Array(rows.count * line.length);
  let oldest = 0;
  for (let y = rows.first[0]; y < rows.end[rows.count - 1]; y++) {
    while (rows.end[oldest] <= y) oldest++;
    resampleLine(pixels, y * width * 3, columns, line);
    for (let o = oldest; o < rows.count && rows.first[o] <= y; o++) {
      const weight = rows.weights[o * rows.stride + y - rows.first[o]];
      for (let i = 0; i < line.length; i++) sums[o * line.length + i] += weight * line[i];
    }
  }
  const out = new Uint8Array(sums.length);
  // The weights sum to 1 but for the last bits, so no clamp is needed below 255.5.
  for (let i = 0; i < out.length; i++) out[i] = Math.floor(sums[i] + 0.5);
  return out;
}

function resampleLine(pixels: Uint8Array, start: number, columns: AxisTaps, line: Float64Array): void {
  const { count, first, end, weights, stride } = columns;
  for (let o = 0; o < count; o++) {
    let red = 0;
    let green = 0;
    let blue = 0;
    for (let x = first[o]; x < end[o]; x++) {
      const weight = weights[o * stride + x - first[o]];
      red += weight * pixels[start + x * 3];
      green += weight * pixels[start + x * 3 + 1];
      blue += weight * pixels[start + x * 3 + 2];
    }
    line[o * 3] = red;
    line[o * 3 + 1] = green;
    line[o * 3 + 2] = blue;
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
