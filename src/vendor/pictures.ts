/**
 * Third-party code for pictures, bundled at build time (scripts/build.js): fflate (zlib, for PNG) and jpeg-js. Loaded by
 * io/png.ts and io/jpeg.ts when the first picture is read.
 */
import { unzlibSync, zlibSync } from "fflate";
import jpeg from "jpeg-js";

/**
 * Inflates a zlib stream into `out`; what does not fit is dropped, so that a small file cannot fill the memory.
 * @returns the part of `out` that was filled.
 * @throws Error (fflate's) for a damaged or truncated stream.
 */
export function inflate(stream: Uint8Array, out: Uint8Array): Uint8Array {
  return unzlibSync(stream, { out });
}

/** Deflates to a zlib stream. Equal bytes give equal streams. */
export function deflate(bytes: Uint8Array): Uint8Array {
  return zlibSync(bytes, { level: 9 });
}

/** How to decode a JPEG. */
export interface JpegOptions {
  /** Whether three components are YCbCr (the default) or RGB already. */
  readonly colorTransform: boolean | undefined;
  readonly maxMegapixels: number;
  readonly maxMemoryMegabytes: number;
}

/**
 * Decodes a JPEG to interleaved RGB.
 * @throws Error (jpeg-js's) for anything damaged.
 */
export function decodeJpegBytes(
  bytes: Uint8Array,
  options: JpegOptions,
): { width: number; height: number; data: Uint8Array } {
  const { colorTransform, maxMegapixels, maxMemoryMegabytes } = options;
  return jpeg.decode(bytes, {
    useTArray: true,
    formatAsRGBA: false,
    // Not about damage: without it, a grey picture with restart markers fails where its blocks end.
    tolerantDecoding: true,
    maxResolutionInMP: maxMegapixels,
    maxMemoryUsageInMB: maxMemoryMegabytes,
    ...(colorTransform === undefined ? {} : { colorTransform }),
  });
}
