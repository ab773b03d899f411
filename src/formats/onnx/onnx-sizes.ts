/**
 * ONNX's operators on shapes and constants: what exporters write to compute the target of a Reshape or Resize. The batch and sizes that
 * the file leaves open are unknown numbers, null, and stay so. Operators on pictures: onnx-ops.ts.
 */
import { type GraphValue, type NodeContext, reshaped, type Sizes, type Weights } from "./onnx-node.js";
import type { OnnxTensor } from "./onnx-proto.js";

/** Longer than any shape or list of axes. */
const MAX_SIZES = 64;

function sizes(values: readonly (number | null)[]): Sizes {
  return { kind: "sizes", values };
}

/** A tensor of the file. */
export function weightsOf(tensor: OnnxTensor, name: string): Weights {
  return { kind: "weights", place: { tensor: name }, dims: tensor.dims, values: tensor.values };
}

export function shape(node: NodeContext): GraphValue {
  const found = node.input(0);
  if (found?.kind === "weights") return sizes(found.dims);
  const { value, order } = node.anySignal(0);
  const [channels, ...rest] = value.shape;
  const all = [null, ...(order === "hwc" && rest.length > 0 ? [...rest, channels] : value.shape)];
  return sizes(all.slice(node.int("start", 0), node.attribute("end")?.i));
}

/** Constant; name: what the tensor is called among the file's. */
export function constant(node: NodeContext, name: string): GraphValue {
  const tensor = node.attribute("value")?.t;
  if (tensor) return weightsOf(tensor, name);
  const float = node.attribute("value_float")?.f;
  const values =
    node.attribute("value_floats")?.floats ??
    node.ints("value_ints") ??
    (float === undefined ? [node.attribute("value_int")?.i ?? node.refuse("a constant of texts")] : [float]);
  return sizes(values.slice(0, MAX_SIZES));
}

export function constantOfShape(node: NodeContext): GraphValue {
  const dims = node.numbers(0) ?? node.refuse("a constant without shape");
  if (!dims.every((side) => Number.isSafeInteger(side) && side >= 0))
    return node.refuse(`a constant of shape [${dims}]`);
  const fill = node.attribute("value")?.t?.values?.[0] ?? 0;
  const count = dims.reduce((product, side) => product * side, 1);
  const values = count <= MAX_SIZES ? new Array<number>(count).fill(fill) : null;
  return { kind: "weights", place: { fill }, dims, values };
}

/** Of a shape: the entries at some places. */
export function gather(node: NodeContext): GraphValue {
  const all = node.sizes(0) ?? [];
  if (node.int("axis", 0) !== 0) return node.refuse("Gather along another axis");
  const places = node.numbers(1) ?? [];
  return sizes(places.map((place) => at(all, place)).map((size) => (size === undefined ? outside(node) : size)));
}

function outside(node: NodeContext): never {
  return node.refuse("a place outside of a shape");
}

function at(all: readonly (number | null)[], place: number): number | null | undefined {
  return all[place < 0 ? place + all.length : place];
}

/** Slice of a shape. */
export function sliceSizes(node: NodeContext): GraphValue {
  const { starts, ends, axes, steps } = sliceOf(node);
  if (starts.length !== 1 || (axes?.[0] ?? 0) !== 0 || (steps?.[0] ?? 1) !== 1)
    return node.refuse("Slice of a shape with steps");
  return sizes((node.sizes(0) ?? []).slice(starts[0], ends[0]));
}

/** What a Slice takes: inputs since opset 10, attributes before. */
export function sliceOf(node: NodeContext): {
  starts: readonly number[];
  ends: readonly number[];
  axes: readonly number[] | null;
  steps: readonly number[] | null;
} {
  const part = (name: string, input: number) =>
    node.ints(name) ?? (node.inputCount > input ? node.numbers(input) : null);
  return {
    starts: part("starts", 1) ?? [],
    ends: part("ends", 2) ?? [],
    axes: part("axes", 3),
    steps: part("steps", 4),
  };
}

/** Concat of shapes. */
export function concatSizes(node: NodeContext): GraphValue {
  const all = node.node.inputs.flatMap((_, i) => node.sizes(i) ?? []);
  return all.length > MAX_SIZES ? node.refuse("a shape of so many sides") : sizes(all);
}

/** Add, Sub, Mul and Div of shapes. */
export function arithmetic(node: NodeContext): GraphValue {
  const [a, b] = [node.sizes(0) ?? [], node.sizes(1) ?? []];
  const length = Math.max(a.length, b.length);
  if ((a.length !== length && a.length !== 1) || (b.length !== length && b.length !== 1))
    return node.refuse("shapes that do not fit");
  const results = Array.from({ length }, (_, i) => {
    const [x, y] = [a[a.length === 1 ? 0 : i], b[b.length === 1 ? 0 : i]];
    if (x === null || y === null) return null;
    if (node.node.op === "Add") return x + y;
    if (node.node.op === "Sub") return x - y;
    // Whole numbers: ONNX's Div of integers cuts off.
    return node.node.op === "Mul" ? x * y : Math.trunc(x / y);
  });
  return sizes(results);
}

/** Reshape, Flatten, Squeeze and Unsqueeze of weights: the same elements under other sides. */
export function reshapedWeights(node: NodeContext, weights: Weights): GraphValue {
  const { dims, values } = weights;
  const target = targetDims(node, dims);
  const result = reshaped(weights, target);
  if (result) return { ...result, values };
  return node.refuse("weights that are transposed and then reshaped");
}

function targetDims(node: NodeContext, dims: readonly number[]): number[] {
  const count = dims.reduce((product, side) => product * side, 1);
  if (node.node.op === "Flatten") {
    const axis = node.int("axis", 1);
    const rows = dims.slice(0, axis).reduce((product, side) => product * side, 1);
    return [rows, rows === 0 ? 0 : count / rows];
  }
  if (node.node.op === "Reshape") {
    const wanted = node.ints("shape") ?? node.numbers(1) ?? [];
    const sides = wanted.map((side, i) => (side === 0 ? (dims[i] ?? 0) : side));
    const known = sides.reduce((product, side) => (side === -1 ? product : product * side), 1);
    const result = sides.map((side) => (side === -1 ? count / known : side));
    const fits = result.every((side) => Number.isSafeInteger(side) && side >= 0);
    if (fits && result.reduce((product, side) => product * side, 1) === count) return result;
    return node.refuse(`weights [${dims}] as [${wanted}]`);
  }
  const axes = node.ints("axes") ?? (node.inputCount > 1 ? node.numbers(1) : null);
  if (node.node.op === "Squeeze") {
    const drop = (axes ?? dims.flatMap((side, i) => (side === 1 ? [i] : []))).map((axis) =>
      axis < 0 ? axis + dims.length : axis,
    );
    return dims.filter((side, i) => side !== 1 || !drop.includes(i));
  }
  const rank = dims.length + (axes?.length ?? 0);
  const added = (axes ?? []).map((axis) => (axis < 0 ? axis + rank : axis));
  const rest = [...dims];
  return Array.from({ length: Math.min(rank, MAX_SIZES) }, (_, i) => (added.includes(i) ? 1 : (rest.shift() ?? 1)));
}
