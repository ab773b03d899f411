/**
 * Engines in browsers: kernels are fetched from beside this file, and the thread that calls computes. A page that must stay
 * responsive through long kernels calls from a Web Worker. No import of Node and no pool, not even behind a condition.
 */
import type { Engine } from "./core/engine.js";
import { createEngineOn, type EngineOptions, type Host } from "./create-engine.js";

const BROWSER: Host = {
  async readKernels(url) {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}: ${url}`);
    // Not compileStreaming: many a server does not know the type application/wasm, and 40 kB need no streaming.
    return new Uint8Array(await response.arrayBuffer());
  },
  v8: null,
  createPool: null,
  defaultThreads: async () => 1,
  // A page cannot ask its collector for anything; a turn lets finalizers run that are due.
  collectGarbage: () => new Promise((resolve) => setTimeout(resolve, 0)),
  async findGpu() {
    return navigator.gpu
      ? { gpu: navigator.gpu }
      : { reason: "this browser has no WebGPU, or not on this page: it needs https" };
  },
  recall: async () => null,
  remember: async () => {},
};

/**
 * Makes an engine of one thread.
 * @throws UsageError for options that make no sense, more than one thread among them; BackendError where WebAssembly SIMD is missing.
 */
export function createEngine(options: EngineOptions = {}): Promise<Engine> {
  return createEngineOn(BROWSER, options);
}
