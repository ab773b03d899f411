/** Builds the VGG nets from the table in vgg-config.ts. Weight names are torchvision's: `features.N`, `classifier.N`. */
import type { Engine } from "../core/engine.js";
import { Random } from "../core/random.js";
import type { Initialiser } from "../nn/init.js";
import { Conv2d, Dropout, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU } from "../nn/layers.js";
import { type Module, Sequential } from "../nn/module.js";
import { type VggConfigName, type VggLayer, type VggOptions, vggLayers } from "./vgg-config.js";

export interface VggModelOptions extends VggOptions {
  /** Of the initial weights and of dropout; default 0. */
  readonly seed?: number;
  /** Default: He's normal initialisation. The paper's own, a normal of fixed std, is nn/init's normal(std). */
  readonly init?: Initialiser;
}

/**
 * A VGG net (Simonyan and Zisserman 2014, table 1), x [batch, 3, inputSize, inputSize] -> logits [batch, classes].
 * @throws UsageError for an unknown configuration or an option out of range.
 */
export function vgg(config: VggConfigName, options: VggModelOptions, engine: Engine): Sequential {
  const { seed = 0, init } = options;
  const parts: Record<string, Record<string, Module>> = { features: {}, classifier: {} };
  for (const layer of vggLayers(config, options)) {
    if (layer.kind === "flatten") continue;
    const [part, index] = layer.name.split(".");
    parts[part][index] = buildLayer(layer, engine, new Random(seed, layer.name), init);
  }
  return new Sequential({
    features: new Sequential(parts.features),
    flatten: new Flatten(),
    classifier: new Sequential(parts.classifier),
  });
}

function buildLayer(layer: VggLayer, engine: Engine, random: Random, init: Initialiser | undefined): Module {
  const weights = init ? { random, init } : { random };
  switch (layer.kind) {
    case "conv": {
      const { inChannels, outChannels, kernelSize, padding } = layer;
      return new Conv2d(engine, { inChannels, outChannels, kernelSize, padding, ...weights });
    }
    case "linear":
      return new Linear(engine, { inFeatures: layer.inChannels, outFeatures: layer.outChannels, ...weights });
    case "pool":
      return new MaxPool2d({ kernelSize: layer.kernelSize, stride: layer.stride });
    case "relu":
      return new ReLU();
    case "dropout":
      return new Dropout(layer.p, random);
    case "lrn":
      // The table has Krizhevsky's alpha; the operation divides by the size.
      return new LocalResponseNorm({ size: layer.size, alpha: layer.alpha * layer.size, beta: layer.beta, k: layer.k });
    case "flatten":
      return new Flatten();
  }
}
