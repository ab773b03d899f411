/** Engines in Node, and in Deno and Bun, which have Node's modules: kernels from files, threads in a piscina pool. */
import { PoolExecutor } from "./backend/wasm/pool.js";
import { collectGarbage } from "./collect.js";
import type { Engine } from "./core/engine.js";
import { createEngineOn, type EngineOptions, type Host, MAX_THREADS } from "./create-engine.js";

export type { EngineOptions } from "./create-engine.js";

const NODE: Host = {
  async readKernels(url) {
    const { readFile } = await import("node:fs/promises");
    return new Uint8Array(await readFile(url));
  },
  async setV8Flag(flag) {
    const { setFlagsFromString } = await import("node:v8");
    setFlagsFromString(flag);
  },
  createPool: (threads, setup) => new PoolExecutor(threads, setup),
  async defaultThreads() {
    if (typeof SharedArrayBuffer === "undefined") return 1;
    const { availableParallelism } = await import("node:os");
    return Math.min(MAX_THREADS, Math.max(1, availableParallelism()));
  },
  collectGarbage,
};

/**
 * Makes an engine.
 * @throws UsageError for options that make no sense; BackendError where WebAssembly SIMD is missing.
 */
export function createEngine(options: EngineOptions = {}): Promise<Engine> {
  return createEngineOn(NODE, options);
}
