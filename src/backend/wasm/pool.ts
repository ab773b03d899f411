/**
 * A piscina pool that walks the program table (Node, several threads): one piscina task per worker per program; between kernels
 * the workers meet in shared memory only (program-table.ts).
 */
import { type Executor, stopped, type WorkerSetup } from "./executor.js";
import { ABORT_WORD, type WalkTask } from "./program-table.js";

/** What pool.ts uses of piscina. */
type Pool = import("piscina").Piscina<WalkTask, void>;

/** A piscina pool of `threads` workers. An idle pool does not keep the process alive. */
export class PoolExecutor implements Executor {
  private pool: Promise<Pool> | null = null;

  constructor(
    readonly threads: number,
    private readonly setup: WorkerSetup,
  ) {}

  prepare(): void {
    // Who runs is told of a failure.
    this.start().catch(() => {});
  }

  async run(table: number, begin: number, end: number, scratch: readonly number[]): Promise<void> {
    const pool = await this.start().catch((error) => {
      this.pool = null;
      throw stopped("the pool of worker threads", error);
    });
    const { buffer } = this.setup.memory;
    const words = new Int32Array(buffer);
    Atomics.store(words, ABORT_WORD, 0);
    const memoryBytes = buffer.byteLength;
    const walks = scratch.map((address) => pool.run({ table, begin, end, scratch: address, memoryBytes }));
    try {
      await Promise.all(walks);
    } catch (error) {
      // The others stop at their next grain or wake-up; only then is nobody writing any more.
      Atomics.store(words, ABORT_WORD, 1);
      await Promise.allSettled(walks);
      await this.close();
      throw stopped("a worker thread", error);
    }
  }

  async close(): Promise<void> {
    const pool = await this.pool?.catch(() => null);
    this.pool = null;
    await pool?.destroy();
  }

  /** The pool's threads, once it runs: tests end some of them. */
  async workers(): Promise<readonly import("node:worker_threads").Worker[]> {
    return (await this.start()).threads;
  }

  private start(): Promise<Pool> {
    this.pool ??= import("piscina").then(({ Piscina }) => {
      const pool = new Piscina<WalkTask, void>({
        filename: new URL("./worker-entry.cjs", import.meta.url).href,
        minThreads: this.threads,
        maxThreads: this.threads,
        concurrentTasksPerWorker: 1,
        workerData: this.setup,
        // Loaders and inspectors of the main thread are of no use to the workers.
        execArgv: [],
      });
      // A worker that fails between two programs is replaced by the pool: nothing is lost, nobody is to be told.
      pool.on("error", () => {});
      return pool;
    });
    return this.pool;
  }
}
