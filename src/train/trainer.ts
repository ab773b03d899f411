/** The training loop as one call: an async generator of records. The run itself is training-run.ts. */
import { type DataSplits, isInMemory, type Normalise, type PictureSet, pixelStatistics } from "../data/dataset.js";
import { trainingStatistics } from "../data/statistics.js";
import { scaleRange } from "../data/view.js";
import type { Module } from "../nn/module.js";
import type { TrainRecord } from "./records.js";
import type { TrainOptions } from "./train-options.js";
import { TrainingRun } from "./training-run.js";

/**
 * Trains a classifier. Leaves the model in training mode, with the weights of the last step. Every step is in training mode,
 * whatever the mode in between.
 * @throws UsageError for options out of range or a model without parameters; DivergedError when the loss is no longer a finite number.
 */
export async function* train(
  model: Module,
  data: Pick<DataSplits, "train" | "validation">,
  options: TrainOptions,
): AsyncGenerator<TrainRecord, void, undefined> {
  const { train: set } = data;
  const normalise = options.normalise ?? (isInMemory(set) ? pixelStatistics(set) : await measure(set, options));
  yield* new TrainingRun(model, data, { ...options, normalise }).records();
}

function measure(set: PictureSet, { view, reading, signal }: TrainOptions): Promise<Normalise> {
  return trainingStatistics(set, { ...reading, signal, scale: view && scaleRange(view)[1] });
}
