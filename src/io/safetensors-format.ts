/**
 * The safetensors format itself, without files: reads and checks a header, encodes one, reads tensors from bytes.
 * Imports nothing of Node, so it runs in browsers too; safetensors.ts adds files. Everything is little-endian.
 *
 * ```text
 * | 8 bytes: N, u64 | N bytes: JSON header, padded with spaces | tensor bytes, back to back, no holes |
 * {"__metadata__": {"key": "text"}, "fc6.bias": {"dtype": "F32", "shape": [4096], "data_offsets": [0, 16384]}, …}
 * ```
 * Offsets in the file count from the end of the header; {@link TensorEntry.offset} counts from the start of the file.
 */
import { WeightsError } from "../core/errors.js";

/** Bytes a value, for every dtype of the format that fills whole bytes. */
export const DTYPE_SIZE_BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
} as const;

/** A dtype as safetensors spells it. */
export type SafetensorsDtype = keyof typeof DTYPE_SIZE_BYTES;

/** Where a tensor lies. */
export interface TensorEntry {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** First byte, from the start of the file. */
  readonly offset: number;
  readonly sizeBytes: number;
}

/** What a header says. Tensors are in the order of their bytes. */
export interface SafetensorsHeader {
  readonly metadata: Record<string, string>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/** An open safetensors file, or one held in memory. */
export interface SafetensorsSource extends SafetensorsHeader {
  /**
   * Elements `[elementBegin, elementEnd)` of a float32 tensor, counted over its flat row-major array; the whole tensor by default.
   * @throws WeightsError for an unknown name, another dtype, a range outside the tensor, a file that became shorter.
   */
  read(name: string, elementBegin?: number, elementEnd?: number): Promise<Float32Array>;
  /**
   * Puts a float32 tensor's values, as they are in the file, into bytes of its size.
   * @throws WeightsError as read() does, and for bytes of another size.
   */
  readInto(name: string, bytes: Uint8Array): Promise<void>;
  /** Closes the file. May be called twice. */
  close(): Promise<void>;
}

/** Length of the field before the header. */
export const PREFIX_BYTES = 8;

/** The limit of the reference implementation: more is an attack or another format. */
const MAX_HEADER_BYTES = 100_000_000;
const METADATA_KEY = "__metadata__";
const REMEDY = "Download or save the file again.";

/**
 * Reads and checks the length field.
 * @param prefix the first 8 bytes, or fewer where the file is shorter.
 * @throws WeightsError
 */
export function parseHeaderLength(prefix: Uint8Array, fileSizeBytes: number, file: string): number {
  if (prefix.length < PREFIX_BYTES) {
    throw new WeightsError(`safetensors: ${file} is too short for a header (${fileSizeBytes} bytes). ${REMEDY}`);
  }
  const view = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES);
  const length = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (length > MAX_HEADER_BYTES) {
    throw new WeightsError(
      `safetensors: ${file} claims a header above ${MAX_HEADER_BYTES} bytes (header ${length}). It is not a safetensors file.`,
    );
  }
  if (PREFIX_BYTES + length > fileSizeBytes) {
    throw new WeightsError(
      `safetensors: ${file} ends inside its header (header ${length}, file ${fileSizeBytes} bytes). ` +
        `It is truncated or not a safetensors file. ${REMEDY}`,
    );
  }
  return length;
}

/**
 * Reads and checks the JSON header.
 * @param header its bytes, `parseHeaderLength` many.
 * @param fileSizeBytes size of the whole file: the tensors must fill it exactly.
 * @throws WeightsError that names the file and, where there is one, the tensor.
 */
export function parseHeader(header: Uint8Array, fileSizeBytes: number, file: string): SafetensorsHeader {
  const text = decodeText(header, file);
  const root = parseObject(text, file);
  const duplicate = firstDuplicateKey(text);
  if (duplicate !== undefined) {
    throw new WeightsError(`safetensors: ${file} lists a tensor twice (name ${quote(duplicate)}). ${REMEDY}`);
  }
  const dataStart = PREFIX_BYTES + header.length;
  let metadata: Record<string, string> = {};
  const entries: [string, TensorEntry][] = [];
  for (const [name, value] of Object.entries(root)) {
    if (name === METADATA_KEY) metadata = parseMetadata(value, file);
    else entries.push([name, parseEntry(name, value, dataStart, file)]);
  }
  entries.sort(([, a], [, b]) => a.offset - b.offset || a.sizeBytes - b.sizeBytes);
  checkLayout(entries, dataStart, fileSizeBytes, file);
  return { metadata, tensors: new Map(entries) };
}

/**
 * Reads a safetensors file that is in memory. The bytes are kept, not copied.
 * @param file what to call it in errors.
 * @throws WeightsError
 */
export function parseSafetensors(bytes: Uint8Array, file = "the bytes"): SafetensorsSource {
  const length = parseHeaderLength(bytes.subarray(0, PREFIX_BYTES), bytes.length, file);
  const header = parseHeader(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + length), bytes.length, file);
  return {
    ...header,
    async read(name, elementBegin, elementEnd) {
      const { offset, sizeBytes } = floatRange(header, name, elementBegin, elementEnd, file);
      return floatsFromBytes(bytes.slice(offset, offset + sizeBytes));
    },
    async readInto(name, target) {
      const { offset, sizeBytes } = wholeRange(header, name, target, file);
      target.set(bytes.subarray(offset, offset + sizeBytes));
    },
    async close() {},
  };
}

/**
 * The bytes that elements `[elementBegin, elementEnd)` of a float32 tensor take.
 * @throws WeightsError for an unknown name, another dtype, or a range outside the tensor.
 */
export function floatRange(
  header: SafetensorsHeader,
  name: string,
  elementBegin: number | undefined,
  elementEnd: number | undefined,
  file: string,
): { offset: number; sizeBytes: number } {
  const entry = header.tensors.get(name);
  if (!entry) {
    throw new WeightsError(
      `safetensors: ${file} has no such tensor (name ${quote(name)}). Read one of the names in tensors.`,
    );
  }
  if (entry.dtype !== "F32") {
    throw new WeightsError(
      `safetensors: only float32 can be read from ${file} (tensor ${quote(name)}, dtype ${entry.dtype}). Convert the file to F32.`,
    );
  }
  const elements = entry.sizeBytes / DTYPE_SIZE_BYTES.F32;
  const begin = elementBegin ?? 0;
  const end = elementEnd ?? elements;
  if (!Number.isInteger(begin) || !Number.isInteger(end) || begin < 0 || end < begin || end > elements) {
    throw new WeightsError(
      `safetensors: the range is outside the tensor (tensor ${quote(name)}, range ${begin} to ${end}, elements ${elements}). ` +
        "Pass 0 <= begin <= end <= elements.",
    );
  }
  return { offset: entry.offset + begin * 4, sizeBytes: (end - begin) * 4 };
}

/** {@link floatRange} of a whole tensor that is to fill `target`. @throws WeightsError also for a target of another size. */
export function wholeRange(
  header: SafetensorsHeader,
  name: string,
  target: Uint8Array,
  file: string,
): { offset: number; sizeBytes: number } {
  const range = floatRange(header, name, undefined, undefined, file);
  if (target.byteLength === range.sizeBytes) return range;
  throw new WeightsError(
    `safetensors: the tensor does not fill the bytes (tensor ${quote(name)}, ${range.sizeBytes} bytes, given ${target.byteLength}). ` +
      `Give ${range.sizeBytes}.`,
  );
}

/** A tensor to be written. */
export interface TensorSpec {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A tensor with its values, in order, in chunks of any size. */
export interface TensorToWrite extends TensorSpec {
  readonly chunks: AsyncIterable<Float32Array> | Iterable<Float32Array>;
}

/**
 * The start of a file of float32 tensors: length field and header, padded so that the tensors begin at a multiple of 8 bytes.
 * Depends on the arguments alone: equal tensors and metadata give equal bytes.
 * @throws WeightsError for a name that occurs twice or is reserved, or a shape that is none.
 */
export function encodeHeader(tensors: readonly TensorSpec[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const parts: string[] = [];
  if (Object.keys(metadata).length > 0) parts.push(`${quote(METADATA_KEY)}:${JSON.stringify(metadata)}`);
  const names = new Set<string>();
  let offset = 0;
  for (const { name, shape } of tensors) {
    if (name === METADATA_KEY || names.has(name)) {
      throw new WeightsError(
        `writeSafetensors: the name is taken (name ${quote(name)}). Give each tensor a name of its own.`,
      );
    }
    names.add(name);
    const sizeBytes = elementCount(shape) * DTYPE_SIZE_BYTES.F32;
    if (!Number.isSafeInteger(sizeBytes)) {
      throw new WeightsError(
        `writeSafetensors: the shape is none (tensor ${quote(name)}, shape [${shape}]). Pass whole numbers that are not negative.`,
      );
    }
    parts.push(`${quote(name)}:${JSON.stringify({ dtype: "F32", shape, data_offsets: [offset, offset + sizeBytes] })}`);
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

/** The little-endian bytes of float32 values: a view where the machine is little-endian. */
export function bytesFromFloats(floats: Float32Array): Uint8Array {
  if (HOST_IS_LITTLE_ENDIAN) return new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
  const view = new DataView(new ArrayBuffer(floats.length * 4));
  for (let i = 0; i < floats.length; i++) view.setFloat32(i * 4, floats[i], true);
  return new Uint8Array(view.buffer);
}

/** Product of the sizes; NaN where one is not a whole number >= 0. The empty shape is one value. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => (Number.isSafeInteger(size) && size >= 0 ? product * size : Number.NaN), 1);
}

const HOST_IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function decodeText(header: Uint8Array, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(header);
  } catch {
    throw new WeightsError(
      `safetensors: the header of ${file} is not UTF-8 text. It is not a safetensors file, or damaged. ${REMEDY}`,
    );
  }
}

function parseObject(text: string, file: string): Record<string, unknown> {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new WeightsError(
      `safetensors: the header of ${file} is not JSON (${reason}). It is not a safetensors file, or damaged. ${REMEDY}`,
    );
  }
  if (!isObject(root)) {
    throw new WeightsError(`safetensors: the header of ${file} is not a JSON object (${brief(root)}). ${REMEDY}`);
  }
  return root;
}

function parseMetadata(value: unknown, file: string): Record<string, string> {
  const texts = isObject(value) ? Object.entries(value) : undefined;
  const wrong = texts?.find(([, text]) => typeof text !== "string");
  if (!texts || wrong) {
    const what = wrong ? `${quote(wrong[0])} ${brief(wrong[1])}` : brief(value);
    throw new WeightsError(`safetensors: the metadata of ${file} is not a table of texts (${what}). ${REMEDY}`);
  }
  return Object.fromEntries(texts.map(([key, text]) => [key, String(text)]));
}

function parseEntry(name: string, value: unknown, dataStart: number, file: string): TensorEntry {
  const fail = (what: string, key: string, found: unknown): never => {
    throw new WeightsError(
      `safetensors: ${what} in ${file} (tensor ${quote(name)}, ${key} ${brief(found)}). ${REMEDY}`,
    );
  };
  if (!isObject(value)) return fail("an entry is not a JSON object", "entry", value);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || !isDtype(dtype)) return fail("an unknown dtype", "dtype", dtype);
  if (!isSizes(shape)) return fail("a shape that is no list of whole numbers", "shape", shape);
  if (!isSizes(offsets) || offsets.length !== 2)
    return fail("offsets that are no pair of whole numbers", "data_offsets", offsets);
  const [begin, end] = offsets;
  if (begin > end) return fail("offsets that run backwards", "data_offsets", offsets);
  const sizeBytes = elementCount(shape) * DTYPE_SIZE_BYTES[dtype];
  if (sizeBytes !== end - begin) {
    throw new WeightsError(
      `safetensors: shape and size disagree in ${file} (tensor ${quote(name)}, shape [${shape}], dtype ${dtype}, ` +
        `data_offsets [${offsets}]). ${REMEDY}`,
    );
  }
  return { dtype, shape, offset: dataStart + begin, sizeBytes };
}

/** The tensors, sorted by place, must follow each other without overlap or hole and fill the file. */
function checkLayout(
  entries: readonly [string, TensorEntry][],
  dataStart: number,
  fileSizeBytes: number,
  file: string,
): void {
  let end = dataStart;
  for (const [name, entry] of entries) {
    if (entry.offset !== end) {
      const what = entry.offset < end ? "tensors overlap" : "a hole lies before a tensor";
      throw new WeightsError(
        `safetensors: ${what} in ${file} (tensor ${quote(name)}, begins ${entry.offset - dataStart}, expected ${end - dataStart}). ${REMEDY}`,
      );
    }
    end += entry.sizeBytes;
    if (end > fileSizeBytes) {
      throw new WeightsError(
        `safetensors: ${file} is truncated (tensor ${quote(name)} ends at byte ${end}, file ${fileSizeBytes} bytes). ${REMEDY}`,
      );
    }
  }
  if (end !== fileSizeBytes) {
    throw new WeightsError(
      `safetensors: ${file} goes on after its last tensor (tensors end at byte ${end}, file ${fileSizeBytes} bytes). ${REMEDY}`,
    );
  }
}

/**
 * The first key that the outermost object of valid JSON holds twice: `JSON.parse` keeps the last one without a word.
 * Walks the text once and looks only at strings, brackets and commas.
 */
function firstDuplicateKey(text: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  let keyComes = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "{" || char === "[") {
      depth++;
      keyComes = depth === 1;
    } else if (char === "}" || char === "]") {
      depth--;
    } else if (char === ",") {
      keyComes = depth === 1;
    } else if (char === '"') {
      const start = i++;
      while (text[i] !== '"') i += text[i] === "\\" ? 2 : 1;
      if (!keyComes) continue;
      keyComes = false;
      const key = String(JSON.parse(text.slice(start, i + 1)));
      if (seen.has(key)) return key;
      seen.add(key);
    }
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isDtype(text: string): text is SafetensorsDtype {
  return Object.hasOwn(DTYPE_SIZE_BYTES, text);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function quote(text: string): string {
  return JSON.stringify(text);
}

/** A value of the header as an error shows it: JSON, cut short. */
function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
