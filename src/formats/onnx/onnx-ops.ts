/**
 * ONNX's operators as rows of a net: one handler each. Options are those of the operator's every version, with ONNX's defaults. Operators on
 * shapes: onnx-sizes.ts; those that only reshape: onnx-reshape.ts; layers with weights: onnx-layers.ts.
 */

import { differingShape } from "../net-builder.js";
import { addWeights, batchNormalization, conv, convTranspose, gemm, matMul } from "./onnx-layers.js";
import { type GraphValue, type Handler, type NodeContext, type Signal, signalOf } from "./onnx-node.js";
import { cast, flatten, flattened, identity, reshape, squeeze, transpose, unsqueeze } from "./onnx-reshape.js";
import { arithmetic, concatSizes, constantOfShape, gather, shape, sliceOf, sliceSizes } from "./onnx-sizes.js";
import { evenPadding, poolPadding, windowOf } from "./onnx-windows.js";

/** All but Constant, which onnx-graph.ts makes: its tensor has no name of its own. */
export const HANDLERS: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ["Conv", conv],
  ["ConvTranspose", convTranspose],
  ["Gemm", gemm],
  ["MatMul", matMul],
  ["BatchNormalization", batchNormalization],
  ["MaxPool", maxPool],
  ["AveragePool", averagePool],
  ["GlobalAveragePool", (node) => node.add({ kind: "adaptiveAvgPool", outputSize: 1 }, [node.signal(0)])],
  ["GlobalMaxPool", (node) => node.add({ kind: "adaptiveMaxPool", outputSize: 1 }, [node.signal(0)])],
  ["ReduceMean", reduceMean],
  ["LRN", lrn],
  ["Relu", elementwise((node, x) => node.add({ kind: "relu" }, [x]))],
  ["Tanh", elementwise((node, x) => node.add({ kind: "tanh" }, [x]))],
  ["Sigmoid", elementwise((node, x) => node.add({ kind: "sigmoid" }, [x]))],
  ["LeakyRelu", elementwise((node, x) => node.add({ kind: "leakyRelu", slope: node.float("alpha", 0.01) }, [x]))],
  ["Dropout", elementwise(dropout)],
  ["Softmax", softmax],
  ["LogSoftmax", softmax],
  ["Concat", concat],
  ["Add", sum],
  ["Sum", sum],
  ["Mul", mul],
  ["Sub", sizesOnly],
  ["Div", sizesOnly],
  ["Pad", pad],
  ["Resize", resize],
  ["Upsample", resize],
  ["Slice", slice],
  ["Flatten", flatten],
  ["Reshape", reshape],
  ["Squeeze", squeeze],
  ["Unsqueeze", unsqueeze],
  ["Transpose", transpose],
  ["Identity", identity],
  ["Cast", cast],
  ["Shape", shape],
  ["Gather", gather],
  ["ConstantOfShape", constantOfShape],
]);

/** What is done to each number: the channels may be anywhere. */
function elementwise(make: (node: NodeContext, x: Signal) => Signal): Handler {
  return (node) => {
    const x = node.anySignal(0);
    const { order, flatOf } = x;
    return { ...make(node, x), order, ...(flatOf && { flatOf }) };
  };
}

function maxPool(node: NodeContext): GraphValue {
  const x = node.signal(0);
  const window = windowOf(node, x.value.shape, null);
  const { kernelSize, stride, dilation, pads } = window;
  if (dilation.some((step) => step !== 1)) return node.refuse(`a dilated pool (dilations [${dilation}])`);
  if ([...kernelSize, ...stride].every((side) => side === 1) && pads.every((side) => side === 0)) return x;
  const said = poolPadding(window, node.int("ceil_mode", 0) === 1, x.value.shape);
  if (said) return node.add({ kind: "pool", kernelSize, stride, ...said }, [x]);
  // Behind a ReLU nothing is below zero: zeros lose like the minus infinity that pools pad with.
  const above = node.graph.builder.rowOf(x.value)?.kind;
  if ((above !== "relu" && above !== "sigmoid") || node.int("ceil_mode", 0) === 1) {
    return node.refuse(`a pool with one-sided padding (pads [${pads}])`);
  }
  const padded = node.add({ kind: "pad", sides: pads }, [x]);
  return node.add({ kind: "pool", kernelSize, stride, padding: 0, ceilMode: false }, [padded]);
}

function averagePool(node: NodeContext): GraphValue {
  const x = node.signal(0);
  const window = windowOf(node, x.value.shape, null);
  const { kernelSize, stride, dilation, pads } = window;
  if (dilation.some((step) => step !== 1)) return node.refuse(`a dilated pool (dilations [${dilation}])`);
  if ([...kernelSize, ...stride].every((side) => side === 1) && pads.every((side) => side === 0)) return x;
  const ceilMode = node.int("ceil_mode", 0) === 1;
  const options = { kind: "avgPool", kernelSize, stride } as const;
  const countIncludePad = node.int("count_include_pad", 0) === 1;
  const padding = evenPadding(pads);
  if (padding) return node.add({ ...options, padding, ceilMode, countIncludePad }, [x]);
  if (!countIncludePad) {
    const said = poolPadding(window, ceilMode, x.value.shape);
    if (said) return node.add({ ...options, ...said, countIncludePad }, [x]);
  } else if (!ceilMode) {
    const padded = node.add({ kind: "pad", sides: pads }, [x]);
    return node.add({ ...options, padding: 0, ceilMode, countIncludePad }, [padded]);
  }
  return node.refuse(`a pool with one-sided padding (pads [${pads}])`);
}

function reduceMean(node: NodeContext): GraphValue {
  const x = node.anySignal(0);
  const rank = x.value.shape.length + 1;
  const axes = node.ints("axes") ?? (node.inputCount > 1 ? node.numbers(1) : null) ?? [];
  const sides = axes.map((axis) => (axis < 0 ? axis + rank : axis)).sort((a, b) => a - b);
  if (rank !== 4 || `${sides}` !== (x.order === "hwc" ? "1,2" : "2,3"))
    return node.refuse(`a mean over axes [${axes}]`);
  const { value } = node.add({ kind: "adaptiveAvgPool", outputSize: 1 }, [x]);
  const mean = { ...signalOf(value), order: x.order };
  // A picture of one pixel is the same flattened either way.
  return node.int("keepdims", 1) === 1 ? mean : flattened(node, signalOf(value));
}

function lrn(node: NodeContext): GraphValue {
  const size = node.int("size", 0);
  if (!Number.isSafeInteger(size) || size < 1) return node.refuse(`a normalisation over ${size} channels`);
  // Where they are even in number, ONNX has one more after the channel, rows before it.
  if (size % 2 === 0) return node.refuse(`a normalisation over an even number of channels, ${size}`);
  // ONNX divides alpha by the size; rows do not.
  const alpha = node.float("alpha", 1e-4) / size;
  return node.add({ kind: "lrn", size, alpha, beta: node.float("beta", 0.75), k: node.float("bias", 1) }, [
    node.signal(0),
  ]);
}

function dropout(node: NodeContext, x: Signal): Signal {
  const [given] = (node.inputCount > 1 ? node.numbers(1) : null) ?? [];
  const p = given ?? node.float("ratio", 0.5);
  return p >= 0 && p < 1 ? node.add({ kind: "dropout", p }, [x]) : node.refuse(`a dropout of ${p}`);
}

/** At the end alone: nets give logits. */
function softmax(node: NodeContext): GraphValue {
  const x = node.anySignal(0);
  const { length } = x.value.shape;
  const fallback = node.graph.opset < 13 ? 1 : -1;
  const axis = node.int("axis", fallback);
  const channels = x.order === "hwc" ? length : 1;
  if (axis === channels || axis === channels - length - 1) return { ...x, softmax: true };
  return node.refuse(`a soft-max along axis ${axis}`);
}

function concat(node: NodeContext): GraphValue {
  const found = node.node.inputs.map((_, i) => node.input(i));
  if (found.every((value) => value?.kind !== "signal")) return concatSizes(node);
  const inputs = node.signals();
  const [{ value }] = inputs;
  const axis = node.int("axis", 1);
  if (axis !== 1 && axis !== -value.shape.length) return node.refuse(`Concat along axis ${axis}`);
  checkSame(node, inputs, 1);
  return inputs.length === 1 ? inputs[0] : node.add({ kind: "concat" }, inputs);
}

/** Add and Sum: of pictures, of a layer and its bias, of shapes. */
function sum(node: NodeContext): GraphValue {
  const found = node.node.inputs.map((_, i) => node.input(i));
  if (found.every((value) => value?.kind !== "signal")) return arithmetic(node);
  const weights = found.findIndex((value) => value?.kind !== "signal");
  if (weights >= 0)
    return found.length === 2 ? addWeights(node, 1 - weights, weights) : node.refuse("a sum with a constant");
  return combined(node, "add");
}

function mul(node: NodeContext): GraphValue {
  const found = node.node.inputs.map((_, i) => node.input(i));
  if (found.every((value) => value?.kind !== "signal")) return arithmetic(node);
  return found.every((value) => value?.kind === "signal")
    ? combined(node, "mul")
    : node.refuse("a product with a constant");
}

function combined(node: NodeContext, kind: "add" | "mul"): GraphValue {
  const inputs = node.signals();
  checkSame(node, inputs, 0);
  return inputs.length === 1 ? inputs[0] : node.add({ kind }, inputs);
}

/** @param from the first side that must be the same. */
function checkSame(node: NodeContext, inputs: readonly Signal[], from: number): void {
  const shapes = inputs.map(({ value }) => value.shape);
  const other = differingShape(shapes, from);
  if (other) node.refuse(`inputs of different shapes, [${shapes[0]}] and [${other}]`);
}

function sizesOnly(node: NodeContext): GraphValue {
  if (node.input(0)?.kind === "signal" || node.input(1)?.kind === "signal")
    return node.refuse("arithmetic on the picture");
  return arithmetic(node);
}

function pad(node: NodeContext): GraphValue {
  const x = node.signal(0);
  const mode = node.text("mode", "constant");
  const value = node.attribute("value")?.f ?? (node.inputCount > 2 ? node.numbers(2)?.[0] : 0) ?? 0;
  if (mode !== "constant" || value !== 0)
    return node.refuse(`padding with other than zeros (mode ${mode}, value ${value})`);
  const pads = node.ints("pads") ?? node.ints("paddings") ?? node.numbers(1) ?? [];
  const axes = (node.inputCount > 3 ? node.numbers(3) : null)?.map((axis) => (axis < 0 ? axis + 4 : axis)) ?? [
    0, 1, 2, 3,
  ];
  const side = (axis: number, end: number): number =>
    axes.includes(axis) ? pads[axes.indexOf(axis) + end * axes.length] : 0;
  const all = [0, 1].flatMap((end) => [0, 1, 2, 3].map((axis) => side(axis, end)));
  const [, , top, left, , , bottom, right] = all;
  const whole = pads.length === 2 * axes.length && all.every((one) => Number.isSafeInteger(one) && one >= 0);
  if (!whole || x.value.shape.length !== 3 || all[0] + all[1] + all[4] + all[5] !== 0) {
    return node.refuse(`padding [${pads}], other than around the picture`);
  }
  if (top + left + bottom + right === 0) return x;
  return node.add({ kind: "pad", sides: [top, left, bottom, right] }, [x]);
}

/** Resize, and Upsample, whose coordinates rows know only where nothing changes. */
function resize(node: NodeContext): GraphValue {
  const x = node.signal(0);
  const { op } = node.node;
  const old = op === "Upsample" || node.graph.opset < 11;
  const input = (i: number): readonly number[] | null => (node.inputCount > i ? node.numbers(i) : null);
  const scales = node.attribute("scales")?.floats ?? input(old ? 1 : 2);
  const sizes = old || node.inputCount < 4 ? null : node.sizes(3);
  const axes = node.ints("axes");
  if (axes && `${axes}` !== "0,1,2,3" && `${axes}` !== "2,3") return node.refuse(`a resize along axes [${axes}]`);
  const sides = ((sizes?.length ? sizes : scales) ?? []).slice(-2);
  const [height, width] = sides;
  const batch = sizes?.length ? [] : (scales ?? []).slice(0, -2);
  if (typeof height !== "number" || typeof width !== "number" || !batch.every((scale) => scale === 1)) {
    return node.refuse(`a resize to [${sides.map((side) => side ?? "?")}]`);
  }
  if (!sizes?.length && height === 1 && width === 1) return x;
  const mode = node.text("mode", "nearest");
  const coordinates = old ? "asymmetric" : node.text("coordinate_transformation_mode", "half_pixel");
  const alignCorners = coordinates === "align_corners";
  if (
    (mode !== "linear" && mode !== "bilinear") ||
    !["half_pixel", "pytorch_half_pixel", "align_corners"].includes(coordinates)
  ) {
    return node.refuse(`a resize of mode ${mode}, ${coordinates}`);
  }
  if (node.int("antialias", 0) !== 0) return node.refuse("a resize with antialias");
  const policy = node.text("keep_aspect_ratio_policy", "stretch");
  if (policy !== "stretch") return node.refuse(`a resize that keeps the ratio of the sides (${policy})`);
  const how = sizes?.length ? { size: [height, width] as const } : { scaleFactor: [height, width] as const };
  return node.add({ kind: "upsample", ...how, alignCorners }, [x]);
}

/** Of pictures: what cuts one to the height and width of another. */
function slice(node: NodeContext): GraphValue {
  if (node.input(0)?.kind !== "signal") return sliceSizes(node);
  const x = node.signal(0);
  const { starts, ends, axes, steps } = sliceOf(node);
  const sides = axes?.map((axis) => (axis < 0 ? axis + 4 : axis)) ?? starts.map((_, i) => i);
  const [, height, width] = x.value.shape;
  const [offset, left] = starts;
  if (`${sides}` !== "2,3" || steps?.some((step) => step !== 1) || offset !== left || !(offset >= 0)) {
    return node.refuse(`a Slice [${starts}] to [${ends}] of axes [${sides}]`);
  }
  const [outH, outW] = [height, width].map((side, i) =>
    ends[i] < 0 || side === null ? null : Math.min(ends[i], side) - offset,
  );
  const values = [...node.graph.values.values()].flatMap((value) => (value.kind === "signal" ? [value.value] : []));
  const like = node.graph.builder.ofSize(
    outH,
    outW,
    values.filter((value) => value !== x.value),
  );
  if (outH === null || outW === null || !like)
    return node.refuse(`a Slice to [${outH ?? "?"},${outW ?? "?"}], no other picture's size`);
  return node.add({ kind: "crop", offset }, [x, signalOf(like)]);
}
