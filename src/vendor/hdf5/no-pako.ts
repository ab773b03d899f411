/** Stands in for pako in the bundle of jsfive (scripts/build.js): packed data are read by formats/keras/hdf5-chunks.ts, not by the parser. */
export function inflate(): never {
  throw new Error("nothing is inflated here");
}
