/**
 * The header of safetensors files: reads and checks it. What follows it, and writing, is safetensors-format.ts's. Everything is little-endian.
 *
 * ```text
 * | 8 bytes: N, u64 | N bytes: JSON header, padded with spaces | tensor bytes, back to back, no holes |
 * {"__metadata__": {"key": "text"}, "fc6.bias": {"dtype": "F32", "shape": [4096], "data_offsets": [0, 16384]}, …}
 * ```
 * Offsets in the file count from the end of the header; {@link TensorEntry.offset} counts from the start of the file.
 */
import { DamagedFileError } from "../core/errors.js";
import { STORED_SIZES } from "./stored-floats.js";
import type { StoredDtype, StoredTensor } from "./weights-file.js";

/** Where a tensor lies. */
export interface TensorEntry extends StoredTensor {
  /** First byte, from the start of the file. */
  readonly offset: number;
  readonly sizeBytes: number;
}

/** What a header says. Tensors are in the order of their bytes. */
export interface SafetensorsHeader {
  readonly metadata: Record<string, string>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/** Length of the field before the header. */
export const PREFIX_BYTES = 8;

/** The limit of the reference implementation: more is an attack or another format. */
const MAX_HEADER_BYTES = 100_000_000;
/** The one name that is no tensor's. */
export const METADATA_KEY = "__metadata__";
const REMEDY = "Download or save the file again.";

/**
 * Reads and checks the length field.
 * @param prefix the first 8 bytes, or fewer where the file is shorter.
 * @throws DamagedFileError
 */
export function parseHeaderLength(prefix: Uint8Array, fileSizeBytes: number, file: string): number {
  if (prefix.length < PREFIX_BYTES) {
    throw new DamagedFileError(`safetensors: ${file} is too short for a header (${fileSizeBytes} bytes). ${REMEDY}`);
  }
  const view = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES);
  const length = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (length > MAX_HEADER_BYTES) {
    throw new DamagedFileError(
      `safetensors: ${file} claims a header above ${MAX_HEADER_BYTES} bytes (header ${length}). It is not a safetensors file.`,
    );
  }
  if (PREFIX_BYTES + length > fileSizeBytes) {
    throw new DamagedFileError(
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
 * @throws DamagedFileError that names the file and, where there is one, the tensor.
 */
export function parseHeader(header: Uint8Array, fileSizeBytes: number, file: string): SafetensorsHeader {
  const text = decodeText(header, file);
  const root = parseObject(text, file);
  const duplicate = firstDuplicateKey(text);
  if (duplicate !== undefined) {
    throw new DamagedFileError(`safetensors: ${file} lists a tensor twice (name ${quote(duplicate)}). ${REMEDY}`);
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

/** Product of the sizes; NaN where one is not a whole number >= 0. The empty shape is one value. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => (Number.isSafeInteger(size) && size >= 0 ? product * size : Number.NaN), 1);
}

function decodeText(header: Uint8Array, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(header);
  } catch {
    throw new DamagedFileError(
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
    throw new DamagedFileError(
      `safetensors: the header of ${file} is not JSON (${reason}). It is not a safetensors file, or damaged. ${REMEDY}`,
    );
  }
  if (!isObject(root)) {
    throw new DamagedFileError(`safetensors: the header of ${file} is not a JSON object (${brief(root)}). ${REMEDY}`);
  }
  return root;
}

function parseMetadata(value: unknown, file: string): Record<string, string> {
  const texts = isObject(value) ? Object.entries(value) : undefined;
  const wrong = texts?.find(([, text]) => typeof text !== "string");
  if (!texts || wrong) {
    const what = wrong ? `${quote(wrong[0])} ${brief(wrong[1])}` : brief(value);
    throw new DamagedFileError(`safetensors: the metadata of ${file} is not a table of texts (${what}). ${REMEDY}`);
  }
  return Object.fromEntries(texts.map(([key, text]) => [key, String(text)]));
}

function parseEntry(name: string, value: unknown, dataStart: number, file: string): TensorEntry {
  const fail = (what: string, key: string, found: unknown): never => {
    throw new DamagedFileError(
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
  const sizeBytes = elementCount(shape) * STORED_SIZES[dtype];
  if (sizeBytes !== end - begin) {
    throw new DamagedFileError(
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
      throw new DamagedFileError(
        `safetensors: ${what} in ${file} (tensor ${quote(name)}, begins ${entry.offset - dataStart}, expected ${end - dataStart}). ${REMEDY}`,
      );
    }
    end += entry.sizeBytes;
    if (end > fileSizeBytes) {
      throw new DamagedFileError(
        `safetensors: ${file} is truncated (tensor ${quote(name)} ends at byte ${end}, file ${fileSizeBytes} bytes). ${REMEDY}`,
      );
    }
  }
  if (end !== fileSizeBytes) {
    throw new DamagedFileError(
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

function isDtype(text: string): text is StoredDtype {
  return Object.hasOwn(STORED_SIZES, text);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

/** A name as errors show it. */
export function quote(text: string): string {
  return JSON.stringify(text);
}

/** A value of the header as an error shows it: JSON, cut short. */
function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
