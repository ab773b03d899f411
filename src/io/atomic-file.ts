/**
 * Writes a file so that a crash at any moment leaves the old or the new one whole: a temporary file in the same folder, synced,
 * renamed over the old one, and the folder synced. Knows nothing of what is written; errors of the system become typed ones here.
 */

import { rmSync } from "node:fs";
import { type FileHandle, mkdir, open, realpath, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { UsageError, VerydeepError, WeightsError } from "../core/errors.js";

/** Windows refuses to rename over a file that a virus scanner or an indexer holds; it lets go soon. */
const BUSY_CODES = new Set(["EPERM", "EBUSY", "EACCES"]);
/** Waits 10, 20, 40 … ms: 2.5 s in all. */
const RENAME_TRIES = 9;

let temporaryCount = 0;

/** Files and folders that are being written and have not their names yet. */
const unfinished = new Set<string>();

/** Notes one. Returns how to forget it, once it is in place or away. */
export function noteUnfinished(temporary: string): () => void {
  unfinished.add(temporary);
  return () => unfinished.delete(temporary);
}

/** Removes what is being written: for a process that ends now. What has its name already stays. */
export function removeUnfinished(): void {
  for (const temporary of unfinished) {
    try {
      rmSync(temporary, { recursive: true, force: true });
    } catch {
      // Whoever is held up by it can remove it by hand; the process must end.
    }
  }
}

/**
 * Writes a file, all or nothing.
 * @param op what to call the operation in errors.
 * @param write receives the temporary file, opened for writing. What it throws is thrown again after the temporary file is removed.
 * @throws UsageError where the folder is missing or not writable or the path is no regular file; WeightsError for a full disk.
 */
export async function writeFileAtomically(
  op: string,
  file: string,
  write: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const target = await resolveTarget(op, file);
  const temporary = temporaryPath(target);
  const finished = noteUnfinished(temporary);
  let handle: FileHandle | undefined;
  try {
    handle = await open(temporary, "wx");
    await write(handle);
    await handle.sync();
    await handle.close();
    handle = undefined;
    await renamePatiently(temporary, target);
    await syncFolder(path.dirname(target));
  } catch (error) {
    await handle?.close().catch(() => undefined);
    await rm(temporary, { force: true }).catch(() => undefined);
    throw explainFileError(op, file, error);
  } finally {
    finished();
  }
}

/**
 * Fails now where {@link writeFileAtomically} would fail later: for long work whose result goes to `file`.
 * @throws UsageError
 */
export async function checkWritable(op: string, file: string): Promise<void> {
  if (/[\\/]$/.test(file)) {
    throw new UsageError(`${op}: the path names a folder, not a file (path ${file}). Add a file name.`);
  }
  const temporary = temporaryPath(await resolveTarget(op, file));
  try {
    await (await open(temporary, "wx")).close();
  } catch (error) {
    throw explainFileError(op, file, error);
  } finally {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
}

/**
 * Makes a new folder, and those above it: `wanted`, or where that is taken `wanted-2`, `wanted-3`, …: nothing is overwritten.
 * @returns its path.
 * @throws UsageError where it cannot be made.
 */
export async function makeFreeFolder(op: string, wanted: string): Promise<string> {
  let folder = wanted;
  try {
    await mkdir(path.dirname(path.resolve(wanted)), { recursive: true });
    for (let number = 2; !(await madeFolder(folder)); number++) folder = `${wanted}-${number}`;
    return folder;
  } catch (error) {
    throw explainFileError(op, folder, error);
  }
}

async function madeFolder(folder: string): Promise<boolean> {
  try {
    await mkdir(folder);
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
}

/** How {@link renamePatiently} reaches the world; tests pass their own. */
export interface RenameWorld {
  readonly platform: string;
  rename(from: string, to: string): Promise<void>;
  wait(milliseconds: number): Promise<unknown>;
}

/** Renames; on Windows tries again while another program holds the file. */
export async function renamePatiently(
  from: string,
  to: string,
  world: RenameWorld = { platform: process.platform, rename, wait: delay },
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await world.rename(from, to);
    } catch (error) {
      if (world.platform !== "win32" || attempt === RENAME_TRIES || !BUSY_CODES.has(errorCode(error))) throw error;
      await world.wait(5 * 2 ** attempt);
    }
  }
}

/** A system error as an error that says what to do; errors of this library pass unchanged. */
export function explainFileError(op: string, file: string, error: unknown): Error {
  if (error instanceof VerydeepError) return error;
  const folder = path.dirname(path.resolve(file));
  switch (errorCode(error)) {
    case "ENOENT":
      return new UsageError(
        `${op}: the folder does not exist (folder ${folder}). Create it first, or choose another path.`,
      );
    case "ENOTDIR":
      return new UsageError(`${op}: a part of the path is not a folder (path ${file}). Choose another path.`);
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new UsageError(
        `${op}: the folder or file is not writable (path ${file}). Choose a path that you may write to, or change the permissions.`,
      );
    case "ENAMETOOLONG":
      return new UsageError(`${op}: the name is too long (path ${file}). Choose a shorter one.`);
    case "ENOSPC":
    case "EDQUOT":
      return new WeightsError(
        `${op}: the disk is full (path ${file}). Make room or choose another disk; the old file is as it was.`,
      );
    default:
      return error instanceof Error ? error : new Error(String(error));
  }
}

/** The `code` of a system error, "" where there is none. */
export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** Follows a link, so that the file it points to is replaced and not the link; refuses folders, devices and pipes. */
async function resolveTarget(op: string, file: string): Promise<string> {
  if (file === "") throw new UsageError(`${op}: the path is empty (path ""). Name a file.`);
  try {
    const target = await realpath(file);
    const kind = await stat(target);
    if (kind.isFile()) return target;
    const what = kind.isDirectory() ? "a folder" : "no regular file";
    throw new UsageError(`${op}: the path is ${what} (path ${file}). Name a file.`);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return path.resolve(file);
    throw explainFileError(op, file, error);
  }
}

function temporaryPath(target: string): string {
  return path.join(path.dirname(target), `.${path.basename(target)}.${process.pid}-${temporaryCount++}.tmp`);
}

/** The rename is on disk only when its folder is; systems that cannot sync a folder (Windows) need not. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // The data itself is synced; what is left to chance is which of two whole files survives a power cut.
  }
}
