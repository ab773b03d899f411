/** Builds the VGG nets from the table in vgg-config.ts. Weight names are torchvision's: `features.N`, `classifier.N`. */
import type { Engine } from "../core/engine.js";
import { Flatten } from "../nn/layers.js";
import { type Module, Sequential } from "../nn/module.js";
import { buildLayer, type StartOptions } from "./build-layer.js";
import { type VggConfigName, type VggOptions, vggLayers } from "./vgg-config.js";

/** What {@link vgg} takes: the net's variations and how its weights start. */
export interface VggModelOptions extends VggOptions, StartOptions {}

/**
 * A VGG net (Simonyan and Zisserman 2014, table 1), x [batch, 3, inputSize, inputSize] -> logits [batch, classes].
 * With `batchNorm: true` torchvision's relatives: `vgg("D", { batchNorm: true }, engine)` is vgg16_bn.
 * @throws UsageError for an unknown configuration or an option out of range.
 */
export function vgg(config: VggConfigName, options: VggModelOptions, engine: Engine): Sequential {
  const parts: Record<string, Record<string, Module>> = { features: {}, classifier: {} };
  for (const layer of vggLayers(config, options)) {
    if (layer.kind === "flatten") continue;
    const [part, index] = layer.name.split(".");
    parts[part][index] = buildLayer(layer, options, engine);
  }
  return new Sequential({
    features: new Sequential(parts.features),
    flatten: new Flatten(),
    classifier: new Sequential(parts.classifier),
  });
}
