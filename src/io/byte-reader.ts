/**
 * Bytes that are read in ranges, wherever they are: what all readers of weights files stand on. Here the contract, and bytes in memory;
 * files are file-bytes.ts's (Node), addresses url-bytes.ts's. Nothing of Node.
 */
import { DamagedFileError, WeightsError } from "../core/errors.js";

/** Bytes to be read in ranges. Any number of reads may be under way at once. */
export interface ByteReader {
  /** What to call it in errors: a path, an address. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Path of the file, where it is one: a thread of its own can open it again. */
  readonly path?: string;
  /**
   * These bytes, in an array that may be kept.
   * @throws DamagedFileError where they are not all there, with the offset; WeightsError where they cannot be read.
   */
  read(offset: number, sizeBytes: number): Promise<Uint8Array>;
  /** Fills the target, which may be shared memory, and lets go of it only then. @throws as read() does. */
  readInto(offset: number, target: Uint8Array): Promise<void>;
  /**
   * Another file of the same place, by its name relative to this one: a shard.
   * @throws WeightsError where there is none, or where the name leads out of the folder.
   */
  sibling(name: string): Promise<ByteReader>;
  /** Closes the file. May be called twice. */
  close(): Promise<void>;
}

/**
 * A reader of bytes in memory, which are not copied before they are read.
 * @param siblings bytes of the files beside it, by name.
 */
export function bytesReader(
  bytes: Uint8Array,
  name = "the bytes",
  siblings: ReadonlyMap<string, Uint8Array> = new Map(),
): ByteReader {
  return {
    name,
    sizeBytes: bytes.byteLength,
    async read(offset, sizeBytes) {
      checkRange(name, bytes.byteLength, offset, sizeBytes);
      return bytes.slice(offset, offset + sizeBytes);
    },
    async readInto(offset, target) {
      checkRange(name, bytes.byteLength, offset, target.byteLength);
      target.set(bytes.subarray(offset, offset + target.byteLength));
    },
    async sibling(other) {
      const found = siblings.get(other);
      if (found) return bytesReader(found, other, siblings);
      throw new WeightsError(
        `load: a file beside ${name} is missing (file ${JSON.stringify(other)}). Give it together with this one.`,
      );
    },
    async close() {},
  };
}

/** @throws DamagedFileError for a range that is not inside the file; it names the first byte that is missing. */
export function checkRange(name: string, fileSizeBytes: number, offset: number, sizeBytes: number): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(sizeBytes) && offset >= 0 && sizeBytes >= 0;
  if (whole && offset + sizeBytes <= fileSizeBytes) return;
  throw new DamagedFileError(
    `load: ${name} ends before its data do (byte ${Math.max(0, Math.min(offset + sizeBytes, fileSizeBytes))} is missing, wanted ${sizeBytes} bytes from ${offset}). ` +
      "Download or save the file again.",
  );
}

/**
 * Checks the name of a file beside another one, as files themselves give it.
 * @returns its parts: folders below the other's, then the name.
 * @throws WeightsError for a name that leads out of the folder, wherever that is: absolute, with a drive or a scheme, with `..`.
 */
export function siblingName(name: string, beside: string): string[] {
  const parts = name.split("/").filter((part) => part !== ".");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  const strange = /[\\:\u0000-\u001f]/.test(name) || parts.some((part) => part === "" || /^\.\.[. ]*$/.test(part));
  if (parts.length > 0 && !strange) return parts;
  throw new WeightsError(
    `load: ${beside} names a file outside of its folder (name ${JSON.stringify(name)}). Files must lie beside it; it may be an attack.`,
  );
}
