/**
 * Measures, on the device, which of several ways is the fastest for each shape that a program has, the first time that such a shape comes; the
 * adapter's results are remembered for later engines. Never on a software adapter, whose times say nothing about a GPU.
 *
 * A measurement works on memory of its own, which is given back; where there is no room for it the rule of the kernel's plan stays.
 */
import { MemoryFullError } from "../../core/errors.js";
import type { KernelCall, Place, TensorFacts } from "../backend.js";
import type { AdapterFacts } from "./device.js";
import { GPU_ELEMENT_BYTES, type LoweringContext } from "./dispatch.js";
import type { GpuHost } from "./host.js";
import { candidatesOf, derivedOf, lower, scratchBytes } from "./lowering.js";
import type { GpuMemory } from "./memory.js";

/** Runs dispatches in a row `repeats` times, and says how long that took. */
export type TimeDispatches = (dispatches: ReturnType<typeof lower>, repeats: number, label: string) => Promise<number>;

/** Winners by key. */
export type Tuning = Map<string, string>;

/** Of a candidate's measurement: long enough for a coarse clock, short enough for a first step. */
const LEAST_MS = 2;
const MAX_REPEATS = 64;
const RUNS = 3;
/** Changes with the kernels: what was measured of others is forgotten. */
const VERSION = 1;

/** What an earlier engine measured of an adapter. */
export async function recallTuning(host: GpuHost, adapter: AdapterFacts): Promise<Tuning> {
  try {
    const found: unknown = JSON.parse((await host.recall(tuningKey(adapter))) ?? "null");
    if (typeof found !== "object" || found === null || !("version" in found && "winners" in found)) return new Map();
    const { version, winners } = found;
    if (version !== VERSION || typeof winners !== "object" || winners === null) return new Map();
    return new Map(Object.entries(winners).filter(([, name]) => typeof name === "string"));
  } catch {
    return new Map();
  }
}

export async function rememberTuning(host: GpuHost, adapter: AdapterFacts, tuning: Tuning): Promise<void> {
  const winners = Object.fromEntries(tuning);
  await host.remember(tuningKey(adapter), JSON.stringify({ version: VERSION, winners }));
}

function tuningKey({ name }: AdapterFacts): string {
  return `webgpu tuning ${name}`;
}

/** Measures what a program's calls leave open, into `tuning`. Returns whether anything was. */
export async function tune(
  calls: readonly KernelCall<TensorFacts>[],
  context: LoweringContext,
  tuning: Tuning,
  memory: GpuMemory,
  time: TimeDispatches,
): Promise<boolean> {
  let measured = false;
  for (const call of calls) {
    const candidates = candidatesOf(call, context);
    if (candidates === null || candidates.names.length < 2 || tuning.has(candidates.key)) continue;
    const { key, names } = candidates;
    let best = "";
    let leastMs = Number.POSITIVE_INFINITY;
    for (const name of names) {
      const tuned = (asked: string): string | null => (asked === key ? name : (tuning.get(asked) ?? null));
      const ms = await timeCandidate(call, { ...context, tuned }, memory, time, `${key} ${name}`);
      if (ms < leastMs) {
        best = name;
        leastMs = ms;
      }
    }
    // Where nothing had room the plan's own rule goes on.
    if (best === "") continue;
    tuning.set(key, best);
    measured = true;
  }
  return measured;
}

/** Milliseconds of one run; Infinity where there is no room for it. */
async function timeCandidate(
  call: KernelCall<TensorFacts>,
  context: LoweringContext,
  memory: GpuMemory,
  time: TimeDispatches,
  label: string,
): Promise<number> {
  const buffers: ReturnType<GpuMemory["allocate"]>[] = [];
  const floats = (bytes: number): Place => {
    const buffer = memory.allocate(bytes, label);
    buffers.push(buffer);
    return { buffer, length: bytes / 4, dtype: "float32" };
  };
  try {
    const tensors = Object.fromEntries(
      Object.entries<TensorFacts | null>(call.tensors).map(([role, tensor]) => {
        if (tensor === null) return [role, null];
        const { length, dtype } = tensor;
        return [role, { ...floats(length * GPU_ELEMENT_BYTES[dtype]), length, dtype }];
      }),
    );
    const scratch = scratchBytes(call, context);
    const derived = derivedOf(call, context);
    // Kept transforms are there in the runs that matter.
    const own = {
      scratch: scratch > 0 ? floats(scratch) : null,
      derived: derived && { place: floats(derived.sizeBytes), fresh: true },
    };
    await memory.settle();
    const dispatches = lower({ ...call, tensors } as KernelCall<Place>, { ...context, ...own });
    await time(dispatches, 1, label);
    let repeats = 1;
    let ms = await time(dispatches, repeats, label);
    while (ms < LEAST_MS && repeats < MAX_REPEATS) {
      repeats *= 4;
      ms = await time(dispatches, repeats, label);
    }
    for (let run = 1; run < RUNS; run++) ms = Math.min(ms, await time(dispatches, repeats, label));
    return ms / repeats;
  } catch (error) {
    if (error instanceof MemoryFullError) return Number.POSITIVE_INFINITY;
    throw error;
  } finally {
    for (const buffer of buffers) memory.release(buffer);
  }
}
