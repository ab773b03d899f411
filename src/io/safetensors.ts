/**
 * Safetensors files: opens them for reading in ranges, so that no tensor is ever held whole by the reader, and writes them chunk
 * by chunk, all or nothing. The format and its checks are in safetensors-format.ts, the safe replacing in atomic-file.ts.
 */
import { type FileHandle, open } from "node:fs/promises";
import { DamagedFileError, WeightsError } from "../core/errors.js";
import { errorCode, writeFileAtomically } from "./atomic-file.js";
import {
  bytesFromFloats,
  elementCount,
  encodeHeader,
  floatRange,
  floatsFromBytes,
  PREFIX_BYTES,
  parseHeader,
  parseHeaderLength,
  type SafetensorsHeader,
  type SafetensorsSource,
  type TensorToWrite,
  wholeRange,
} from "./safetensors-format.js";

export {
  parseSafetensors,
  type SafetensorsSource,
  type TensorEntry,
  type TensorToWrite,
} from "./safetensors-format.js";

/** One system call reads at most 2 GiB - 4 KiB on Linux; Node refuses lengths above 2^31 - 1. */
const MAX_READ_BYTES = 2 ** 30;

/**
 * Large tensors are read in parts at the same time, one in each of Node's threads for files. VGG-16's 553 MB from the page cache into new memory
 * take 308 ms in one part, 162 in two, 160 in four (two cores, `scripts/long/cold-start.ts`).
 */
const PARTS = 4;
const MIN_PART_BYTES = 2 ** 22;

/**
 * Opens a safetensors file and checks its header against the file's size; tensors are read when asked for.
 * @throws WeightsError for a file that is missing or unreadable; DamagedFileError for one that is truncated or malformed.
 */
export async function openSafetensors(file: string): Promise<SafetensorsSource> {
  const handle = await openForReading(file);
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= handle.close();
    return closed;
  };
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) {
      throw new WeightsError(`openSafetensors: the path is no regular file (path ${file}). Name a weights file.`);
    }
    const header = await readHeader(handle, stats.size, file);
    return {
      ...header,
      async read(name, elementBegin, elementEnd) {
        const { offset, sizeBytes } = floatRange(header, name, elementBegin, elementEnd, file);
        return floatsFromBytes(await readRange(handle, offset, sizeBytes, file));
      },
      async readInto(name, target) {
        const { offset } = wholeRange(header, name, target, file);
        await readBytes(handle, target, offset, file);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Writes float32 tensors, in the given order. The old file stays whole until the new one is complete.
 * @throws WeightsError where chunks do not add up to the shape; UsageError where the path cannot be written.
 */
export async function writeSafetensors(
  file: string,
  tensors: Iterable<TensorToWrite>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const list = [...tensors];
  const header = encodeHeader(list, metadata);
  await writeFileAtomically("writeSafetensors", file, async (handle) => {
    await handle.writeFile(header);
    for (const tensor of list) await writeTensor(handle, tensor);
  });
}

async function writeTensor(handle: FileHandle, { name, shape, chunks }: TensorToWrite): Promise<void> {
  const expected = elementCount(shape);
  let count = 0;
  for await (const chunk of chunks) {
    count += chunk.length;
    if (count > expected) break;
    // writeFile on a handle goes on from where the last one ended, and writes all of it.
    await handle.writeFile(bytesFromFloats(chunk));
  }
  if (count !== expected) {
    throw new WeightsError(
      `writeSafetensors: ${count < expected ? "too few" : "too many"} values ` +
        `(tensor ${JSON.stringify(name)}, values ${count}, shape [${shape}] ${expected}). Pass one for each element.`,
    );
  }
}

async function openForReading(file: string): Promise<FileHandle> {
  try {
    return await open(file, "r");
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw new WeightsError(`openSafetensors: the file does not exist (path ${file}). Check the path.`);
    }
    if (code === "EISDIR") {
      throw new WeightsError(`openSafetensors: the path is no regular file (path ${file}). Name a weights file.`);
    }
    throw new WeightsError(`openSafetensors: the file cannot be read (path ${file}, ${code}). Check its permissions.`);
  }
}

async function readHeader(handle: FileHandle, sizeBytes: number, file: string): Promise<SafetensorsHeader> {
  const prefix = await readRange(handle, 0, Math.min(PREFIX_BYTES, sizeBytes), file);
  try {
    const length = parseHeaderLength(prefix, sizeBytes, file);
    return parseHeader(await readRange(handle, PREFIX_BYTES, length, file), sizeBytes, file);
  } catch (error) {
    throw error instanceof WeightsError ? new DamagedFileError(error.message) : error;
  }
}

/** Exactly these bytes, in an array of their own. */
async function readRange(handle: FileHandle, offset: number, sizeBytes: number, file: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(sizeBytes);
  await readBytes(handle, bytes, offset, file);
  return bytes;
}

/** Fills the bytes, which may be shared memory, and lets go of them only then. */
async function readBytes(handle: FileHandle, bytes: Uint8Array, offset: number, file: string): Promise<void> {
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
    const { bytesRead } = await handle.read(bytes, done, wanted, offset + done);
    if (bytesRead === 0) {
      throw new WeightsError(
        `safetensors: ${file} became shorter while it was read (byte ${offset + done} is gone). Wait until it is written, then open it again.`,
      );
    }
    done += bytesRead;
  }
}
