/** Binds `classify` to the engine. Loaded by that command; apart from session.ts because starting is most of what it does. */

import type { ClassifyOptions } from "../classify/picture-net.js";
import { createEngine } from "../engine.js";
import type { PlanOptions } from "../formats/plan-net.js";
import { load } from "../load.js";
import type { LinearWeights } from "../models/build-layer.js";
import type { TierName } from "../runs/request.js";
import type { Classifier } from "./work.js";

/** How to open a net for pictures. */
export interface OpenClassifierOptions extends PlanOptions {
  readonly tier: TierName;
  readonly linearWeights: LinearWeights | undefined;
  /** Nothing is made that would pay at the next picture. */
  readonly singlePicture: boolean;
}

/** A net of a file, ready to look at pictures. */
export interface OpenClassifier extends Classifier {
  /** @throws UsageError for options that no picture can be looked at with. */
  checkOptions(options: ClassifyOptions): void;
  /** What was guessed about the file. */
  readonly notes: readonly string[];
}

/** Starts an engine and loads the net of a weights file. */
export async function openClassifier(
  weights: string,
  { tier, singlePicture, ...options }: OpenClassifierOptions,
): Promise<OpenClassifier> {
  const engine = await createEngine({ tier, keepTransformedWeights: !singlePicture });
  try {
    const net = await load(weights, { ...options, engine });
    return {
      notes: net.notes,
      checkOptions: (how) => net.checkOptions(how),
      classify: (picture, how) => net.classify(picture, how),
      close: () => engine.close(),
    };
  } catch (error) {
    await engine.close();
    throw error;
  }
}
