/**
 * Writes TensorFlow.js's layers format: `model.json`, and the weights end to end in shards of 4 MiB. Which layers and weights, tfjs-layers.ts
 * says; here they become bytes, one tensor in memory at a time. Files in a folder are tfjs-folder.ts's.
 */
import { UsageError } from "../../core/errors.js";
import type { Stateful } from "../../io/model-format.js";
import { INPUT, type NetLayer } from "../../models/net-config.js";
import type { Json, JsonObject } from "../json-values.js";
import { type TfjsLayer, type TfjsNet, type TfjsWeight, tfjsNet } from "./tfjs-layers.js";

/** What is written. */
export interface TfjsOptions {
  /** [channels, height, width]. */
  readonly inputShape: readonly number[];
  /** Texts for whoever reads the file; they come back as the metadata of the file. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Whether the model ends in a soft-max; default false: it gives logits. */
  readonly softmax?: boolean;
}

/** A file of the model. */
export interface TfjsFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** TensorFlow.js's own size of shards: browsers keep files of up to 4 MiB. */
const SHARD_BYTES = 2 ** 22;

/** The version of TensorFlow.js whose layers these are. */
const VERSION = "tfjs-layers 4.22.0";

/**
 * The files of a net: its shards, then `model.json`.
 * @param model has the tensors of the layers.
 * @throws WeightsError that names a layer which TensorFlow.js cannot say, before anything is given; UsageError where a tensor is missing.
 */
export async function* tfjsFiles(
  layers: readonly NetLayer[],
  model: Stateful,
  { inputShape, metadata = {}, softmax = false }: TfjsOptions,
): AsyncGenerator<TfjsFile> {
  const net = tfjsNet(layers, softmax);
  const totalBytes = net.weights.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
  const count = Math.max(1, Math.ceil(totalBytes / SHARD_BYTES));
  const names = Array.from({ length: count }, (_, i) => `group1-shard${i + 1}of${count}.bin`);
  const state = model.stateDict();
  for (const { tensor, shape } of net.weights) {
    const found = state.get(tensor)?.shape;
    if (found !== undefined && sizeOf(found) === sizeOf(shape)) continue;
    throw new UsageError(
      `writeTfjs: the model is not that of the layers (tensor ${tensor} [${found}], written as [${shape}]). Pass the model's own layers.`,
    );
  }
  let shard = new Uint8Array(Math.min(SHARD_BYTES, totalBytes));
  let filled = 0;
  let written = 0;
  for (const weight of net.weights) {
    const size = sizeOf(weight.shape);
    const values = (await state.get(weight.tensor)?.read()) ?? new Float32Array(size);
    for (let begin = 0; begin < size; ) {
      const end = Math.min(size, begin + (shard.length - filled) / 4);
      putFloats(values, weight, begin, end, new DataView(shard.buffer, filled));
      filled += (end - begin) * 4;
      begin = end;
      if (filled < shard.length) continue;
      yield { name: names[written++], bytes: shard };
      shard = new Uint8Array(Math.max(0, Math.min(SHARD_BYTES, totalBytes - written * SHARD_BYTES)));
      filled = 0;
    }
  }
  if (totalBytes === 0) yield { name: names[0], bytes: shard };
  yield { name: "model.json", bytes: new TextEncoder().encode(modelJson(net, names, inputShape, metadata)) };
}

/**
 * The files of a net in memory, by name.
 * @throws as {@link tfjsFiles} does.
 */
export async function encodeTfjs(
  layers: readonly NetLayer[],
  model: Stateful,
  options: TfjsOptions,
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for await (const { name, bytes } of tfjsFiles(layers, model, options)) files.set(name, bytes);
  return files;
}

function modelJson(
  net: TfjsNet,
  paths: readonly string[],
  inputShape: readonly number[],
  metadata: Readonly<Record<string, string>>,
): string {
  const weights = net.weights.map(({ name, shape }) => ({ name, shape, dtype: "float32" }));
  return JSON.stringify({
    format: "layers-model",
    generatedBy: "verydeep",
    convertedBy: null,
    modelTopology: { keras_version: VERSION, backend: "tensor_flow.js", model_config: topology(net, inputShape) },
    weightsManifest: [{ paths, weights }],
    userDefinedMetadata: metadata,
  });
}

/** A chain is Sequential, a graph is Functional. */
function topology({ layers, output }: TfjsNet, [channels, ...sides]: readonly number[]): JsonObject {
  const shape = { batch_input_shape: [null, ...sides, channels] };
  const isChain = layers.every(({ inputs }, i) => inputs.length === 1 && inputs[0] === (layers[i - 1]?.name ?? INPUT));
  const body = layers.map(({ className, config }): JsonObject => ({ class_name: className, config }));
  if (isChain) {
    const input = {
      class_name: "InputLayer",
      config: { name: freeName(layers), dtype: "float32", sparse: false, ...shape },
    };
    return { class_name: "Sequential", config: { name: "verydeep", layers: [input, ...body] } };
  }
  const input = freeName(layers);
  const node = (name: string): Json => [name === INPUT ? input : name, 0, 0, {}];
  const graph: Json[] = layers.map(({ name, inputs }, i) => ({ ...body[i], name, inbound_nodes: [inputs.map(node)] }));
  const config = { name: input, dtype: "float32", sparse: false, ...shape };
  return {
    class_name: "Model",
    config: {
      name: "verydeep",
      layers: [{ class_name: "InputLayer", name: input, config, inbound_nodes: [] }, ...graph],
      input_layers: [[input, 0, 0]],
      output_layers: [[output, 0, 0]],
    },
  };
}

function freeName(layers: readonly TfjsLayer[]): string {
  let name = "picture";
  for (let i = 2; layers.some((layer) => layer.name === name); i++) name = `picture_${i}`;
  return name;
}

/** Writes elements [begin, end) of a weight, taken from the tensor in its order. */
function putFloats(values: Float32Array, weight: TfjsWeight, begin: number, end: number, target: DataView): void {
  const { view, permute } = weight;
  const strides = view.map((_, axis) => view.slice(axis + 1).reduce((product, side) => product * side, 1));
  const steps = permute.map((axis) => strides[axis]);
  const sides = permute.map((axis) => view[axis]);
  const place = new Array<number>(sides.length).fill(0);
  let source = 0;
  for (let axis = sides.length - 1, rest = begin; axis >= 0; axis--) {
    place[axis] = rest % sides[axis];
    rest = Math.floor(rest / sides[axis]);
    source += place[axis] * steps[axis];
  }
  for (let i = begin; i < end; i++) {
    target.setFloat32((i - begin) * 4, values[source], true);
    for (let axis = sides.length - 1; axis >= 0; axis--) {
      source += steps[axis];
      if (++place[axis] < sides[axis]) break;
      source -= steps[axis] * sides[axis];
      place[axis] = 0;
    }
  }
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}
