/**
 * What the commands need of the engine, as interfaces: train.ts and classify.ts are written against them and tested with stand-ins;
 * session.ts implements them.
 */
import type { EpochRecord, StepRecord } from "../train/trainer.js";

/** Backends that the command line offers. */
export const BACKENDS = ["wasm", "reference"] as const;

/** A backend's name. */
export type BackendName = (typeof BACKENDS)[number];

/** What `verydeep train` was asked to do, complete and checked. */
export interface TrainRequest {
  readonly config: string;
  /** `shapes`, `shapes:N` or `cifar10:FOLDER`. */
  readonly data: string;
  readonly epochs: number;
  readonly batch: number;
  readonly lr: number;
  readonly width: number;
  readonly seed: number;
  /** undefined: as many as the machine has cores. */
  readonly threads: number | undefined;
  readonly backend: BackendName;
  /** Where the weights go. */
  readonly out: string;
}

/** What there is to say about a run before it begins. */
export interface TrainFacts {
  readonly config: string;
  readonly params: number;
  readonly inputSize: number;
  readonly classCount: number;
  readonly dataName: string;
  readonly trainCount: number;
  readonly validationCount: number;
  readonly testCount: number;
  readonly threads: number;
}

/** A net, its data and an engine, ready to train. */
export interface TrainSession extends Classifier {
  readonly facts: TrainFacts;
  /** Trains; ends early, after the step it is in, when the signal is aborted. */
  records(signal: AbortSignal): AsyncIterable<StepRecord | EpochRecord>;
  /** Writes the weights as they are now. */
  save(file: string): Promise<void>;
  /** Accuracy on the test pictures, as shares of 1. */
  test(): Promise<{ top1: number; top5: number }>;
}

/** A trained net, ready to look at pictures. */
export interface Classifier {
  readonly classNames: readonly string[];
  /** Height and width that it looks at. */
  readonly inputSize: number;
  /** One score a class, before the soft-max, for RGB planes `[3, inputSize, inputSize]`. */
  scores(planes: Uint8Array): Promise<Float32Array>;
  /** Ends the engine. */
  close(): Promise<void>;
}
