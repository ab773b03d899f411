/**
 * Elements of weights files as float32: sizes of the stored types, their conversion, and ranges of files read and converted in chunks,
 * straight into the target. Where tensors lie is the business of each format's reader; halves are quantize.ts's.
 */
import { WeightsError } from "../core/errors.js";
import type { ByteReader } from "./byte-reader.js";
import { decodeBf16, decodeF16 } from "./quantize.js";
import type { StoredDtype } from "./weights-file.js";

/** Bytes of one element of each type. */
export const STORED_SIZES: Readonly<Record<StoredDtype, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
};

/**
 * Checks a range of a tensor's elements.
 * @throws WeightsError for one that is not inside the tensor.
 */
export function checkElements(file: string, name: string, shape: readonly number[], begin: number, end: number): void {
  const size = shape.reduce((product, side) => product * side, 1);
  if (Number.isSafeInteger(begin) && Number.isSafeInteger(end) && begin >= 0 && begin <= end && end <= size) return;
  throw new WeightsError(
    `load: the range is outside of the tensor (file ${file}, tensor ${JSON.stringify(name)} [${shape}], elements ${begin} to ${end}). Read within it.`,
  );
}

/** Bytes read at once where they are converted: two such chunks are all that is held. */
const CHUNK_BYTES = 2 ** 22;

const HOST_IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Bytes of one element. */
export function storedSize(dtype: StoredDtype): number {
  return STORED_SIZES[dtype];
}

/**
 * Little-endian elements as float32, each rounded to the nearest: whole numbers beyond 2^24 lose digits.
 * @param bytes target.length elements.
 */
export function floatsFromStored(dtype: StoredDtype, bytes: Uint8Array, target: Float32Array): void {
  const size = storedSize(dtype);
  const aligned = bytes.byteOffset % size === 0 && HOST_IS_LITTLE_ENDIAN;
  const { buffer, byteOffset, byteLength } = aligned ? bytes : nativeOrder(bytes, size);
  const count = byteLength / size;
  switch (dtype) {
    case "F32":
      target.set(new Float32Array(buffer, byteOffset, count));
      return;
    case "F64":
      target.set(new Float64Array(buffer, byteOffset, count));
      return;
    case "F16":
      decodeF16(new Uint16Array(buffer, byteOffset, count), target);
      return;
    case "BF16":
      decodeBf16(new Uint16Array(buffer, byteOffset, count), target);
      return;
    case "I64":
      convertBig(new BigInt64Array(buffer, byteOffset, count), target);
      return;
    case "U64":
      convertBig(new BigUint64Array(buffer, byteOffset, count), target);
      return;
    case "I32":
      target.set(new Int32Array(buffer, byteOffset, count));
      return;
    case "U32":
      target.set(new Uint32Array(buffer, byteOffset, count));
      return;
    case "I16":
      target.set(new Int16Array(buffer, byteOffset, count));
      return;
    case "U16":
      target.set(new Uint16Array(buffer, byteOffset, count));
      return;
    case "I8":
      target.set(new Int8Array(buffer, byteOffset, count));
      return;
    case "U8":
    case "BOOL":
      target.set(new Uint8Array(buffer, byteOffset, count));
      return;
  }
}

/**
 * Fills the target, which may be shared memory, with the elements from a byte of a file on. Float32 goes into it as it is; else a chunk is
 * converted while the next one is read.
 */
export async function readStoredFloats(
  reader: ByteReader,
  dtype: StoredDtype,
  offset: number,
  target: Float32Array,
): Promise<void> {
  if (dtype === "F32" && HOST_IS_LITTLE_ENDIAN) {
    await reader.readInto(offset, new Uint8Array(target.buffer, target.byteOffset, target.byteLength));
    return;
  }
  const size = storedSize(dtype);
  const step = CHUNK_BYTES / size;
  const buffers = [0, 1].map(() => new Uint8Array(Math.min(CHUNK_BYTES, target.length * size)));
  const readChunk = async (begin: number): Promise<Uint8Array> => {
    const chunk = buffers[(begin / step) % 2].subarray(0, Math.max(0, Math.min(step, target.length - begin)) * size);
    if (chunk.length > 0) await reader.readInto(offset + begin * size, chunk);
    return chunk;
  };
  let coming = readChunk(0);
  for (let begin = 0; begin < target.length; begin += step) {
    const chunk = await coming;
    coming = readChunk(begin + step);
    floatsFromStored(dtype, chunk, target.subarray(begin, begin + step));
    // A failure is thrown when its turn comes, and is not unhandled until then.
    coming.catch(() => undefined);
  }
  await coming;
}

function convertBig(values: BigInt64Array | BigUint64Array, target: Float32Array): void {
  for (let i = 0; i < values.length; i++) target[i] = Number(values[i]);
}

/** A copy that can be viewed as elements here. */
function nativeOrder(bytes: Uint8Array, size: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  if (HOST_IS_LITTLE_ENDIAN) return copy;
  for (let i = 0; i < copy.length; i += size) copy.subarray(i, i + size).reverse();
  return copy;
}
