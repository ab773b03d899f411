/** Recognises runs that learn nothing from the start, which the paper's own initialisation brings about so easily. */
import { log } from "../core/math.js";

/** After so many steps a net that learns has left the loss of guessing. */
const CHECKED_STEPS: ReadonlySet<number> = new Set([200, 400, 800]);
/** Losses that are looked at: the noise of single batches must not hide the level. */
export const DEAD_START_WINDOW = 50;
/** How near to the loss of guessing is still guessing. */
const NEARNESS = 0.005;

/**
 * Is the loss, after so many steps, what guessing costs: ln(classes), 2.303 for ten?
 * @param losses of the last steps; fewer than {@link DEAD_START_WINDOW} tell nothing.
 * @returns what to tell the user, or null.
 */
export function deadStart(step: number, losses: readonly number[], classes: number): string | null {
  if (!CHECKED_STEPS.has(step) || losses.length < DEAD_START_WINDOW || classes < 2) return null;
  const window = losses.slice(-DEAD_START_WINDOW);
  const mean = window.reduce((sum, loss) => sum + loss, 0) / window.length;
  const guessing = log(classes);
  if (Math.abs(mean - guessing) > NEARNESS * guessing) return null;
  return (
    `train: nothing is being learnt (loss ${mean.toFixed(3)} after ${step} steps, guessing among ${classes} classes costs ${guessing.toFixed(3)}). ` +
    "Signals die out on the way through the net: its weights started too small (a normal of std 0.01 in a deep net), the rate is too small, " +
    "or it is so large that the ReLUs died. Start with he or glorot, or from a trained shallower net, or change the rate by a factor of 3."
  );
}
