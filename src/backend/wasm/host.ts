/** What the wasm backend needs of where it runs; the hosts themselves are engine.ts (Node) and engine-browser.ts. */
import type { Executor, WorkerSetup } from "./executor.js";

export interface WasmHost {
  /** Reads a .wasm file of this package. */
  readKernels(url: URL): Promise<Uint8Array<ArrayBuffer>>;
  /** A pool of threads on shared memory; null where there is none. */
  readonly createPool: ((threads: number, setup: WorkerSetup) => Executor) | null;
  /** Sets a flag of V8, for all threads and all modules compiled from now on; null where code cannot. */
  readonly setV8Flag: ((flag: string) => Promise<void>) | null;
}
