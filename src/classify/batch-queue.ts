/**
 * Gathers single requests that come at the same time into batches, for servers: while one batch is computed, the next one fills.
 * Knows nothing of nets.
 */

interface Waiting<I, O> {
  readonly input: I;
  readonly resolve: (output: O) => void;
  readonly reject: (reason: unknown) => void;
}

/** Runs `work` on up to `most` inputs at once; one batch at a time, in the order of the requests. */
export class BatchQueue<I, O> {
  private waiting: Waiting<I, O>[] = [];
  private running = false;

  /**
   * @param work gives one output for each input, in their order.
   * @param fitsWith whether an input can be in one batch with the first.
   */
  constructor(
    private readonly most: number,
    private readonly work: (inputs: readonly I[]) => Promise<readonly O[]>,
    private readonly fitsWith: (first: I, other: I) => boolean,
  ) {}

  /** Adds a request; gives its output. A batch that fails is tried again one by one, so that nobody fails for another. */
  add(input: I): Promise<O> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ input, resolve, reject });
      if (!this.running) void this.run();
    });
  }

  private async run(): Promise<void> {
    this.running = true;
    // Whoever asks in this turn of the event loop is in the first batch.
    await Promise.resolve();
    while (this.waiting.length > 0) await this.settle(this.takeBatch());
    this.running = false;
  }

  private takeBatch(): Waiting<I, O>[] {
    const first = this.waiting[0];
    const batch = this.waiting.filter(({ input }) => this.fitsWith(first.input, input)).slice(0, this.most);
    const taken = new Set(batch);
    this.waiting = this.waiting.filter((one) => !taken.has(one));
    return batch;
  }

  private async settle(batch: readonly Waiting<I, O>[]): Promise<void> {
    try {
      const outputs = await this.work(batch.map(({ input }) => input));
      batch.forEach(({ resolve }, i) => {
        resolve(outputs[i]);
      });
    } catch (error) {
      if (batch.length === 1) batch[0].reject(error);
      else for (const one of batch) await this.settle([one]);
    }
  }
}
