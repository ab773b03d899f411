/** Binds `classify` to the engine. Loaded by that command; apart from session.ts because starting is most of what it does. */

import type { ClassifyOptions } from "../classify/picture-net.js";
import type { PlanOptions } from "../formats/plan-net.js";
import { load } from "../load.js";
import type { LinearWeights } from "../models/build-layer.js";
import type { BackendName, TierName } from "../runs/request.js";
import { engineOptions } from "./threads.js";
import type { Classifier } from "./work.js";

/** How to open a net for pictures. */
export interface OpenClassifierOptions extends PlanOptions {
  readonly backend: BackendName | undefined;
  readonly tier: TierName | undefined;
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
export function openClassifier(
  weights: string,
  { backend, tier, singlePicture, ...options }: OpenClassifierOptions,
): Promise<OpenClassifier> {
  return load(weights, { ...options, ...engineOptions({ backend, tier }), keepTransformedWeights: !singlePicture });
}
