/**
 * Fetches a published file into the user's cache. Owns the order of things: one process at a time (lock.ts), enough room, a part file that
 * is filled (download.ts), checked and only then put in its place, so that a file under its own name is always whole.
 */
import fs from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { UsageError, WeightsError } from "../core/errors.js";
import { errorCode, explainFileError } from "../io/atomic-file.js";
import { isWhole, pullFolder, writeNote } from "./cache.js";
import { DEFAULT_HABITS, type DownloadHabits, download } from "./download.js";
import { type Lock, withLock } from "./lock.js";
import type { ManifestEntry } from "./manifest.js";
import { PartFile } from "./part-file.js";
import type { PullOptions, PullProgress } from "./pull.js";

/** How a pull reaches the disk, and how patient it is; tests pass their own. */
export interface PullWorld extends Partial<DownloadHabits> {
  /** How many bytes a folder's disk has room for. */
  freeBytes?(folder: string): Promise<number>;
  openPart?: typeof PartFile.open;
}

const PROGRESS_MS = 100;

/** Pulls the file of an entry, which need not be of the manifest. Returns its path. */
export async function pullEntry(entry: ManifestEntry, options: PullOptions, world: PullWorld = {}): Promise<string> {
  const { signal, onNote } = options;
  const url = addressOf(entry, options.mirror ?? process.env.VERYDEEP_MIRROR);
  const file = path.join(folderOf(options.dir), entry.file);
  try {
    signal?.throwIfAborted();
    if (await isWhole(file, entry, signal)) return file;
    await makeFolder(path.dirname(file));
    const onWait = () => onNote?.(`another process is pulling ${entry.file}: waiting for it`);
    await withLock(`${file}.lock`, { signal, onWait }, async (lock) => {
      // Whoever had the lock may have brought it.
      if (!(await isWhole(file, entry, signal))) await fetchInto(file, entry, url, lock, options, world);
    });
    return file;
  } catch (error) {
    signal?.throwIfAborted();
    throw explainFileError("pull", file, error);
  }
}

/** The folder that files are kept in. */
export function folderOf(dir: string | undefined): string {
  if (dir === "") throw new UsageError('pull: the folder has no name (dir ""). Name one, or leave it out.');
  return dir === undefined
    ? pullFolder({ platform: process.platform, env: process.env, home: homedir() })
    : path.resolve(dir);
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await fs.mkdir(folder, { recursive: true });
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
    throw new UsageError(`pull: a file is where the folder should be (path ${folder}). Name a folder.`);
  }
}

/** Where to fetch a file from. @throws UsageError for a mirror that is no address. */
export function addressOf(entry: ManifestEntry, mirror: string | undefined): URL {
  if (!mirror) return new URL(entry.url);
  const base = URL.canParse(mirror) ? new URL(mirror) : null;
  if (base === null || !["http:", "https:"].includes(base.protocol)) {
    throw new UsageError(
      `pull: the mirror is no address (mirror ${JSON.stringify(mirror)}). Write one that begins with https:// or http://.`,
    );
  }
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return new URL(entry.file, base);
}

async function fetchInto(
  file: string,
  entry: ManifestEntry,
  url: URL,
  lock: Lock,
  { signal, onProgress, onNote }: PullOptions,
  { freeBytes = freeBytesOf, openPart = PartFile.open, ...habits }: PullWorld,
): Promise<void> {
  const progress = reporter(entry.maxBytes, onProgress);
  const part = await openPart(`${file}.part`, entry.maxBytes, (done) => progress("read", done));
  try {
    await checkRoom(path.dirname(file), entry.maxBytes - part.length, freeBytes);
    progress("download", part.length);
    const watch = {
      onBytes: (done: number) => progress("download", done),
      onFault: (message: string) => onNote?.(message),
    };
    await download(entry, url, part, { ...DEFAULT_HABITS, ...habits }, watch, signal);
    const sha256 = part.sha256();
    await lock.check();
    await part.finish(file);
    // Where there can be no note, the file is read again next time.
    await writeNote(file, sha256).catch(() => undefined);
  } finally {
    await part.close();
  }
}

async function checkRoom(folder: string, bytes: number, freeBytes: (folder: string) => Promise<number>): Promise<void> {
  const free = await freeBytes(folder);
  if (free >= bytes) return;
  const megabytes = (count: number): string => `${Math.ceil(count / 1e6)} MB`;
  throw new WeightsError(
    `pull: the disk is full (folder ${folder}, ${megabytes(bytes)} to come, ${megabytes(free)} free). ` +
      "Make room, or choose another folder with --dir or VERYDEEP_CACHE.",
  );
}

async function freeBytesOf(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await fs.statfs(folder);
    return bavail * bsize;
  } catch {
    // Not every runtime and file system can tell; a full disk then shows when it is full.
    return Number.POSITIVE_INFINITY;
  }
}

/** Tells of progress, not too often. */
function reporter(totalBytes: number, onProgress: PullOptions["onProgress"]) {
  let began = 0;
  let first = 0;
  let told = Number.NEGATIVE_INFINITY;
  let lastPhase = "";
  return (phase: PullProgress["phase"], doneBytes: number): void => {
    const now = performance.now();
    if (phase !== lastPhase || doneBytes < first) {
      lastPhase = phase;
      began = now;
      first = doneBytes;
    } else if (now - told < PROGRESS_MS) return;
    told = now;
    const seconds = (now - began) / 1000;
    onProgress?.({ phase, doneBytes, totalBytes, bytesPerSecond: seconds > 0 ? (doneBytes - first) / seconds : 0 });
  };
}
