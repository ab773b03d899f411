/**
 * Engines in browsers: kernels are fetched from beside the code, threads are Web Workers where the page may share memory with them.
 * With one thread, the thread that calls computes: a page that must stay responsive makes its engine in a worker of its own. No import
 * of Node, not even behind a condition.
 */
import { WebPoolExecutor } from "./backend/wasm/web-pool.js";
import type { Engine } from "./core/engine.js";
import { createEngineOn, type EngineOptions, type Host, MAX_THREADS } from "./create-engine.js";

/** How every module begins: NUL, "asm". */
const WASM_MAGIC = [0x00, 0x61, 0x73, 0x6d];

const BROWSER: Host = {
  async readKernels(url) {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}: ${url}`);
    // Not compileStreaming: many a server does not know the type application/wasm, and 70 kB need no streaming.
    const bytes = new Uint8Array(await response.arrayBuffer());
    // Servers of single-page applications answer with their page where a file is missing.
    if (WASM_MAGIC.some((byte, i) => bytes[i] !== byte)) {
      throw new Error(
        `this is no WebAssembly: ${url}; is the library away from its files? With Vite, set optimizeDeps: { exclude: ["verydeep"] }`,
      );
    }
    return bytes;
  },
  v8: null,
  createPool: (threads, setup) => new WebPoolExecutor(threads, setup),
  sharedMemoryRemedy:
    "Serve the page and its scripts with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp, or use one thread.",
  async defaultThreads() {
    // Shared memory can be made, but not sent, where a page is not isolated from those of other sites.
    return globalThis.crossOriginIsolated ? Math.min(MAX_THREADS, navigator.hardwareConcurrency) : 1;
  },
  // A page cannot ask its collector for anything; a turn lets finalizers run that are due.
  collectGarbage: () => new Promise((resolve) => setTimeout(resolve, 0)),
  preferredBackend: () => undefined,
  async findGpu() {
    return navigator.gpu
      ? { gpu: navigator.gpu }
      : { reason: "this browser has no WebGPU, or not on this page: it needs https" };
  },
  recall,
  remember,
};

/** The browser's storage of responses, which workers have too; null where the page may not have it. */
async function notes(): Promise<Cache | null> {
  return typeof caches === "undefined" ? null : caches.open("verydeep").catch(() => null);
}

function noteAddress(name: string): string {
  return `/verydeep-notes/${encodeURIComponent(name)}`;
}

async function recall(name: string): Promise<string | null> {
  const found = await (await notes())?.match(noteAddress(name)).catch(() => undefined);
  return (await found?.text()) ?? null;
}

async function remember(name: string, text: string): Promise<void> {
  // It is measured again next time where there is no room.
  await (await notes())?.put(noteAddress(name), new Response(text)).catch(() => {});
}

/**
 * Makes an engine. Its threads are by default as many as the processor has where the page is isolated from other sites
 * (`crossOriginIsolated`), else one.
 * @throws UsageError for options that make no sense, among them several threads in a page that is not isolated; BackendError where
 * WebAssembly SIMD is missing.
 */
export function createEngine(options: EngineOptions = {}): Promise<Engine> {
  return createEngineOn(BROWSER, options);
}
