/** Accuracy of a net on a data set. */
import type { Normalise, PictureSet } from "../data/dataset.js";
import { openBatches } from "../data/open-batches.js";
import type { ReadingOptions } from "../data/picture-reader.js";
import type { View } from "../data/view.js";
import { engineOf, inMode, type Module } from "../nn/module.js";
import { crossEntropy, labelsTensor } from "../ops/loss.js";
import { PredictionCounts } from "./metrics.js";

/** What {@link evaluate} takes. */
export interface EvaluateOptions {
  readonly batch: number;
  readonly normalise: Normalise;
  /** What the net sees of a picture; default: all of it. */
  readonly view?: View | undefined;
  /** How pictures on disk are read. */
  readonly reading?: ReadingOptions;
  /** Ends the run after the current batch, by throwing the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** How well a net does on a data set. */
export interface Evaluation {
  /** Share of pictures whose best class is the true one. */
  readonly top1: number;
  /** Share of pictures whose true class is among the best five. */
  readonly top5: number;
  /** Mean cross-entropy. */
  readonly loss: number;
  /** How often a picture of class `row` was taken for class `column`: counts [classes x classes], row by row. */
  readonly confusion: Uint32Array;
  /** Pictures in no column: a NaN among their logits. */
  readonly undecided: number;
}

/**
 * Runs the net in evaluation mode over all pictures; leaves the mode as it was. A net may be evaluated while it trains: each
 * batch sees the weights of the step before it.
 * @throws UsageError for a model without parameters.
 */
export async function evaluate(model: Module, dataset: PictureSet, options: EvaluateOptions): Promise<Evaluation> {
  const { batch, normalise, view, reading, signal } = options;
  const engine = engineOf("evaluate", model);
  const classes = dataset.classNames.length;
  const source = openBatches(dataset, { batch, normalise, view, ...reading });
  const counts = new PredictionCounts(classes);
  let lossSum = 0;
  try {
    for await (const { x, shape, labels } of source.epoch(0)) {
      signal?.throwIfAborted();
      const { logits, loss } = await engine.scope(() =>
        engine.noGrad(() => {
          const logits = inMode(model, false, () => model.forward(engine.tensor(x, shape)));
          return { logits, loss: crossEntropy(logits, labelsTensor(engine, labels, classes)) };
        }),
      );
      lossSum += (await loss.item()) * labels.length;
      counts.add(await logits.data(), labels);
    }
  } finally {
    await source.close();
  }
  const { pictures, top1, top5, confusion, undecided } = counts;
  return { top1: top1 / pictures, top5: top5 / pictures, loss: lossSum / pictures, confusion, undecided };
}

/** What a net sees of a picture in validation, by what it saw in training: the middle, at the mean of the scales (the paper, section 4.1: Q = S, or 0.5 (Smin + Smax)). */
export function evaluationView({ size, scale = size }: View): View {
  const fixed = typeof scale === "number" ? scale : Math.round((scale[0] + scale[1]) / 2);
  return { size, scale: fixed, place: "centre" };
}
