/**
 * What the commands need of the engine, as interfaces: train.ts and classify.ts are written against them and tested with stand-ins;
 * session.ts implements them.
 */
import type { ClassifyOptions } from "../classify/picture-net.js";
import type { Prediction } from "../classify/predictions.js";
import type { BackendName, RunTier, TrainRequest } from "../runs/request.js";
import type { RunFolder } from "../runs/run-folder.js";
import type { TrainRecord } from "../train/records.js";

/** How a run is computed and kept: nothing here changes the bits of its result. */
export interface TrainSettings {
  /** undefined: as many as the machine has cores. */
  readonly threads: number | undefined;
  /** Where the weights go. */
  readonly out: string;
  /** The run's folder: a new one of about this name, one to go on with, or none. */
  readonly folder: { readonly wanted: string } | RunFolder | null;
  /** A checkpoint every so many steps, and every so many seconds; 0: never. */
  readonly everySteps: number;
  readonly everySeconds: number;
  /** Newest checkpoints that stay. */
  readonly keep: number;
  /** Threads that decode pictures. */
  readonly workers: number;
  /** Folder for decoded pictures; null: none. */
  readonly cache: string | null;
  /** What a picture that cannot be read does. */
  readonly badPictures: "fail" | "skip";
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
  readonly backend: BackendName;
  /** Which kernels compute; null: the backend has no tiers. */
  readonly tier: RunTier | null;
  /** The run's folder; null: it is not kept. */
  readonly folder: string | null;
  /** What the user must know: where weights came from, what is unusual about the data, where the run goes on. */
  readonly notes: readonly string[];
}

/** A net, its data and an engine, ready to train. */
export interface TrainSession extends Classifier {
  readonly facts: TrainFacts;
  /** Trains; ends by throwing the signal's reason, after the part of a step it is in, when the signal is aborted. */
  records(signal: AbortSignal): AsyncIterable<TrainRecord>;
  /** Writes the weights as they are now. */
  save(file: string): Promise<void>;
  /** Accuracy on the test pictures, as shares of 1; completes the run's folder. */
  test(): Promise<{ top1: number; top5: number }>;
}

/** A trained net, ready to look at pictures. */
export interface Classifier {
  /** The likeliest classes of a picture file. */
  classify(picture: string, options: ClassifyOptions): Promise<Prediction[]>;
  /** Ends the engine. */
  close(): Promise<void>;
}

/** Opens a session for a request. */
export type OpenTrainSession = (request: TrainRequest, settings: TrainSettings) => Promise<TrainSession>;
