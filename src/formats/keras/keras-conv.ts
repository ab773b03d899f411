/**
 * Keras's convolutions and pools as rows: their windows and padding (keras-windows.ts), and their kernels, which Keras has as
 * [height, width, in, out]. Part of keras-layers.ts's table.
 */
import type { LayerKind } from "../../models/net-config.js";
import { field, type Json, shown, textField } from "../json-values.js";
import { activated, pairOf } from "./keras-config.js";
import type { KerasNet, Value } from "./keras-net.js";
import type { KerasLayer } from "./keras-topology.js";
import { type Around, type Sides, sameAround, samePool, span, type Two, windowCount } from "./keras-windows.js";

/** HWIO to OIHW. */
const TO_OIHW = [3, 2, 0, 1];

/** A layer's window, checked. */
interface Window {
  readonly kernel: Two;
  readonly stride: Two;
  readonly dilation: Two;
  readonly same: boolean;
}

/** A convolution whose kernel has this shape in the file. */
interface Kernel {
  readonly name: string;
  readonly tensor: string;
  /** Taken as HWIO. */
  readonly view: readonly [number, number, number, number];
  readonly groups: number;
  readonly bias: boolean;
}

/** Conv2D. */
export function conv2d(net: KerasNet, layer: KerasLayer, input: Value): Value {
  const window = windowOf(net, layer, input);
  const groups = wholeOf(net, layer, field(layer.config, "groups") ?? 1, "groups");
  const filters = wholeOf(net, layer, field(layer.config, "filters", "nb_filter"), "filters");
  if (input.channels % groups !== 0 || filters % groups !== 0)
    throw net.damaged(layer, "has groups that do not divide its channels");
  const view = [...window.kernel, input.channels / groups, filters] as const;
  const name = net.nameOf(layer);
  const bias = hasBias(layer);
  const tensor = net.weight(layer, "kernel", 0, view);
  if (bias) net.put(`${name}.bias`, { tensor: net.weight(layer, "bias", 1, [filters]) });
  return activated(net, layer, addConv(net, layer, input, window, { name, tensor, view, groups, bias }));
}

/** DepthwiseConv2D: each channel by itself, `depth_multiplier` outputs of each. */
export function depthwise2d(net: KerasNet, layer: KerasLayer, input: Value): Value {
  const name = net.nameOf(layer);
  const bias = hasBias(layer);
  const { kernel, window } = depthwiseKernel(net, layer, input, name, bias);
  if (bias) net.put(`${name}.bias`, { tensor: net.weight(layer, "bias", 1, [kernel.view[3]]) });
  return activated(net, layer, addConv(net, layer, input, window, kernel));
}

/** SeparableConv2D: a depthwise one, then one of a single place. */
export function separable2d(net: KerasNet, layer: KerasLayer, input: Value): Value {
  const filters = wholeOf(net, layer, field(layer.config, "filters"), "filters");
  const { kernel, window } = depthwiseKernel(net, layer, input, net.free(`${layer.name}_depthwise`), false);
  const between = addConv(net, layer, input, window, kernel);
  const view = [1, 1, between.channels, filters] as const;
  const name = net.nameOf(layer);
  const bias = hasBias(layer);
  const tensor = net.weight(layer, "pointwise_kernel", 1, view);
  if (bias) net.put(`${name}.bias`, { tensor: net.weight(layer, "bias", 2, [filters]) });
  const point: Window = { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], same: false };
  return activated(net, layer, addConv(net, layer, between, point, { name, tensor, view, groups: 1, bias }));
}

function depthwiseKernel(
  net: KerasNet,
  layer: KerasLayer,
  input: Value,
  name: string,
  bias: boolean,
): { kernel: Kernel; window: Window } {
  const window = windowOf(net, layer, input);
  const multiplier = wholeOf(net, layer, field(layer.config, "depth_multiplier") ?? 1, "depth_multiplier");
  const shape = [...window.kernel, input.channels, multiplier];
  // Keras 2 calls it depthwise_kernel, Keras 3 has files with either.
  const tensor = net.weight(layer, "depthwise_kernel", 0, shape);
  const view = [...window.kernel, 1, input.channels * multiplier] as const;
  return { window, kernel: { name, tensor, view, groups: input.channels, bias } };
}

/** Conv2DTranspose, whose kernel is [height, width, out, in]. */
export function convTranspose2d(net: KerasNet, layer: KerasLayer, input: Value): Value {
  const { kernel, stride, dilation, same } = windowOf(net, layer, input);
  const filters = wholeOf(net, layer, field(layer.config, "filters"), "filters");
  const bias = hasBias(layer);
  if (field(layer.config, "output_padding") !== undefined || dilation[0] * dilation[1] !== 1) {
    throw net.unsupported(layer, "is a transposed convolution with output_padding or dilation");
  }
  // "same" cuts kernel - stride off, the odd one behind; where the kernel is smaller, zeros come behind.
  const over = kernel.map((size, axis) => size - stride[axis]);
  if (same && over.some((size) => size > 0 && size % 2 === 1)) {
    throw net.unsupported(
      layer,
      `is a transposed convolution that is cut on one side (kernel [${kernel}], strides [${stride}], padding same)`,
    );
  }
  const padding = pairWith((axis) => (same ? Math.max(0, over[axis]) / 2 : 0));
  const outputPadding = pairWith((axis) => Math.max(0, -over[axis]));
  const name = net.nameOf(layer);
  const tensor = net.weight(layer, "kernel", 0, [...kernel, filters, input.channels]);
  net.put(`${name}.weight`, { tensor, permute: TO_OIHW });
  if (bias) net.put(`${name}.bias`, { tensor: net.weight(layer, "bias", 1, [filters]) });
  const shape = { kernelSize: kernel, stride, padding, outputPadding, groups: 1, bias };
  const row = net.add({ kind: "convTranspose", outputs: filters, ...shape }, name, [input]);
  const sides = sidesWith((axis) => {
    const side = input.sides?.[axis] ?? null;
    return side === null ? null : side * stride[axis] + (same ? 0 : Math.max(0, over[axis]));
  });
  return activated(net, layer, { row, channels: filters, sides });
}

/** MaxPooling2D and AveragePooling2D. TensorFlow's averages never count padding. */
export function pool2d(kind: "pool" | "avgPool"): (net: KerasNet, layer: KerasLayer, input: Value) => Value {
  return (net, layer, input) => {
    const { kernel, stride, same } = windowOf(net, layer, input, "pool_size");
    const sides = input.sides ?? [null, null];
    const outSides = outSidesOf(net, layer, sides, kernel, stride, same);
    const name = net.nameOf(layer);
    const add = (from: Value, padding: Two, ceilMode: boolean): Value => {
      const window = { kernelSize: kernel, stride, padding, ceilMode };
      const row: LayerKind = kind === "pool" ? { kind, ...window } : { kind, ...window, countIncludePad: false };
      return { ...input, row: net.add(row, name, [from]), sides: outSides };
    };
    if (!same) return add(input, [0, 0], false);
    const found = samePool(sides, kernel, stride);
    if (found) return add(input, found.padding, found.ceilMode);
    const around = sidesAround(net, layer, sides, kernel, stride);
    // Zeros never win where nothing is below them.
    if (kind === "pool" && input.positive) return add(padded(net, layer, input, around), [0, 0], false);
    throw net.unsupported(
      layer,
      `pools with padding on one side (pool_size [${kernel}], strides [${stride}], input [${sides}])`,
    );
  };
}

function addConv(net: KerasNet, layer: KerasLayer, input: Value, window: Window, kernel: Kernel): Value {
  const { stride, dilation, same } = window;
  const { name, tensor, view, groups, bias } = kernel;
  const sides = input.sides ?? [null, null];
  const size = pairWith((axis) => span(window.kernel[axis], dilation[axis]));
  const none = { before: 0, after: 0 };
  const around = same ? sidesAround(net, layer, sides, size, stride) : [none, none];
  const even = around.every(({ before, after }) => before === after);
  const from = even ? input : padded(net, layer, input, around);
  const padding = pairWith((axis) => (even ? around[axis].before : 0));
  net.put(`${name}.weight`, { tensor, view, permute: TO_OIHW });
  const shape = { kernelSize: window.kernel, stride, padding, dilation, groups, bias };
  const row = net.add({ kind: "conv", outputs: view[3], ...shape }, name, [from]);
  return { row, channels: view[3], sides: outSidesOf(net, layer, sides, size, stride, same) };
}

/** A row of zeros around the input. */
function padded(net: KerasNet, layer: KerasLayer, input: Value, [vertical, horizontal]: readonly Around[]): Value {
  const sides = [vertical.before, horizontal.before, vertical.after, horizontal.after] as const;
  return { ...input, row: net.add({ kind: "pad", sides }, net.free(`${layer.name}_pad`), [input]) };
}

function sidesAround(net: KerasNet, layer: KerasLayer, sides: Sides, size: Two, stride: Two): [Around, Around] {
  const [vertical, horizontal] = [sameAround(sides[0], size[0], stride[0]), sameAround(sides[1], size[1], stride[1])];
  if (vertical && horizontal) return [vertical, horizontal];
  throw net.unsupported(
    layer,
    `pads by the size of its input ("same" with strides [${stride}]), which the model does not fix`,
  );
}

function outSidesOf(net: KerasNet, layer: KerasLayer, sides: Sides, size: Two, stride: Two, same: boolean): Sides {
  const out = sidesWith((axis) => windowCount(sides[axis], size[axis], stride[axis], same));
  if (out.every((side) => side === null || side >= 1)) return out;
  throw net.damaged(layer, `has a window larger than its input (window [${size}], input [${sides}])`);
}

/** Kernel, strides, dilation and padding. Pools name their window `pool_size` and step by it where no strides are said. */
function windowOf(
  net: KerasNet,
  layer: KerasLayer,
  { sides }: Value,
  size: "kernel_size" | "pool_size" = "kernel_size",
): Window {
  const { config } = layer;
  if (sides === null) throw net.damaged(layer, "takes a picture, but what it gets is flat");
  if (textField(config, "dim_ordering") === "th") throw net.unsupported(layer, "has its weights in Theano's order");
  const rows = field(config, "nb_row");
  const kernel = pairOf(rows === undefined ? (field(config, size) ?? 2) : [rows, field(config, "nb_col") ?? rows], 1);
  const stride = pairOf(field(config, "strides", "subsample") ?? (size === "pool_size" ? (kernel ?? null) : 1), 1);
  const dilation = pairOf(field(config, "dilation_rate") ?? 1, 1);
  if (!kernel || !stride || !dilation) throw net.damaged(layer, "has a wrong window or wrong strides");
  const padding = textField(config, "padding", "border_mode") ?? "valid";
  if (padding !== "same" && padding !== "valid")
    throw net.unsupported(layer, `pads in another way (padding ${shown(padding)})`);
  return { kernel, stride, dilation, same: padding === "same" };
}

function wholeOf(net: KerasNet, layer: KerasLayer, value: Json | undefined, what: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1 && value <= 2 ** 31) return value;
  throw net.damaged(layer, `has a wrong number (${what} ${shown(value)})`);
}

function hasBias({ config }: KerasLayer): boolean {
  return field(config, "use_bias", "bias") !== false;
}

function pairWith(make: (axis: 0 | 1) => number): Two {
  return [make(0), make(1)];
}

function sidesWith(make: (axis: 0 | 1) => number | null): Sides {
  return [make(0), make(1)];
}
