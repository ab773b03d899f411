/**
 * Safetensors files: opens them for reading in ranges, so that no tensor is ever held whole by the reader, and writes them chunk
 * by chunk, all or nothing. The format is in safetensors-format.ts, reading files in file-bytes.ts, the safe replacing in atomic-file.ts.
 */
import type { FileHandle } from "node:fs/promises";
import { WeightsError } from "../core/errors.js";
import { writeFileAtomically } from "./atomic-file.js";
import { openFileBytes } from "./file-bytes.js";
import {
  bytesFromChunk,
  encodeHeader,
  openSafetensorsFile,
  type SafetensorsSource,
  type TensorToWrite,
} from "./safetensors-format.js";
import { elementCount } from "./safetensors-header.js";

export {
  parseSafetensors,
  type SafetensorsSource,
  type TensorEntry,
  type TensorToWrite,
} from "./safetensors-format.js";

/**
 * Opens a safetensors file and checks its header against the file's size; tensors are read when asked for.
 * @throws WeightsError for a file that is missing or unreadable; DamagedFileError for one that is truncated or malformed.
 */
export async function openSafetensors(file: string): Promise<SafetensorsSource> {
  const reader = await openFileBytes(file, "openSafetensors");
  try {
    return await openSafetensorsFile(reader);
  } catch (error) {
    await reader.close();
    throw error;
  }
}

/**
 * Writes tensors, in the given order. The old file stays whole until the new one is complete.
 * @throws WeightsError where chunks do not add up to the shape or are of another type; UsageError where the path cannot be written.
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

async function writeTensor(handle: FileHandle, tensor: TensorToWrite): Promise<void> {
  const { name, shape, chunks } = tensor;
  const expected = elementCount(shape);
  let count = 0;
  for await (const chunk of chunks) {
    count += chunk.length;
    if (count > expected) break;
    // writeFile on a handle goes on from where the last one ended, and writes all of it.
    await handle.writeFile(bytesFromChunk(chunk, tensor));
  }
  if (count !== expected) {
    throw new WeightsError(
      `writeSafetensors: ${count < expected ? "too few" : "too many"} values ` +
        `(tensor ${JSON.stringify(name)}, values ${count}, shape [${shape}] ${expected}). Pass one for each element.`,
    );
  }
}
