/** What the wasm backend needs of where it runs; the hosts themselves are engine.ts (Node) and engine-browser.ts. */
import type { Executor, WorkerSetup } from "./executor.js";

export interface WasmHost {
  /** Reads and compiles a .wasm file of this package. */
  readKernels(url: URL): Promise<WebAssembly.Module>;
  /** A pool of threads on shared memory; null where there is none. */
  readonly createPool: ((threads: number, setup: WorkerSetup) => Executor) | null;
}
