/**
 * Arrays of HDF5 data sets as ranges of float32 or bytes: those that lie in one piece, and those in chunks, packed by gzip or shuffled.
 * Where they lie is hdf5.ts's; numbers of the other byte order are turned.
 */
import { DamagedFileError, WeightsError } from "../../core/errors.js";
import type { ByteReader } from "../../io/byte-reader.js";
import { floatsFromStored, readStoredFloats, storedSize } from "../../io/stored-floats.js";
import type { StoredDtype, StoredTensor } from "../../io/weights-file.js";
import type { Hdf5Chunk, Hdf5Storage } from "../../vendor/hdf5.js";
import type { Hdf5Dataset } from "./hdf5.js";

/** A data set that can be read. */
export interface Hdf5Tensor extends StoredTensor {
  /** Fills the target with elements from `begin` on, as float32. */
  readFloats(begin: number, target: Float32Array): Promise<void>;
  /** The bytes of elements, little-endian. */
  readBytes(begin: number, end: number): Promise<Uint8Array>;
}

const DTYPES: ReadonlyMap<string, StoredDtype> = new Map([
  ["f8", "F64"],
  ["f4", "F32"],
  ["f2", "F16"],
  ["i8", "I64"],
  ["i4", "I32"],
  ["i2", "I16"],
  ["i1", "I8"],
  ["u8", "U64"],
  ["u4", "U32"],
  ["u2", "U16"],
  ["u1", "U8"],
]);

const GZIP = 1;
const SHUFFLE = 2;
const FLETCHER = 3;

/** A data set in chunks is put together whole: Keras writes none, and others pack what is small. */
const MAX_CHUNKED_BYTES = 2 ** 31;
/** More than weights can be packed. */
const MAX_RATIO = 128;

/**
 * A data set as a tensor; null for what is no number.
 * @throws DamagedFileError for one that does not lie in the file; WeightsError for storage that cannot be read.
 */
export function hdf5Tensor(
  reader: ByteReader,
  path: string,
  { dtype, shape, storage }: Hdf5Dataset,
): Hdf5Tensor | null {
  const found = /^([<>|=])([fiu]\d)$/.exec(dtype ?? "");
  const type = DTYPES.get(found?.[2] ?? "");
  if (type === undefined) return null;
  const turned = found?.[1] === ">";
  const elementBytes = storedSize(type);
  const sizeBytes = shape.reduce((size, side) => size * side, elementBytes);
  if (storage.kind === "plain") {
    const { offset } = storage;
    const fits = offset !== null && offset + sizeBytes <= reader.sizeBytes;
    if (sizeBytes > 0 && (!fits || storage.sizeBytes < sizeBytes)) {
      throw damaged(reader, path, `ends before its data do ([${shape}], byte ${offset ?? 0} of ${reader.sizeBytes})`);
    }
    const at = (begin: number): number => (offset ?? 0) + begin * elementBytes;
    const readBytes = async (begin: number, end: number): Promise<Uint8Array> => {
      const bytes = await reader.read(at(begin), (end - begin) * elementBytes);
      return turned ? reversed(bytes, elementBytes) : bytes;
    };
    return {
      dtype: type,
      shape,
      readBytes,
      async readFloats(begin, target) {
        if (turned) floatsFromStored(type, await readBytes(begin, begin + target.length), target);
        else if (target.length > 0) await readStoredFloats(reader, type, at(begin), target);
      },
    };
  }
  let whole: Promise<Uint8Array> | undefined;
  const readWhole = (): Promise<Uint8Array> => {
    whole ??= joinChunks(reader, path, shape, elementBytes, storage);
    return whole;
  };
  const readBytes = async (begin: number, end: number): Promise<Uint8Array> => {
    const bytes = (await readWhole()).slice(begin * elementBytes, end * elementBytes);
    return turned ? reversed(bytes, elementBytes) : bytes;
  };
  checkChunks(reader, path, shape, sizeBytes, storage);
  return {
    dtype: type,
    shape,
    readBytes,
    async readFloats(begin, target) {
      floatsFromStored(type, await readBytes(begin, begin + target.length), target);
      // The next tensor is read next.
      if (begin + target.length === sizeBytes / elementBytes) whole = undefined;
    },
  };
}

type Chunks = Extract<Hdf5Storage, { kind: "chunks" }>;

function checkChunks(
  reader: ByteReader,
  path: string,
  shape: readonly number[],
  sizeBytes: number,
  { shape: chunkShape, filters, chunks }: Chunks,
): void {
  const unknown = filters.find((filter) => ![GZIP, SHUFFLE, FLETCHER].includes(filter));
  if (unknown !== undefined || sizeBytes > MAX_CHUNKED_BYTES) {
    throw new WeightsError(
      `load: ${reader.name} has a data set that is packed in an unknown way or too large (${JSON.stringify(path)}, filter ${unknown ?? "none"}, ` +
        `${sizeBytes} bytes). Save it without compression.`,
    );
  }
  const stored = chunks.reduce((sum, chunk) => sum + chunk.sizeBytes, 0);
  const counts = shape.map((side, axis) => Math.ceil(side / chunkShape[axis]));
  const expected = counts.reduce((product, count) => product * count, 1);
  const good =
    chunkShape.length === shape.length && chunkShape.every((side) => side >= 1) && chunks.length === expected;
  if (good && stored <= reader.sizeBytes && sizeBytes <= stored * MAX_RATIO) return;
  throw damaged(
    reader,
    path,
    `has chunks that do not make up its data ([${shape}], ${chunks.length} chunks of [${chunkShape}])`,
  );
}

/** The whole array, of which each chunk is a box. */
async function joinChunks(
  reader: ByteReader,
  path: string,
  shape: readonly number[],
  elementBytes: number,
  { shape: chunkShape, filters, chunks }: Chunks,
): Promise<Uint8Array> {
  const out = new Uint8Array(shape.reduce((size, side) => size * side, elementBytes));
  const chunkBytes = chunkShape.reduce((size, side) => size * side, elementBytes);
  for (const chunk of chunks) {
    const bytes = await unpack(reader, path, chunk, filters, chunkBytes, elementBytes);
    copyBox(bytes, chunkShape, chunk.begin, out, shape, elementBytes);
  }
  return out;
}

async function unpack(
  reader: ByteReader,
  path: string,
  { offset, sizeBytes, mask }: Hdf5Chunk,
  filters: readonly number[],
  chunkBytes: number,
  elementBytes: number,
): Promise<Uint8Array> {
  if (chunkBytes > Math.max(2 ** 16, sizeBytes * MAX_RATIO)) {
    throw damaged(reader, path, `claims a chunk of ${chunkBytes} bytes from ${sizeBytes}`);
  }
  let bytes = await reader.read(offset, sizeBytes);
  for (let i = filters.length - 1; i >= 0; i--) {
    if (mask & (1 << i)) continue;
    if (filters[i] === GZIP) bytes = await inflated(reader, path, bytes, chunkBytes);
    else if (filters[i] === SHUFFLE) bytes = unshuffled(bytes, elementBytes);
    else bytes = bytes.subarray(0, bytes.length - 4);
  }
  if (bytes.length >= chunkBytes) return bytes;
  throw damaged(reader, path, `has a chunk of ${bytes.length} bytes instead of ${chunkBytes}`);
}

async function inflated(reader: ByteReader, path: string, bytes: Uint8Array, sizeBytes: number): Promise<Uint8Array> {
  const { inflateZlib } = await import("../../vendor/inflate.js");
  try {
    return inflateZlib(bytes, new Uint8Array(sizeBytes));
  } catch (error) {
    throw damaged(reader, path, `cannot be unpacked: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** All first bytes, all second bytes, … back into elements. */
function unshuffled(bytes: Uint8Array, elementBytes: number): Uint8Array {
  const count = Math.floor(bytes.length / elementBytes);
  const out = new Uint8Array(bytes);
  for (let byte = 0; byte < elementBytes; byte++) {
    for (let i = 0; i < count; i++) out[i * elementBytes + byte] = bytes[byte * count + i];
  }
  return out;
}

/** Copies a box into an array, without what hangs over its borders. */
function copyBox(
  box: Uint8Array,
  boxShape: readonly number[],
  begin: readonly number[],
  out: Uint8Array,
  shape: readonly number[],
  elementBytes: number,
): void {
  const copy = (axis: number, from: number, to: number): void => {
    const count = Math.min(boxShape[axis], shape[axis] - begin[axis]);
    const boxStep = boxShape.slice(axis + 1).reduce((size, side) => size * side, elementBytes);
    const step = shape.slice(axis + 1).reduce((size, side) => size * side, elementBytes);
    const first = to + begin[axis] * step;
    if (axis === shape.length - 1) {
      out.set(box.subarray(from, from + Math.max(0, count) * boxStep), Math.min(first, out.length));
      return;
    }
    for (let i = 0; i < count; i++) copy(axis + 1, from + i * boxStep, first + i * step);
  };
  const inside = begin.length === shape.length && begin.every((at, axis) => at >= 0 && at < shape[axis]);
  if (inside && shape.length > 0) copy(0, 0, 0);
}

/** Each element's bytes backwards. */
function reversed(bytes: Uint8Array, elementBytes: number): Uint8Array {
  for (let i = 0; i < bytes.length; i += elementBytes) bytes.subarray(i, i + elementBytes).reverse();
  return bytes;
}

function damaged(reader: ByteReader, path: string, what: string): DamagedFileError {
  return new DamagedFileError(
    `load: a data set of ${reader.name} ${what} (${JSON.stringify(path)}). Download or save the file again.`,
  );
}
