/**
 * TensorFlow.js's layers format: `model.json` with the model's topology and the list of its weights, which lie end to end in files beside
 * it (shards), whose borders may cut a number. The layers are keras-net.ts's; files of TensorFlow graphs are refused.
 */
import { DamagedFileError, WeightsError } from "../../core/errors.js";
import type { ByteReader } from "../../io/byte-reader.js";
import { checkElements, floatsFromStored, readStoredFloats, storedSize } from "../../io/stored-floats.js";
import type { FileNet, StoredDtype, StoredTensor, WeightsFile } from "../../io/weights-file.js";
import { field, isList, isObject, type Json, listField, parseJson, shown, textField } from "../json-values.js";
import { type FindWeight, kerasNet } from "../keras/keras-net.js";
import { readTopology } from "../keras/keras-topology.js";

/** Topology alone: the largest known have 2 MB. */
const MAX_JSON_BYTES = 100_000_000;

/** Elements converted at once. */
const CHUNK_ELEMENTS = 1 << 20;

/** Eight- or sixteen-bit codes: value = code · scale + min. */
interface Quantisation {
  readonly scale: number;
  readonly min: number;
}

interface Entry extends StoredTensor {
  readonly group: ByteReader;
  readonly offset: number;
  readonly quantisation: Quantisation | null;
}

/**
 * Opens a `model.json` and its shards. Tensors whose numbers are stored as codes have the type of the codes; readFloats gives values.
 * @throws WeightsError for a graph model, a layer without counterpart, a missing shard; DamagedFileError for a damaged file.
 */
export async function openTfjs(reader: ByteReader): Promise<WeightsFile> {
  const { name: file } = reader;
  if (reader.sizeBytes > MAX_JSON_BYTES) {
    throw new WeightsError(
      `load: ${file} is too large for a model.json (${reader.sizeBytes} bytes, limit ${MAX_JSON_BYTES}). It is another file.`,
    );
  }
  const json = parseJson(await reader.read(0, reader.sizeBytes), file);
  const topology = field(json, "modelTopology");
  if (textField(json, "format") === "graph-model" || field(topology, "node") !== undefined) {
    throw new WeightsError(
      `load: ${file} is a TensorFlow graph, not layers (format "graph-model"). Convert the Keras model with --output_format=tfjs_layers_model.`,
    );
  }
  const shards: ByteReader[] = [];
  const close = async (): Promise<void> => {
    await Promise.all([reader, ...shards].map((part) => part.close()));
  };
  try {
    const entries = await openManifest(reader, listField(json, "weightsManifest"), shards);
    return {
      format: "tfjs",
      variant: topology === undefined ? "weights only" : "layers",
      name: file,
      tensors: entries,
      metadata: metadataOf(json),
      net: topology === undefined ? null : netOf(topology, entries, file),
      readFloats: async (name, begin, target) => {
        const entry = entryOf(entries, name, file);
        checkElements(file, name, entry.shape, begin, begin + target.length);
        await readFloats(entry, begin, target);
      },
      async readBytes(name, begin, end) {
        const entry = entryOf(entries, name, file);
        checkElements(file, name, entry.shape, begin, end);
        const size = storedSize(entry.dtype);
        return entry.group.read(entry.offset + begin * size, (end - begin) * size);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Opens all shards and finds every tensor's place. */
async function openManifest(
  reader: ByteReader,
  manifest: readonly Json[],
  opened: ByteReader[],
): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  const taken = new Set<string>();
  for (const group of manifest) {
    const parts: ByteReader[] = [];
    for (const path of listField(group, "paths")) {
      if (typeof path !== "string") throw damaged(reader.name, `names a shard that is no text (path ${shown(path)})`);
      // Sizes are checked against those of the shards, which must be there as often as they count.
      if (taken.has(path)) throw damaged(reader.name, `lists a shard twice (path ${shown(path)})`);
      taken.add(path);
      const part = await reader.sibling(path);
      opened.push(part);
      parts.push(part);
    }
    const joined = joinReaders(parts);
    let offset = 0;
    for (const weight of listField(group, "weights")) {
      const { name, dtype, shape, quantisation } = parseWeight(weight, reader.name);
      if (entries.has(name)) throw damaged(reader.name, `lists a tensor twice (name ${shown(name)})`);
      const sizeBytes = shape.reduce((size, side) => size * side, storedSize(dtype));
      if (!Number.isSafeInteger(sizeBytes) || offset + sizeBytes > joined.sizeBytes) {
        throw new DamagedFileError(
          `load: the shards of ${reader.name} end before their tensors do (tensor ${shown(name)} [${shape}], from byte ${offset} of ${joined.sizeBytes}). ` +
            "Download or save the files again.",
        );
      }
      entries.set(name, { dtype, shape, group: joined, offset, quantisation });
      offset += sizeBytes;
    }
  }
  return entries;
}

/** Several files as one. */
function joinReaders(parts: readonly ByteReader[]): ByteReader {
  if (parts.length === 1) return parts[0];
  const starts: number[] = [];
  let sizeBytes = 0;
  for (const part of parts) {
    starts.push(sizeBytes);
    sizeBytes += part.sizeBytes;
  }
  const readInto = async (offset: number, target: Uint8Array): Promise<void> => {
    await Promise.all(
      parts.map(async (part, i) => {
        const begin = Math.max(offset, starts[i]);
        const end = Math.min(offset + target.length, starts[i] + part.sizeBytes);
        if (begin < end) await part.readInto(begin - starts[i], target.subarray(begin - offset, end - offset));
      }),
    );
  };
  return {
    name: parts[0]?.name ?? "no shards",
    sizeBytes,
    readInto,
    async read(offset, size) {
      const bytes = new Uint8Array(size);
      await readInto(offset, bytes);
      return bytes;
    },
    sibling: async (name) => parts[0].sibling(name),
    async close() {},
  };
}

const DTYPES: ReadonlyMap<string, StoredDtype> = new Map([
  ["float32", "F32"],
  ["float16", "F16"],
  ["int32", "I32"],
  ["uint16", "U16"],
  ["uint8", "U8"],
  ["bool", "BOOL"],
]);

function parseWeight(
  weight: Json,
  file: string,
): { name: string; dtype: StoredDtype; shape: number[]; quantisation: Quantisation | null } {
  const name = textField(weight, "name");
  const shape = field(weight, "shape");
  if (name === undefined || !isList(shape) || !shape.every(isSide)) {
    throw damaged(file, `lists a tensor without name or shape (weight ${shown(weight)})`);
  }
  const codes = field(weight, "quantization");
  const spelled = textField(codes ?? weight, "dtype") ?? "";
  const dtype = DTYPES.get(spelled);
  if (dtype === undefined || shape.length > 32) {
    throw new WeightsError(
      `load: ${file} has a tensor of a type that is not supported (tensor ${shown(name)}, dtype ${shown(spelled)}). Save its weights as float32.`,
    );
  }
  const quantised = codes !== undefined && dtype !== "F16";
  return { name, dtype, shape: [...shape], quantisation: quantised ? quantisationOf(codes, name, file) : null };
}

function quantisationOf(codes: Json, name: string, file: string): Quantisation {
  const [scale, min] = [field(codes, "scale"), field(codes, "min")];
  if (typeof scale === "number" && typeof min === "number") return { scale, min };
  throw damaged(file, `does not say what a tensor's codes mean (tensor ${shown(name)}, quantization ${shown(codes)})`);
}

function isSide(size: Json): size is number {
  return typeof size === "number" && Number.isSafeInteger(size) && size >= 0;
}

async function readFloats(entry: Entry, begin: number, target: Float32Array): Promise<void> {
  const { dtype, group, offset, quantisation } = entry;
  const size = storedSize(dtype);
  if (quantisation === null) {
    await readStoredFloats(group, dtype, offset + begin * size, target);
    return;
  }
  const { scale, min } = quantisation;
  for (let done = 0; done < target.length; done += CHUNK_ELEMENTS) {
    const part = target.subarray(done, done + CHUNK_ELEMENTS);
    floatsFromStored(dtype, await group.read(offset + (begin + done) * size, part.length * size), part);
    for (let i = 0; i < part.length; i++) part[i] = part[i] * scale + min;
  }
}

function entryOf(entries: ReadonlyMap<string, Entry>, name: string, file: string): Entry {
  const entry = entries.get(name);
  if (entry) return entry;
  throw new WeightsError(`load: ${file} has no such tensor (name ${shown(name)}). Read one of the names in tensors.`);
}

/** {model_config: {class_name, config}} as converted from Keras, or {class_name, config} as saved by TensorFlow.js. */
function netOf(topology: Json, entries: ReadonlyMap<string, Entry>, file: string): FileNet {
  const model = field(topology, "model_config") ?? topology;
  return kerasNet(readTopology(model, file), findByName(entries), file);
}

/** Weights by the names of their layers: `conv1/kernel`, with or without the models that the layer is in. */
function findByName(entries: ReadonlyMap<string, StoredTensor>): FindWeight {
  return (layer, short) => {
    const names = [layer.path.join("/"), layer.path.at(-1) ?? ""].map((path) => `${path}/${short}`);
    const name = names.find((each) => entries.has(each));
    const entry = name === undefined ? undefined : entries.get(name);
    return name === undefined || entry === undefined ? undefined : { name, shape: entry.shape };
  };
}

/** What the writer and the user say: all texts at the top, and those of userDefinedMetadata. */
function metadataOf(json: Json): Record<string, string> {
  const own = field(json, "userDefinedMetadata");
  const keys = ["format", "generatedBy", "convertedBy"];
  const said = keys.flatMap((key): [string, string][] => {
    const text = textField(json, key);
    return text === undefined ? [] : [[key, text]];
  });
  const user = isObject(own) ? Object.entries(own) : [];
  const texts = user.flatMap(([key, value]): [string, string][] => (typeof value === "string" ? [[key, value]] : []));
  return Object.fromEntries([...said, ...texts]);
}

function damaged(file: string, what: string): DamagedFileError {
  return new DamagedFileError(`load: ${file} ${what}. Download or save the file again.`);
}
