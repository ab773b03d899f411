/** What a training run takes, and where it stands: types, and where every run begins. */
import type { Tensor } from "../core/tensor.js";
import type { Normalise } from "../data/dataset.js";
import type { Augment } from "../data/loader.js";
import type { ReadingOptions } from "../data/picture-reader.js";
import type { View } from "../data/view.js";
import type { Module } from "../nn/module.js";
import type { AnyOptimiser } from "../optim/optimiser.js";
import type { Schedule } from "../optim/schedule.js";

/** The loss to minimise, and the logits by which accuracy is counted. */
export type Objective = (
  model: Module,
  x: Tensor,
  labels: Tensor,
) => { readonly loss: Tensor; readonly logits: Tensor };

/** What {@link train} takes. */
export interface TrainOptions {
  readonly epochs: number;
  /** Pictures in a step. */
  readonly batch: number;
  /**
   * Pictures computed at once, a divisor of `batch`; the gradients of a step's parts add up to those of the whole. Default:
   * the batch, or, where memory is too small for it, as large a part as fits. (Batch normalisation sees one part at a time.)
   */
  readonly microBatch?: number | undefined;
  /** Base learning rate; the schedule multiplies it. */
  readonly lr: number;
  /** Default 0.9 (the paper). */
  readonly momentum?: number;
  /** On weights, not on biases; default 5e-4 (the paper). */
  readonly weightDecay?: number;
  /** Makes the optimiser; default SGD with momentum and weight decay. */
  readonly optimiser?: (model: Module) => AnyOptimiser;
  /** Default: constant. */
  readonly schedule?: Schedule;
  /** Ends the run after an epoch, by the validation results so far (top-1, oldest first). Default: never before `epochs`. */
  readonly stop?: (validation: readonly number[]) => boolean;
  /** Default: mean cross-entropy of the model's logits. */
  readonly objective?: Objective;
  /** Of order and augmentation; default 1. */
  readonly seed?: number;
  /** Random changes to training pictures; default none. */
  readonly augment?: Augment;
  /** What the net sees of a picture; default: all of it. Validation takes the middle, at the mean of the scales. */
  readonly view?: View | undefined;
  /** Default: mean and std of the training pictures. */
  readonly normalise?: Normalise;
  /** How pictures on disk are read. */
  readonly reading?: ReadingOptions;
  /** Ends the run after the current step, or batch of the validation, by throwing the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Where a run stands: all numbers that its future depends on. Plain JSON. */
export interface TrainingProgress {
  /** Finished epochs. */
  epoch: number;
  /** Finished steps of the epoch under way, and of the whole run. */
  stepInEpoch: number;
  step: number;
  /** Pictures of the step under way whose gradients have been added up. */
  pictures: number;
  microBatch: number;
  /** Top-1 on the validation pictures after each finished epoch. */
  validation: number[];
  /** Of the epoch under way: sum of the pictures' losses. */
  epochLoss: number;
  /** Of the step under way: sum of the pictures' losses, and how many were right. */
  stepLoss: number;
  stepCorrect: number;
  /** Time spent so far. */
  seconds: number;
}

/** Where every run begins. */
export const BEGINNING = {
  epoch: 0,
  stepInEpoch: 0,
  step: 0,
  pictures: 0,
  epochLoss: 0,
  stepLoss: 0,
  stepCorrect: 0,
  seconds: 0,
} as const;
