/**
 * Builds the description of a net from a Keras model: walks its layers in order and keeps, for each, which row gives its output and in
 * what shape. What a kind of layer becomes is keras-layers.ts's; where weights lie in the file, the readers'.
 */

import { DamagedFileError, WeightsError } from "../../core/errors.js";
import type { Preprocessing } from "../../io/preprocessing.js";
import type { FileNet, TensorPlace } from "../../io/weights-file.js";
import { INPUT, type LayerKind, type Row } from "../../models/net-config.js";
import { isList, type Json, shown, textField } from "../json-values.js";
import { translateLayer } from "./keras-layers.js";
import type { KerasLayer, KerasTopology } from "./keras-topology.js";
import type { Sides } from "./keras-windows.js";

/** A weight of a layer, where it is in the file. */
export interface FoundWeight {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Finds weights by the layer, their short name (kernel, bias, gamma, …) and their number within the layer. */
export type FindWeight = (layer: KerasLayer, short: string, index: number) => FoundWeight | undefined;

/** What a layer puts out. */
export interface Value {
  /** Name of the row; INPUT for the net's input. */
  readonly row: string;
  /** Channels, or features where there are no sides. */
  readonly channels: number;
  /** null: flat. */
  readonly sides: Sides | null;
  /** Of a flat value whose features the file has in the order [height, width, channel]: these. The engine has channels first. */
  readonly flattened?: readonly [number, number, number];
  /** Nothing is below 0. */
  readonly positive?: boolean;
  /** A soft-max that is left out stood here. */
  readonly softmax?: boolean;
}

/** Of each channel: what the net's first layer sees of the value b is b · factor + offset. */
interface Affine {
  readonly factor: readonly number[];
  readonly offset: readonly number[];
}

const DEFAULT_SIDE = 224;

/**
 * The net of a Keras model.
 * @param file name for errors.
 * @throws WeightsError that names a layer which has no counterpart here, or whose weights are missing or of another shape.
 */
export function kerasNet(topology: KerasTopology, find: FindWeight, file: string): FileNet {
  return new KerasNet(topology, find, file).build();
}

/** The net while it is built; translateLayer adds to it. */
export class KerasNet {
  private readonly rows: Row[] = [];
  private readonly tensors = new Map<string, TensorPlace>();
  private readonly values = new Map<string, Value>();
  private readonly names: Set<string>;
  private readonly channelsFirst: boolean;
  private affine: Affine | null = null;
  private number = 0;

  constructor(
    private readonly topology: KerasTopology,
    private readonly find: FindWeight,
    private readonly file: string,
  ) {
    this.names = new Set([INPUT, ...topology.layers.map(({ name }) => name)]);
    this.channelsFirst = topology.layers.some((layer) => isChannelsFirst(layer));
  }

  build(): FileNet {
    const { layers, output } = this.topology;
    const input = this.inputValue();
    const inputShape: FileNet["inputShape"] = [input.channels, ...(input.sides ?? ([1, 1] as const))];
    this.values.set(INPUT, input);
    if (input.sides === null) {
      const row = this.add({ kind: "flatten" }, this.free("flatten"), [input]);
      this.values.set(INPUT, { ...input, row });
    }
    for (const layer of layers) {
      this.number++;
      const inputs = layer.inputs.map((name) => this.values.get(name));
      const known = inputs.flatMap((value) => value ?? []);
      if (known.length === 0 || known.length < inputs.length)
        throw this.damaged(layer, "takes layers that are not there");
      if (known.some((value) => value.softmax)) {
        throw this.unsupported(layer, "takes what a soft-max puts out; soft-max can only stand at the end");
      }
      this.values.set(layer.name, translateLayer(this, layer, known));
    }
    const last = this.values.get(output);
    if (!last || this.rows.length === 0 || last.row === INPUT) {
      throw new WeightsError(`load: the model of ${this.file} has no layer that computes (layers ${layers.length}).`);
    }
    const caffe = this.isCaffe(last);
    const preprocessing = this.preprocessing(inputShape) ?? (caffe ? "caffe" : null);
    return {
      inputShape,
      rows: this.rows,
      tensors: this.tensors,
      softmax: last.softmax ?? false,
      channelOrder: caffe ? "BGR" : null,
      ...(preprocessing !== null && { preprocessing }),
      classes: null,
    };
  }

  /** Adds a row; gives its name. It is the layer's own unless another is said. */
  add(kind: LayerKind & { readonly outputs?: number }, name: string, inputs: readonly Value[]): string {
    const above = this.rows.at(-1)?.name ?? INPUT;
    const follows = inputs.length === 1 && inputs[0].row === above;
    this.rows.push({ ...kind, name, ...(!follows && { from: inputs.map(({ row }) => row) }) });
    return name;
  }

  /** A name that no layer has. */
  free(wanted: string): string {
    let name = wanted;
    for (let i = 2; this.names.has(name); i++) name = `${wanted}_${i}`;
    this.names.add(name);
    return name;
  }

  /** The row name of a layer; a layer may be called as the net's input is. */
  nameOf({ name }: KerasLayer): string {
    return name === INPUT ? this.free(`${name}_layer`) : name;
  }

  /** Says where a tensor of the net's state dictionary is. */
  put(name: string, place: TensorPlace): void {
    this.tensors.set(name, place);
  }

  /** A weight of a layer. @throws WeightsError where it is missing; DamagedFileError for another shape. */
  weight(layer: KerasLayer, short: string, index: number, shape: readonly number[]): string {
    const found = this.find(layer, short, index);
    if (!found) {
      throw new WeightsError(
        `load: ${this.file} lacks a layer's weights (layer ${layer.name}, ${short} [${shape}]). Save the model with its weights.`,
      );
    }
    const equal = found.shape.length === shape.length && shape.every((size, axis) => size === found.shape[axis]);
    if (!equal) throw this.damaged(layer, `has ${short} of another shape ([${found.shape}], expected [${shape}])`);
    return found.name;
  }

  /** Axis of the channels, counted with the batch: whether it is the layer's `axis`. */
  isChannelAxis(axis: Json | undefined, { sides }: Value): boolean {
    const value = isList(axis) ? (axis.length === 1 ? axis[0] : undefined) : axis;
    if (sides === null) return value === undefined || value === 1 || value === -1;
    if (this.channelsFirst) return value === 1 || value === -3;
    return value === undefined || value === 3 || value === -1;
  }

  /** The output of some layer that has this height and width. */
  valueOfSize([height, width]: Sides): Value | undefined {
    if (height === null || width === null) return undefined;
    return [...this.values.values()].find(({ sides }) => sides?.[0] === height && sides[1] === width);
  }

  /** The order of what Flatten puts out. */
  flattenedOrder(layer: KerasLayer, { channels, sides }: Value): Pick<Value, "channels" | "flattened"> {
    const [height, width] = sides ?? [1, 1];
    if (height === null || width === null) {
      throw this.unsupported(layer, "flattens a picture whose size the model does not fix");
    }
    const all = { channels: channels * height * width };
    const plain = this.channelsFirst || height * width === 1 || channels === 1;
    return plain ? all : { ...all, flattened: [height, width, channels] };
  }

  /** A Rescaling or Normalization before all else becomes part of how pictures are prepared. */
  prepare(layer: KerasLayer, { row, channels }: Value, factor: readonly number[], offset: readonly number[]): void {
    if (row !== INPUT || !factor.every((one) => one > 0 && one < Number.POSITIVE_INFINITY)) {
      throw this.unsupported(layer, "changes numbers, which is supported at the net's beginning alone");
    }
    const before = this.affine ?? { factor: [1], offset: [0] };
    const each = <T>(make: (c: number) => T): T[] => Array.from({ length: Math.min(channels, 4) }, (_, c) => make(c));
    const of = (values: readonly number[], c: number): number => values[values.length === 1 ? 0 : c] ?? Number.NaN;
    this.affine = {
      factor: each((c) => of(before.factor, c) * of(factor, c)),
      offset: each((c) => of(before.offset, c) * of(factor, c) + of(offset, c)),
    };
  }

  unsupported(layer: KerasLayer, why: string): WeightsError {
    return new WeightsError(
      `load: ${this.file} has a layer without counterpart here: it ${why} (layer ${shown(layer.name)}, class ${shown(layer.className)}, ` +
        `layer ${this.number} of ${this.topology.layers.length}). Replace the layer and save the model again.`,
    );
  }

  damaged(layer: KerasLayer, why: string): DamagedFileError {
    return new DamagedFileError(
      `load: a layer of ${this.file} ${why} (layer ${shown(layer.name)}, class ${shown(layer.className)}, ` +
        `layer ${this.number} of ${this.topology.layers.length}). Download or save the file again.`,
    );
  }

  private inputValue(): Value {
    const shape = this.topology.inputShape;
    if (shape === null || shape.length < 1 || shape.length > 3 || !shape.every(isSize)) {
      throw new WeightsError(
        `load: the model of ${this.file} takes no picture (input shape ${shown(shape)}). Models whose input is a picture or a vector can be loaded.`,
      );
    }
    const [first, second, third] = shape;
    const [channels, sides]: [number | null, Sides | null] =
      shape.length === 1
        ? [first, null]
        : shape.length === 2
          ? [1, [first, second]]
          : this.channelsFirst
            ? [first, [second, third]]
            : [third, [first, second]];
    if (channels !== null) return { row: INPUT, channels, sides };
    throw new WeightsError(
      `load: the model of ${this.file} does not say how many channels it takes (input shape ${shown(shape)}). Save it with a fixed number.`,
    );
  }

  /** VGG16 and VGG19 of Keras's applications are the authors' Caffe weights. */
  private isCaffe(last: Value): boolean {
    if (this.affine !== null) return false;
    const { name, layers } = this.topology;
    return /^vgg(16|19)$/i.test(name) || (last.channels === 1000 && layers[0].name === "block1_conv1");
  }

  private preprocessing([channels, height, width]: FileNet["inputShape"]): Preprocessing | null {
    if (this.affine === null || channels > 4) return null;
    const { factor, offset } = this.affine;
    return {
      mean: factor.map((one, c) => (offset[c] === 0 ? 0 : -offset[c] / one)),
      std: factor.map((one) => 1 / one),
      scale: Math.min(height ?? DEFAULT_SIDE, width ?? DEFAULT_SIDE),
    };
  }
}

function isSize(size: number | null): boolean {
  return size === null || (Number.isSafeInteger(size) && size >= 1);
}

function isChannelsFirst({ config }: KerasLayer): boolean {
  return textField(config, "data_format") === "channels_first";
}
