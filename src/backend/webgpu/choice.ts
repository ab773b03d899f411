/**
 * Whether a GPU pays: pure functions of what was found and measured. What a software adapter computes the processor computes, so wasm is
 * faster; a GPU that is there loses only to its round trip, on nets so small that the processor is done before the GPU has begun.
 */
import type { AdapterFacts } from "./device.js";

/** How fast a device is, as measured on it: speed.ts. */
export interface GpuSpeed {
  /** From handing over one small kernel to knowing that it has run. */
  readonly roundTripMs: number;
  /** Of a large product of matrices. */
  readonly gflops: number;
}

/** What an engine is to run. */
export interface Work {
  /** Multiply-accumulates of a program; Infinity where nobody said. */
  readonly macs: number;
  /** That wasm would compute on. */
  readonly threads: number;
}

export interface Choice {
  readonly backend: "wasm" | "webgpu";
  readonly reason: string;
}

/**
 * What wasm reaches on a thread, in billions of floating-point operations a second as the direct method counts them: VGG-16's forward pass
 * takes 144 ms on two cores (README, profile), 31 billion operations.
 */
const WASM_GFLOPS_PER_THREAD = 100;
/** What a net's layers reach of the rate of a large product, which fills the GPU better than most of them do. */
const GPU_SHARE = 0.5;

/** No GPU answers sooner. */
const LEAST_ROUND_TRIP_MS = 0.1;

/** Wasm where it is done before any GPU could answer: then nobody need look for one. */
export function chooseByWork({ macs, threads }: Work): Choice | null {
  const wasmMs = wasmMsOf(macs, threads);
  if (wasmMs > LEAST_ROUND_TRIP_MS) return null;
  return { backend: "wasm", reason: `${Math.ceil(macs / 1e6)} million multiply-accumulates are too few for any GPU` };
}

function wasmMsOf(macs: number, threads: number): number {
  return (2 * macs) / (threads * WASM_GFLOPS_PER_THREAD * 1e6);
}

/** The backend of an adapter that was not opened, or null where it depends on speed. */
export function chooseByAdapter(adapter: AdapterFacts): Choice | null {
  if (!adapter.software) return null;
  return { backend: "wasm", reason: "it computes on the processor, where wasm is faster" };
}

/** The backend for some work on a GPU of some speed. */
export function chooseBySpeed({ macs, threads }: Work, { roundTripMs, gflops }: GpuSpeed): Choice {
  const gpuMs = roundTripMs + (2 * macs) / (gflops * GPU_SHARE * 1e6);
  const wasmMs = wasmMsOf(macs, threads);
  if (macs === Number.POSITIVE_INFINITY || gpuMs < wasmMs) {
    return { backend: "webgpu", reason: `${Math.round(gflops)} GFLOP/s` };
  }
  return {
    backend: "wasm",
    reason:
      `${Math.ceil(macs / 1e6)} million multiply-accumulates take it ${wasmMs.toFixed(2)} ms, ` +
      `the GPU ${gpuMs.toFixed(2)} ms with its round trip of ${roundTripMs.toFixed(2)} ms`,
  };
}

/** The smallest work that the GPU is faster at; Infinity where it never is. */
export function breakEvenMacs(threads: number, { roundTripMs, gflops }: GpuSpeed): number {
  const perMac = 2 / (threads * WASM_GFLOPS_PER_THREAD * 1e6) - 2 / (gflops * GPU_SHARE * 1e6);
  return perMac > 0 ? Math.ceil(roundTripMs / perMac) : Number.POSITIVE_INFINITY;
}
