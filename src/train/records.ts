/** What a training run tells while it goes on: plain data, consumed by the command line, the page and the run folder alike. */

/** After a part of a step, where a step is cut into several micro-batches. */
export interface MicroRecord {
  readonly kind: "micro";
  readonly epoch: number;
  /** The step that is under way, from 1 over the whole run. */
  readonly step: number;
  /** Pictures of the step whose gradients have been added up, and in all. */
  readonly pictures: number;
  readonly stepPictures: number;
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
  /** Mean loss of the step's pictures. */
  readonly loss: number;
  /** Share of the pictures whose best class is the true one. */
  readonly accuracy: number;
  readonly lr: number;
  readonly imagesPerSecond: number;
  /** Of the step's time, what was spent waiting for its pictures. */
  readonly waitMs: number;
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
  /** Of the epoch's last step. */
  readonly lr: number;
  /** Training only, without validation; of this epoch since the start or the last resume. */
  readonly imagesPerSecond: number;
  /** Of the whole run, without the time between a stop and its resume. */
  readonly seconds: number;
}

/**
 * Something that the user should know:
 * - `rate`: the schedule dropped the rate because validation stopped improving
 * - `dead-start`: nothing is being learnt
 * - `micro-batch`: memory was full, so that each step is cut into smaller parts
 * - `picture`: a picture could not be read and was replaced
 */
export interface EventRecord {
  readonly kind: "event";
  readonly name: "rate" | "dead-start" | "micro-batch" | "picture";
  readonly epoch: number;
  readonly step: number;
  readonly text: string;
}

/** One record of a training run. */
export type TrainRecord = MicroRecord | StepRecord | EpochRecord | EventRecord;
