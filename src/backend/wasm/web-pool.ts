/**
 * A pool of Web Workers that walks the program table (browsers, several threads): pool.ts for pages, and for engines that live in a
 * worker themselves. Whoever asks for a program only awaits messages, one from each worker; what workers do is web-worker.ts.
 */
import { type Executor, stopped, type WorkerSetup } from "./executor.js";
import { ABORT_WORD, type WalkTask } from "./program-table.js";

/** What a worker is told: first how to begin, then one program after the other. */
export type ToWorker = { readonly setup: WorkerSetup; readonly lock: string } | { readonly task: WalkTask };
/** What it answers to each: null, or what went wrong. */
export type FromWorker = string | null;

/** Scripts come over the network; a worker that says nothing for so long will not begin any more. */
const START_LIMIT_MS = 60_000;
/** The others see the abort word within 50 ms, or after the grain that they are in. */
const STOP_LIMIT_MS = 2_000;

/** A worker that is asked one thing at a time. */
class Member {
  private answer: { resolve(): void; reject(error: Error): void } | null = null;
  private readonly ended = new AbortController();

  /** @param failed called when the worker fails while it is asked nothing. */
  constructor(
    readonly worker: Worker,
    private readonly failed: () => void,
  ) {
    worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => this.settle(data));
    worker.addEventListener("messageerror", () => this.settle("a message to or from it could not be read"));
    worker.addEventListener("error", (event) => {
      // Told to whoever waits, not to the console.
      event.preventDefault();
      this.settle(event.message || "its script could not be loaded: web-worker.js");
    });
  }

  /** Begins: the worker's own instance of the kernels. */
  async begin(setup: WorkerSetup): Promise<void> {
    const lock = `verydeep ${crypto.randomUUID()}`;
    await this.ask({ setup, lock });
    // The worker holds the lock as long as it lives. No event tells that a worker has ended; the lock does.
    navigator.locks.request(lock, { signal: this.ended.signal }, () => this.settle("it was ended")).catch(() => {});
  }

  walk(task: WalkTask): Promise<void> {
    return this.ask({ task });
  }

  end(): void {
    this.ended.abort();
    this.worker.terminate();
  }

  private ask(message: ToWorker): Promise<void> {
    return new Promise((resolve, reject) => {
      this.answer = { resolve, reject };
      this.worker.postMessage(message);
    });
  }

  private settle(error: string | null): void {
    const { answer } = this;
    this.answer = null;
    if (answer === null) this.failed();
    else if (error === null) answer.resolve();
    else answer.reject(new Error(error));
  }
}

/** A pool of `threads` Web Workers. */
export class WebPoolExecutor implements Executor {
  private pool: Promise<readonly Member[]> | null = null;

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
      throw stopped("the pool of Web Workers", error);
    });
    const { buffer } = this.setup.memory;
    const words = new Int32Array(buffer);
    Atomics.store(words, ABORT_WORD, 0);
    const memoryBytes = buffer.byteLength;
    const walks = pool.map((member, i) => member.walk({ table, begin, end, scratch: scratch[i], memoryBytes }));
    try {
      await Promise.all(walks);
    } catch (error) {
      // The others stop at their next grain or wake-up; only then is nobody writing any more.
      Atomics.store(words, ABORT_WORD, 1);
      await withLimit(Promise.allSettled(walks), STOP_LIMIT_MS).catch(() => {});
      await this.close();
      throw stopped("a Web Worker", error);
    }
  }

  async close(): Promise<void> {
    const pool = await this.pool?.catch(() => []);
    this.pool = null;
    for (const member of pool ?? []) member.end();
  }

  /** The pool's workers, once it runs: tests end some of them. */
  async workers(): Promise<readonly Worker[]> {
    return (await this.start()).map(({ worker }) => worker);
  }

  private start(): Promise<readonly Member[]> {
    this.pool ??= this.startAll();
    return this.pool;
  }

  private async startAll(): Promise<readonly Member[]> {
    const members: Member[] = [];
    // Between two programs nothing is lost with a worker: the next one finds a new pool.
    const forget = (): void => {
      for (const member of members) member.end();
      this.pool = null;
    };
    try {
      for (let i = 0; i < this.threads; i++) members.push(new Member(startWorker(), forget));
      await withLimit(Promise.all(members.map((member) => member.begin(this.setup))), START_LIMIT_MS);
      return members;
    } catch (error) {
      for (const member of members) member.end();
      throw error;
    }
  }
}

async function withLimit<T>(promise: Promise<T>, limitMs: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${limitMs / 1000} s`)), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Relative to the file that this code is in. Not written where it is used: bundlers would copy the script, without what it imports. */
const WORKER_SCRIPT = "./web-worker.js";

function startWorker(): Worker {
  try {
    // Bundlers look for exactly this expression, with literals.
    return new Worker(new URL("./web-worker.js", import.meta.url), { type: "module" });
  } catch (error) {
    // A script of another origin (a CDN) may be imported, but not started.
    if (!(error instanceof DOMException) || error.name !== "SecurityError") throw error;
    const script = `import ${JSON.stringify(new URL(WORKER_SCRIPT, import.meta.url).href)};`;
    const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
    return new Worker(url, { type: "module" });
  }
}
