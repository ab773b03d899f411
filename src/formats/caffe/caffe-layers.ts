/**
 * Caffe's layers as rows of a net: one handler a type, with Caffe's defaults. Pools round up, and normalisation divides alpha by its size. The
 * messages: caffe-proto.ts; the net around the layers: caffe.ts.
 */
import { WeightsError } from "../../core/errors.js";
import type { TensorPlace } from "../../io/weights-file.js";
import { isCount, type LayerKind } from "../../models/net-config.js";
import { differingShape, type NetBuilder, type RowTensors, type Value } from "../net-builder.js";
import type { RunTensor } from "../stored-runs.js";
import type { CaffeLayer, ParamName } from "./caffe-proto.js";

/** What a layer of the file gives. */
export interface CaffeValue {
  readonly value: Value;
  /** Whether the file's net takes a soft-max here, which ours leaves out. */
  readonly softmax: boolean;
}

/** What handlers share. */
export interface CaffeState {
  readonly file: string;
  readonly layerCount: number;
  readonly builder: NetBuilder;
  /** By the names of the blobs; a layer that works in place replaces its own. */
  readonly values: Map<string, CaffeValue>;
  /** Of batch normalisations: what their statistics are to be divided by. */
  readonly factors: ReadonlyMap<CaffeLayer, number>;
  /** How often each blob is taken. */
  readonly uses: ReadonlyMap<string, number>;
}

type Handler = (layer: LayerContext) => Value;

/** Names of a layer's tensors in its row and in the file. */
export function tensorName(layer: CaffeLayer, blob: number): string {
  const parts = layer.type === "BatchNorm" ? ["running_mean", "running_var", "factor"] : ["weight", "bias"];
  return `${layer.name}.${parts[blob] ?? blob}`;
}

/** Layers that feed nets. */
export const DATA_TYPES: ReadonlySet<string> = new Set([
  "Data",
  "ImageData",
  "HDF5Data",
  "MemoryData",
  "WindowData",
  "DummyData",
  "AnnotatedData",
  "Input",
]);

/** Layers of training and of tests: nothing that the net computes. */
const IGNORED_TYPES: ReadonlySet<string> = new Set(["Accuracy", "Silence", "ArgMax"]);

const HANDLERS: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ["Convolution", convolution],
  ["Deconvolution", convolution],
  ["InnerProduct", innerProduct],
  ["Pooling", pooling],
  ["LRN", lrn],
  ["ReLU", relu],
  ["TanH", (layer) => layer.add({ kind: "tanh" })],
  ["Sigmoid", (layer) => layer.add({ kind: "sigmoid" })],
  ["Dropout", dropout],
  ["BatchNorm", batchNorm],
  ["Scale", scale],
  ["Concat", concat],
  ["Eltwise", eltwise],
  ["Flatten", flatten],
  ["Split", split],
  ["Crop", crop],
]);

/** Runs one layer. @returns what it gives; null where the net does not compute it. @throws WeightsError that names it. */
export function runLayer(layer: CaffeLayer, index: number, state: CaffeState): CaffeValue | null {
  const { type, tops, include, exclude } = layer;
  const trainingOnly = include.length > 0 && include.every((phase) => phase === 0);
  if (trainingOnly || exclude.includes(1) || IGNORED_TYPES.has(type) || DATA_TYPES.has(type)) return null;
  const context = new LayerContext(layer, index, state);
  if (type === "Softmax" || /Loss$/.test(type)) {
    const value = context.input(0);
    if (type === "Softmax" && context.number("softmax", 2, 1) !== 1) context.refuse("a soft-max along another axis");
    const end = { value, softmax: type === "Softmax" || type === "SoftmaxWithLoss" };
    if (tops.length > 0) state.values.set(tops[0], end);
    return end;
  }
  const handler = HANDLERS.get(type) ?? context.refuse(type || "a layer without type");
  const result = { value: handler(context), softmax: false };
  for (const top of type === "Split" ? tops : tops.slice(0, 1)) state.values.set(top, result);
  return result;
}

class LayerContext {
  constructor(
    readonly layer: CaffeLayer,
    private readonly index: number,
    readonly state: CaffeState,
  ) {}

  refuse(what: string): never {
    const { file, layerCount } = this.state;
    throw new WeightsError(
      `caffe: ${file} has a layer that verydeep has not: ${what} (layer ${JSON.stringify(this.layer.name)}, type ${this.layer.type}, ${this.index + 1} of ${layerCount}). Use a net without it.`,
    );
  }

  numbers(param: ParamName, field: number): readonly number[] {
    return this.layer.params.get(param)?.get(field) ?? [];
  }

  number(param: ParamName, field: number, fallback: number): number {
    return this.numbers(param, field).at(-1) ?? fallback;
  }

  /** [height, width]: of the two fields for them, or of the one for both. */
  sides(param: ParamName, both: number, height: number, width: number, fallback: number | null): [number, number] {
    const given = this.numbers(param, both);
    const sides = [height, width].map(
      (field, axis) => this.numbers(param, field).at(-1) ?? given[given.length > 1 ? axis : 0] ?? fallback,
    );
    const [h, w] = sides.map((side) => side ?? this.refuse("a window without size"));
    const whole = [h, w].every((side) => Number.isSafeInteger(side) && side >= 0) && given.length <= 2;
    return whole ? [h, w] : this.refuse(`a window of [${sides}]`);
  }

  input(i: number): Value {
    const name = this.layer.bottoms[i] ?? "";
    const found = this.state.values.get(name);
    if (!found) return this.refuse(`one that takes what none before it gives, ${JSON.stringify(name)}`);
    return found.softmax ? this.refuse("one after the soft-max") : found.value;
  }

  inputs(): Value[] {
    return this.layer.bottoms.map((_, i) => this.input(i));
  }

  blob(i: number): RunTensor {
    return this.layer.blobs[i] ?? this.refuse(`one without weights (blob ${i} of ${this.layer.blobs.length})`);
  }

  place(i: number, view: readonly number[]): TensorPlace {
    const { shape } = this.blob(i);
    if (product(shape) !== product(view)) this.refuse(`one whose blob ${i} is [${shape}], not [${view}]`);
    return { tensor: tensorName(this.layer, i), view };
  }

  add(
    kind: LayerKind & { readonly outputs?: number },
    inputs: readonly Value[] = [this.input(0)],
    tensors: RowTensors = {},
  ): Value {
    return this.state.builder.add(this.layer.name, kind, inputs, tensors);
  }
}

function product(sides: readonly number[]): number {
  return sides.reduce((all, side) => all * side, 1);
}

/** Convolution and Deconvolution. */
function convolution(layer: LayerContext): Value {
  const x = layer.input(0);
  const { shape } = layer.blob(0);
  const groups = layer.number("convolution", 5, 1);
  const kernelSize = layer.sides("convolution", 4, 11, 12, null);
  const stride = layer.sides("convolution", 6, 13, 14, 1);
  const padding = layer.sides("convolution", 3, 9, 10, 0);
  const dilation = layer.sides("convolution", 18, 0, 0, 1);
  const outputs = layer.number("convolution", 1, 0);
  const kind = layer.layer.type === "Convolution" ? "conv" : "convTranspose";
  const transposed = kind === "convTranspose";
  const inputs = (transposed ? shape[0] : shape[1] * groups) || 0;
  const fits =
    shape.length === 4 &&
    x.shape.length === 3 &&
    [outputs, groups, inputs, ...kernelSize, ...stride, ...dilation].every(isCount) &&
    outputs % groups === 0 &&
    inputs % groups === 0 &&
    (x.shape[0] ?? inputs) === inputs;
  if (!fits || layer.number("convolution", 16, 1) !== 1) {
    return layer.refuse(`weights [${shape}] in ${groups} groups for ${x.shape[0]} channels`);
  }
  const bias = layer.number("convolution", 2, 1) !== 0;
  const [first, second] = transposed ? [inputs, outputs] : [outputs, inputs];
  const weight = layer.place(0, [first, second / groups, ...kernelSize]);
  const tensors = { weight, ...(bias && { bias: layer.place(1, [outputs]) }) };
  return layer.add({ kind, outputs, kernelSize, stride, padding, dilation, groups, bias }, [x], tensors);
}

/** Takes pictures as they are: they are flattened before. */
function innerProduct(layer: LayerContext): Value {
  const given = layer.input(0);
  const outputs = layer.number("inner_product", 1, 0);
  const transposed = layer.number("inner_product", 6, 0) !== 0;
  const features = product(layer.blob(0).shape) / outputs;
  const whole = given.shape.every((side) => side !== null);
  const known = whole ? given.shape.reduce<number>((all, side) => all * (side ?? 0), 1) : features;
  if (!isCount(outputs) || !isCount(features) || known !== features || layer.number("inner_product", 5, 1) !== 1) {
    return layer.refuse(`weights [${layer.blob(0).shape}] for [${given.shape.map((side) => side ?? "?")}]`);
  }
  const { name } = layer.layer;
  const x = given.shape.length === 1 ? given : layer.state.builder.add(`flatten_${name}`, { kind: "flatten" }, [given]);
  const bias = layer.number("inner_product", 2, 1) !== 0;
  const stored = transposed ? [features, outputs] : [outputs, features];
  const weight = { ...layer.place(0, stored), ...(transposed && { permute: [1, 0] }) };
  return layer.add({ kind: "linear", outputs, bias }, [x], {
    weight,
    ...(bias && { bias: layer.place(1, [outputs]) }),
  });
}

function pooling(layer: LayerContext): Value {
  const method = layer.number("pooling", 1, 0);
  if (method !== 0 && method !== 1) return layer.refuse("a stochastic pool");
  if (layer.number("pooling", 12, 0) !== 0) {
    return layer.add({ kind: method === 0 ? "adaptiveMaxPool" : "adaptiveAvgPool", outputSize: 1 });
  }
  const window = {
    kernelSize: layer.sides("pooling", 2, 5, 6, null),
    stride: layer.sides("pooling", 3, 7, 8, 1),
    padding: layer.sides("pooling", 4, 9, 10, 0),
    // round_mode, of Caffe's last versions: 1 rounds down.
    ceilMode: layer.number("pooling", 13, 0) === 0,
  };
  return layer.add(method === 0 ? { kind: "pool", ...window } : { kind: "avgPool", ...window, countIncludePad: true });
}

function lrn(layer: LayerContext): Value {
  if (layer.number("lrn", 4, 0) !== 0) return layer.refuse("a normalisation within channels");
  const size = layer.number("lrn", 1, 5);
  if (!isCount(size) || size % 2 === 0) return layer.refuse(`a normalisation over ${size} channels`);
  // Caffe divides alpha by the size; rows do not.
  const alpha = layer.number("lrn", 2, 1) / size;
  return layer.add({ kind: "lrn", size, alpha, beta: layer.number("lrn", 3, 0.75), k: layer.number("lrn", 5, 1) });
}

function relu(layer: LayerContext): Value {
  const slope = layer.number("relu", 1, 0);
  return layer.add(slope === 0 ? { kind: "relu" } : { kind: "leakyRelu", slope });
}

function dropout(layer: LayerContext): Value {
  const p = layer.number("dropout", 1, 0.5);
  return p >= 0 && p < 1 ? layer.add({ kind: "dropout", p }) : layer.refuse(`a dropout of ${p}`);
}

/** Statistics alone; what is learned is in a Scale behind it. They are stored times a factor. */
function batchNorm(layer: LayerContext): Value {
  const outputs = product(layer.blob(0).shape);
  const factor = layer.state.factors.get(layer.layer) ?? 1;
  const scaled = (blob: number): TensorPlace => ({
    ...layer.place(blob, [outputs]),
    scale: factor === 0 ? 0 : 1 / factor,
  });
  const x = layer.input(0);
  if ((x.shape[0] ?? outputs) !== outputs) return layer.refuse(`statistics of ${outputs} for ${x.shape[0]} channels`);
  return layer.add({ kind: "batchNorm", eps: layer.number("batch_norm", 3, 1e-5) }, [x], {
    weight: { fill: 1 },
    bias: { fill: 0 },
    running_mean: scaled(0),
    running_var: scaled(1),
  });
}

function scale(layer: LayerContext): Value {
  const x = layer.input(0);
  const outputs = product(layer.blob(0).shape);
  const bias = layer.number("scale", 4, 0) !== 0;
  const channelwise = layer.number("scale", 1, 1) === 1 && layer.number("scale", 2, 1) === 1;
  if (layer.layer.bottoms.length !== 1 || !channelwise || (x.shape[0] ?? outputs) !== outputs) {
    return layer.refuse("a Scale of other than channels");
  }
  const place = bias ? layer.place(1, [outputs]) : { fill: 0 };
  const { bottoms, tops } = layer.layer;
  const alone = bottoms[0] === tops[0] || layer.state.uses.get(bottoms[0]) === 1;
  if (alone && layer.state.builder.setAffine(x, layer.place(0, [outputs]), place)) return x;
  return layer.refuse("a Scale that does not follow a BatchNorm");
}

function concat(layer: LayerContext): Value {
  const inputs = layer.inputs();
  const axis = layer.number("concat", 2, layer.number("concat", 1, 1));
  if (axis !== 1 && axis !== -3) return layer.refuse(`Concat along axis ${axis}`);
  checkSame(layer, inputs, 1);
  return inputs.length === 1 ? inputs[0] : layer.add({ kind: "concat" }, inputs);
}

function eltwise(layer: LayerContext): Value {
  const operation = layer.number("eltwise", 1, 1);
  if (operation !== 0 && operation !== 1) return layer.refuse("the largest of several");
  const factors = layer.numbers("eltwise", 2);
  if (operation === 1 && factors.some((factor) => factor !== 1)) return layer.refuse(`a sum with factors [${factors}]`);
  const inputs = layer.inputs();
  checkSame(layer, inputs, 0);
  return layer.add({ kind: operation === 0 ? "mul" : "add" }, inputs);
}

/** @param from the first side that must be the same. */
function checkSame(layer: LayerContext, inputs: readonly Value[], from: number): void {
  if (inputs.length === 0) layer.refuse("one without inputs");
  const shapes = inputs.map(({ shape }) => shape);
  const other = differingShape(shapes, from);
  if (other) layer.refuse(`inputs of different shapes, [${shapes[0]}] and [${other}]`);
}

function split(layer: LayerContext): Value {
  const x = layer.input(0);
  if (layer.layer.tops.length > 1) layer.state.builder.share(x);
  return x;
}

function flatten(layer: LayerContext): Value {
  const x = layer.input(0);
  if (layer.number("flatten", 1, 1) !== 1) return layer.refuse("Flatten from another axis");
  return x.shape.length === 1 ? x : layer.add({ kind: "flatten" }, [x]);
}

function crop(layer: LayerContext): Value {
  const offsets = layer.numbers("crop", 2);
  const [offset = 0] = offsets;
  if (layer.number("crop", 1, 2) !== 2 || offsets.some((one) => one !== offset))
    return layer.refuse(`Crop by [${offsets}]`);
  return layer.add({ kind: "crop", offset }, [layer.input(0), layer.input(1)]);
}
