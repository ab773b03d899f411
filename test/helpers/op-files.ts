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

/** Cases of wasm's bits, threads and tiers: no page can run these. */
const NODE_ALONE: ReadonlySet<string> = new Set(["linear-quantized"]);
/** Many, of shapes that other files have as well: in pages only where all is asked for. */
const LONG: ReadonlySet<string> = new Set(["fixtures"]);

/** Those that pages run. */
export const PAGE_OP_FILES: readonly string[] = OP_FILES.filter(
  (file) => !NODE_ALONE.has(file) && (process.env.TEST_WEBGPU === "all" || !LONG.has(file)),
);
