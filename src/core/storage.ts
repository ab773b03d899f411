/**
 * The memory behind one or more tensors (a flattened tensor shares its storage with the original).
 * Owns the life of that memory; where it lies is decided when its program runs (plan.ts, runner.ts).
 */
import type { Buffer, DataType, HostArray } from "../backend/backend.js";
import type { Program } from "./program.js";

/**
 * - `empty`: nothing was written yet
 * - `live`: its value is there, or will be once its program ran
 * - `spent`: its program ran and nobody had asked to keep the value
 */
export type StorageState = "empty" | "live" | "spent";

/** Survives programs: parameters, gradients, optimiser state, kept tensors. All else ends with its program. */
export type Lifetime = "program" | "kept";

/** A value that kernels made of a weight alone, kept beside it. */
export interface DerivedValue {
  readonly buffer: Buffer;
  /** The weight's version that it was made of; null while it is not made. */
  version: number | null;
}

/** What a kept storage has of the backend's memory. */
export interface KeptMemory {
  buffer: Buffer | null;
  /** By the backend's keys: see derived.ts. */
  readonly derived: Map<string, DerivedValue>;
}

export class Storage {
  state: StorageState = "empty";
  /** The open program that writes it, if its value is not computed yet. */
  program: Program | null = null;
  /** Counts the writes; what was recorded against an older version is refused. */
  version = 0;
  /** The version that it has once all programs in the queue have run. */
  queuedVersion = 0;
  /** Number of the newest recorded call that reads or writes it. */
  lastUse = 0;
  /** Awaited values live on in host memory, where the garbage collector sees them. */
  hostCopy: HostArray | null = null;
  /** Kept memory. Its own object, so that a finalizer can release it after the storage is gone. */
  readonly memory: KeptMemory = { buffer: null, derived: new Map() };

  constructor(
    readonly length: number,
    readonly dtype: DataType,
    public lifetime: Lifetime,
    /** What made it, for messages: `conv2d (features.0)` or a parameter's name. */
    public label: string,
  ) {}
}
