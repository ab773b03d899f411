export { type Conv2dOptions, conv2d } from "./conv2d.js";
export { type DropoutOptions, dropout } from "./dropout.js";
export { add, mul, scale, sum } from "./elementwise.js";
export { linear } from "./linear.js";
export { crossEntropy, labelRank, labelsTensor, logSoftmax } from "./loss.js";
export { type LrnOptions, localResponseNorm } from "./lrn.js";
export { maxPool2d, type Pool2dOptions } from "./pool2d.js";
export { relu } from "./relu.js";
export { flatten, reshape } from "./reshape.js";
