/**
 * The argument records of the kernels: the same fields in the same order as the @unmanaged classes in assembly/
 * (test/backend/arguments.test.ts compares them). Every field is 4 bytes.
 */

export type FieldType = "u32" | "f32";
export type ArgumentFields = Readonly<Record<string, FieldType>>;

export const CONV2D_ARGUMENTS = {
  x: "u32",
  weight: "u32",
  bias: "u32",
  y: "u32",
  dx: "u32",
  dWeight: "u32",
  dBias: "u32",
  dy: "u32",
  mask: "u32",
  callScratch: "u32",
  batch: "u32",
  inC: "u32",
  inH: "u32",
  inW: "u32",
  outC: "u32",
  outH: "u32",
  outW: "u32",
  kH: "u32",
  kW: "u32",
  strideH: "u32",
  strideW: "u32",
  padH: "u32",
  padW: "u32",
  dilationH: "u32",
  dilationW: "u32",
  groups: "u32",
  relu: "u32",
  accumulate: "u32",
  groupBlock: "u32",
  groupBlocks: "u32",
  mBlock: "u32",
  mBlocks: "u32",
  nBlock: "u32",
  nBlocks: "u32",
  chunk: "u32",
  chunks: "u32",
} as const;

export const LINEAR_ARGUMENTS = {
  x: "u32",
  weight: "u32",
  bias: "u32",
  y: "u32",
  dx: "u32",
  dWeight: "u32",
  dBias: "u32",
  dy: "u32",
  mask: "u32",
  callScratch: "u32",
  batch: "u32",
  inFeatures: "u32",
  outFeatures: "u32",
  relu: "u32",
  accumulate: "u32",
  block: "u32",
  nBlock: "u32",
} as const;

export const POOL2D_ARGUMENTS = {
  x: "u32",
  y: "u32",
  winners: "u32",
  dx: "u32",
  dy: "u32",
  planes: "u32",
  inH: "u32",
  inW: "u32",
  outH: "u32",
  outW: "u32",
  kH: "u32",
  kW: "u32",
  strideH: "u32",
  strideW: "u32",
  padH: "u32",
  padW: "u32",
  countIncludePad: "u32",
} as const;

export const ELEMENTWISE_ARGUMENTS = {
  a: "u32",
  b: "u32",
  y: "u32",
  callScratch: "u32",
  length: "u32",
  factor: "f32",
  aBegin: "u32",
  yBegin: "u32",
} as const;

export const STRIDED_COPY_ARGUMENTS = {
  x: "u32",
  y: "u32",
  size0: "u32",
  size1: "u32",
  size2: "u32",
  xStride0: "u32",
  xStride1: "u32",
  xStride2: "u32",
  yStride0: "u32",
  yStride1: "u32",
  yStride2: "u32",
  rows: "u32",
} as const;

export const RANDOM_ARGUMENTS = {
  x: "u32",
  y: "u32",
  length: "u32",
  key0: "u32",
  key1: "u32",
  counter: "u32",
  threshold: "u32",
  scale: "f32",
} as const;

export const LRN_ARGUMENTS = {
  x: "u32",
  y: "u32",
  scale: "u32",
  dx: "u32",
  dy: "u32",
  callScratch: "u32",
  batch: "u32",
  channels: "u32",
  plane: "u32",
  size: "u32",
  alpha: "f32",
  beta: "f32",
  k: "f32",
} as const;

export const BATCH_NORM_ARGUMENTS = {
  x: "u32",
  y: "u32",
  dx: "u32",
  dy: "u32",
  mean: "u32",
  invStd: "u32",
  weight: "u32",
  bias: "u32",
  runningMean: "u32",
  runningVar: "u32",
  dWeight: "u32",
  dBias: "u32",
  callScratch: "u32",
  batch: "u32",
  channels: "u32",
  plane: "u32",
  block: "u32",
  blocks: "u32",
  chunk: "u32",
  chunks: "u32",
  momentum: "f32",
  eps: "f32",
} as const;

export const LOSS_ARGUMENTS = {
  x: "u32",
  y: "u32",
  dx: "u32",
  dy: "u32",
  labels: "u32",
  loss: "u32",
  dLoss: "u32",
  ranks: "u32",
  rows: "u32",
  classes: "u32",
} as const;

export const SGD_ARGUMENTS = {
  param: "u32",
  grad: "u32",
  velocity: "u32",
  length: "u32",
  lr: "f32",
  momentum: "f32",
  weightDecay: "f32",
  caffe: "u32",
} as const;

export const SQUARED_ERROR_ARGUMENTS = {
  a: "u32",
  b: "u32",
  loss: "u32",
  dLoss: "u32",
  dx: "u32",
  callScratch: "u32",
  length: "u32",
  factor: "f32",
} as const;

export const ADAM_ARGUMENTS = {
  param: "u32",
  grad: "u32",
  expAvg: "u32",
  expAvgSq: "u32",
  length: "u32",
  beta1: "f32",
  ofGrad: "f32",
  beta2: "f32",
  ofSquare: "f32",
  stepSize: "f32",
  rootCorrection: "f32",
  eps: "f32",
  weightDecay: "f32",
  keep: "f32",
} as const;

export const UPSAMPLE_ARGUMENTS = {
  x: "u32",
  y: "u32",
  planes: "u32",
  inH: "u32",
  inW: "u32",
  outH: "u32",
  outW: "u32",
  stepH: "f32",
  stepHRest: "f32",
  stepW: "f32",
  stepWRest: "f32",
  shift: "f32",
  block: "u32",
  blocks: "u32",
} as const;

export const PEAK_PROBE_ARGUMENTS = {
  y: "u32",
  products: "u32",
} as const;

export const WINOGRAD_ARGUMENTS = {
  x: "u32",
  weight: "u32",
  bias: "u32",
  y: "u32",
  mask: "u32",
  callScratch: "u32",
  batch: "u32",
  inC: "u32",
  inH: "u32",
  inW: "u32",
  outC: "u32",
  outH: "u32",
  outW: "u32",
  padH: "u32",
  padW: "u32",
  outStride: "u32",
  inStride: "u32",
  flip: "u32",
  relu: "u32",
  mBlock: "u32",
  mBlocks: "u32",
  tBlock: "u32",
  tBlocks: "u32",
} as const;
