/** The files of test/ops that run on WebGPU too: in Node (test/webgpu/ops.test.ts), in Chromium, and on lavapipe. */
export const OP_FILES: readonly string[] = [
  "activation",
  "against-reference",
  "batch-norm",
  "conv-variants",
  "fixtures",
  "linear-quantized",
  "pool2d",
  "squared-error",
  "strided-copy",
  "upsample",
];

/** Those that pages can run: the cases of linear-quantized are of wasm's bits, threads and tiers. */
export const PAGE_OP_FILES: readonly string[] = OP_FILES.filter((file) => file !== "linear-quantized");
