/**
 * A net's layers as ONNX nodes, operator set 13. Every layer is said exactly, or refused; sizes are those that the net was built for, the batch
 * is open. Nodes as plain data; onnx-write.ts makes bytes of them. The other direction: onnx-ops.ts.
 */
import { UsageError } from "../../core/errors.js";
import { INPUT, type NetLayer, netTensorShapes, sidesOf } from "../../models/net-config.js";

/** What an attribute may be: whole numbers, floats, or a text. */
export type AttributeValue =
  | { readonly int: number }
  | { readonly ints: readonly number[] }
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly text: string };

/** A node to be written. */
export interface NodeToWrite {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

type Attributes = NodeToWrite["attributes"];

/** What nodes of a net need to know of each other. */
interface Writer {
  readonly nodes: NodeToWrite[];
  /** Names of tensors. */
  readonly tensors: ReadonlySet<string>;
  add(op: string, inputs: readonly string[], attributes?: Attributes, part?: string): string;
}

const ints = (values: readonly number[]): AttributeValue => ({ ints: values });
const int = (value: number): AttributeValue => ({ int: value });
const float = (value: number): AttributeValue => ({ float: value });
const text = (value: string): AttributeValue => ({ text: value });

/**
 * The nodes of a net's main output.
 * @param output what to call it.
 * @param softmax whether it ends in a soft-max over the classes.
 * @throws UsageError for a layer that ONNX cannot say.
 */
export function onnxNodes(layers: readonly NetLayer[], output: string, softmax: boolean): NodeToWrite[] {
  const tensors = new Set(netTensorShapes(layers).keys());
  const taken = new Set([INPUT, output, ...tensors]);
  const free = (wanted: string): string => {
    let name = wanted;
    for (let number = 2; taken.has(name); number++) name = `${wanted}_${number}`;
    taken.add(name);
    return name;
  };
  const values = new Map([[INPUT, INPUT]]);
  const nodes: NodeToWrite[] = [];
  let above = INPUT;
  for (const layer of layers) {
    const names = layer.from ?? [above];
    above = layer.name;
    if (layer.auxiliary) continue;
    const inputs = names.map((name) => values.get(name) ?? unknown(layer, name));
    const writer: Writer = {
      nodes,
      tensors,
      add(op, from, attributes = {}, part = "") {
        const name = free(part === "" ? layer.name : `${layer.name}.${part}`);
        nodes.push({ op, name, inputs: from, output: name, attributes });
        return name;
      },
    };
    values.set(layer.name, writeLayer(layer, inputs, writer));
  }
  const end = layers.findLast(({ auxiliary = false }) => !auxiliary)?.name ?? INPUT;
  const from = values.get(end) ?? INPUT;
  const op = softmax ? "Softmax" : "Identity";
  nodes.push({ op, name: free(output), inputs: [from], output, attributes: softmax ? { axis: int(1) } : {} });
  return nodes;
}

function unknown(layer: NetLayer, name: string): never {
  throw new UsageError(
    `onnx: a layer takes one that is auxiliary or not above it (layer ${layer.name}, from ${name}). Reorder the layers.`,
  );
}

function refuse(layer: NetLayer, what: string): never {
  throw new UsageError(
    `onnx: a layer has no counterpart in ONNX: ${what} (layer ${layer.name}, x [${layer.inShape}], y [${layer.outShape}]). Build the net for another input size.`,
  );
}

/** Adds the nodes of a layer. @returns the name of its output. */
function writeLayer(layer: NetLayer, inputs: readonly string[], writer: Writer): string {
  const [x] = inputs;
  const weights = (...parts: string[]): string[] =>
    parts.map((part) => `${layer.name}.${part}`).filter((name) => writer.tensors.has(name));
  switch (layer.kind) {
    case "conv":
      return writer.add("Conv", [x, ...weights("weight", "bias")], convolution(layer));
    case "convTranspose": {
      const extra = ints(sidesOf(layer.outputPadding ?? 0));
      return writer.add("ConvTranspose", [x, ...weights("weight", "bias")], {
        ...convolution(layer),
        output_padding: extra,
      });
    }
    case "linear":
      return writer.add("Gemm", [x, ...weights("weight", "bias")], { transB: int(1) });
    case "batchNorm":
      return writer.add("BatchNormalization", [x, ...weights("weight", "bias", "running_mean", "running_var")], {
        epsilon: float(layer.eps),
      });
    case "pool":
      return writer.add("MaxPool", [x], { ...pool(layer), pads: ints(poolPads(layer)) });
    case "avgPool":
      return averagePool(layer, x, writer);
    case "adaptiveAvgPool":
    case "adaptiveMaxPool":
      return adaptivePool(layer, x, writer);
    case "lrn": {
      const { size, alpha, beta, k } = layer;
      // ONNX's windows have one more after the channel, rows before it.
      if (size % 2 === 0) return refuse(layer, "a normalisation over an even number of channels");
      // ONNX divides alpha by the size; rows do not.
      return writer.add("LRN", [x], { size: int(size), alpha: float(alpha * size), beta: float(beta), bias: float(k) });
    }
    case "dropout": {
      const ratio = writer.add("Constant", [], { value_float: float(layer.p) }, "ratio");
      return writer.add("Dropout", [x, ratio]);
    }
    case "relu":
      return writer.add("Relu", [x]);
    case "leakyRelu":
      return writer.add("LeakyRelu", [x], { alpha: float(layer.slope) });
    case "tanh":
      return writer.add("Tanh", [x]);
    case "sigmoid":
      return writer.add("Sigmoid", [x]);
    case "flatten":
      return writer.add("Flatten", [x], { axis: int(1) });
    case "concat":
      return writer.add("Concat", inputs, { axis: int(1) });
    case "add":
      return writer.add(inputs.length === 2 ? "Add" : "Sum", inputs);
    case "mul":
      return product(inputs, writer);
    case "pad": {
      const [top, left, bottom, right] = layer.sides;
      return writer.add("Pad", [x, constant(writer, "pads", [0, 0, top, left, 0, 0, bottom, right])]);
    }
    case "crop": {
      const [, height, width] = layer.outShape;
      const { offset } = layer;
      const [starts, ends, axes] = [
        constant(writer, "starts", [offset, offset]),
        constant(writer, "ends", [offset + height, offset + width]),
        constant(writer, "axes", [2, 3]),
      ];
      return writer.add("Slice", [x, starts, ends, axes]);
    }
    case "upsample":
      return upsample(layer, x, writer);
  }
}

type Of<K extends NetLayer["kind"]> = NetLayer & { readonly kind: K };

function constant(writer: Writer, part: string, values: readonly number[]): string {
  return writer.add("Constant", [], { value_ints: ints(values) }, part);
}

function convolution(layer: Of<"conv"> | Of<"convTranspose">): Attributes {
  const [height, width] = sidesOf(layer.padding);
  return {
    kernel_shape: ints(sidesOf(layer.kernelSize)),
    strides: ints(sidesOf(layer.stride)),
    pads: ints([height, width, height, width]),
    dilations: ints(sidesOf(layer.dilation ?? 1)),
    group: int(layer.groups),
  };
}

function pool({ kernelSize, stride }: Of<"pool"> | Of<"avgPool">): Attributes {
  return { kernel_shape: ints(sidesOf(kernelSize)), strides: ints(sidesOf(stride)) };
}

/**
 * Padding of each side with which rounding down gives the layer's windows: where it rounds up, the far side has what the last window needs.
 * (ONNX's own rounding up does not say what becomes of a last window that begins behind the picture.)
 */
function poolPads({ inShape, outShape, kernelSize, stride, padding }: Of<"pool"> | Of<"avgPool">): number[] {
  const begin = sidesOf(padding);
  const end = begin.map((pad, axis) => {
    const covered = (outShape[axis + 1] - 1) * sidesOf(stride)[axis] + sidesOf(kernelSize)[axis];
    return Math.max(pad, covered - inShape[axis + 1] - pad);
  });
  return [...begin, ...end];
}

/** Where the divisor counts padding, this is added before, since ONNX would also count what rounding up adds. */
function averagePool(layer: Of<"avgPool">, x: string, writer: Writer): string {
  const [height, width] = sidesOf(layer.padding);
  const pads = poolPads(layer);
  const [, , bottom, right] = pads;
  const even = bottom === height && right === width;
  if (even || !(layer.countIncludePad ?? true) || (height === 0 && width === 0)) {
    const count = even && (layer.countIncludePad ?? true) && height + width > 0;
    return writer.add("AveragePool", [x], { ...pool(layer), pads: ints(pads), count_include_pad: int(count ? 1 : 0) });
  }
  const sides = constant(writer, "pads", [0, 0, height, width, 0, 0, height, width]);
  const padded = writer.add("Pad", [x, sides], {}, "padded");
  return writer.add("AveragePool", [padded], {
    ...pool(layer),
    pads: ints([0, 0, bottom - height, right - width]),
    count_include_pad: int(0),
  });
}

/** Windows that are all of one size. */
function adaptivePool(layer: Of<"adaptiveAvgPool" | "adaptiveMaxPool">, x: string, writer: Writer): string {
  const average = layer.kind === "adaptiveAvgPool";
  const [inH, inW] = layer.inShape.slice(1);
  const [outH, outW] = sidesOf(layer.outputSize);
  if (outH === 1 && outW === 1) return writer.add(average ? "GlobalAveragePool" : "GlobalMaxPool", [x]);
  if (inH % outH !== 0 || inW % outW !== 0) return refuse(layer, "an adaptive pool of windows that differ");
  const window = ints([inH / outH, inW / outW]);
  return writer.add(average ? "AveragePool" : "MaxPool", [x], { kernel_shape: window, strides: window });
}

function product(inputs: readonly string[], writer: Writer): string {
  if (inputs.length === 1) return writer.add("Identity", inputs);
  const [first, ...others] = inputs;
  const last = others.length - 1;
  return others.reduce(
    (result, other, i) => writer.add("Mul", [result, other], {}, i === last ? "" : `part${i}`),
    first,
  );
}

function upsample(layer: Of<"upsample">, x: string, writer: Writer): string {
  const mode = layer.alignCorners ? "align_corners" : "half_pixel";
  const attributes = { mode: text("linear"), coordinate_transformation_mode: text(mode) };
  if (layer.size === undefined) {
    const [height, width] = sidesOf(layer.scaleFactor ?? 1);
    const scales = writer.add("Constant", [], { value_floats: { floats: [1, 1, height, width] } }, "scales");
    return writer.add("Resize", [x, "", scales], attributes);
  }
  // A size has the batch in it, which is open.
  const shape = writer.add("Shape", [x], {}, "shape");
  const batch = writer.add("Gather", [shape, constant(writer, "first", [0])], { axis: int(0) }, "batch");
  const size = writer.add("Concat", [batch, constant(writer, "size", layer.outShape)], { axis: int(0) }, "sizes");
  return writer.add("Resize", [x, "", "", size], attributes);
}
