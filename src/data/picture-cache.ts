/**
 * Decoded, rescaled pictures on disk (Node), so that a later epoch or run need not decode again. An entry is named by what it is made of
 * (bytes of the picture file, scale, version of this code), written to a temporary file and renamed, and checked when read: processes may
 * share a folder and may be killed at any moment, and a damaged entry is as good as none. Not synced: after a power cut the check finds out.
 *
 *     | "vdpc" | width u32 | height u32 | SHA-256 of key, width, height, pixels; 32 bytes | RGB, interleaved |     little-endian
 */
import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { errorCode, renamePatiently } from "../io/atomic-file.js";
import { MAX_PIXELS, type Picture } from "../pictures/pixels.js";

/** Part of the key: raise it where decoders or resizing give other pixels. */
const VERSION = 2;
const MAGIC = Buffer.from("vdpc", "latin1");
const HEADER_BYTES = 44;

export class PictureCache {
  #writable = true;

  constructor(private readonly directory: string) {}

  /** The name of the entry for these file bytes at that scale. */
  key(bytes: Uint8Array, scale: number): string {
    return createHash("sha256").update(`verydeep picture ${VERSION} scale ${scale} `).update(bytes).digest("hex");
  }

  /** The picture of an entry; undefined where there is none that is whole. */
  async read(key: string): Promise<Picture | undefined> {
    let entry: Buffer;
    try {
      entry = await readFile(this.#file(key));
    } catch {
      return undefined; // missing, or as good as missing: the picture is made anew
    }
    if (entry.length < HEADER_BYTES || !entry.subarray(0, 4).equals(MAGIC)) return undefined;
    const width = entry.readUInt32LE(4);
    const height = entry.readUInt32LE(8);
    if (width * height > MAX_PIXELS || entry.length !== HEADER_BYTES + width * height * 3) return undefined;
    const pixels = entry.subarray(HEADER_BYTES);
    if (!checksum(key, entry.subarray(4, 12), pixels).equals(entry.subarray(12, HEADER_BYTES))) return undefined;
    return { width, height, pixels };
  }

  /**
   * Writes an entry, and never fails: a cache is a convenience. After a failure nothing more is written.
   * @returns why it could not be written, the first time; otherwise undefined.
   */
  async write(key: string, { width, height, pixels }: Picture): Promise<string | undefined> {
    if (!this.#writable) return undefined;
    const header = Buffer.alloc(HEADER_BYTES);
    MAGIC.copy(header);
    header.writeUInt32LE(width, 4);
    header.writeUInt32LE(height, 8);
    checksum(key, header.subarray(4, 12), pixels).copy(header, 12);
    const file = this.#file(key);
    // A name of its own: other threads and processes may write the same entry.
    const temporary = `${file}.${randomUUID()}.tmp`;
    try {
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(temporary, Buffer.concat([header, pixels]), { flag: "wx" });
      await renamePatiently(temporary, file);
      return undefined;
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      this.#writable = false;
      return `${this.directory} ${errorCode(error)}`;
    }
  }

  #file(key: string): string {
    // 256 folders, so that none gets too full.
    return path.join(this.directory, key.slice(0, 2), key.slice(2));
  }
}

function checksum(key: string, sizes: Uint8Array, pixels: Uint8Array): Buffer {
  return createHash("sha256").update(key).update(sizes).update(pixels).digest();
}
