export { type Fan, glorotUniform, heNormal, type Initialiser, normal, zeros } from "./init.js";
export {
  Conv2d,
  type Conv2dLayerOptions,
  Dropout,
  Flatten,
  Linear,
  type LinearLayerOptions,
  LocalResponseNorm,
  MaxPool2d,
  ReLU,
} from "./layers.js";
export { Module, Sequential, type StateValues } from "./module.js";
