/**
 * Nets as tables: rows that say what a layer is, and what follows from them by arithmetic: names, shapes, parameters and
 * multiply-accumulates. A row takes the output of the row above unless it names its inputs, so branches are rows too.
 * Pure data and functions: knows no engine; net.ts builds the modules. The tables: vgg-config.ts, alexnet.ts, googlenet.ts, …
 */
import { UsageError } from "../core/errors.js";
import type { Pair } from "../ops/check.js";

/** Name of the net's input, for rows that take it. */
export const INPUT = "input";

/** One number for both directions, or [height, width]. */
interface Window {
  readonly kernelSize: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
}

/** What two kinds of convolution have beside their window. */
interface Convolution {
  /** Default 1. */
  readonly dilation?: Pair;
  readonly init?: "zeros" | "bilinear";
}

interface ConvTransposeOnly {
  readonly kind: "convTranspose";
  readonly groups: number;
  readonly bias: boolean;
  /** Default 0. */
  readonly outputPadding?: Pair;
}

/** What a layer does, with its options in PyTorch's words; convTranspose is ConvTranspose2d, pool MaxPool2d. */
export type LayerKind =
  | (Window & Convolution & { readonly kind: "conv"; readonly groups: number; readonly bias: boolean })
  | (Window & Convolution & ConvTransposeOnly)
  | (Window & { readonly kind: "pool"; readonly ceilMode: boolean })
  | (Window & { readonly kind: "avgPool"; readonly ceilMode: boolean; readonly countIncludePad?: boolean })
  | { readonly kind: "adaptiveMaxPool" | "adaptiveAvgPool"; readonly outputSize: Pair }
  /** Alpha is not divided by the size, as in Krizhevsky's paper. */
  | { readonly kind: "lrn"; readonly size: number; readonly alpha: number; readonly beta: number; readonly k: number }
  | { readonly kind: "dropout"; readonly p: number }
  | { readonly kind: "batchNorm"; readonly eps: number }
  /** Cuts the first input to height and width of the second, beginning at row and column `offset`. */
  | { readonly kind: "crop"; readonly offset: number }
  /** Zeros around the picture. */
  | { readonly kind: "pad"; readonly sides: readonly [top: number, left: number, bottom: number, right: number] }
  | { readonly kind: "leakyRelu"; readonly slope: number }
  /** Bilinear; whichever of the two is given says how large the output is. */
  | { readonly kind: "upsample"; readonly size?: Pair; readonly scaleFactor?: Pair; readonly alignCorners: boolean }
  /** bias: default true. */
  | { readonly kind: "linear"; readonly bias?: boolean }
  | { readonly kind: "relu" | "tanh" | "sigmoid" | "flatten" | "concat" | "add" | "mul" };

interface Place {
  /** Name in state dictionaries; default paperName. Names are unique. */
  readonly name?: string;
  /** Name in the paper or its released files; default kind and number: conv1, relu1, norm1, pool1, fc6, drop6. */
  readonly paperName?: string;
  /** Names of the inputs, where they are not the row above. */
  readonly from?: readonly string[];
  /** Part of an auxiliary classifier, which the main output does not need. */
  readonly auxiliary?: true;
}

/** Channels or features that a layer puts out: a number, which a net's width scales, or the number of classes. */
type Outputs = number | "classes";

/** One row of a table. */
export type Row = LayerKind & Place & { readonly outputs?: Outputs };

interface LayerBase extends Required<Pick<Place, "name" | "paperName">>, Pick<Place, "from" | "auxiliary"> {
  /** [channels, height, width], or [features]; of the first input. */
  readonly inShape: readonly number[];
  readonly outShape: readonly number[];
  /** Features of a linear layer are its channels. */
  readonly inChannels: number;
  readonly outChannels: number;
  /** Weights and biases; what is not trained (running statistics) does not count. */
  readonly params: number;
  /** Multiply-accumulates for one picture; additions of biases, pools, normalisations and activations do not count. */
  readonly macs: number;
}

/** One layer of a net: a row with all that follows from those above it. */
export type NetLayer = LayerBase & LayerKind;

export interface LayerOptions {
  /** For errors. */
  readonly net: string;
  readonly classes: number;
  /** Scales the outputs of all layers but the classes, rounded to a multiple of `multiple`, at least one; default 1. */
  readonly width?: number;
  /** What groups divide; default 1. */
  readonly multiple?: number;
  /** Instead of the table's; default as it stands. */
  readonly dropout?: number;
}

type Rest<K extends LayerKind["kind"]> = Partial<Omit<Extract<Row, { kind: K }>, "kind">>;

/** The rows, as short as tables need them. Stride 1, padding 0 and one group, unless said otherwise. */
export const conv = (outputs: Outputs, kernelSize: Pair, rest: Rest<"conv"> = {}): Row => ({
  kind: "conv",
  stride: 1,
  padding: 0,
  groups: 1,
  bias: true,
  outputs,
  kernelSize,
  ...rest,
});
/** Without bias; starts as bilinear interpolation. */
export const upscore = (name: string, factor: number): Row => ({
  kind: "convTranspose",
  outputs: "classes",
  kernelSize: 2 * factor,
  stride: factor,
  padding: 0,
  groups: 1,
  bias: false,
  init: "bilinear",
  name,
});
export const pool = (kernelSize: number, stride: number, rest: Rest<"pool"> = {}): Row => ({
  kind: "pool",
  kernelSize,
  stride,
  padding: 0,
  ceilMode: false,
  ...rest,
});
/** Rounds up, as Caffe does. */
export const poolUp = (kernelSize: number, stride: number): Row => pool(kernelSize, stride, { ceilMode: true });
export const linear = (outputs: Outputs, rest: Rest<"linear"> = {}): Row => ({ kind: "linear", outputs, ...rest });
export const dropout = (p: number, rest: Place = {}): Row => ({ kind: "dropout", p, ...rest });
export const relu: Row = { kind: "relu" };
export const flatten: Row = { kind: "flatten" };
/** Local response normalisation with Krizhevsky's constants (2012). */
export const lrn: Row = { kind: "lrn", size: 5, alpha: 1e-4, beta: 0.75, k: 2 };
export const batchNorm = (rest: Rest<"batchNorm"> = {}): Row => ({ kind: "batchNorm", eps: 1e-5, ...rest });
/** Gives a row its place. */
export const at = (row: Row, place: Place): Row => ({ ...row, ...place });
/** Names rows part.0, part.1, … as PyTorch's Sequential does. */
export const indexed = (part: string, rows: readonly Row[]): Row[] =>
  rows.map((row, i) => ({ ...row, name: `${part}.${i}` }));

/** The beginning of a default name. Layers with weights count up, the others take the number of the last one. */
const PREFIX: Partial<Record<LayerKind["kind"], string>> = {
  linear: "fc",
  lrn: "norm",
  dropout: "drop",
  batchNorm: "bn",
  avgPool: "pool",
  adaptiveAvgPool: "pool",
};

/**
 * The layers of a table.
 * @throws UsageError where a picture is too small for a layer, or an option is out of range.
 */
export function tableLayers(rows: readonly Row[], inShape: readonly number[], options: LayerOptions): NetLayer[] {
  checkNetOptions(options);
  const layers: NetLayer[] = [];
  const shapes = new Map<string, readonly number[]>([[INPUT, inShape]]);
  let above = inShape;
  let number = 0;
  for (const row of rows) {
    if (row.kind === "conv" || row.kind === "linear") number++;
    const paperName = row.paperName ?? row.name ?? `${PREFIX[row.kind] ?? row.kind}${number}`;
    const { from } = row;
    const inputs = from?.map((name) => shapeOf(name, shapes, options.net)) ?? [above];
    const layer = layerOf({ ...row, name: row.name ?? paperName, paperName }, inputs, options);
    if (shapes.has(layer.name)) {
      throw new UsageError(`${options.net}: two layers have one name (name ${layer.name}). Rename one.`);
    }
    above = layer.outShape;
    shapes.set(layer.name, above);
    layers.push(layer);
  }
  return layers;
}

/** Parameters and multiply-accumulates of a whole net. */
export function netTotals(layers: readonly NetLayer[]): { params: number; macs: number } {
  return {
    params: layers.reduce((sum, layer) => sum + layer.params, 0),
    macs: layers.reduce((sum, layer) => sum + layer.macs, 0),
  };
}

/**
 * Name and shape of every tensor of the state dictionary, in the order of the layers: weights (convolutions OIHW, transposed
 * ones IOHW, linear layers [out, in]), biases, running statistics of batch normalisation.
 */
export function netTensorShapes(layers: readonly NetLayer[]): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  for (const layer of layers) {
    const { name, inChannels, outChannels } = layer;
    if (layer.kind === "conv") {
      shapes.set(`${name}.weight`, [outChannels, inChannels / layer.groups, ...sidesOf(layer.kernelSize)]);
      if (layer.bias) shapes.set(`${name}.bias`, [outChannels]);
    } else if (layer.kind === "convTranspose") {
      shapes.set(`${name}.weight`, [inChannels, outChannels / layer.groups, ...sidesOf(layer.kernelSize)]);
      if (layer.bias) shapes.set(`${name}.bias`, [outChannels]);
    } else if (layer.kind === "linear") {
      shapes.set(`${name}.weight`, [outChannels, inChannels]);
      if (layer.bias ?? true) shapes.set(`${name}.bias`, [outChannels]);
    } else if (layer.kind === "batchNorm") {
      for (const part of ["weight", "bias", "running_mean", "running_var"])
        shapes.set(`${name}.${part}`, [outChannels]);
    }
  }
  return shapes;
}

/** @throws UsageError for an option out of range. */
export function checkNetOptions({ net, classes, width = 1, dropout = 0 }: LayerOptions): void {
  if (!isCount(classes)) {
    throw new UsageError(
      `${net}: the number of classes is not a positive whole number (classes ${classes}). Count the classes.`,
    );
  }
  if (!(width > 0 && width < Number.POSITIVE_INFINITY)) {
    throw new UsageError(
      `${net}: the width is not a positive number (width ${width}). 1 is the paper's, 0.5 has half the channels.`,
    );
  }
  if (!(dropout >= 0 && dropout < 1)) {
    throw new UsageError(
      `${net}: the dropout is not a share below 1 (dropout ${dropout}). 0.5 is the paper's, 0 drops nothing.`,
    );
  }
}

/** Whether a number can count something. */
export function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}

/** Channels of a scaled layer. */
export function scaled(channels: number, width: number, multiple = 1): number {
  return Math.max(1, Math.round((channels * width) / multiple)) * multiple;
}

function shapeOf(name: string, shapes: ReadonlyMap<string, readonly number[]>, net: string): readonly number[] {
  const shape = shapes.get(name);
  if (shape) return shape;
  throw new UsageError(`${net}: a row takes a layer that is not above it (from ${name}). Reorder the rows.`);
}

type NamedRow = Row & { readonly name: string; readonly paperName: string };

function layerOf(row: NamedRow, inputs: readonly (readonly number[])[], options: LayerOptions): NetLayer {
  const { outputs, ...kept } = row;
  const inShape = inputs[0];
  if (row.kind === "crop" && inputs.length < 2) {
    throw new UsageError(
      `${options.net}: a crop takes two layers (${row.paperName}, from [${row.from ?? ""}]). Name the one it cuts and the one it is cut to.`,
    );
  }
  const outShape = outShapeOf(row, inputs, outputsOf(outputs, inShape[0], options));
  if (!outShape.every(isCount)) {
    throw new UsageError(
      `${options.net}: the picture is too small (x of ${row.paperName} [${inShape}]). Use a larger inputSize.`,
    );
  }
  const inChannels = inShape[0];
  const outChannels = outShape[0];
  const shapes = { inShape, outShape, inChannels, outChannels };
  const layer: NetLayer =
    kept.kind === "dropout"
      ? { ...kept, ...shapes, p: options.dropout ?? kept.p, params: 0, macs: 0 }
      : { ...kept, ...shapes, params: 0, macs: 0 };
  return { ...layer, ...costOf(layer) };
}

function outputsOf(outputs: Outputs | undefined, inChannels: number, options: LayerOptions): number {
  if (outputs === undefined) return inChannels;
  return outputs === "classes" ? options.classes : scaled(outputs, options.width ?? 1, options.multiple);
}

function outShapeOf(row: Row, inputs: readonly (readonly number[])[], channels: number): number[] {
  const [first, second] = inputs;
  const sides = first.slice(1);
  switch (row.kind) {
    case "conv":
      return [channels, ...sides.map((side, axis) => windows(side, axis, row, false))];
    case "pool":
    case "avgPool":
      return [channels, ...sides.map((side, axis) => windows(side, axis, row, row.ceilMode))];
    case "convTranspose":
      return [channels, ...sides.map((side, axis) => stretched(side, axis, row))];
    case "adaptiveMaxPool":
    case "adaptiveAvgPool":
      return [channels, ...sides.map((_, axis) => sidesOf(row.outputSize)[axis])];
    case "pad": {
      const [top, left, bottom, right] = row.sides;
      return [channels, ...sides.map((side, axis) => side + [top + bottom, left + right][axis])];
    }
    case "upsample":
      return [channels, ...sides.map((side, axis) => upsampled(side, axis, row))];
    case "flatten":
      return [product(first)];
    case "linear":
      return [channels];
    case "concat":
      return [inputs.reduce((sum, shape) => sum + shape[0], 0), ...sides];
    case "crop":
      return [channels, ...second.slice(1)];
    default:
      return [...first];
  }
}

/** [height, width] of what may be one number for both. */
export function sidesOf(pair: Pair): readonly [number, number] {
  return typeof pair === "number" ? [pair, pair] : pair;
}

/** How many windows fit on a side. Rounding up, the last one still begins inside the picture or the padding before it. */
function windows(side: number, axis: number, window: Window & Convolution, ceilMode: boolean): number {
  const [kernelSize, stride, padding, dilation] = along(axis, window);
  const steps = (side + 2 * padding - dilation * (kernelSize - 1) - 1) / stride;
  if (!ceilMode) return Math.floor(steps) + 1;
  const count = Math.ceil(steps) + 1;
  return (count - 1) * stride >= side + padding ? count - 1 : count;
}

/** What a transposed convolution makes of a side. */
function stretched(side: number, axis: number, window: Window & Convolution & ConvTransposeOnly): number {
  const [kernelSize, stride, padding, dilation] = along(axis, window);
  const more = sidesOf(window.outputPadding ?? 0)[axis];
  return (side - 1) * stride - 2 * padding + dilation * (kernelSize - 1) + 1 + more;
}

function upsampled(side: number, axis: number, { size, scaleFactor = 1 }: { size?: Pair; scaleFactor?: Pair }): number {
  return size === undefined ? Math.floor(side * sidesOf(scaleFactor)[axis]) : sidesOf(size)[axis];
}

/** kernelSize, stride, padding and dilation along one axis: 0 is the height. */
function along(axis: number, { kernelSize, stride, padding, dilation = 1 }: Window & Convolution): number[] {
  return [kernelSize, stride, padding, dilation].map((value) => sidesOf(value)[axis]);
}

function costOf(layer: NetLayer): { params: number; macs: number } {
  const { inChannels, outChannels, inShape, outShape } = layer;
  if (layer.kind === "linear") {
    const weights = inChannels * outChannels;
    return { params: weights + ((layer.bias ?? true) ? outChannels : 0), macs: weights };
  }
  if (layer.kind === "conv" || layer.kind === "convTranspose") {
    const weights = ((outChannels * inChannels) / layer.groups) * product(sidesOf(layer.kernelSize));
    const places = product((layer.kind === "conv" ? outShape : inShape).slice(1));
    return { params: weights + (layer.bias ? outChannels : 0), macs: weights * places };
  }
  return { params: layer.kind === "batchNorm" ? 2 * outChannels : 0, macs: 0 };
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((result, size) => result * size, 1);
}
