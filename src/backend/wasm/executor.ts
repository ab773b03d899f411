/**
 * Who walks the program table: the calling thread alone (here), or a pool of threads (pool.ts, Node), which a host hands in.
 */
import { BackendError } from "../../core/errors.js";
import { instantiate } from "./instantiate.js";
import { type Kernel, walkAlone } from "./program-table.js";

/** What every thread needs to walk programs. */
export interface WorkerSetup {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly kernelNames: readonly string[];
  /** The modules' import `wide`: assembly/simd.ts. */
  readonly wide: boolean;
}

export interface Executor {
  readonly threads: number;
  /** Begins with what the first run() waits for. */
  prepare(): void;
  /** Runs launches [begin, end) to completion; `scratch` holds one address per thread. */
  run(table: number, begin: number, end: number, scratch: readonly number[]): Promise<void>;
  close(): Promise<void>;
}

/** Everything on the calling thread; yields to the event loop between kernels. */
export class SingleExecutor implements Executor {
  readonly threads = 1;
  private kernels: Promise<readonly Kernel[]> | null = null;

  constructor(private readonly setup: WorkerSetup) {}

  prepare(): void {
    // Who runs is told of a failure.
    this.start().catch(() => {});
  }

  async run(table: number, begin: number, end: number, scratch: readonly number[]): Promise<void> {
    const kernels = await this.start();
    try {
      await walkAlone(this.setup.memory, kernels, { table, begin, end, scratch: scratch[0] });
    } catch (error) {
      throw stopped("a kernel", error);
    }
  }

  async close(): Promise<void> {
    this.kernels = null;
  }

  private start(): Promise<readonly Kernel[]> {
    this.kernels ??= instantiate(this.setup);
    return this.kernels;
  }
}

/** The error of a program that did not end; `what` says who stopped. */
export function stopped(what: string, error: unknown): BackendError {
  return new BackendError(
    `wasm: ${what} stopped in the middle of a program (${error instanceof Error ? error.message : String(error)}). ` +
      "Its tensors are lost: create a new engine and load the last saved weights.",
  );
}
