/** What the wasm backend needs of where it runs; the hosts themselves are node-host.ts and engine-browser.ts. */
import type { Executor, WorkerSetup } from "./executor.js";

/** A machine as far as it matters to V8's experimental code. */
export interface Machine {
  /** Of Node's version. */
  readonly nodeMajor: number;
  /** As process.arch has it. */
  readonly arch: string;
  /** The processor's features by Linux's names; null where they cannot be known. */
  readonly cpuFlags: ReadonlySet<string> | null;
}

/** V8, as far as code can change it. */
export interface V8Host {
  /** Sets a flag, for all threads and for the modules that are compiled from now on. */
  setFlag(flag: string): Promise<void>;
  machine(): Promise<Machine>;
}

export interface WasmHost {
  /** Reads a .wasm file of this package. */
  readKernels(url: URL): Promise<Uint8Array<ArrayBuffer>>;
  /** A pool of threads on shared memory. */
  createPool(threads: number, setup: WorkerSetup): Executor;
  /** What to do where threads may not share memory, as an error ends. */
  readonly sharedMemoryRemedy: string;
  /** null where flags cannot be set from code. */
  readonly v8: V8Host | null;
}
