/**
 * The folder that pulled files are kept in, and whether a file in it is whole. A file whose hash was found right has a note beside it
 * (`FILE.json`) with its size and time, so that it is not read again each time. Writes nothing else; pull-entry.ts does.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { type CacheHost, cacheFolder } from "../cache-folder.js";
import { UsageError } from "../core/errors.js";
import { writeFileAtomically } from "../io/atomic-file.js";
import type { ManifestEntry } from "./manifest.js";

/** What is known of a file that was checked. */
interface Note {
  readonly bytes: number;
  readonly mtimeMs: number;
  readonly sha256: string;
}

/** The user's folder for caches. @throws UsageError where nothing says where that is. */
export function pullFolder(host: CacheHost): string {
  const folder = cacheFolder(host);
  if (folder !== null) return folder;
  throw new UsageError(
    'pull: this user has no home folder (home ""). Say where files are to be kept, in the variable VERYDEEP_CACHE.',
  );
}

/** Whether a file can be what an entry describes, by its size and its hash. */
export function isPublished({ minBytes, maxBytes, sha256 }: ManifestEntry, bytes: number, hash: string): boolean {
  return bytes >= minBytes && bytes <= maxBytes && hash.startsWith(sha256);
}

/** Whether a file is there and is what its entry describes. Reads it all where that was not done before. */
export async function isWhole(file: string, entry: ManifestEntry, signal?: AbortSignal): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile() || found.size < entry.minBytes || found.size > entry.maxBytes) return false;
  const note = await readNote(file);
  const isNoted = note?.bytes === found.size && note.mtimeMs === found.mtimeMs;
  if (isNoted && isPublished(entry, note.bytes, note.sha256)) return true;
  const sha256 = await hashFile(file, signal);
  if (!isPublished(entry, found.size, sha256)) return false;
  // Where the folder cannot be written to, the file is read again next time.
  await writeNote(file, sha256).catch(() => undefined);
  return true;
}

/** Notes that a file is what it should be. */
export async function writeNote(file: string, sha256: string): Promise<void> {
  const { size: bytes, mtimeMs } = await stat(file);
  const note: Note = { bytes, mtimeMs, sha256 };
  await writeFileAtomically("pull", `${file}.json`, (handle) => handle.writeFile(`${JSON.stringify(note)}\n`));
}

async function readNote(file: string): Promise<Note | undefined> {
  try {
    const note: unknown = JSON.parse(await readFile(`${file}.json`, "utf8"));
    if (typeof note !== "object" || note === null) return undefined;
    if (!("bytes" in note && "mtimeMs" in note && "sha256" in note)) return undefined;
    const { bytes, mtimeMs, sha256 } = note;
    if (typeof bytes !== "number" || typeof mtimeMs !== "number" || typeof sha256 !== "string") return undefined;
    return { bytes, mtimeMs, sha256 };
  } catch {
    return undefined;
  }
}

async function hashFile(file: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) {
    signal?.throwIfAborted();
    hash.update(chunk);
  }
  return hash.digest("hex");
}
