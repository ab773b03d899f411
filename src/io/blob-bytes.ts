/** Blobs, and with them files that a user chose in a browser, as bytes that are read in ranges (byte-reader.ts). */
import { DamagedFileError, WeightsError } from "../core/errors.js";
import { type ByteReader, checkRange } from "./byte-reader.js";

/** Blob.slice makes large arrays; a file of a user is read in pieces of so many bytes. */
const PIECE_BYTES = 2 ** 24;

/**
 * A reader of a blob.
 * @param siblings the files beside it, by name: shards.
 */
export function blobReader(blob: Blob, name = "the file", siblings: ReadonlyMap<string, Blob> = new Map()): ByteReader {
  const readInto = async (offset: number, target: Uint8Array): Promise<void> => {
    checkRange(name, blob.size, offset, target.byteLength);
    for (let begin = 0; begin < target.byteLength; begin += PIECE_BYTES) {
      const end = Math.min(target.byteLength, begin + PIECE_BYTES);
      target.set(await bytesOf(blob.slice(offset + begin, offset + end), end - begin, name), begin);
    }
  };
  return {
    name,
    sizeBytes: blob.size,
    async read(offset, sizeBytes) {
      checkRange(name, blob.size, offset, sizeBytes);
      const bytes = new Uint8Array(sizeBytes);
      await readInto(offset, bytes);
      return bytes;
    },
    readInto,
    async sibling(other) {
      const found = siblings.get(other);
      if (found) return blobReader(found, other, siblings);
      throw new WeightsError(
        `load: a file beside ${name} is missing (file ${JSON.stringify(other)}). Choose it together with this one.`,
      );
    },
    async close() {},
  };
}

async function bytesOf(part: Blob, sizeBytes: number, name: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await part.arrayBuffer());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new WeightsError(`load: ${name} cannot be read (${reason}). Choose it again.`);
  }
  if (bytes.byteLength === sizeBytes) return bytes;
  throw new DamagedFileError(
    `load: ${name} became shorter while it was read (wanted ${sizeBytes} bytes, got ${bytes.byteLength}). Choose it again.`,
  );
}
