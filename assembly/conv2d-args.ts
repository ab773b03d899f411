// The argument record of every conv2d kernel, written by src/backend/wasm/lowering/conv2d.ts (a test compares the fields).

/** Addresses (0 where a kernel does not use one), sizes, and how the work is cut. All fields are 4 bytes. */
@unmanaged
export class Conv2dArgs {
  /** Input, [batch, inC, inH, inW]. */
  x: usize;
  /** Filters, [outC, inC / groups, kH, kW]; a row per output channel. */
  weight: usize;
  /** [outC], or 0; backwardInput: [inC], or 0. */
  bias: usize;
  /** Output, [batch, outC, outH, outW]. */
  y: usize;
  dx: usize;
  dWeight: usize;
  dBias: usize;
  dy: usize;
  /** backwardInput: like dx, which is 0 where it is not above 0; or 0. */
  mask: usize;
  /** Memory shared by all threads for the length of this call (see each kernel). */
  callScratch: usize;
  batch: i32;
  inC: i32;
  inH: i32;
  inW: i32;
  outC: i32;
  outH: i32;
  outW: i32;
  kH: i32;
  kW: i32;
  strideH: i32;
  strideW: i32;
  padH: i32;
  padW: i32;
  dilationH: i32;
  dilationW: i32;
  groups: i32;
  /** forward: 1 where y is max(y, 0). */
  relu: i32;
  /** 1: gradients are added to what dWeight / dBias hold; 0: they overwrite it. */
  accumulate: i32;
  /** Groups that one grain computes one after the other with the same offset table, and the number of such blocks. */
  groupBlock: i32;
  groupBlocks: i32;
  /** Rows of a group's product that one grain computes, and the number of such blocks. */
  mBlock: i32;
  mBlocks: i32;
  /** Columns of a group's product that one grain computes at a time, and the number of such blocks. */
  nBlock: i32;
  nBlocks: i32;
  /** Images (input gradient) or columns of the sum (weight gradient) that one grain walks over, and their number. */
  chunk: i32;
  chunks: i32;
}
