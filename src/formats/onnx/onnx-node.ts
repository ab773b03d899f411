/**
 * A node of an ONNX graph as its handler sees it: inputs by what they are, attributes with their defaults, errors that name the node.
 * The handlers are onnx-ops.ts's and onnx-sizes.ts's; the rows are net-builder.ts's.
 */
import { WeightsError } from "../../core/errors.js";
import type { TensorPlace } from "../../io/weights-file.js";
import type { LayerKind } from "../../models/net-config.js";
import type { FileShape, NetBuilder, RowTensors, Value } from "../net-builder.js";
import type { OnnxAttribute, OnnxNode } from "./onnx-proto.js";

/** What depends on the picture. */
export interface Signal {
  readonly kind: "signal";
  readonly value: Value;
  /** Whether the file's net takes a soft-max here, which ours leaves out. */
  readonly softmax: boolean;
  /** hwc: the file has this value with the channels last; the row's channels are first nevertheless. */
  readonly order: "chw" | "hwc";
  /** Of a flattened hwc value: the shape before. */
  readonly flatOf?: FileShape;
}

/** What does not. */
export interface Weights {
  readonly kind: "weights";
  readonly place: TensorPlace;
  readonly dims: readonly number[];
  /** Where they are few. */
  readonly values: readonly number[] | null;
}

/** What is computed of shapes: whole numbers, null for those that the file leaves open, such as the batch. */
export interface Sizes {
  readonly kind: "sizes";
  readonly values: readonly (number | null)[];
}

export type GraphValue = Signal | Weights | Sizes;

/** What handlers share. */
export interface GraphState {
  readonly file: string;
  readonly opset: number;
  readonly nodeCount: number;
  readonly builder: NetBuilder;
  /** By the file's names. */
  readonly values: Map<string, GraphValue>;
  /** How often each value is used. */
  readonly uses: ReadonlyMap<string, number>;
}

/** Makes of a node its first output. */
export type Handler = (node: NodeContext) => GraphValue;

/** What a weight's name has behind that of its layer. */
const WEIGHT_ENDING = /[._/](weights?|kernel|gamma|scale|w|w_0)(:\d+)?$/i;

export class NodeContext {
  constructor(
    readonly node: OnnxNode,
    readonly graph: GraphState,
    private readonly index: number,
  ) {}

  /** @throws WeightsError that names the node. */
  fail(what: string, remedy: string): never {
    const { name, op, outputs } = this.node;
    const shown = JSON.stringify(name || outputs[0] || "");
    throw new WeightsError(
      `onnx: ${this.graph.file} has ${what} (node ${shown}, op ${op}, ${ordinal(this.index + 1)} of ${this.graph.nodeCount}). ${remedy}`,
    );
  }

  /** Something that the rows cannot say. */
  refuse(what: string): never {
    return this.fail(`a layer that verydeep has not: ${what}`, "Export the net without it.");
  }

  attribute(name: string): OnnxAttribute | null {
    return this.node.attributes.get(name) ?? null;
  }

  int(name: string, fallback: number): number {
    return this.attribute(name)?.i ?? fallback;
  }

  float(name: string, fallback: number): number {
    return this.attribute(name)?.f ?? fallback;
  }

  text(name: string, fallback: string): string {
    return this.attribute(name)?.s ?? fallback;
  }

  ints(name: string): readonly number[] | null {
    return this.attribute(name)?.ints ?? null;
  }

  get inputCount(): number {
    return this.node.inputs.length;
  }

  /** null for an input that is left out. */
  input(i: number): GraphValue | null {
    const name = this.node.inputs[i] ?? "";
    if (name === "") return null;
    const value = this.graph.values.get(name);
    if (value) return value;
    return this.fail(
      `a node that takes what none before it gives, input ${JSON.stringify(name)}`,
      "Save the net again, its nodes in order.",
    );
  }

  /** A signal with its channels first. */
  signal(i: number): Signal {
    const found = this.anySignal(i);
    if (found.order === "hwc") this.refuse("channels last");
    return found;
  }

  /** A signal of any order. */
  anySignal(i: number): Signal {
    const found = this.input(i);
    if (found?.kind !== "signal") return this.refuse(`input ${i} is a constant or missing`);
    if (found.softmax) this.refuse("something after the soft-max");
    return found;
  }

  signals(): Signal[] {
    return this.node.inputs.map((_, i) => this.signal(i));
  }

  weights(i: number): Weights {
    const found = this.input(i);
    if (found?.kind === "weights") return found;
    return this.refuse(`input ${i} is not among the file's weights`);
  }

  /** Whole numbers: a shape, axes, pads. null where the input is left out. */
  sizes(i: number): readonly (number | null)[] | null {
    const found = this.input(i);
    if (found === null) return null;
    if (found.kind === "sizes") return found.values;
    if (found.kind === "weights" && found.values) return found.values;
    return this.refuse(`input ${i} is computed from the picture, or long`);
  }

  /** Numbers that the file fixes. */
  numbers(i: number): readonly number[] | null {
    const sizes = this.sizes(i);
    const known = sizes?.filter((size): size is number => size !== null);
    if (known?.length === sizes?.length) return known ?? null;
    return this.refuse(`input ${i} depends on the picture's size`);
  }

  /** Adds a row that takes these. */
  add(
    kind: LayerKind & { readonly outputs?: number },
    inputs: readonly Signal[],
    tensors: RowTensors = {},
    weight?: Weights,
  ): Signal {
    const values = inputs.map(({ value }) => value);
    return signalOf(this.graph.builder.add(this.nameBy(weight), kind, values, tensors));
  }

  /** The layer's name: what its weight is called, or the node. */
  private nameBy(weight: Weights | undefined): string {
    const { name, op, inputs, outputs } = this.node;
    const of = weight && ("tensor" in weight.place ? weight.place.tensor : inputs[1]);
    if (of && WEIGHT_ENDING.test(of)) return of.replace(WEIGHT_ENDING, "");
    return name || outputs[0] || op;
  }
}

export function signalOf(value: Value): Signal {
  return { kind: "signal", value, softmax: false, order: "chw" };
}

/** The same elements under another shape. null where the rows cannot say it. */
export function reshaped(weights: Weights, dims: readonly number[]): Weights | null {
  const { place } = weights;
  if ("fill" in place) return { ...weights, dims };
  if (place.permute) return null;
  return { ...weights, dims, place: { ...place, view: dims } };
}

/** Axis i of the result is axis axes[i]. */
export function permuted(weights: Weights, axes: readonly number[]): Weights {
  const { place, dims } = weights;
  const result = { ...weights, dims: axes.map((axis) => dims[axis]), values: null };
  if ("fill" in place) return result;
  return { ...result, place: { ...place, permute: axes.map((axis) => place.permute?.[axis] ?? axis) } };
}

/** Each element times a factor. */
export function scaled({ place }: Weights, factor: number): TensorPlace {
  if (factor === 1) return place;
  return "fill" in place ? { fill: place.fill * factor } : { ...place, scale: (place.scale ?? 1) * factor };
}

/** How many elements. */
export function elements(dims: readonly number[]): number {
  return dims.reduce((product, side) => product * side, 1);
}

function ordinal(number: number): string {
  const teens = number % 100 >= 11 && number % 100 <= 13;
  return `${number}${(!teens && ["th", "st", "nd", "rd"][number % 10]) || "th"}`;
}
