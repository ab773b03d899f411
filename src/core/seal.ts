/**
 * Sealing: closes a program for recording and settles which of its values survive it. A sealed program waits in the
 * runner's queue; if it cannot get memory there, sealing and recording are undone.
 */
import type { HostArray } from "../backend/backend.js";
import { checkVersions, type PendingRead, type Program, type RecordedCall } from "./program.js";
import type { Storage } from "./storage.js";

/** A program that waits for its turn. */
export interface SealedProgram {
  /** The program and those that run before it, in running order. */
  readonly parts: readonly Program[];
  /** In running order. */
  readonly calls: readonly RecordedCall[];
  /** Values that somebody awaits. */
  readonly reads: readonly PendingRead[];
  /** Other programs that it builds on; their turn is before. */
  readonly closedBefore: readonly Program[];
  /** Was anything recorded since on values that the program writes and that survive it? */
  isUsed(): boolean;
  /** Undoes sealing and recording; the programs that it adopted are open again. */
  reopen(): void;
}

/** Seals `program`. `recordCount` is the number of calls that the engine has recorded so far. */
export function seal(program: Program, recordCount: number): SealedProgram {
  const parts = program.parts();
  const calls = parts.flatMap((part) => part.calls);
  const uploads = parts.flatMap((part) => part.uploads);
  const reads = parts.flatMap((part) => part.reads);
  const versions = versionsAfter(parts, reads);
  for (const part of parts) {
    for (const storage of part.forgotten) if (storage.program !== part) part.forgotten.delete(storage);
  }
  const released = parts.flatMap((part) => [...part.releases, ...part.forgotten]);
  const touched = new Set([...uploads.map((upload) => upload.storage), ...storagesOf(calls), ...released]);
  // What other programs in the queue have settled is theirs to restore.
  const before = [...touched].flatMap((storage) => {
    const { state, queuedVersion, program: writer } = storage;
    return writer || released.includes(storage) ? [{ storage, values: { state, queuedVersion, program: writer } }] : [];
  });
  for (const [storage, version] of versions) storage.queuedVersion = version;
  for (const { storage, data } of uploads) keepHostCopy(storage, data);
  for (const storage of touched) {
    storage.program = null;
    if (storage.lifetime === "program" || released.includes(storage)) storage.state = "spent";
  }
  const closedBefore = program.closedBefore();
  for (const part of parts) part.open = false;
  return {
    parts,
    calls,
    reads,
    closedBefore,
    isUsed: () => [...versions.keys()].some((storage) => storage.lastUse > recordCount),
    reopen() {
      for (const { storage, values } of before) Object.assign(storage, values);
      for (const part of parts) {
        part.open = true;
        part.reads.length = 0;
      }
      program.truncate(0);
    },
  };
}

/** Uploaded values are in host memory anyway: such a tensor can be used again in another program. */
function keepHostCopy(storage: Storage, data: HostArray): void {
  if (storage.lifetime === "program") storage.hostCopy ??= data;
}

function versionsAfter(parts: readonly Program[], reads: readonly PendingRead[]): Map<Storage, number> {
  try {
    return checkVersions(parts);
  } catch (error) {
    return failReads(reads, error);
  }
}

function storagesOf(calls: readonly RecordedCall[]): Storage[] {
  return calls.flatMap((call) => Object.values(call.tensors).flatMap((tensor) => tensor?.storage ?? []));
}

/** Tells all who await a value of a program that it failed. */
export function failReads(reads: readonly PendingRead[], error: unknown): never {
  for (const { fail } of reads) fail(error);
  throw error;
}
