/**
 * What has come so far of a file: `FILE.part`, its hash as it grows, and beside it (`FILE.part.json`) what the server said to tell this
 * version of the file from another. Knows nothing of HTTP beyond those two headers; download.ts fills it.
 */
import { createHash, type Hash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, readFile, rm, writeFile } from "node:fs/promises";
import { UsageError } from "../core/errors.js";
import { renamePatiently } from "../io/atomic-file.js";

const CHUNK_BYTES = 2 ** 20;

/** Which version of a file a server sent. */
export interface Version {
  /** Where from: a version of one server says nothing about another. */
  readonly url: string;
  readonly etag: string | null;
  readonly lastModified: string | null;
}

/** An open part. */
export class PartFile {
  readonly path: string;
  readonly #handle: FileHandle;
  #hash: Hash = createHash("sha256");
  #length = 0;
  /** What the server said of the version that the bytes are of; null where that is not known. */
  #version: Version | null = null;

  private constructor(file: string, handle: FileHandle) {
    this.path = file;
    this.#handle = handle;
  }

  /**
   * Opens a part, or begins one. Reads what is there, for its hash.
   * @param maxBytes what is longer cannot be a part: it is begun anew.
   * @throws UsageError where something else than a file is in the way.
   */
  static async open(file: string, maxBytes: number, onRead: (bytes: number) => void): Promise<PartFile> {
    const part = new PartFile(file, await open(file, constants.O_RDWR | constants.O_CREAT));
    try {
      const found = await part.#handle.stat();
      if (!found.isFile()) throw new UsageError(`pull: this is no regular file (path ${file}). Remove it.`);
      if (found.size > maxBytes) await part.restart(null);
      else await part.#readExisting(found.size, onRead);
      if (part.#length > 0) part.#version = await readVersion(file);
      return part;
    } catch (error) {
      await part.#handle.close();
      throw error;
    }
  }

  /** How many bytes there are. */
  get length(): number {
    return this.#length;
  }

  get version(): Version | null {
    return this.#version;
  }

  /** Drops all bytes; those that follow are of this version. */
  async restart(version: Version | null): Promise<void> {
    await this.#handle.truncate(0);
    this.#length = 0;
    this.#hash = createHash("sha256");
    this.#version = version;
    if (version === null) await rm(versionFile(this.path), { force: true });
    else await writeFile(versionFile(this.path), JSON.stringify(version));
  }

  async append(chunk: Uint8Array): Promise<void> {
    for (let done = 0; done < chunk.length; ) {
      const { bytesWritten } = await this.#handle.write(chunk, done, chunk.length - done, this.#length);
      this.#hash.update(chunk.subarray(done, done + bytesWritten));
      done += bytesWritten;
      this.#length += bytesWritten;
    }
  }

  /** SHA-256 of the bytes so far, in hexadecimal digits. */
  sha256(): string {
    return this.#hash.copy().digest("hex");
  }

  /** Puts the file in its place, synced to disk. The part is closed and gone afterwards. */
  async finish(target: string): Promise<void> {
    await this.#handle.sync();
    await this.#handle.close();
    await renamePatiently(this.path, target);
    await rm(versionFile(this.path), { force: true });
  }

  /** Closes the file and leaves it for another time, or removes it where it is empty. Does nothing after {@link finish}. */
  async close(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    if (this.#length > 0) return;
    await rm(this.path, { force: true });
    await rm(versionFile(this.path), { force: true });
  }

  async #readExisting(size: number, onRead: (bytes: number) => void): Promise<void> {
    const buffer = new Uint8Array(CHUNK_BYTES);
    while (this.#length < size) {
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, this.#length);
      if (bytesRead === 0) break;
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.#length += bytesRead;
      onRead(this.#length);
    }
  }
}

function versionFile(part: string): string {
  return `${part}.json`;
}

async function readVersion(part: string): Promise<Version | null> {
  try {
    const value: unknown = JSON.parse(await readFile(versionFile(part), "utf8"));
    if (typeof value !== "object" || value === null) return null;
    if (!("url" in value && "etag" in value && "lastModified" in value)) return null;
    const { url, etag, lastModified } = value;
    if (typeof url !== "string" || !isTextOrNull(etag) || !isTextOrNull(lastModified)) return null;
    return { url, etag, lastModified };
  } catch {
    return null;
  }
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === "string";
}
