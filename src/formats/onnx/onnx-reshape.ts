/**
 * ONNX's operators that move no number of a picture's features, or move all: Flatten, Reshape, Squeeze, Transpose, Identity. Rows know one
 * of them, flatten; the others must amount to it, or to nothing. On shapes and weights: onnx-sizes.ts.
 */
import type { FileShape } from "../net-builder.js";
import { type GraphValue, type NodeContext, permuted, type Signal, signalOf } from "./onnx-node.js";
import { reshapedWeights } from "./onnx-sizes.js";

/** TensorProto.DataType of numbers that a picture may be cast to. */
const FLOATS = [1, 10, 11, 16];

export function identity(node: NodeContext): GraphValue {
  return node.input(0) ?? node.refuse("no input");
}

export function cast(node: NodeContext): GraphValue {
  const found = identity(node);
  if (found.kind !== "signal" || FLOATS.includes(node.int("to", 1))) return found;
  return node.refuse(`a cast of the picture to type ${node.int("to", 1)}`);
}

export function flatten(node: NodeContext): GraphValue {
  const found = identity(node);
  if (found.kind === "weights") return reshapedWeights(node, found);
  const signal = anySignal(node, found);
  const axis = node.int("axis", 1);
  if (axis === 1 || axis === -signal.value.shape.length) return flattened(node, signal);
  return node.refuse(`Flatten from axis ${axis}`);
}

export function reshape(node: NodeContext): GraphValue {
  const found = identity(node);
  if (found.kind === "weights") return reshapedWeights(node, found);
  // A list of sizes has one side already.
  if (found.kind === "sizes") return found;
  const target = node.ints("shape") ?? node.sizes(1) ?? [];
  const { value, order } = found;
  const sides = value.shape.map((side, i) => (target[i + 1] === 0 ? side : (target[i + 1] ?? null)));
  if (
    order === "chw" &&
    target.length === value.shape.length + 1 &&
    sides.every((side, i) => fits(side, value.shape[i]))
  ) {
    return found;
  }
  if (target.length === 2 && fits(target[1], product(value.shape))) return flattened(node, found);
  return node.refuse(`[batch,${value.shape.map((side) => side ?? "?")}] as [${target.map((side) => side ?? "?")}]`);
}

/** Whether a side that is asked for can be the one that there is; -1 is whatever is left. */
function fits(wanted: number | null | undefined, side: number | null): boolean {
  return wanted === null || wanted === -1 || side === null || wanted === side;
}

export function squeeze(node: NodeContext): GraphValue {
  const found = identity(node);
  if (found.kind === "weights") return reshapedWeights(node, found);
  if (found.kind === "sizes") return found;
  const { shape } = found.value;
  const axes = node.ints("axes") ?? (node.inputCount > 1 ? node.numbers(1) : null) ?? [2, 3];
  const places = axes.map((axis) => (axis < 0 ? axis + shape.length + 1 : axis)).sort();
  const whole = shape.length === 3 && `${places}` === "2,3" && shape[1] === 1 && shape[2] === 1;
  return whole ? flattened(node, found) : node.refuse(`Squeeze of [batch,${shape.map((side) => side ?? "?")}]`);
}

export function unsqueeze(node: NodeContext): GraphValue {
  const found = identity(node);
  if (found.kind === "weights") return reshapedWeights(node, found);
  return found.kind === "sizes" ? found : node.refuse("a new side of the picture");
}

/** Of pictures: from channels last to channels first, or back. */
export function transpose(node: NodeContext): GraphValue {
  const found = identity(node);
  if (found.kind === "sizes") return node.refuse("Transpose of a shape");
  const rank = found.kind === "weights" ? found.dims.length : found.value.shape.length + 1;
  const axes = node.ints("perm") ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
  if (found.kind === "weights") {
    const whole = axes.length === rank && [...axes].sort((a, b) => a - b).every((axis, i) => axis === i);
    return whole ? permuted(found, axes) : node.refuse(`axes [${axes}] of [${found.dims}]`);
  }
  if (axes.every((axis, i) => axis === i)) return found;
  if (found.order === "hwc" && `${axes}` === "0,3,1,2") return { ...found, order: "chw" };
  if (found.order === "chw" && `${axes}` === "0,2,3,1") return { ...found, order: "hwc" };
  return node.refuse(`Transpose [${axes}]`);
}

function anySignal(node: NodeContext, found: GraphValue): Signal {
  return found.kind === "signal" ? found : node.refuse("a shape as input");
}

/** All features in a row. Of channels last it is remembered: the layer behind turns its weights. */
export function flattened(node: NodeContext, signal: Signal): Signal {
  const { shape } = signal.value;
  if (shape.length === 1) return signal;
  if (signal.softmax) {
    return shape[1] === 1 && shape[2] === 1 ? signal : node.refuse("something after the soft-max");
  }
  const result = node.add({ kind: "flatten" }, [signal]);
  const flat = shape.every((side) => side !== null) ? result : signalOf({ ...result.value, shape: [null] });
  return signal.order === "hwc" ? { ...flat, order: "hwc", flatOf: shape } : flat;
}

function product(shape: FileShape): number | null {
  return shape.reduce<number | null>((all, side) => (all === null || side === null ? null : all * side), 1);
}
