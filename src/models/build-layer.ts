/** Makes the module of one row of a net's table (net-config.ts). */
import type { Engine } from "../core/engine.js";
import { UsageError } from "../core/errors.js";
import { Random } from "../core/random.js";
import { bilinear, type Initialiser, zeros } from "../nn/init.js";
import {
  Conv2d,
  ConvTranspose2d,
  Dropout,
  Flatten,
  Linear,
  LocalResponseNorm,
  MaxPool2d,
  ReLU,
  UpsampleBilinear2d,
} from "../nn/layers.js";
import { LeakyReLU, Sigmoid, Tanh } from "../nn/layers-activation.js";
import { BatchNorm1d, BatchNorm2d } from "../nn/layers-norm.js";
import { AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, ZeroPad2d } from "../nn/layers-pool.js";
import type { Module } from "../nn/module.js";
import { QuantizedLinear, type QuantizedWeight } from "../nn/quantized-linear.js";
import type { NetLayer } from "./net-config.js";

/** What fully connected layers may keep their weights as. */
export type LinearWeights = "float32" | QuantizedWeight["type"];

/** How a net starts. */
export interface StartOptions {
  /** Of the initial weights and of dropout; default 0. A layer's stream is (seed, its name). */
  readonly seed?: number;
  /** Default: He's normal initialisation. The paper's own, a normal of fixed std, is nn/init's normal(std). */
  readonly init?: Initialiser;
  /**
   * What fully connected layers keep their weights as, default float32. In fewer bits they take less memory and, at batch 1, less time, but
   * cannot be trained, and have no values until some are loaded: nn/quantized-linear.ts.
   */
  readonly linearWeights?: LinearWeights;
}

/** The module of a layer that takes one input. @throws UsageError for one that takes several. */
export function buildLayer(
  layer: NetLayer,
  { seed = 0, init, linearWeights = "float32" }: StartOptions,
  engine: Engine,
): Module {
  const random = new Random(seed, layer.name);
  const start = init ? { random, init } : { random };
  const { inChannels, outChannels } = layer;
  switch (layer.kind) {
    case "conv": {
      const { kernelSize, stride, padding, dilation = 1, groups, bias } = layer;
      const options = { inChannels, outChannels, kernelSize, stride, padding, dilation, groups, bias };
      return new Conv2d(engine, { ...options, ...start, ...ownInit(layer.init) });
    }
    case "convTranspose": {
      const { kernelSize, stride, padding, dilation = 1, outputPadding = 0, groups, bias } = layer;
      const window = { kernelSize, stride, padding, dilation, outputPadding, groups, bias };
      return new ConvTranspose2d(engine, { inChannels, outChannels, ...window, ...start, ...ownInit(layer.init) });
    }
    case "linear": {
      const { bias = true } = layer;
      const options = { inFeatures: inChannels, outFeatures: outChannels, bias };
      if (linearWeights === "float32") return new Linear(engine, { ...options, ...start });
      return new QuantizedLinear(engine, { ...options, weightType: linearWeights });
    }
    case "batchNorm": {
      const options = { numFeatures: outChannels, eps: layer.eps };
      return layer.inShape.length === 1 ? new BatchNorm1d(engine, options) : new BatchNorm2d(engine, options);
    }
    case "pool":
      return new MaxPool2d(layer);
    case "avgPool":
      return new AvgPool2d(layer);
    case "adaptiveMaxPool":
      return new AdaptiveMaxPool2d(layer.outputSize);
    case "adaptiveAvgPool":
      return new AdaptiveAvgPool2d(layer.outputSize);
    case "relu":
      return new ReLU();
    case "leakyRelu":
      return new LeakyReLU(layer.slope);
    case "tanh":
      return new Tanh();
    case "sigmoid":
      return new Sigmoid();
    case "pad":
      return new ZeroPad2d(layer.sides);
    case "upsample": {
      const { size, scaleFactor, alignCorners } = layer;
      const how = size === undefined ? { scaleFactor: scaleFactor ?? 1 } : { size };
      return new UpsampleBilinear2d({ ...how, alignCorners });
    }
    case "dropout":
      return new Dropout(layer.p, random);
    case "lrn": {
      // The table has Krizhevsky's alpha; the operation divides by the size.
      const { size, alpha, beta, k } = layer;
      return new LocalResponseNorm({ size, alpha: alpha * size, beta, k });
    }
    case "flatten":
      return new Flatten();
    default:
      throw new UsageError(
        `${layer.name}: the layer is not a module of one input (kind ${layer.kind}). Use another kind.`,
      );
  }
}

/** What a row asks for instead of the net's initialiser. */
function ownInit(init: "zeros" | "bilinear" | undefined): { init?: Initialiser } {
  if (init === undefined) return {};
  return { init: init === "zeros" ? zeros : bilinear };
}
