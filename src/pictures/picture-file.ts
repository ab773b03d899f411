/** Reads a picture from a file (Node); what is in the bytes is decode-wasm.ts's. */
import { readFile, stat } from "node:fs/promises";
import { DataError } from "../core/errors.js";
import { decodePicture } from "./decode-wasm.js";
import type { Picture } from "./pixels.js";

/** Refused before it is read: MAX_PIXELS of incompressible 16-bit RGBA would be smaller. */
const MAX_FILE_BYTES = 1_000_000_000;

/**
 * Reads and decodes a picture file.
 * @throws DataError for a file that is missing, unreadable, or not a picture.
 */
export async function readPicture(file: string): Promise<Picture> {
  return decodePicture(await readPictureFile(file), file);
}

/**
 * Reads the bytes of a picture file, without a look at them.
 * @throws DataError for a file that is missing, unreadable, no regular file, or absurdly large.
 */
export async function readPictureFile(file: string): Promise<Uint8Array> {
  try {
    const stats = await stat(file);
    if (!stats.isFile())
      throw new DataError(`readPicture: the path is no regular file (path ${file}). Name a picture.`);
    if (stats.size > MAX_FILE_BYTES) {
      throw new DataError(
        `readPicture: the file is too large for a picture (path ${file}, ${stats.size} bytes). Make it smaller.`,
      );
    }
    return await readFile(file);
  } catch (error) {
    if (error instanceof DataError) throw error;
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw new DataError(`readPicture: the file does not exist (path ${file}). Check the path.`);
    }
    throw new DataError(`readPicture: the file cannot be read (path ${file}, ${code}). Check its permissions.`);
  }
}
