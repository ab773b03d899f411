/**
 * What the configurations of Keras's layers share: windows as pairs of numbers, activations as rows. Layers of their own kind are
 * keras-layers.ts's and keras-conv.ts's.
 */
import { field, isList, type Json, shown, textField } from "../json-values.js";
import type { KerasNet, Value } from "./keras-net.js";
import type { KerasLayer } from "./keras-topology.js";
import type { Two } from "./keras-windows.js";

/** A number for both directions, or two; undefined where it is neither. */
export function pairOf(value: Json | undefined, least: number): Two | undefined {
  const [height, width] = isList(value) ? value : [value, value];
  const good = (side: Json | undefined): side is number =>
    typeof side === "number" && Number.isSafeInteger(side) && side >= least && side <= 65536;
  return good(height) && good(width) && (!isList(value) || value.length === 2) ? [height, width] : undefined;
}

/** A property that is a finite number, or the default. */
export function numberField(value: Json | undefined, fallback: number, ...keys: readonly string[]): number {
  const found = field(value, ...keys);
  return typeof found === "number" ? found : fallback;
}

/** The value behind an activation that a layer names; the row above it has the layer's name. */
export function activated(net: KerasNet, layer: KerasLayer, input: Value): Value {
  const activation = activationOf(layer.config);
  return activation === "linear"
    ? input
    : activate(net, layer, input, activation, net.free(`${layer.name}_${activation}`));
}

/** Name of the activation that a layer ends in, in small letters. Keras 3 may write a function as an object. */
export function activationOf(config: Json): string {
  const value = field(config, "activation");
  if (value === undefined) return "linear";
  if (typeof value === "string") return value.toLowerCase();
  return (textField(value, "config") ?? textField(value, "class_name") ?? shown(value)).toLowerCase();
}

/** Slope of Keras 3's "leaky_relu" where no other is said. */
const LEAKY_SLOPE = 0.2;

/** Adds an activation under this name. @throws WeightsError for one that has no counterpart. */
export function activate(net: KerasNet, layer: KerasLayer, input: Value, activation: string, name: string): Value {
  switch (activation) {
    case "relu":
    case "sigmoid":
      return { ...input, row: net.add({ kind: activation }, name, [input]), positive: true };
    case "tanh":
      return { ...input, row: net.add({ kind: activation }, name, [input]), positive: false };
    case "leaky_relu":
    case "leakyrelu":
      return leaky(net, input, LEAKY_SLOPE, name);
    case "softmax":
      return { ...input, softmax: true };
    case "linear":
      return input;
    default:
      throw net.unsupported(layer, `has an unknown activation ${shown(activation)}`);
  }
}

/** Adds a leaky rectifier. */
export function leaky(net: KerasNet, input: Value, slope: number, name: string): Value {
  return { ...input, row: net.add({ kind: "leakyRelu", slope }, name, [input]), positive: false };
}
