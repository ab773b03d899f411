/**
 * The training loop: an async generator of records, one per step and one per epoch. The command line and the page consume
 * the same records. Each step is one program: forward, backward and update run at once on all threads.
 */
import { DivergedError, UsageError } from "../core/errors.js";
import type { Batch } from "../data/batch-source.js";
import type { DataSplits, Normalise } from "../data/dataset.js";
import { inMemory, pixelStatistics } from "../data/dataset.js";
import { type Augment, Loader } from "../data/loader.js";
import { engineOf, inMode, type Module } from "../nn/module.js";
import { crossEntropy, labelRank, labelsTensor } from "../ops/loss.js";
import { constant, type Schedule } from "../optim/schedule.js";
import { SGD } from "../optim/sgd.js";
import { evaluate } from "./evaluate.js";

/** What {@link train} takes. */
export interface TrainOptions {
  readonly epochs: number;
  readonly batch: number;
  /** Base learning rate; the schedule multiplies it. */
  readonly lr: number;
  /** Default 0.9 (the paper). */
  readonly momentum?: number;
  /** On weights, not on biases; default 5e-4 (the paper). */
  readonly weightDecay?: number;
  /** Default: constant. */
  readonly schedule?: Schedule;
  /** Of order and augmentation; default 1. */
  readonly seed?: number;
  /** Random changes to training pictures; default none. */
  readonly augment?: Augment;
  /** Default: mean and std of the training pictures. */
  readonly normalise?: Normalise;
  /** Ends the run after the current step, or batch of the validation, by throwing the signal's reason. */
  readonly signal?: AbortSignal;
}

/** After every step. */
export interface StepRecord {
  readonly kind: "step";
  /** From 1. */
  readonly epoch: number;
  /** Over the whole run, from 1. */
  readonly step: number;
  /** In one epoch. */
  readonly steps: number;
  /** Mean cross-entropy of the batch. */
  readonly loss: number;
  /** Share of the batch whose best class is the true one. */
  readonly accuracy: number;
  readonly lr: number;
  readonly imagesPerSecond: number;
  /** Tensor memory in use. */
  readonly memoryBytes: number;
}

/** After every epoch, with the accuracy on the validation pictures. */
export interface EpochRecord {
  readonly kind: "epoch";
  readonly epoch: number;
  readonly step: number;
  /** Mean over the epoch's pictures. */
  readonly trainLoss: number;
  readonly valTop1: number;
  readonly valTop5: number;
  readonly valLoss: number;
  /** Training only, without validation. */
  readonly imagesPerSecond: number;
  /** Since the start of the run. */
  readonly seconds: number;
}

/**
 * Trains a classifier. Leaves the model in training mode, with the weights of the last step. Every step is in training mode,
 * whatever the mode in between.
 * @throws UsageError for options out of range or a model without parameters; DivergedError when the loss is no longer a finite number.
 */
export async function* train(
  model: Module,
  data: DataSplits,
  options: TrainOptions,
): AsyncGenerator<StepRecord | EpochRecord, void, undefined> {
  const { epochs, batch, lr, momentum = 0.9, weightDecay = 5e-4, schedule = constant, seed = 1, signal } = options;
  if (!Number.isInteger(epochs) || epochs < 1) {
    throw new UsageError(`train: epochs must be a positive whole number (epochs ${epochs}). Change it.`);
  }
  const engine = engineOf("train", model);
  const pictures = { train: inMemory("train", data.train), validation: inMemory("train", data.validation) };
  const normalise = options.normalise ?? pixelStatistics(pictures.train);
  const loader = new Loader(pictures.train, { batch, seed, shuffle: true, normalise, augment: options.augment ?? {} });
  const isBias = (name: string): boolean => name.endsWith("bias");
  const optimiser = new SGD(
    [
      { parameters: model.parameters((name) => !isBias(name)) },
      { parameters: model.parameters(isBias), weightDecay: 0 },
    ],
    { lr, momentum, weightDecay },
  );
  const { steps } = loader;
  const start = performance.now();
  let step = 0;

  for (let epoch = 1; epoch <= epochs; epoch++) {
    model.train();
    const epochStart = performance.now();
    let lossSum = 0;
    let seen = 0;
    const batches = loader.epoch(epoch - 1);
    let next = batches.next();
    while (!next.done) {
      signal?.throwIfAborted();
      const stepStart = performance.now();
      const { labels } = next.value;
      optimiser.lr = lr * schedule(step, steps * epochs);
      const running = trainStep(model, optimiser, next.value);
      // Where the next batch cannot be made, nobody awaits the step: its failure must not end the process.
      running.catch(() => {});
      // The next batch is made while the workers compute.
      next = batches.next();
      const { loss, correct } = await running;
      step++;
      if (!Number.isFinite(loss)) throw diverged(loss, step, optimiser.lr);
      lossSum += loss * labels.length;
      seen += labels.length;
      yield {
        kind: "step",
        epoch,
        step,
        steps,
        loss,
        accuracy: correct / labels.length,
        lr: optimiser.lr,
        imagesPerSecond: (labels.length * 1000) / (performance.now() - stepStart),
        memoryBytes: engine.memory().usedBytes,
      };
    }
    const trainMs = performance.now() - epochStart;
    const validation = await evaluate(model, pictures.validation, {
      batch,
      normalise,
      ...(signal === undefined ? {} : { signal }),
    });
    yield {
      kind: "epoch",
      epoch,
      step,
      trainLoss: lossSum / seen,
      valTop1: validation.top1,
      valTop5: validation.top5,
      valLoss: validation.loss,
      imagesPerSecond: (seen * 1000) / trainMs,
      seconds: (performance.now() - start) / 1000,
    };
  }
}

/** Forward, backward and update of one batch, as one program. */
async function trainStep(
  model: Module,
  optimiser: SGD,
  { x, shape, labels }: Batch,
): Promise<{ loss: number; correct: number }> {
  const engine = engineOf("train", model);
  const { loss, ranks } = await engine.scope(() => {
    optimiser.zeroGrad();
    const logits = inMode(model, true, () => model.forward(engine.tensor(x, shape)));
    const truth = labelsTensor(engine, labels, logits.shape[1]);
    const loss = crossEntropy(logits, truth);
    loss.backward();
    optimiser.step();
    return { loss, ranks: labelRank(logits, truth) };
  });
  const lossValue = await loss.item();
  return { loss: lossValue, correct: (await ranks.data()).filter((rank) => rank === 0).length };
}

function diverged(loss: number, step: number, lr: number): DivergedError {
  return new DivergedError(
    `train: the loss is not a finite number (loss ${loss}, step ${step}, lr ${lr}). ` +
      "Try a smaller learning rate (a tenth), and check that the pictures are normalised.",
  );
}
