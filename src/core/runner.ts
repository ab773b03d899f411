/**
 * Runs sealed programs, one after the other, on the backend. All allocation, upload and read-back happen here, between
 * programs, so nobody touches tensor memory while kernels run. Next layers: plan.ts (memory), backend/ (kernels).
 */
import type { Backend, Buffer, ByteSource, CallTiming, HostArray, LoadedPlan } from "../backend/backend.js";
import { DerivedCache } from "./derived.js";
import { BackendError, MemoryFullError, UsageError } from "./errors.js";
import { type BuiltPlan, buildPlan, type PlanOptions } from "./plan.js";
import type { RecordedCall } from "./program.js";
import { failReads, type SealedProgram } from "./seal.js";
import type { KeptMemory, Storage } from "./storage.js";
import type { Tensor } from "./tensor.js";

/** One call of a program run step by step. */
export interface Step extends RecordedCall {
  readonly index: number;
  readonly count: number;
  /** The values of one of the call's tensors, as they are now. */
  read(tensor: Tensor): Promise<Float32Array>;
}

/** Calls that ran, and when. */
interface TimedCalls {
  readonly calls: readonly RecordedCall[];
  readonly timings: readonly CallTiming[];
}

type RunOptions = Omit<PlanOptions, "derived">;

interface Loaded {
  readonly built: BuiltPlan;
  readonly loaded: LoadedPlan;
}

export class Runner {
  private tail: Promise<void> = Promise.resolve();
  private closed = false;
  /** A program that runs step by step stands between two calls. */
  private paused = false;
  /** Set when kernels stopped half-way: tensor memory can no longer be trusted. */
  private lost: Error | null = null;
  private readonly derived: DerivedCache | null;

  constructor(
    private readonly backend: Backend,
    private readonly collectGarbage: () => Promise<void>,
    { keepTransformedWeights }: { keepTransformedWeights: boolean },
  ) {
    this.derived = keepTransformedWeights ? new DerivedCache(backend) : null;
  }

  /** Runs a program in its turn, and delivers what was awaited. */
  async run(sealed: SealedProgram): Promise<void> {
    await this.runAndThen(sealed, { inspect: false, timed: false }, () => undefined);
  }

  /** Runs a program as run() does. Returns the calls that ran, fused where they were, and when each of them did. */
  async profile(sealed: SealedProgram): Promise<TimedCalls> {
    const options = { inspect: false, timed: true };
    return this.runAndThen(sealed, options, (loaded, { calls }) => ({ calls, timings: loaded.timings() }));
  }

  private async runAndThen<T>(
    sealed: SealedProgram,
    options: RunOptions,
    look: (loaded: LoadedPlan, built: BuiltPlan) => T,
  ): Promise<T> {
    try {
      return await this.enqueue(async () => {
        const { built, loaded } = await this.load(sealed, options);
        await this.guard(loaded.run(0, built.calls.length));
        const seen = look(loaded, built);
        await this.finish(sealed, built);
        return seen;
      });
    } catch (error) {
      return failReads(sealed.reads, error);
    }
  }

  /** Runs a program one call at a time, yielding each when it has run. Leaving the loop early runs the rest. */
  async *steps(sealed: SealedProgram): AsyncGenerator<Step> {
    const { calls, reads } = sealed;
    const endTurn = await this.takeTurn().catch((error) => failReads(reads, error));
    try {
      const { built, loaded } = await this.load(sealed, { inspect: true, timed: false });
      let next = 0;
      let ended = false;
      const read = async (tensor: Tensor): Promise<Float32Array> => {
        if (ended) {
          throw new UsageError(
            `steps: the loop has ended (${tensor.storage.label} [${tensor.shape.join(",")}]). Read values inside the loop.`,
          );
        }
        const values = await this.backend.read(built.placeOf(tensor.storage), 0, tensor.size);
        return values instanceof Float32Array ? values : Float32Array.from(values);
      };
      try {
        while (next < calls.length) {
          const index = next++;
          await this.guard(loaded.run(index, next));
          this.paused = true;
          yield { ...calls[index], index, count: calls.length, read };
          this.paused = false;
        }
      } finally {
        ended = true;
        this.paused = false;
        if (this.lost === null) {
          await this.guard(loaded.run(next, calls.length));
          await this.finish(sealed, built);
        }
      }
    } catch (error) {
      failReads(reads, error);
    } finally {
      endTurn();
    }
  }

  /**
   * Elements [begin, end) of kept memory, as they are when all that was queued before has run; at once where a program
   * stands between two steps.
   */
  async read(storage: Storage, begin: number, end: number): Promise<HostArray> {
    const read = (): Promise<HostArray> => {
      const { buffer } = storage.memory;
      if (buffer === null) {
        throw new BackendError(`data: the program that computes ${storage.label} failed. See its error.`);
      }
      return this.backend.read({ buffer, length: storage.length, dtype: storage.dtype }, begin, end - begin);
    };
    return this.paused && storage.memory.buffer ? read() : this.enqueue(read);
  }

  /** Overwrites kept memory with what `source` gives, in its turn. */
  async writeFrom(storage: Storage, source: ByteSource): Promise<void> {
    const { memory, length, dtype, label } = storage;
    const allocate = (): Buffer => this.backend.allocate(this.backend.sizeBytes(length, dtype), label);
    await this.enqueue(async () => {
      memory.buffer ??= await this.makingRoom(allocate);
      this.derived?.drop(memory);
      await this.backend.writeFrom({ buffer: memory.buffer, length, dtype }, source);
    });
  }

  /** Gives kept memory back. Safe at any time: it is handed out again between programs only. */
  release(memory: KeptMemory): void {
    this.derived?.drop(memory);
    if (memory.buffer === null) return;
    this.backend.release(memory.buffer);
    memory.buffer = null;
  }

  /** Ends the backend once all that was queued has run. */
  async close(): Promise<void> {
    await this.tail;
    if (this.closed) return;
    this.closed = true;
    this.derived?.dropAll();
    await this.backend.close();
  }

  /**
   * Gives a program its memory. If there is not enough, it is as if the program had not been recorded (those that it
   * adopted were, and run later): the next, smaller one finds parameters, optimiser and counters as they were.
   */
  private async load(sealed: SealedProgram, options: RunOptions): Promise<Loaded> {
    try {
      if (!sealed.closedBefore.every((program) => program.ran)) {
        throw new BackendError("engine: a program that this one builds on could not run. See its error.");
      }
      const loaded = await this.place(sealed, options);
      for (const part of sealed.parts) part.settle();
      return loaded;
    } catch (error) {
      if (sealed.isUsed()) {
        this.lost = new BackendError(
          `engine: a program failed after others were recorded on its results (${error instanceof Error ? error.message : String(error)}). ` +
            "Create a new engine, and await each program before you record the next.",
        );
      } else {
        sealed.reopen();
      }
      throw error;
    }
  }

  /** Plans and loads. */
  private async place(sealed: SealedProgram, options: RunOptions): Promise<Loaded> {
    return this.makingRoom((derived) => this.placeOnce(sealed, { ...options, derived }));
  }

  /** A full memory is tried again without transformed weights, then without what has become garbage. */
  private async makingRoom<T>(use: (derived: DerivedCache | null) => T | Promise<T>): Promise<T> {
    try {
      return await use(this.derived);
    } catch (error) {
      if (!(error instanceof MemoryFullError)) throw error;
    }
    this.derived?.dropAll();
    try {
      return await use(null);
    } catch (error) {
      if (!(error instanceof MemoryFullError)) throw error;
    }
    await this.collectGarbage();
    return use(null);
  }

  private async placeOnce({ parts, calls }: SealedProgram, options: PlanOptions): Promise<Loaded> {
    const built = await buildPlan(this.backend, parts, calls, options);
    try {
      return { built, loaded: await this.backend.load(built.plan) };
    } catch (error) {
      built.giveBack();
      throw error;
    }
  }

  /** Delivers what was awaited and releases what nobody can ask for any more. */
  private async finish({ parts, reads }: SealedProgram, built: BuiltPlan): Promise<void> {
    built.settle();
    for (const { storage, begin, length, deliver } of reads) {
      deliver(await this.backend.read(built.placeOf(storage), begin, length));
    }
    for (const { releases, forgotten } of parts) {
      for (const storage of [...releases, ...forgotten]) this.release(storage.memory);
    }
  }

  /** Waits until all that was queued before has run; then it is the caller's turn until the returned function is called. */
  private async takeTurn(): Promise<() => void> {
    const before = this.tail;
    let endTurn: () => void = () => {};
    this.tail = new Promise<void>((resolve) => {
      endTurn = resolve;
    });
    await before;
    const refusal = this.closed
      ? new UsageError("engine: it is closed. Create another with createEngine().")
      : this.lost;
    if (refusal === null) return endTurn;
    endTurn();
    throw refusal;
  }

  /** Runs a job in its turn. */
  private async enqueue<T>(job: () => T | Promise<T>): Promise<T> {
    const endTurn = await this.takeTurn();
    try {
      return await job();
    } finally {
      endTurn();
    }
  }

  /** A failure while kernels run leaves tensors half written: from then on the engine only repeats the error. */
  private async guard(run: Promise<void>): Promise<void> {
    try {
      await run;
    } catch (error) {
      const reason = error instanceof Error ? error : new Error(String(error));
      this.lost = reason;
      throw reason;
    }
  }
}
