/** Third-party code for PNG, bundled at build time (scripts/build.js): fflate (zlib). Loaded by pictures/png.ts when the first picture is read. */
import { unzlibSync, zlibSync } from "fflate";

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
