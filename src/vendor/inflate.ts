/** Third-party code for packed parts of zip archives and HDF5 files, bundled at build time (scripts/build.js): fflate. Loaded by formats/zip.ts when one is met. */
import { inflateSync, unzlibSync } from "fflate";

/**
 * Inflates a raw deflate stream into `out`; what does not fit is dropped, so that a small file cannot fill the memory.
 * @returns the part of `out` that was filled.
 * @throws Error (fflate's) for a damaged or truncated stream.
 */
export function inflateRaw(stream: Uint8Array, out: Uint8Array): Uint8Array {
  return inflateSync(stream, { out });
}

/** {@link inflateRaw} of a zlib stream. */
export function inflateZlib(stream: Uint8Array, out: Uint8Array): Uint8Array {
  return unzlibSync(stream, { out });
}
