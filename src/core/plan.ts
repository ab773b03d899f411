/**
 * Turns a sealed program into a plan a backend can run: every tensor gets a place, kept ones in buffers of their own,
 * all others in slots that memory-plan.ts shares out by last use. Before that, fuse.ts rewrites the calls.
 */
import {
  type Backend,
  type InPlace,
  KERNEL_IN_PLACE,
  type KernelCall,
  type KernelName,
  type Place,
  type Plan,
} from "../backend/backend.js";
import { UsageError } from "./errors.js";
import { fuse } from "./fuse.js";
import { type Lifespan, planSlots } from "./memory-plan.js";
import { callLabel, isWritten, type Program, type RecordedCall } from "./program.js";
import type { Storage } from "./storage.js";

export interface BuiltPlan {
  readonly plan: Plan;
  /** What plan.calls do, call by call: what was recorded, or several of that in one. */
  readonly calls: readonly RecordedCall[];
  placeOf(storage: Storage): Place;
  /** Releases the buffers that were allocated for this plan, when it cannot be loaded. */
  giveBack(): void;
}

/**
 * To `inspect`, for the step-through, calls are those that were recorded and every value keeps its own memory to the end. The bits
 * are the same.
 */
export function buildPlan(
  backend: Backend,
  parts: readonly Program[],
  recorded: readonly RecordedCall[],
  { inspect }: { inspect: boolean },
): BuiltPlan {
  const awaited = new Set(parts.flatMap((part) => part.reads.map(({ storage }) => storage)));
  const isObserved = (storage: Storage): boolean => storage.lifetime === "kept" || awaited.has(storage);
  const calls = inspect ? recorded : fuse(recorded, isObserved);
  const { lifespans, spanOf } = lifespansOf(backend, parts, calls, awaited);

  // Shared scratch memory lives for one call.
  const scratchOf = calls.map((call, i) => {
    const sizeBytes = backend.scratchBytes(toKernelCall(call, () => null));
    return sizeBytes > 0 ? lifespans.push({ sizeBytes, first: i, last: i }) - 1 : null;
  });
  const { slotOf, slotBytes } = planSlots(lifespans, !inspect);

  const { giveBack } = allocateKept(backend, parts, calls);
  const placeOf = (storage: Storage): Place => {
    const { length, dtype } = storage;
    const index = spanOf.get(storage);
    if (index !== undefined) return { slot: slotOf[index], length, dtype };
    const { buffer } = storage.memory;
    if (buffer === null) {
      throw new UsageError(`${storage.label}: its value is gone. Call keep() on it before its program runs.`);
    }
    return { buffer, length, dtype };
  };
  return {
    calls,
    placeOf,
    giveBack,
    plan: {
      slotBytes,
      uploads: parts.flatMap((part) => part.uploads.map(({ storage, data }) => ({ place: placeOf(storage), data }))),
      calls: calls.map((call, i) => {
        const scratch = scratchOf[i];
        return {
          call: toKernelCall(call, placeOf),
          scratch: scratch === null ? null : slotOf[scratch],
          label: callLabel(call),
        };
      }),
    },
  };
}

/** From which call to which each value that is not kept must be there; `spanOf` gives its index. */
function lifespansOf(
  backend: Backend,
  parts: readonly Program[],
  calls: readonly RecordedCall[],
  awaited: ReadonlySet<Storage>,
): { lifespans: Lifespan[]; spanOf: ReadonlyMap<Storage, number> } {
  const lifespans: Lifespan[] = [];
  const spanOf = new Map<Storage, number>();
  const touch = (storage: Storage, call: number): void => {
    if (storage.lifetime === "kept") return;
    const index = spanOf.get(storage);
    if (index === undefined) {
      spanOf.set(storage, lifespans.length);
      lifespans.push({ sizeBytes: backend.sizeBytes(storage.length, storage.dtype), first: call, last: call });
    } else {
      lifespans[index] = { ...lifespans[index], last: Math.max(lifespans[index].last, call) };
    }
  };
  const uploaded = new Set(parts.flatMap((part) => part.uploads.map(({ storage }) => storage)));
  for (const storage of uploaded) touch(storage, 0);
  calls.forEach((call, i) => {
    for (const tensor of Object.values(call.tensors)) if (tensor) touch(tensor.storage, i);
  });
  for (const storage of awaited) touch(storage, calls.length);

  calls.forEach((call, i) => {
    const { output, over } = inPlaceOf(call);
    const index = output === null || uploaded.has(output) ? undefined : spanOf.get(output);
    if (index === undefined || lifespans[index].first !== i) return;
    lifespans[index] = { ...lifespans[index], over: over.flatMap((input) => spanOf.get(input) ?? []) };
  });
  return { lifespans, spanOf };
}

const IN_PLACE: { readonly [K in KernelName]?: InPlace } = KERNEL_IN_PLACE;

/** The value that a call may write over others, and those: inputs that it reads in no other role. */
function inPlaceOf({ kernel, tensors }: RecordedCall): { output: Storage | null; over: Storage[] } {
  const { output, over } = IN_PLACE[kernel] ?? { output: "", over: [] };
  const storagesOf = (wanted: boolean): Storage[] =>
    Object.entries(tensors).flatMap(([role, tensor]) =>
      over.includes(role) === wanted ? (tensor?.storage ?? []) : [],
    );
  const others = storagesOf(false);
  return {
    output: tensors[output]?.storage ?? null,
    over: storagesOf(true).filter((input) => !others.includes(input)),
  };
}

/** Gives kept storages that are written for the first time their buffers; none of them if memory runs out. */
function allocateKept(
  backend: Backend,
  parts: readonly Program[],
  calls: readonly RecordedCall[],
): { giveBack(): void } {
  const made: Storage[] = [];
  const giveBack = (): void => {
    for (const { memory } of made) {
      if (memory.buffer) backend.release(memory.buffer);
      memory.buffer = null;
    }
  };
  const allocate = (storage: Storage): void => {
    if (storage.lifetime !== "kept" || storage.memory.buffer !== null) return;
    storage.memory.buffer = backend.allocate(backend.sizeBytes(storage.length, storage.dtype), storage.label);
    made.push(storage);
  };
  try {
    for (const part of parts) for (const { storage } of part.uploads) allocate(storage);
    for (const call of calls) {
      for (const [role, tensor] of Object.entries(call.tensors)) {
        if (tensor && isWritten(call.kernel, role)) allocate(tensor.storage);
      }
    }
  } catch (error) {
    giveBack();
    throw error;
  }
  return { giveBack };
}

/** The recorded call with every tensor replaced by what stands for it. */
function toKernelCall<T>(call: RecordedCall, of: (storage: Storage) => T): KernelCall<T> {
  const tensors: Record<string, T | null> = {};
  for (const [role, tensor] of Object.entries(call.tensors)) tensors[role] = tensor && of(tensor.storage);
  // record() checked kernel, shape and roles against one another.
  return { kernel: call.kernel, shape: call.shape, tensors } as KernelCall<T>;
}
