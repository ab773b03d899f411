// The only export list. Every kernel has the same signature, so that a worker can walk a program without knowing any (the
// micro-kernels, threefryWords and isWide are exported for the compiler and the tests; no program holds them):
//
//   kernel(args: address of its argument record, scratch: this worker's own memory, grainBegin, grainEnd)
export {
  leakyReluBackward,
  leakyReluForward,
  sigmoidBackward,
  sigmoidForward,
  tanhBackward,
  tanhForward,
} from "./activation";
export { adaptiveMaxPool2dBackward, adaptiveMaxPool2dForward } from "./adaptive-max-pool2d";
export {
  adaptiveAvgPool2dBackward,
  adaptiveAvgPool2dForward,
  avgPool2dBackward,
  avgPool2dForward,
} from "./avg-pool2d";
export {
  batchNormBackwardInput,
  batchNormBackwardSums,
  batchNormBackwardTotals,
  batchNormForward,
  batchNormRunning,
  batchNormSquares,
  batchNormSums,
  batchNormTotals,
} from "./batch-norm";
export {
  conv2dBackwardBias,
  conv2dBackwardInput,
  conv2dBackwardWeight,
  conv2dForward,
  conv2dReduceChunks,
  conv2dTransposeWeight,
} from "./conv2d";
export { add, copy, expand, fill, mul, reluBackward, reluForward, scale, sumGrains, sumTotal } from "./elementwise";
export { gemmMicro1x8, gemmMicro4x8, gemmMicro4x16 } from "./gemm-micro";
export {
  gemmMicroColumns4x8,
  gemmMicroColumns4x16,
  gemmMicroRows4x8,
  gemmMicroRows4x16,
} from "./gemm-micro-packed";
export {
  linearBackwardBias,
  linearBackwardInput,
  linearForward,
  linearPackInput,
} from "./linear";
export { linearForwardF16, linearForwardVectorF16, linearScaleInputF16 } from "./linear-f16";
export { linearForwardInt8, linearRoundInputInt8 } from "./linear-int8";
export { gemmMicroApart1x8, gemmMicroApart4x8, gemmMicroApart4x16, linearBackwardInputRows } from "./linear-rows";
export { linearForwardVector } from "./linear-vector";
export { linearBackwardWeight, linearMicroUpdate4x8, linearPackGradient, linearUpdateWeight } from "./linear-weight";
export { crossEntropyBackward, labelRank, logSoftmaxBackward, logSoftmaxForward, nllForward } from "./loss";
export { lrnBackward, lrnBackwardRatio, lrnForward } from "./lrn";
export { adam, sgd } from "./optimizer";
export { peakProbe } from "./peak-probe";
export { maxPool2dBackward, maxPool2dForward } from "./pool2d";
export { dropout, fillNormal, fillUniform, threefryWords } from "./random";
export { isWide } from "./simd";
export { squaredErrorBackward, squaredErrorGrains, squaredErrorTotal } from "./squared-error";
export { stridedCopy } from "./strided-copy";
export { upsampleBackward, upsampleForward } from "./upsample";
export { winogradConv2d, winogradTransformInput, winogradTransformWeight } from "./winograd";
export { winogradGradientProduct, winogradGradientTiles, winogradGradientWeight } from "./winograd-weight";
