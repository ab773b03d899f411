/**
 * Safetensors without files: reads tensors of any open bytes, and encodes the start of a file. Imports nothing of Node, so it runs in
 * browsers too; safetensors.ts adds files, safetensors-shards.ts models in several files, safetensors-header.ts says what a file begins with.
 */
import { WeightsError } from "../core/errors.js";
import { type ByteReader, bytesReader } from "./byte-reader.js";
import {
  elementCount,
  METADATA_KEY,
  PREFIX_BYTES,
  parseHeader,
  parseHeaderLength,
  quote,
  type SafetensorsHeader,
  type TensorEntry,
} from "./safetensors-header.js";
import { floatsFromStored, readStoredFloats, storedSize } from "./stored-floats.js";
import type { WeightsFile } from "./weights-file.js";

export type { SafetensorsHeader, TensorEntry } from "./safetensors-header.js";

/** An open safetensors file, or one held in memory. */
export interface SafetensorsSource extends WeightsFile {
  readonly format: "safetensors";
  readonly metadata: Record<string, string>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /**
   * Elements `[elementBegin, elementEnd)` of a tensor as float32, counted over its flat row-major array; the whole tensor by default.
   * @throws WeightsError for an unknown name, a range outside the tensor, a file that became shorter.
   */
  read(name: string, elementBegin?: number, elementEnd?: number): Promise<Float32Array>;
  /**
   * Puts a tensor's values as float32 into bytes of that size, which lie as a Float32Array's.
   * @throws WeightsError as read() does, and for bytes of another size.
   */
  readInto(name: string, bytes: Uint8Array): Promise<void>;
}

/** What is added to the name of int8 weights to give the name of their scales, one a row. */
export const SCALE_SUFFIX = "_scale";

/** Elements that are dequantised at once. */
const CHUNK_ELEMENTS = 2 ** 20;

/**
 * Opens safetensors, one file of them, and checks its header against the file's size; tensors are read when asked for.
 * @throws DamagedFileError for a file that is truncated or malformed.
 */
export async function openSafetensorsFile(reader: ByteReader): Promise<SafetensorsSource> {
  return safetensorsSource(reader, await readSafetensorsHeader(reader));
}

/** Reads and checks a file's header. @throws DamagedFileError */
export async function readSafetensorsHeader(reader: ByteReader): Promise<SafetensorsHeader> {
  const { name, sizeBytes } = reader;
  const length = parseHeaderLength(await reader.read(0, Math.min(PREFIX_BYTES, sizeBytes)), sizeBytes, name);
  return parseHeader(await reader.read(PREFIX_BYTES, length), sizeBytes, name);
}

/**
 * Reads a safetensors file that is in memory. The bytes are kept, not copied.
 * @param file what to call it in errors.
 * @throws DamagedFileError
 */
export function parseSafetensors(bytes: Uint8Array, file = "the bytes"): SafetensorsSource {
  const length = parseHeaderLength(bytes.subarray(0, PREFIX_BYTES), bytes.length, file);
  const header = parseHeader(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + length), bytes.length, file);
  return safetensorsSource(bytesReader(bytes, file), header);
}

/**
 * Tensors behind a header that was read. Where the metadata say `quantized: int8`, int8 weights are read as float32 times their row's
 * scale, and their scales are not listed, though they can be read.
 */
export function safetensorsSource(reader: ByteReader, header: SafetensorsHeader): SafetensorsSource {
  const file = reader.name;
  const scales = scalesOf(header, file);
  const scaleNames = new Set(scales.values());
  const loaded = new Map<string, Promise<Float32Array>>();
  const loadScales = (name: string): Promise<Float32Array> => {
    const promise = loaded.get(name) ?? source.read(name);
    loaded.set(name, promise);
    promise.catch(() => loaded.delete(name));
    return promise;
  };
  const source: SafetensorsSource = {
    format: "safetensors",
    variant: scales.size > 0 ? "int8 weights" : "weights only",
    name: file,
    net: null,
    metadata: header.metadata,
    tensors: new Map([...header.tensors].filter(([name]) => !scaleNames.has(name))),
    async readFloats(name, begin, target) {
      const entry = find(header, name, begin, begin + target.length, file);
      const offset = entry.offset + begin * storedSize(entry.dtype);
      const scaleName = scales.get(name);
      if (scaleName === undefined) await readStoredFloats(reader, entry.dtype, offset, target);
      else await readScaled(reader, entry, begin, await loadScales(scaleName), target);
    },
    async readBytes(name, begin, end) {
      const entry = find(header, name, begin, end, file);
      const size = storedSize(entry.dtype);
      return reader.read(entry.offset + begin * size, (end - begin) * size);
    },
    async read(name, elementBegin = 0, elementEnd) {
      const entry = find(header, name, elementBegin, elementEnd ?? elementBegin, file);
      const end = elementEnd ?? elementCount(entry.shape);
      find(header, name, elementBegin, end, file);
      const floats = new Float32Array(end - elementBegin);
      await source.readFloats(name, elementBegin, floats);
      return floats;
    },
    async readInto(name, bytes) {
      const elements = elementCount(find(header, name, 0, 0, file).shape);
      if (bytes.byteLength !== elements * 4) {
        throw new WeightsError(
          `safetensors: the tensor does not fill the bytes (tensor ${quote(name)}, ${elements * 4} bytes, given ${bytes.byteLength}). ` +
            `Give ${elements * 4}.`,
        );
      }
      await source.readFloats(name, 0, new Float32Array(bytes.buffer, bytes.byteOffset, elements));
    },
    close: () => reader.close(),
  };
  return source;
}

/** Names of int8 weights and of their scales. @throws WeightsError where scales do not fit. */
function scalesOf({ metadata, tensors }: SafetensorsHeader, file: string): ReadonlyMap<string, string> {
  const scales = new Map<string, string>();
  if (metadata.quantized !== "int8") return scales;
  for (const [name, { dtype, shape }] of tensors) {
    if (dtype !== "I8") continue;
    const scale = tensors.get(name + SCALE_SUFFIX);
    if (scale?.dtype !== "F32" || shape.length === 0 || scale.shape.join() !== `${shape[0]}`) {
      throw new WeightsError(
        `safetensors: int8 weights in ${file} have no scale for each row (tensor ${quote(name)} [${shape}], ` +
          `${quote(name + SCALE_SUFFIX)} ${scale ? `${scale.dtype} [${scale.shape}]` : "missing"}). Save the file again.`,
      );
    }
    scales.set(name, name + SCALE_SUFFIX);
  }
  return scales;
}

async function readScaled(
  reader: ByteReader,
  { shape, offset }: TensorEntry,
  begin: number,
  scales: Float32Array,
  target: Float32Array,
): Promise<void> {
  const columns = elementCount(shape.slice(1));
  const bytes = new Uint8Array(Math.min(CHUNK_ELEMENTS, target.length));
  for (let at = 0; at < target.length; at += CHUNK_ELEMENTS) {
    const chunk = bytes.subarray(0, Math.min(CHUNK_ELEMENTS, target.length - at));
    await reader.readInto(offset + begin + at, chunk);
    floatsFromStored("I8", chunk, target.subarray(at, at + chunk.length));
    for (let i = at; i < at + chunk.length; ) {
      const row = Math.floor((begin + i) / columns);
      const end = Math.min(at + chunk.length, (row + 1) * columns - begin);
      const scale = scales[row];
      for (; i < end; i++) target[i] *= scale;
    }
  }
}

/** A tensor that has these elements. @throws WeightsError for an unknown name or a range outside the tensor. */
function find(header: SafetensorsHeader, name: string, begin: number, end: number, file: string): TensorEntry {
  const entry = header.tensors.get(name);
  if (!entry) {
    throw new WeightsError(
      `safetensors: ${file} has no such tensor (name ${quote(name)}). Read one of the names in tensors.`,
    );
  }
  const elements = elementCount(entry.shape);
  if (Number.isInteger(begin) && Number.isInteger(end) && begin >= 0 && end >= begin && end <= elements) return entry;
  throw new WeightsError(
    `safetensors: the range is outside the tensor (tensor ${quote(name)}, range ${begin} to ${end}, elements ${elements}). ` +
      "Pass 0 <= begin <= end <= elements.",
  );
}

/** What tensors are written as. */
export type WrittenDtype = "F32" | "F16" | "I8";

/** Values to be written: float32, halves as their bits, int8. */
export type WrittenChunk = Float32Array | Uint16Array | Int8Array;

/** A tensor to be written. */
export interface TensorSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** Default F32. */
  readonly dtype?: WrittenDtype;
}

/** A tensor with its values, in order, in chunks of any size. */
export interface TensorToWrite extends TensorSpec {
  readonly chunks: AsyncIterable<WrittenChunk> | Iterable<WrittenChunk>;
}

/**
 * The start of a file: length field and header, padded so that the tensors begin at a multiple of 8 bytes.
 * Depends on the arguments alone: equal tensors and metadata give equal bytes.
 * @throws WeightsError for a name that occurs twice or is reserved, or a shape that is none.
 */
export function encodeHeader(tensors: readonly TensorSpec[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const parts: string[] = [];
  if (Object.keys(metadata).length > 0) parts.push(`${quote(METADATA_KEY)}:${JSON.stringify(metadata)}`);
  const names = new Set<string>();
  let offset = 0;
  for (const { name, shape, dtype = "F32" } of tensors) {
    if (name === METADATA_KEY || names.has(name)) {
      throw new WeightsError(
        `writeSafetensors: the name is taken (name ${quote(name)}). Give each tensor a name of its own.`,
      );
    }
    names.add(name);
    const sizeBytes = elementCount(shape) * storedSize(dtype);
    if (!Number.isSafeInteger(sizeBytes)) {
      throw new WeightsError(
        `writeSafetensors: the shape is none (tensor ${quote(name)}, shape [${shape}]). Pass whole numbers that are not negative.`,
      );
    }
    parts.push(`${quote(name)}:${JSON.stringify({ dtype, shape, data_offsets: [offset, offset + sizeBytes] })}`);
    offset += sizeBytes;
  }
  const json = new TextEncoder().encode(`{${parts.join(",")}}`);
  const length = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(PREFIX_BYTES + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, PREFIX_BYTES);
  return bytes;
}

/** The values of little-endian float32 bytes, which must be an array of their own: it is kept where the machine is little-endian. */
export function floatsFromBytes(bytes: Uint8Array): Float32Array {
  if (HOST_IS_LITTLE_ENDIAN) return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.byteLength / 4 }, (_, i) => view.getFloat32(i * 4, true));
}

/**
 * The little-endian bytes of values of a tensor: a view where the machine is little-endian.
 * @throws WeightsError for values of another type than the tensor's.
 */
export function bytesFromChunk(chunk: WrittenChunk, { name, dtype = "F32" }: TensorSpec): Uint8Array {
  if (!(chunk instanceof WRITTEN[dtype])) {
    throw new WeightsError(
      `writeSafetensors: the values are of another type (tensor ${quote(name)}, ${dtype}, values ${chunk.constructor.name}). Give a ${WRITTEN[dtype].name}.`,
    );
  }
  const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const size = chunk.BYTES_PER_ELEMENT;
  if (HOST_IS_LITTLE_ENDIAN || size === 1) return bytes;
  const swapped = bytes.slice();
  for (let i = 0; i < swapped.length; i += size) swapped.subarray(i, i + size).reverse();
  return swapped;
}

const WRITTEN = { F32: Float32Array, F16: Uint16Array, I8: Int8Array } as const;

const HOST_IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
