/**
 * One training run: where it stands, and the loop that takes it further. Between two records everything that the future
 * depends on is in its progress, its tensors and its counters, so a run can be saved there and taken up again to the bit
 * (runs/checkpoint.ts). A step is one program: forward, backward and update run at once on all threads; or several, whose
 * gradients add up, where a batch is cut into micro-batches.
 */
import type { Engine } from "../core/engine.js";
import { DivergedError, MemoryFullError, UsageError } from "../core/errors.js";
import type { Counter, Parameter, StateTensor } from "../core/tensor.js";
import type { Batch, BatchSource } from "../data/batch-source.js";
import type { DataSplits, Normalise } from "../data/dataset.js";
import { openBatches } from "../data/open-batches.js";
import type { ReadingOptions } from "../data/picture-reader.js";
import { engineOf, inMode, type Module } from "../nn/module.js";
import { scale } from "../ops/elementwise.js";
import { crossEntropy, labelRank, labelsTensor } from "../ops/loss.js";
import type { AnyOptimiser } from "../optim/optimiser.js";
import { constant, type Schedule } from "../optim/schedule.js";
import { SGD } from "../optim/sgd.js";
import { DEAD_START_WINDOW, deadStart } from "./dead-start.js";
import { evaluate, evaluationView } from "./evaluate.js";
import type { EpochRecord, EventRecord, StepRecord, TrainRecord } from "./records.js";
import { BEGINNING, type Objective, type TrainingProgress, type TrainOptions } from "./train-options.js";

const crossEntropyOf: Objective = (model, x, labels) => {
  const logits = model.forward(x);
  return { loss: crossEntropy(logits, labels), logits };
};

/** A run that can be looked at, saved and taken up between two of its records. */
export class TrainingRun {
  readonly optimiser: AnyOptimiser;
  /** Steps of one epoch. */
  readonly steps: number;
  private readonly engine: Engine;
  private readonly schedule: Schedule;
  private readonly objective: Objective;
  private at: TrainingProgress;
  private readonly events: EventRecord[] = [];
  /** Notes about pictures that have been passed on: validation reads the same pictures in every epoch. */
  private readonly notes = new Set<string>();
  /** The training pictures, while the run goes on. */
  private source: BatchSource | null = null;
  /** Losses of the last steps, for the warning about dead starts. */
  private readonly recentLosses: number[] = [];
  /** When the run would have begun if it had never been stopped. */
  private start = 0;
  /** Nothing has been computed yet: a full memory can be answered with smaller parts. */
  private untried = true;

  /**
   * @throws UsageError for options out of range or a model without parameters.
   */
  constructor(
    readonly model: Module,
    private readonly data: Pick<DataSplits, "train" | "validation">,
    private readonly options: TrainOptions & { readonly normalise: Normalise },
  ) {
    const { epochs, batch, microBatch = batch, schedule = constant, objective = crossEntropyOf } = options;
    if (!Number.isInteger(epochs) || epochs < 1) {
      throw new UsageError(`train: epochs must be a positive whole number (epochs ${epochs}). Change it.`);
    }
    if (!Number.isInteger(batch) || batch < 1) {
      throw new UsageError(`train: batch must be a positive whole number (batch ${batch}). Change it.`);
    }
    if (!Number.isInteger(microBatch) || microBatch < 1 || batch % microBatch !== 0) {
      throw new UsageError(
        `train: microBatch must divide the batch (microBatch ${microBatch}, batch ${batch}). Use ${largestDivisor(batch, Math.max(1, Math.floor(microBatch) || 1))}, for example.`,
      );
    }
    this.engine = engineOf("train", model);
    // State is saved by name: a root that is no Sequential has not named its parameters.
    model.nameParameters();
    this.optimiser = (options.optimiser ?? sgdOf(options))(model);
    this.schedule = schedule;
    this.objective = objective;
    this.steps = Math.ceil(data.train.labels.length / batch);
    this.at = { ...BEGINNING, microBatch, validation: [] };
  }

  /** Which kernels compute: the engine's tier. */
  get tier(): Engine["tier"] {
    return this.engine.tier;
  }

  /** A copy: where the run stands. */
  get progress(): TrainingProgress {
    return { ...this.at, validation: [...this.at.validation] };
  }

  /** Goes on from there; the caller fills {@link tensors}, of these names, and {@link counters} as they were. */
  restore(progress: TrainingProgress, names: Iterable<string> = []): void {
    this.at = { ...progress, validation: [...progress.validation] };
    const saved = new Set(names);
    for (const parameter of this.trained()) parameter.setHasGrad(saved.has(`grad.${parameter.name}`));
  }

  /**
   * All tensors that the run's future depends on, by name: `model.…`, `optimiser.…`, and in the middle of a step the
   * gradients so far, `grad.…`.
   */
  tensors(): Map<string, StateTensor> {
    const tensors = new Map<string, StateTensor>();
    for (const [name, tensor] of this.model.stateDict()) tensors.set(`model.${name}`, tensor);
    for (const [name, tensor] of this.optimiser.stateDict()) tensors.set(`optimiser.${name}`, tensor);
    if (this.at.pictures > 0) {
      for (const parameter of this.trained()) {
        if (parameter.hasGrad) tensors.set(`grad.${parameter.name}`, parameter.gradTarget());
      }
    }
    return tensors;
  }

  /** All counters that the run's future depends on. */
  counters(): Map<string, Counter> {
    return new Map([
      ...[...this.model.counters()].map(([name, counter]): [string, Counter] => [`model.${name}`, counter]),
      ...[...this.optimiser.counters()].map(([name, counter]): [string, Counter] => [`optimiser.${name}`, counter]),
    ]);
  }

  /**
   * Trains to the end, one record a step and an epoch. Every step is in training mode, whatever the mode in between.
   * @throws DivergedError when the loss is no longer a finite number; the signal's reason.
   */
  async *records(signal = this.options.signal): AsyncGenerator<TrainRecord, void, undefined> {
    const { epochs, stop = () => false } = this.options;
    this.start = performance.now() - this.at.seconds * 1000;
    try {
      while (this.at.epoch < epochs && !(this.at.epoch > 0 && stop(this.at.validation))) {
        this.model.train();
        const imagesPerSecond = yield* this.epochSteps(signal);
        yield await this.finishEpoch(imagesPerSecond, signal);
        yield* this.events.splice(0);
      }
      this.model.train();
    } finally {
      await this.closeSource();
    }
  }

  /** The steps that are left of the epoch under way. Returns how many pictures a second they took. */
  private async *epochSteps(signal: AbortSignal | undefined): AsyncGenerator<TrainRecord, number, undefined> {
    const start = performance.now();
    let pictures = 0;
    for (;;) {
      this.source ??= this.openTraining();
      try {
        for await (const { record, count } of this.microSteps(this.source, signal)) {
          pictures += count;
          yield* this.events.splice(0);
          yield record;
        }
        return (pictures * 1000) / (performance.now() - start);
      } catch (error) {
        if (!(error instanceof MemoryFullError && this.untried && this.at.microBatch > 1)) throw error;
        await this.closeSource();
        yield this.useSmallerParts();
      }
    }
  }

  private async closeSource(): Promise<void> {
    const { source } = this;
    this.source = null;
    await source?.close();
  }

  /** One micro-batch after the other; `count` is its number of pictures. */
  private async *microSteps(
    source: BatchSource,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<{ readonly record: TrainRecord; readonly count: number }, void, undefined> {
    const { at } = this;
    const done = Math.min(at.stepInEpoch * this.options.batch + at.pictures, source.count);
    const batches = iterate(source.epoch(at.epoch, Math.ceil(done / at.microBatch)));
    let stepStart = performance.now();
    let waitMs = 0;
    try {
      let next = batches.next();
      // Where the signal ends the run first, nobody awaits it.
      if (next instanceof Promise) next.catch(() => {});
      for (;;) {
        signal?.throwIfAborted();
        const waitStart = performance.now();
        const item = await next;
        waitMs += performance.now() - waitStart;
        if (item.done) return;
        const count = item.value.labels.length;
        const running = this.microStep(item.value);
        // Where the next batch cannot be made, nobody awaits the step: its failure must not end the process.
        running.catch(() => {});
        // The next batch is made while the workers compute.
        next = batches.next();
        if (next instanceof Promise) next.catch(() => {});
        const { loss, correct } = await running;
        this.untried = false;
        if (!Number.isFinite(loss)) throw diverged(loss, at.step + 1, this.optimiser.lr);
        at.pictures += count;
        at.stepLoss += loss * count;
        at.stepCorrect += correct;
        at.seconds = (performance.now() - this.start) / 1000;
        if (at.pictures < this.stepPictures) {
          const { epoch, step, pictures } = at;
          const { stepPictures } = this;
          yield { record: { kind: "micro", epoch: epoch + 1, step: step + 1, pictures, stepPictures }, count };
        } else {
          yield { record: this.finishStep(performance.now() - stepStart, waitMs), count };
          stepStart = performance.now();
          waitMs = 0;
        }
      }
    } finally {
      await batches.return?.();
    }
  }

  /** Forward and backward of one micro-batch, and with the last one of a step the update, as one program. */
  private async microStep({ x, shape, labels }: Batch): Promise<{ loss: number; correct: number }> {
    const { at, engine, model, optimiser, stepPictures } = this;
    const count = labels.length;
    optimiser.lr = this.options.lr * this.schedule(at.step, this.totalSteps, at.validation);
    const { loss, ranks } = await engine.scope(() => {
      if (at.pictures === 0) optimiser.zeroGrad();
      const truth = labelsTensor(engine, labels, this.data.train.classNames.length);
      const { loss, logits } = inMode(model, true, () => this.objective(model, engine.tensor(x, shape), truth));
      // Means of the parts, weighted by their sizes, add up to the mean of the whole.
      (count === stepPictures ? loss : scale(loss, count / stepPictures)).backward();
      if (at.pictures + count === stepPictures) {
        optimiser.step();
        // Nobody looks at the gradients any more: those of linear layers are never stored (core/fuse.ts).
        optimiser.zeroGrad();
      }
      return { loss, ranks: labelRank(logits, truth) };
    });
    const correct = (await ranks.data()).filter((rank) => rank === 0).length;
    return { loss: await loss.item(), correct };
  }

  private finishStep(timeMs: number, waitMs: number): StepRecord {
    const { at, steps, stepPictures } = this;
    const loss = at.stepLoss / stepPictures;
    const accuracy = at.stepCorrect / stepPictures;
    at.epochLoss += at.stepLoss;
    Object.assign(at, { stepInEpoch: at.stepInEpoch + 1, step: at.step + 1, pictures: 0, stepLoss: 0, stepCorrect: 0 });
    this.recentLosses.push(loss);
    if (this.recentLosses.length > DEAD_START_WINDOW) this.recentLosses.shift();
    const warning = deadStart(at.step, this.recentLosses, this.data.train.classNames.length);
    if (warning) this.events.push(this.event("dead-start", warning));
    return {
      kind: "step",
      epoch: at.epoch + 1,
      step: at.step,
      steps,
      loss,
      accuracy,
      lr: this.optimiser.lr,
      imagesPerSecond: (stepPictures * 1000) / timeMs,
      waitMs,
      memoryBytes: this.engine.memory().usedBytes,
    };
  }

  /** Validates, and lets the schedule see the result. */
  private async finishEpoch(imagesPerSecond: number, signal: AbortSignal | undefined): Promise<EpochRecord> {
    const { at } = this;
    const { view, normalise } = this.options;
    const { top1, top5, loss } = await evaluate(this.model, this.data.validation, {
      batch: at.microBatch,
      normalise,
      view: view && evaluationView(view),
      reading: this.readingWithEvents(),
      signal,
    });
    const before = this.schedule(at.step, this.totalSteps, at.validation);
    const lastRate = this.options.lr * this.schedule(at.step - 1, this.totalSteps, at.validation);
    const trainLoss = at.epochLoss / this.data.train.labels.length;
    at.validation.push(top1);
    Object.assign(at, { epoch: at.epoch + 1, stepInEpoch: 0, epochLoss: 0 });
    at.seconds = (performance.now() - this.start) / 1000;
    const after = this.schedule(at.step, this.totalSteps, at.validation);
    if (after < before) {
      const { lr } = this.options;
      const text = `validation stopped improving: learning rate ${short(lr * before)} -> ${short(lr * after)}`;
      this.events.push(this.event("rate", text));
    }
    return {
      kind: "epoch",
      epoch: at.epoch,
      step: at.step,
      trainLoss,
      valTop1: top1,
      valTop5: top5,
      valLoss: loss,
      lr: lastRate,
      imagesPerSecond,
      seconds: at.seconds,
    };
  }

  private openTraining(): BatchSource {
    const { seed = 1, normalise, augment = {}, view } = this.options;
    return openBatches(this.data.train, {
      batch: this.at.microBatch,
      seed,
      shuffle: true,
      normalise,
      augment,
      view,
      ...this.readingWithEvents(),
    });
  }

  /** Tells of pictures that could not be read. */
  private readingWithEvents(): ReadingOptions {
    const { reading = {} } = this.options;
    return {
      ...reading,
      onNote: (text) => {
        if (this.notes.has(text)) return;
        this.notes.add(text);
        this.events.push(this.event("picture", text));
        reading.onNote?.(text);
      },
    };
  }

  /** Memory was full: halves the parts. Only before anything was computed, so that a run's bits have one cause. */
  private useSmallerParts(): EventRecord {
    const { at } = this;
    const before = at.microBatch;
    // Whole parts of what is done already, where a run is taken up in mid-step.
    at.microBatch = largestDivisor(gcd(this.options.batch, at.pictures), Math.floor(before / 2));
    return this.event(
      "micro-batch",
      `memory is too small for ${before} pictures at once: each step adds up the gradients of parts of ${at.microBatch}`,
    );
  }

  private event(name: EventRecord["name"], text: string): EventRecord {
    const { epoch, step } = this.at;
    return { kind: "event", name, epoch: name === "rate" ? epoch : epoch + 1, step, text };
  }

  /** Pictures of the step under way: the last of an epoch may have fewer. */
  private get stepPictures(): number {
    const { batch } = this.options;
    return Math.min(batch, this.data.train.labels.length - this.at.stepInEpoch * batch);
  }

  private get totalSteps(): number {
    return this.steps * this.options.epochs;
  }

  private trained(): Parameter[] {
    return this.model.parameters().filter((parameter) => parameter.requiresGrad);
  }
}

/** SGD as the paper has it: weight decay on weights, not on biases. */
function sgdOf({ lr, momentum = 0.9, weightDecay = 5e-4 }: TrainOptions): (model: Module) => AnyOptimiser {
  const isBias = (name: string): boolean => name.endsWith("bias");
  return (model) =>
    new SGD(
      [
        { parameters: model.parameters((name) => !isBias(name)) },
        { parameters: model.parameters(isBias), weightDecay: 0 },
      ],
      { lr, momentum, weightDecay },
    );
}

function diverged(loss: number, step: number, lr: number): DivergedError {
  return new DivergedError(
    `train: the loss is not a finite number (loss ${loss}, step ${step}, lr ${lr}). ` +
      "Try a smaller learning rate (a tenth), and check that the pictures are normalised.",
  );
}

function iterate<T>(items: Iterable<T> | AsyncIterable<T>): Iterator<T> | AsyncIterator<T> {
  return Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
}

/** The largest divisor of `n` that is at most `most`. */
function largestDivisor(n: number, most: number): number {
  let divisor = Math.min(n, most);
  while (n % divisor !== 0) divisor--;
  return divisor;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** A rate for people: 0.001, 1e-5. */
function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
