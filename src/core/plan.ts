/**
 * Turns a sealed program into a plan a backend can run: every tensor gets a place, kept ones in buffers of their own,
 * all others in slots that memory-plan.ts shares out by last use. Before that, fuse.ts rewrites the calls. What calls derive of a
 * weight is kept beside it (derived.ts), or lives for one call where the program writes the weight later on.
 */
import {
  type Backend,
  type InPlace,
  KERNEL_IN_PLACE,
  type KernelCall,
  type KernelName,
  type Place,
  type Plan,
  type PlannedDerived,
} from "../backend/backend.js";
import type { DerivedCache } from "./derived.js";
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
  /** Says that all calls have run. */
  settle(): void;
  /** Releases the buffers that were allocated for this plan, when it cannot be loaded. */
  giveBack(): void;
}

export interface PlanOptions {
  /**
   * For the step-through: calls are those that were recorded, and every value keeps its own memory to the end. The bits are the
   * same.
   */
  readonly inspect: boolean;
  /** Somebody will ask when each call ran. */
  readonly timed: boolean;
  /** Null: nothing that is derived of weights outlives its call. */
  readonly derived: DerivedCache | null;
}

/** @throws MemoryFullError where the kept values do not fit; whatever was taken for them is given back. */
export async function buildPlan(
  backend: Backend,
  parts: readonly Program[],
  recorded: readonly RecordedCall[],
  { inspect, timed, derived: cache }: PlanOptions,
): Promise<BuiltPlan> {
  const awaited = new Set(parts.flatMap((part) => part.reads.map(({ storage }) => storage)));
  const forgotten = new Set(parts.flatMap((part) => [...part.forgotten]));
  const isObserved = (storage: Storage): boolean =>
    awaited.has(storage) || (storage.lifetime === "kept" && !forgotten.has(storage));
  // A gradient without memory from before that ends with this program.
  const isKept = (storage: Storage): boolean =>
    storage.lifetime === "kept" && !(forgotten.has(storage) && storage.memory.buffer === null);
  const calls = inspect ? recorded : fuse(recorded, isObserved);
  await backend.prepare(calls.map((call) => toKernelCall(call, ({ length, dtype }) => ({ length, dtype }))));
  const { lifespans, spanOf } = lifespansOf(backend, parts, calls, { isKept, awaited });

  // Shared scratch memory lives for one call.
  const scratchOf = calls.map((call, i) => {
    const sizeBytes = backend.scratchBytes(toKernelCall(call, () => null));
    return sizeBytes > 0 ? lifespans.push({ sizeBytes, first: i, last: i }) - 1 : null;
  });

  const lastWrite = lastWrites(parts, calls);
  const use = cache?.begin();
  const planDerived = calls.map((call, i): (() => PlannedDerived) | null => {
    const derived = backend.derivedOf(toKernelCall(call, () => null));
    if (derived === null) return null;
    const weight = call.tensors.weight?.storage;
    const version = weight && call.versions.get(weight);
    if (use && weight && version !== undefined && (lastWrite.get(weight) ?? -1) < i) {
      return () => use.take(weight, version, derived);
    }
    const span = lifespans.push({ sizeBytes: derived.partBytes, first: i, last: i }) - 1;
    return () => ({ room: { slot: slotOf[span] }, kept: false, fresh: false });
  });
  const { slotOf, slots, sizeBytes } = planSlots(lifespans, !inspect, backend.slotRules);

  // Of the values of before this program.
  for (const { memory } of lastWrite.keys()) cache?.drop(memory);
  const kept: Storage[] = [];
  const giveBack = (): void => {
    for (const { memory } of kept) {
      if (memory.buffer) backend.release(memory.buffer);
      memory.buffer = null;
    }
    use?.giveBack();
  };
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
  const makePlan = (): Plan => {
    for (const storage of lastWrite.keys()) {
      if (!isKept(storage) || storage.memory.buffer !== null) continue;
      storage.memory.buffer = backend.allocate(backend.sizeBytes(storage.length, storage.dtype), storage.label);
      kept.push(storage);
    }
    return {
      slots,
      sizeBytes,
      uploads: parts.flatMap((part) => part.uploads.map(({ storage, data }) => ({ place: placeOf(storage), data }))),
      calls: calls.map((call, i) => {
        const scratch = scratchOf[i];
        return {
          call: toKernelCall(call, placeOf),
          scratch: scratch === null ? null : slotOf[scratch],
          derived: planDerived[i]?.() ?? null,
          label: callLabel(call),
        };
      }),
      timed,
    };
  };
  try {
    return { calls, placeOf, giveBack, settle: () => use?.settle(), plan: makePlan() };
  } catch (error) {
    giveBack();
    throw error;
  }
}

/** From which call to which each value that is not kept must be there; `spanOf` gives its index. */
function lifespansOf(
  backend: Backend,
  parts: readonly Program[],
  calls: readonly RecordedCall[],
  { isKept, awaited }: { isKept(storage: Storage): boolean; awaited: ReadonlySet<Storage> },
): { lifespans: Lifespan[]; spanOf: ReadonlyMap<Storage, number> } {
  const lifespans: Lifespan[] = [];
  const spanOf = new Map<Storage, number>();
  const touch = (storage: Storage, call: number): void => {
    if (isKept(storage)) return;
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

/** The last call that writes each storage, −1 for an upload; in the order of their first writes. */
function lastWrites(parts: readonly Program[], calls: readonly RecordedCall[]): ReadonlyMap<Storage, number> {
  const last = new Map<Storage, number>();
  for (const part of parts) for (const { storage } of part.uploads) last.set(storage, -1);
  calls.forEach((call, i) => {
    for (const [role, tensor] of Object.entries(call.tensors)) {
      if (tensor && isWritten(call.kernel, role)) last.set(tensor.storage, i);
    }
  });
  return last;
}

/** The recorded call with every tensor replaced by what stands for it. */
function toKernelCall<T>(call: RecordedCall, of: (storage: Storage) => T): KernelCall<T> {
  const tensors: Record<string, T | null> = {};
  for (const [role, tensor] of Object.entries(call.tensors)) tensors[role] = tensor && of(tensor.storage);
  // record() checked kernel, shape and roles against one another.
  return { kernel: call.kernel, shape: call.shape, tensors } as KernelCall<T>;
}
