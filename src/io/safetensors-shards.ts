/**
 * Models in several safetensors files with an index beside them, as one file: `{"metadata": {…}, "weight_map": {tensor: file}}`. Each
 * file is read by safetensors-format.ts; the index must say exactly what is in them.
 */
import { DamagedFileError, WeightsError } from "../core/errors.js";
import type { ByteReader } from "./byte-reader.js";
import { readSafetensorsHeader, type SafetensorsSource, safetensorsSource } from "./safetensors-format.js";
import { quote, type TensorEntry } from "./safetensors-header.js";
import type { WeightsFile } from "./weights-file.js";

/** An index lists names: the largest known ones have 2 MB. */
const MAX_INDEX_BYTES = 100_000_000;

/**
 * Opens `model.safetensors.index.json` and the files that it names.
 * @throws WeightsError that names a tensor which is missing, is not listed, or is in two files; DamagedFileError for a damaged file.
 */
export async function openSafetensorsIndex(reader: ByteReader): Promise<WeightsFile> {
  const { name: file } = reader;
  if (reader.sizeBytes > MAX_INDEX_BYTES) {
    throw new WeightsError(
      `safetensors: the index is too large (file ${file}, ${reader.sizeBytes} bytes, limit ${MAX_INDEX_BYTES}). It is another file.`,
    );
  }
  const index = parseIndex(await reader.read(0, reader.sizeBytes), file);
  const shards: Shard[] = [];
  const close = async (): Promise<void> => {
    await Promise.all([reader, ...shards.map(({ source }) => source)].map((part) => part.close()));
  };
  try {
    for (const name of [...new Set(index.files.values())].sort()) {
      shards.push(await openShard(await reader.sibling(name), name));
    }
    const places = place(index.files, shards, file);
    const sourceOf = (name: string): SafetensorsSource => {
      const shard = places.get(name);
      if (shard) return shard.source;
      throw new WeightsError(
        `safetensors: ${file} has no such tensor (name ${quote(name)}). Read one of the names in tensors.`,
      );
    };
    return {
      format: "safetensors",
      variant: `weights only, ${shards.length} ${shards.length === 1 ? "file" : "files"}`,
      name: file,
      net: null,
      metadata: Object.fromEntries([
        ...shards.flatMap(({ source }) => Object.entries(source.metadata)),
        ...index.metadata,
      ]),
      tensors: new Map(shards.flatMap(({ source }) => [...source.tensors])),
      readFloats: async (name, begin, target) => sourceOf(name).readFloats(name, begin, target),
      readBytes: async (name, begin, end) => sourceOf(name).readBytes(name, begin, end),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Shard {
  readonly file: string;
  readonly source: SafetensorsSource;
  /** All that are in the file, scales of int8 weights too. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

async function openShard(reader: ByteReader, file: string): Promise<Shard> {
  try {
    const header = await readSafetensorsHeader(reader);
    return { file, source: safetensorsSource(reader, header), tensors: header.tensors };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

/** Which file each tensor is in. The index and the files must agree. */
function place(
  listed: ReadonlyMap<string, string>,
  shards: readonly Shard[],
  index: string,
): ReadonlyMap<string, Shard> {
  const remedy = "Download all files of the model again.";
  const places = new Map<string, Shard>();
  for (const shard of shards) {
    for (const name of shard.tensors.keys()) {
      const other = places.get(name);
      if (other) {
        throw new WeightsError(
          `safetensors: two files of ${index} have the same tensor (tensor ${quote(name)}, files ${quote(other.file)} and ${quote(shard.file)}). ${remedy}`,
        );
      }
      if (!listed.has(name)) {
        throw new WeightsError(
          `safetensors: ${index} does not list a tensor of its files (tensor ${quote(name)}, file ${quote(shard.file)}). ${remedy}`,
        );
      }
      places.set(name, shard);
    }
  }
  for (const [name, file] of listed) {
    const found = places.get(name)?.file;
    if (found === file) continue;
    throw new WeightsError(
      `safetensors: a file of ${index} lacks a tensor (tensor ${quote(name)}, file ${quote(file)}${found === undefined ? "" : `, found in ${quote(found)}`}). ${remedy}`,
    );
  }
  return places;
}

function parseIndex(
  bytes: Uint8Array,
  file: string,
): { files: ReadonlyMap<string, string>; metadata: readonly [string, string][] } {
  const remedy = "Download or save the file again.";
  let root: unknown;
  try {
    root = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DamagedFileError(
      `safetensors: the index ${file} is not JSON (byte 0 to ${bytes.length}: ${reason}). ${remedy}`,
    );
  }
  const { weight_map: map, metadata } = isObject(root) ? root : {};
  const files = isObject(map) ? Object.entries(map) : [];
  const wrong = files.find(([, name]) => typeof name !== "string");
  if (files.length === 0 || wrong) {
    throw new DamagedFileError(
      `safetensors: the index ${file} does not say which file each tensor is in (${wrong ? `weight_map ${quote(wrong[0])}` : "weight_map"}). ${remedy}`,
    );
  }
  const texts = Object.entries(isObject(metadata) ? metadata : {}).filter(([, value]) => typeof value !== "object");
  return {
    files: new Map(files.map(([name, value]) => [name, String(value)])),
    metadata: texts.map(([key, value]) => [key, String(value)]),
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
