/** From a net's scores to named classes. Pure functions. */
import { WeightsError } from "../core/errors.js";
import { exp } from "../core/math.js";

/** What a net makes of a picture: one of its classes, and how sure it is, as a share of 1. */
export interface Prediction {
  readonly label: string;
  readonly index: number;
  readonly probability: number;
}

/**
 * The `top` likeliest classes, likeliest first, equal ones by index; probabilities by soft-max over all classes.
 * @throws WeightsError where a score is not a finite number.
 */
export function topPredictions(scores: Float32Array, classNames: readonly string[], top: number): Prediction[] {
  const bad = scores.findIndex((score) => !Number.isFinite(score));
  if (bad !== -1) {
    throw new WeightsError(
      `classify: a score is not a finite number (class ${JSON.stringify(classNames[bad])}, score ${scores[bad]}). ` +
        "The weights diverged or are damaged: train again, or use another file.",
    );
  }
  const max = scores.reduce((a, b) => Math.max(a, b));
  const parts = Float64Array.from(scores, (score) => exp(score - max));
  const sum = parts.reduce((a, b) => a + b);
  return Array.from(parts, (part, index) => ({ label: classNames[index], index, probability: part / sum }))
    .sort((a, b) => scores[b.index] - scores[a.index] || a.index - b.index)
    .slice(0, top);
}
