/**
 * Files as bytes that are read in ranges (byte-reader.ts), for Node: large ranges in parts at the same time, straight into the target.
 * What is in the files is the business of each format's reader; addresses are url-bytes.ts's.
 */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import path from "node:path";
import { DamagedFileError, WeightsError } from "../core/errors.js";
import { errorCode } from "./atomic-file.js";
import { type ByteReader, checkRange, siblingName } from "./byte-reader.js";

/** One system call reads at most 2 GiB - 4 KiB on Linux; Node refuses lengths above 2^31 - 1. */
const MAX_READ_BYTES = 2 ** 30;

/**
 * Large ranges are read in parts at the same time, one in each of Node's threads for files. VGG-16's 553 MB from the page cache into new memory
 * take 308 ms in one part, 162 in two, 160 in four (two cores, `scripts/long/cold-start.ts`).
 */
const PARTS = 4;
const MIN_PART_BYTES = 2 ** 22;

/**
 * Opens a file.
 * @param op what to call the operation in errors.
 * @throws WeightsError for a file that is missing or unreadable, and for what is no regular file.
 */
export async function openFileBytes(file: string, op = "load"): Promise<ByteReader> {
  const handle = await openForReading(file, op);
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= handle.close();
    return closed;
  };
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw noFile(file, op);
    const readInto = async (offset: number, target: Uint8Array): Promise<void> => {
      checkRange(file, stats.size, offset, target.byteLength);
      await readParts(handle, target, offset, file);
    };
    return {
      name: file,
      path: file,
      sizeBytes: stats.size,
      async read(offset, sizeBytes) {
        checkRange(file, stats.size, offset, sizeBytes);
        const bytes = new Uint8Array(sizeBytes);
        await readInto(offset, bytes);
        return bytes;
      },
      readInto,
      sibling: async (name) => openFileBytes(path.join(path.dirname(file), ...siblingName(name, file)), op),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openForReading(file: string, op: string): Promise<FileHandle> {
  try {
    // A pipe that nobody writes to would be waited for; Windows has no such flag.
    return await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw new WeightsError(`${op}: the file does not exist (path ${file}). Check the path.`);
    }
    if (code === "EISDIR") throw noFile(file, op);
    throw new WeightsError(`${op}: the file cannot be read (path ${file}, ${code}). Check its permissions.`);
  }
}

function noFile(file: string, op: string): WeightsError {
  return new WeightsError(`${op}: the path is no regular file (path ${file}). Name a weights file.`);
}

/** Fills the bytes, which may be shared memory, and lets go of them only then. */
async function readParts(handle: FileHandle, bytes: Uint8Array, offset: number, file: string): Promise<void> {
  const size = Math.max(MIN_PART_BYTES, Math.ceil(bytes.length / PARTS));
  const parts: Promise<void>[] = [];
  for (let begin = 0; begin < bytes.length; begin += size) {
    parts.push(readPart(handle, bytes.subarray(begin, begin + size), offset + begin, file));
  }
  for (const part of await Promise.allSettled(parts)) if (part.status === "rejected") throw part.reason;
}

async function readPart(handle: FileHandle, bytes: Uint8Array, offset: number, file: string): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const wanted = Math.min(bytes.length - done, MAX_READ_BYTES);
    const bytesRead = await readSome(handle, bytes, done, wanted, offset + done, file);
    if (bytesRead === 0) {
      throw new DamagedFileError(
        `load: ${file} became shorter while it was read (byte ${offset + done} is gone). Wait until it is written, then open it again.`,
      );
    }
    done += bytesRead;
  }
}

async function readSome(
  handle: FileHandle,
  bytes: Uint8Array,
  begin: number,
  sizeBytes: number,
  position: number,
  file: string,
): Promise<number> {
  try {
    return (await handle.read(bytes, begin, sizeBytes, position)).bytesRead;
  } catch (error) {
    throw new WeightsError(
      `load: ${file} cannot be read (byte ${position}, ${errorCode(error) || String(error)}). Check the disk, and that the file was not closed.`,
    );
  }
}
