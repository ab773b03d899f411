/** Weights in fewer bits than float32, for files: see core/quantize.ts, where the kernels' side has the same. */
export * from "../core/quantize.js";
