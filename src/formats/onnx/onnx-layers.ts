/** ONNX's operators with weights as rows: convolutions, products with matrices, batch normalisation. The others: onnx-ops.ts. */

import type { TensorPlace } from "../../io/weights-file.js";
import { isCount } from "../../models/net-config.js";
import {
  elements,
  type GraphValue,
  type NodeContext,
  permuted,
  reshaped,
  type Signal,
  scaled,
  type Weights,
} from "./onnx-node.js";
import { evenPadding, windowOf } from "./onnx-windows.js";

export function conv(node: NodeContext): GraphValue {
  const x = node.signal(0);
  const weight = node.weights(1);
  const [outputs, groupIn, ...kernel] = planar(node, x, weight);
  const groups = node.int("group", 1);
  const inputs = x.value.shape[0];
  if (!isCount(groups) || outputs % groups !== 0 || (inputs !== null && inputs !== groupIn * groups)) {
    return node.refuse(`weights [${weight.dims}] in ${groups} groups for ${inputs} channels`);
  }
  const { pads, kernelSize, stride, dilation } = windowOf(node, x.value.shape, kernel);
  if (`${kernelSize}` !== `${kernel}`) return node.refuse(`a kernel of [${kernelSize}] with weights [${weight.dims}]`);
  const padding = evenPadding(pads);
  const tensors = { weight: weight.place, ...biasOf(node, 2, outputs) };
  const padded = padding ? x : node.add({ kind: "pad", sides: pads }, [x]);
  const options = {
    kernelSize,
    stride,
    dilation,
    padding: padding ?? 0,
    groups,
    bias: node.input(2) !== null,
  } as const;
  return node.add({ kind: "conv", outputs, ...options }, [padded], tensors, weight);
}

export function convTranspose(node: NodeContext): GraphValue {
  const x = node.signal(0);
  const weight = node.weights(1);
  const [inputs, groupOut, ...kernel] = planar(node, x, weight);
  const groups = node.int("group", 1);
  const channels = x.value.shape[0];
  if (!isCount(groups) || inputs % groups !== 0 || (channels !== null && channels !== inputs)) {
    return node.refuse(`weights [${weight.dims}] in ${groups} groups for ${channels} channels`);
  }
  if (node.ints("output_shape")?.length) return node.refuse("a transposed convolution with output_shape");
  const extra = node.ints("output_padding") ?? [0, 0];
  const { pads, ...window } = stretchWindow(node, x, kernel, extra);
  const [top, left, bottom, right] = pads;
  // Less cut off at the end is more put out.
  const outputPadding = [extra[0] + top - bottom, extra[1] + left - right] as const;
  if (extra.length !== 2 || !outputPadding.every((side) => Number.isSafeInteger(side) && side >= 0)) {
    return node.refuse(`a transposed convolution with pads [${pads}] and output_padding [${extra}]`);
  }
  const outputs = groupOut * groups;
  const tensors = { weight: weight.place, ...biasOf(node, 2, outputs) };
  const options = { ...window, padding: [top, left], outputPadding, groups, bias: node.input(2) !== null } as const;
  return node.add({ kind: "convTranspose", outputs, ...options }, [x], tensors, weight);
}

/** The window of a transposed convolution: automatic padding makes the output the input's size times the stride. */
function stretchWindow(node: NodeContext, x: Signal, kernel: readonly number[], extra: readonly number[]) {
  const auto = node.text("auto_pad", "NOTSET");
  if (auto !== "SAME_UPPER" && auto !== "SAME_LOWER") return windowOf(node, x.value.shape, kernel);
  // With a size of one stride the padding of the far side does not depend on the picture.
  const { pads: _, ...window } = windowOf(node, [1, ...(node.ints("strides") ?? [1, 1])], kernel);
  const totals = [0, 1].map(
    (axis) => window.dilation[axis] * (window.kernelSize[axis] - 1) + 1 + extra[axis] - window.stride[axis],
  );
  if (!totals.every((total) => total >= 0 && total % 2 === 0))
    return node.refuse("a transposed convolution with uneven automatic padding");
  const [height, width] = totals.map((total) => total / 2);
  return { ...window, pads: [height, width, height, width] as const };
}

/** Checks a convolution's weights and returns their sides. */
function planar(node: NodeContext, x: Signal, { dims }: Weights): readonly number[] {
  if (dims.length === 4 && dims.every(isCount) && x.value.shape.length === 3) return dims;
  return node.refuse(`weights [${dims}] for [batch,${x.value.shape.map((side) => side ?? "?")}]`);
}

/** Of an input that may be left out. */
function biasOf(node: NodeContext, input: number, outputs: number): { readonly bias?: TensorPlace } {
  return node.input(input) === null ? {} : { bias: vector(node, node.weights(input), outputs) };
}

/** One number for each output, whatever ones there are around it. */
function vector(node: NodeContext, weights: Weights, outputs: number): TensorPlace {
  const found = elements(weights.dims) === outputs ? reshaped(weights, [outputs]) : null;
  return found?.place ?? node.refuse(`a bias [${weights.dims}] for ${outputs} outputs`);
}

export function gemm(node: NodeContext): GraphValue {
  const x = node.anySignal(0);
  if (node.int("transA", 0) !== 0) return node.refuse("a Gemm of a transposed input");
  const given = node.weights(1);
  const matrix = node.int("transB", 0) === 0 ? transposed(node, given) : given;
  const alpha = node.float("alpha", 1);
  const beta = node.float("beta", 1);
  const { bias } = biasOf(node, 2, matrix.dims[0]);
  const added = bias && { bias: scaled({ ...given, place: bias }, beta) };
  return linear(node, x, { ...matrix, place: scaled(matrix, alpha) }, added ?? {});
}

export function matMul(node: NodeContext): GraphValue {
  return linear(node, node.anySignal(0), transposed(node, node.weights(1)), {});
}

function transposed(node: NodeContext, weights: Weights): Weights {
  return weights.dims.length === 2 ? permuted(weights, [1, 0]) : node.refuse(`weights [${weights.dims}], no matrix`);
}

/** @param matrix [outputs, features]. */
function linear(node: NodeContext, x: Signal, matrix: Weights, added: { readonly bias?: TensorPlace }): Signal {
  const { shape } = x.value;
  const [outputs, features] = matrix.dims;
  if (
    matrix.dims.length !== 2 ||
    !matrix.dims.every(isCount) ||
    shape.length !== 1 ||
    (shape[0] ?? features) !== features
  ) {
    return node.refuse(`weights [${matrix.dims}] for [batch,${shape.map((side) => side ?? "?")}]`);
  }
  const weight = x.order === "hwc" ? channelsFirst(node, matrix, x) : matrix.place;
  return node.add({ kind: "linear", outputs, bias: "bias" in added }, [x], { weight, ...added }, matrix);
}

/** The weights behind a picture that was flattened with its channels last. */
function channelsFirst(node: NodeContext, matrix: Weights, { flatOf }: Signal): TensorPlace {
  const { place } = matrix;
  if ("fill" in place) return place;
  const sides = flatOf?.filter((side): side is number => side !== null) ?? [];
  if (sides.length !== 3) return node.refuse("channels last, and a size of the picture that the file leaves open");
  const [channels, height, width] = sides;
  const [outputs] = matrix.dims;
  const stored = place.permute !== undefined ? [height, width, channels, outputs] : [outputs, height, width, channels];
  return { ...place, view: stored, permute: place.permute !== undefined ? [3, 2, 0, 1] : [0, 3, 1, 2] };
}

export function batchNormalization(node: NodeContext): GraphValue {
  const x = node.signal(0);
  if (node.int("spatial", 1) !== 1) return node.refuse("a batch normalisation of each pixel (spatial 0)");
  if (node.int("training_mode", 0) !== 0) return node.refuse("a batch normalisation that trains (training_mode 1)");
  const scale = node.weights(1);
  const outputs = x.value.shape[0] ?? elements(scale.dims);
  const [weight, bias, mean, variance] = [1, 2, 3, 4].map((i) => vector(node, node.weights(i), outputs));
  const tensors = { weight, bias, running_mean: mean, running_var: variance };
  return node.add({ kind: "batchNorm", eps: node.float("epsilon", 1e-5) }, [x], tensors, scale);
}

/** A constant added to a layer without bias is its bias, where nobody else sees the layer's output. */
export function addWeights(node: NodeContext, signal: number, weights: number): GraphValue {
  const x = node.anySignal(signal);
  const given = node.weights(weights);
  const { shape } = x.value;
  const outputs = shape[0];
  // [outputs], or [outputs, 1, 1] behind a convolution; ones before.
  const rank = x.order === "hwc" ? 1 : shape.length;
  const place =
    outputs !== null && elements(given.dims) === outputs && (given.dims.at(-rank) ?? 1) === outputs
      ? vector(node, given, outputs)
      : null;
  const alone = node.graph.uses.get(node.node.inputs[signal]) === 1;
  if (place && alone && node.graph.builder.setBias(x.value, place)) return x;
  return node.refuse(`a sum with a constant [${given.dims}]`);
}
