/**
 * Dense evaluation (Simonyan and Zisserman 2014, section 3.2): the fully connected layers become convolutions, so that the net looks at
 * every place of a picture of any size; the maps of scores are averaged over places. The weights are those of the net, not copies.
 *
 *   fc6 [4096, 512·7·7] is a 7x7 convolution [4096, 512, 7, 7]; fc7 and fc8 are 1x1 convolutions
 *   scores [batch, classes] = mean over places of the map [batch, classes, H', W']
 */
import { UsageError } from "../core/errors.js";
import type { Tensor } from "../core/tensor.js";
import type { NetLayer } from "../models/net-config.js";
import { Linear } from "../nn/layers.js";
import type { Module } from "../nn/module.js";
import { QuantizedLinear } from "../nn/quantized-linear.js";
import { globalAvgPool2d } from "../ops/adaptive-pool2d.js";
import { conv2d } from "../ops/conv2d.js";
import { flatten } from "../ops/reshape.js";

/** Layers that may stand behind the first linear one: they look at each value by itself. */
const BY_VALUE = new Set<NetLayer["kind"]>(["relu", "leakyRelu", "tanh", "sigmoid", "dropout"]);

/**
 * Scores [batch, classes] of a net for pictures at least as large as its input, x [batch, channels, height, width].
 * @param layers those of the model, in its order.
 * @throws UsageError for a net that is not convolutions, then linear layers, in one row.
 */
export function denseScores(model: Module, layers: readonly NetLayer[], x: Tensor): Tensor {
  const flattened = layers.findIndex(({ kind }) => kind === "flatten");
  const map = flattened === -1 ? layers.at(-1)?.outShape : layers[flattened].inShape;
  const odd = layers.find(
    ({ kind, from }, i) =>
      from !== undefined ||
      kind.startsWith("adaptive") ||
      (flattened !== -1 && i > flattened && kind !== "linear" && !BY_VALUE.has(kind)),
  );
  if (flattened === -1 || map === undefined || odd) {
    throw new UsageError(
      `classify: the net cannot look at a whole picture at once (${odd ? `layer ${odd.name}, ${odd.kind}` : "it has no linear layers"}). Use crop center.`,
    );
  }
  let y = x;
  let kernel: readonly number[] = map;
  layers.forEach((layer, i) => {
    if (i === flattened) return;
    const module = moduleAt(model, layer.name);
    y = y.engine.withModule(layer.name, () => {
      if (module instanceof QuantizedLinear) {
        throw new UsageError(
          `classify: weights in fewer bits cannot look at a whole picture at once (layer ${layer.name}). Use crop center, or linearWeights float32.`,
        );
      }
      if (i < flattened || !(module instanceof Linear)) return module.forward(y);
      const [, kH, kW] = kernel;
      kernel = [layer.outChannels, 1, 1];
      const weight = module.weight.viewAs([layer.outChannels, layer.inChannels / (kH * kW), kH, kW]);
      return conv2d(y, weight, module.bias);
    });
  });
  return flatten(globalAvgPool2d(y));
}

/** The module of a layer, by its name in state dictionaries: the path from the root. */
function moduleAt(model: Module, name: string): Module {
  const whole = model.children().get(name);
  if (whole) return whole;
  const dot = name.indexOf(".");
  const part = dot === -1 ? undefined : model.children().get(name.slice(0, dot));
  if (part) return moduleAt(part, name.slice(dot + 1));
  throw new UsageError(`classify: the net has no such layer (layer ${name}). Give the layers of this very model.`);
}
