export { bilinear, type Fan, glorotUniform, heNormal, type Initialiser, normal, zeros } from "./init.js";
export {
  Conv2d,
  type Conv2dLayerOptions,
  ConvTranspose2d,
  type ConvTranspose2dLayerOptions,
  Dropout,
  Flatten,
  Linear,
  type LinearLayerOptions,
  LocalResponseNorm,
  MaxPool2d,
  ReLU,
  UpsampleBilinear2d,
  type WeightOptions,
} from "./layers.js";
export { LeakyReLU, Sigmoid, Tanh } from "./layers-activation.js";
export { BatchNorm1d, BatchNorm2d, type BatchNormLayerOptions } from "./layers-norm.js";
export { AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, GlobalAvgPool2d, ZeroPad2d } from "./layers-pool.js";
export { Module, Sequential, type StateValue, type StateValues } from "./module.js";
export {
  QuantizedLinear,
  type QuantizedLinearLayerOptions,
  QuantizedWeight,
} from "./quantized-linear.js";
