/** Accuracy of a net on a data set. */
import type { Dataset, Normalise } from "../data/dataset.js";
import { Loader } from "../data/loader.js";
import { engineOf, inMode, type Module } from "../nn/module.js";
import { crossEntropy, labelRank, labelsTensor } from "../ops/loss.js";

/** What {@link evaluate} takes. */
export interface EvaluateOptions {
  readonly batch: number;
  readonly normalise: Normalise;
  /** Ends the run after the current batch, by throwing the signal's reason. */
  readonly signal?: AbortSignal;
}

/** How well a net does on a data set. */
export interface Evaluation {
  /** Share of pictures whose best class is the true one. */
  readonly top1: number;
  /** Share of pictures whose true class is among the best five. */
  readonly top5: number;
  /** Mean cross-entropy. */
  readonly loss: number;
}

/**
 * Runs the net in evaluation mode over all pictures; leaves the mode as it was. A net may be evaluated while it trains: each
 * batch sees the weights of the step before it.
 * @throws UsageError for a model without parameters.
 */
export async function evaluate(model: Module, dataset: Dataset, options: EvaluateOptions): Promise<Evaluation> {
  const { batch, normalise, signal } = options;
  const engine = engineOf("evaluate", model);
  const counts = { top1: 0, top5: 0, loss: 0 };
  for (const { x, shape, labels } of new Loader(dataset, { batch, normalise }).epoch(0)) {
    signal?.throwIfAborted();
    const { ranks, loss } = await engine.scope(() =>
      engine.noGrad(() => {
        const logits = inMode(model, false, () => model.forward(engine.tensor(x, shape)));
        const truth = labelsTensor(engine, labels, logits.shape[1]);
        return { ranks: labelRank(logits, truth), loss: crossEntropy(logits, truth) };
      }),
    );
    for (const rank of await ranks.data()) {
      if (rank < 1) counts.top1++;
      if (rank < 5) counts.top5++;
    }
    counts.loss += (await loss.item()) * labels.length;
  }
  const total = dataset.labels.length;
  return { top1: counts.top1 / total, top5: counts.top5 / total, loss: counts.loss / total };
}
