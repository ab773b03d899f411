/** Threads that make pictures from files (Node): a piscina pool of picture-worker.ts. An idle pool does not keep the process alive. */
import { BackendError, UsageError } from "../core/errors.js";
import type { PictureResult, PictureTask, RenderResult, RenderTask, SumResult, SumTask } from "./picture-worker.js";

/** What this file uses of piscina. */
type Pool = import("piscina").Piscina<PictureTask, PictureResult>;

export class PicturePool {
  #pool: Promise<Pool> | undefined;
  #closed = false;

  /** @throws UsageError for a number of threads that is not a whole number from 1 to 64. */
  constructor(readonly workers: number) {
    if (!Number.isInteger(workers) || workers < 1 || workers > 64) {
      throw new UsageError(
        `loader: the number of threads is not a whole number from 1 to 64 (workers ${workers}). Pass 1, or a few.`,
      );
    }
  }

  /** @throws BackendError where the thread dies; UsageError after close(). */
  async render(task: RenderTask): Promise<RenderResult> {
    const result = await this.#run(task);
    if (result.kind !== "render") throw new BackendError(`loader: a thread did other work (kind ${result.kind}).`);
    return result;
  }

  /** @throws BackendError where the thread dies; UsageError after close(). */
  async sum(task: SumTask): Promise<SumResult> {
    const result = await this.#run(task);
    if (result.kind !== "sum") throw new BackendError(`loader: a thread did other work (kind ${result.kind}).`);
    return result;
  }

  /** Ends the threads; what they do is lost. */
  async close(): Promise<void> {
    this.#closed = true;
    const pool = await this.#pool?.catch(() => undefined);
    await pool?.destroy();
  }

  /** The pool's threads, once it runs: tests end some of them. */
  async threads(): Promise<readonly import("node:worker_threads").Worker[]> {
    return (await this.#start()).threads;
  }

  async #run(task: PictureTask): Promise<PictureResult> {
    if (this.#closed) throw closedError();
    try {
      return await (await this.#start()).run(task);
    } catch (error) {
      if (this.#closed) throw closedError();
      throw new BackendError(
        `loader: a thread that decodes pictures stopped (${error instanceof Error ? error.message : String(error)}). ` +
          "Read the epoch again from the last step that was used.",
      );
    }
  }

  #start(): Promise<Pool> {
    this.#pool ??= import("piscina").then(({ Piscina }) => {
      const pool = new Piscina<PictureTask, PictureResult>({
        filename: new URL("./picture-worker-entry.cjs", import.meta.url).href,
        minThreads: this.workers,
        maxThreads: this.workers,
        concurrentTasksPerWorker: 1,
        // Loaders and inspectors of the main thread are of no use to the workers.
        execArgv: [],
      });
      // A worker that fails between two tasks is replaced by the pool: nothing is lost, nobody is to be told.
      pool.on("error", () => {});
      return pool;
    });
    return this.#pool;
  }
}

function closedError(): UsageError {
  return new UsageError("loader: it is closed (close() was called). Open the batches anew.");
}
