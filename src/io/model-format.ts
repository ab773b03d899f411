/**
 * Weights of VGG nets as safetensors, with all that is needed to build the net again and to prepare a picture in the metadata. Models
 * are read and written by their state dictionaries, in pieces. Works on bytes and on any opened source; checkpoint.ts adds files.
 */

import { joinBytes } from "../core/bytes.js";
import type { Engine } from "../core/engine.js";
import { WeightsError } from "../core/errors.js";
import type { StateTensor } from "../core/tensor.js";
import { vgg } from "../models/vgg.js";
import { type VggConfigName, vggConfigName, vggLayers, vggTensorShapes } from "../models/vgg-config.js";
import type { Sequential } from "../nn/module.js";
import { QuantizedWeight } from "../nn/quantized-linear.js";
import { fillQuantized, quantizedState } from "./quantized-state.js";
import {
  bytesFromChunk,
  encodeHeader,
  parseSafetensors,
  type SafetensorsSource,
  type TensorToWrite,
} from "./safetensors-format.js";

/** What a file needs of a tensor. */
type StoredTensor = Pick<StateTensor, "shape" | "read" | "writeFrom">;

/** How weights are written. */
export interface SaveOptions {
  /** What weights of more than one dimension are stored as; biases, batch normalisation and int8's smallest weights stay float32. Default float32. */
  readonly weights?: "float32" | QuantizedWeight["type"];
}

/** Whatever has a state dictionary: a module. */
export interface Stateful {
  /** All tensors by name, in the order of the layers. */
  stateDict(): ReadonlyMap<string, StoredTensor>;
}

/** What a weights file says about its net. */
export interface VggMetadata {
  readonly config: VggConfigName;
  /** Names of the classes, by index. */
  readonly classes: readonly string[];
  readonly inputSize: number;
  readonly width: number;
  readonly classifier: readonly number[];
  readonly dropout: number;
  /** Whether each convolution has batch normalisation; absent means no. */
  readonly batchNorm?: boolean;
  /** Smaller side of the rescaled picture in whose middle the net looks; absent means inputSize: all of the smaller side. */
  readonly scale?: number;
  /** Of each channel, in units of bytes: x = (pixel - mean) / std. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** The metadata's value of `format`. */
export const VGG_FORMAT = "verydeep-vgg";
const VERSION = "1";
const CHANNELS = 3;

/** Elements written at once: 4 MiB of a tensor that may have 411. */
const CHUNK_ELEMENTS = 1 << 20;

/**
 * A weights file from its bytes: builds the net that it describes and fills it. The net is in evaluation mode. For browsers, which
 * fetch bytes; in Node, loadModel reads the file right into the engine's memory.
 * @param name what to call the bytes in errors.
 * @throws WeightsError for bytes that are malformed, not of this program, or do not fit their own metadata.
 */
export async function decodeModel(
  bytes: Uint8Array,
  engine: Engine,
  name = "the bytes",
): Promise<{ model: Sequential; metadata: VggMetadata }> {
  return readVgg(parseSafetensors(bytes, name), engine, name);
}

/** The bytes that saveModel would write. Equal weights, metadata and options give equal bytes. */
export async function encodeModel(
  model: Stateful,
  metadata: VggMetadata,
  options: SaveOptions = {},
): Promise<Uint8Array> {
  const { tensors, texts } = contentOf(model, metadata, options);
  const parts = [encodeHeader(tensors, texts)];
  for (const tensor of tensors) {
    for await (const chunk of tensor.chunks) parts.push(bytesFromChunk(chunk, tensor));
  }
  return joinBytes(parts);
}

/** What a weights file of a model holds. */
export function contentOf(
  model: Stateful,
  metadata: VggMetadata,
  { weights = "float32" }: SaveOptions,
): { tensors: TensorToWrite[]; texts: Record<string, string> } {
  const texts = encodeMetadata(metadata);
  if (weights === "float32") return { tensors: [...tensorsOf(model)], texts };
  return { tensors: [...quantizedState(model, weights)], texts: { ...texts, quantized: weights } };
}

/** Builds the net that an opened file describes and fills it. */
export async function readVgg(
  source: SafetensorsSource,
  engine: Engine,
  file: string,
): Promise<{ model: Sequential; metadata: VggMetadata }> {
  const read = await readModel(source, file, ({ config, classes, ...net }) =>
    vgg(config, { ...net, classes: classes.length }, engine),
  );
  read.model.eval();
  return read;
}

/** {@link readVgg} with a builder of one's own. */
export async function readModel<M extends Stateful>(
  source: SafetensorsSource,
  file: string,
  build: (metadata: VggMetadata) => M,
): Promise<{ model: M; metadata: VggMetadata }> {
  const metadata = decodeMetadata(source.metadata, file);
  // Before the net is built: a wrong file must not cost its memory.
  const layers = vggLayers(metadata.config, { ...metadata, classes: metadata.classes.length });
  checkTensors(source, vggTensorShapes(layers), file);
  const model = build(metadata);
  await loadState(source, model, file);
  return { model, metadata };
}

/**
 * Fills a model from a file; names and shapes must be the same on both sides. Nothing is written before all are checked.
 * @throws WeightsError that names the first tensor that is missing, unexpected, or of another shape.
 */
export async function loadState(source: SafetensorsSource, model: Stateful, file: string): Promise<void> {
  const state = model.stateDict();
  checkTensors(source, new Map([...state].map(([name, tensor]) => [name, tensor.shape])), file);
  for (const [name, tensor] of state) {
    if (tensor instanceof QuantizedWeight) await fillQuantized(source, name, tensor);
    else await tensor.writeFrom((bytes) => source.readInto(name, bytes));
  }
}

/** Compares what a file has with what a model takes. @throws WeightsError */
export function checkTensors(
  { tensors }: { readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[] }> },
  expected: ReadonlyMap<string, readonly number[]>,
  file: string,
): void {
  const missing = [...expected.keys()].filter((name) => !tensors.has(name));
  const unexpected = [...tensors.keys()].filter((name) => !expected.has(name));
  const remedy = "Use the file with the net that it was saved from.";
  if (missing.length > 0) {
    throw new WeightsError(
      `loadState: ${file} lacks ${count(missing)} of the net (missing ${missing[0]}${unexpected.length > 0 ? `, unexpected ${unexpected[0]}` : ""}). ${remedy}`,
    );
  }
  if (unexpected.length > 0) {
    throw new WeightsError(
      `loadState: ${file} has ${count(unexpected)} that the net has not (unexpected ${unexpected[0]}). ${remedy}`,
    );
  }
  for (const [name, shape] of expected) {
    const found = tensors.get(name);
    if (!found || found.shape.join() === shape.join()) continue;
    throw new WeightsError(
      `loadState: a shape in ${file} differs from the net's (${name} [${found.shape}], net [${shape}]). ${remedy}`,
    );
  }
}

/** Metadata as a file holds it: texts, JSON but for the two that name the format. */
export function encodeMetadata(metadata: VggMetadata): Record<string, string> {
  const { config, classes, inputSize, width, classifier, dropout, mean, std, batchNorm = false } = metadata;
  const { scale = inputSize } = metadata;
  // These two only where they say something: files of nets without have the bytes they always had.
  const optional = { ...(batchNorm && { batchNorm }), ...(scale !== inputSize && { scale }) };
  const values = { config, classes, inputSize, width, classifier, dropout, mean, std, ...optional };
  const texts = Object.entries(values).map(([key, value]): [string, string] => [key, JSON.stringify(value)]);
  return { format: VGG_FORMAT, version: VERSION, ...Object.fromEntries(texts) };
}

/**
 * Reads and checks metadata.
 * @throws WeightsError
 */
export function decodeMetadata(texts: Readonly<Record<string, string>>, file: string): VggMetadata {
  if (texts.format !== VGG_FORMAT) {
    throw new WeightsError(
      `loadModel: ${file} does not say what net it belongs to (format ${texts.format}). Use a file that verydeep train wrote.`,
    );
  }
  if (texts.version !== VERSION) {
    throw new WeightsError(
      `loadModel: ${file} is of another version (version ${texts.version}, known ${VERSION}). Update verydeep.`,
    );
  }
  const value = (key: string): unknown => {
    try {
      return JSON.parse(texts[key] ?? "null");
    } catch {
      return undefined;
    }
  };
  const check = <T>(key: string, found: T | undefined): T => {
    if (found !== undefined) return found;
    throw new WeightsError(
      `loadModel: the metadata of ${file} is wrong (${key} ${texts[key]}). Download or save the file again.`,
    );
  };
  const metadata: VggMetadata = {
    config: check("config", asConfig(value("config"))),
    classes: check("classes", asTexts(value("classes"))),
    inputSize: check("inputSize", asNumber(value("inputSize"))),
    width: check("width", asNumber(value("width"))),
    classifier: check("classifier", asNumbers(value("classifier"))),
    dropout: check("dropout", asNumber(value("dropout"))),
    mean: check("mean", asNumbers(value("mean"), CHANNELS)),
    std: check("std", asNumbers(value("std"), CHANNELS)),
    ...(texts.batchNorm === undefined ? {} : { batchNorm: check("batchNorm", asBoolean(value("batchNorm"))) }),
    ...(texts.scale === undefined ? {} : { scale: check("scale", asNumber(value("scale"))) }),
  };
  const { inputSize, scale = inputSize } = metadata;
  check("scale", Number.isInteger(scale) && scale >= inputSize ? scale : undefined);
  check("std", metadata.std.every((std) => std > 0) ? metadata.std : undefined);
  try {
    vggLayers(metadata.config, { ...metadata, classes: metadata.classes.length });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new WeightsError(
      `loadModel: the metadata of ${file} describes no net (${reason}). Download or save the file again.`,
    );
  }
  return metadata;
}

/** The tensors of a model, each in pieces of 4 MiB. */
export function* tensorsOf(model: Stateful): Generator<TensorToWrite> {
  for (const [name, tensor] of model.stateDict()) yield { name, shape: tensor.shape, chunks: chunksOf(tensor) };
}

async function* chunksOf(tensor: StoredTensor): AsyncGenerator<Float32Array> {
  const size = tensor.shape.reduce((product, side) => product * side, 1);
  for (let begin = 0; begin < size; begin += CHUNK_ELEMENTS) {
    yield await tensor.read(begin, Math.min(size, begin + CHUNK_ELEMENTS));
  }
}

function count(names: readonly string[]): string {
  return names.length === 1 ? "a tensor" : `${names.length} tensors`;
}

function asConfig(value: unknown): VggConfigName | undefined {
  try {
    return vggConfigName(String(value));
  } catch {
    return undefined;
  }
}

function asNumber(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

function asBoolean(value: unknown): boolean | undefined {
  return typeof value === "boolean" ? value : undefined;
}

function asNumbers(value: unknown, length?: number): number[] | undefined {
  if (!Array.isArray(value) || (length !== undefined && value.length !== length)) return undefined;
  return value.every((item) => asNumber(item) !== undefined) ? value : undefined;
}

function asTexts(value: unknown): string[] | undefined {
  return Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "string")
    ? value
    : undefined;
}
