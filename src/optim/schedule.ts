/**
 * Learning-rate schedules: pure functions from where a run stands to a factor of the base rate. What a schedule has to
 * remember it derives from the validation results so far, so there is no state to save.
 */
import { UsageError } from "../core/errors.js";
import { cos } from "../core/math.js";

/**
 * Factor of the learning rate at `step` (from 0) of `totalSteps`.
 * @param validation top-1 accuracy after each finished epoch, oldest first.
 */
export type Schedule = (step: number, totalSteps: number, validation: readonly number[]) => number;

/** The base rate throughout. */
export const constant: Schedule = () => 1;

const { PI } = Math;

/**
 * One cycle (Smith and Topin 2018): up from 1/25 over the first `warmup` share of the steps, then down to 0, along cosines.
 * @throws UsageError unless 0 <= warmup <= 1.
 */
export function oneCycle(warmup = 0.25): Schedule {
  if (!(warmup >= 0 && warmup <= 1)) {
    throw new UsageError(`oneCycle: warmup must be a number from 0 to 1 (warmup ${warmup}). Change warmup.`);
  }
  return (step, totalSteps) => {
    const peak = Math.max(1, warmup * totalSteps);
    if (step < peak) return 0.04 + (0.96 * (1 - cos((PI * step) / peak))) / 2;
    return (1 + cos((PI * (step - peak)) / Math.max(1, totalSteps - peak))) / 2;
  };
}

/**
 * Down from 1 to `least` along half a cosine (Loshchilov and Hutter 2017, without restarts).
 * @throws UsageError unless 0 <= least <= 1.
 */
export function cosine(least = 0): Schedule {
  if (!(least >= 0 && least <= 1)) {
    throw new UsageError(`cosine: least must be a number from 0 to 1 (least ${least}). Change least.`);
  }
  return (step, totalSteps) => least + ((1 - least) * (1 + cos((PI * step) / Math.max(1, totalSteps)))) / 2;
}

/** How {@link stepDecay} divides the rate. */
export interface StepDecayOptions {
  /** Shares of the run, in ascending order, at which the rate drops; default [0.5, 0.75]. */
  readonly milestones?: readonly number[];
  /** What each drop multiplies the rate by; default 0.1. */
  readonly factor?: number;
}

/**
 * Drops by `factor` at each milestone.
 * @throws UsageError for milestones that are no ascending shares of the run, or a factor outside (0, 1].
 */
export function stepDecay({ milestones = [0.5, 0.75], factor = 0.1 }: StepDecayOptions = {}): Schedule {
  if (milestones.some((share, i) => !(share > (milestones[i - 1] ?? 0) && share < 1))) {
    throw new UsageError(
      `stepDecay: milestones must be ascending shares of the run, above 0 and below 1 (milestones [${milestones}]). Change them.`,
    );
  }
  checkFactor("stepDecay", factor);
  return (step, totalSteps) => power(factor, milestones.filter((share) => step >= share * totalSteps).length);
}

/**
 * Rises in a straight line over the first `steps` steps to where `then` is, and follows it.
 * @throws UsageError unless steps is a whole number of at least 0.
 */
export function warmUp(steps: number, then: Schedule = constant): Schedule {
  if (!Number.isInteger(steps) || steps < 0) {
    throw new UsageError(`warmUp: steps must be a whole number of at least 0 (steps ${steps}). Change steps.`);
  }
  return (step, totalSteps, validation) => Math.min(1, (step + 1) / (steps + 1)) * then(step, totalSteps, validation);
}

/** When {@link plateau} divides the rate. */
export interface PlateauOptions {
  /** Epochs without a new best after which the rate drops; default 2. */
  readonly patience?: number;
  /** How much better than the best so far counts as better, as a share of 1; default 0.001. */
  readonly threshold?: number;
  /** What each drop multiplies the rate by; default 0.1 (the paper). */
  readonly factor?: number;
  /** Drops in all; default 3 (the paper). */
  readonly drops?: number;
}

/**
 * The paper's schedule (section 3.1): the rate is divided by 10 when validation accuracy stops improving, three times. What
 * "stops improving" means it does not say: here, `patience` epochs with no result `threshold` above the best before them.
 * @throws UsageError for options out of range.
 */
export function plateau(options: PlateauOptions = {}): Schedule {
  const complete = checkPlateau(options);
  return (_step, _totalSteps, validation) =>
    power(complete.factor, Math.min(complete.drops, countPlateaus(validation, complete)));
}

/**
 * True once validation has stopped improving after the last drop of {@link plateau}: there is nothing left to gain.
 * @throws UsageError for options out of range.
 */
export function plateauEnded(options: PlateauOptions = {}): (validation: readonly number[]) => boolean {
  const complete = checkPlateau(options);
  return (validation) => countPlateaus(validation, complete) > complete.drops;
}

/** How often validation has stopped improving. After each time the count of bad epochs begins anew; the best stays. */
function countPlateaus(validation: readonly number[], { patience, threshold }: Required<PlateauOptions>): number {
  let best = Number.NEGATIVE_INFINITY;
  let bad = 0;
  let count = 0;
  for (const result of validation) {
    if (result > best + threshold) {
      best = result;
      bad = 0;
    } else if (++bad === patience) {
      count++;
      bad = 0;
    }
  }
  return count;
}

function checkPlateau(options: PlateauOptions): Required<PlateauOptions> {
  const { patience = 2, threshold = 0.001, factor = 0.1, drops = 3 } = options;
  if (!Number.isInteger(patience) || patience < 1 || !Number.isInteger(drops) || drops < 0) {
    throw new UsageError(
      `plateau: patience must be a whole number of at least 1, drops of at least 0 (patience ${patience}, drops ${drops}). Change them.`,
    );
  }
  if (!(threshold >= 0 && threshold < 1)) {
    throw new UsageError(
      `plateau: threshold must be a share of at least 0, below 1 (threshold ${threshold}). Change threshold.`,
    );
  }
  checkFactor("plateau", factor);
  return { patience, threshold, factor, drops };
}

function checkFactor(schedule: string, factor: number): void {
  if (factor > 0 && factor <= 1) return;
  throw new UsageError(`${schedule}: factor must be above 0 and at most 1 (factor ${factor}). Change factor.`);
}

/** factor^count by multiplication: Math.pow has no specified bits. */
function power(factor: number, count: number): number {
  let product = 1;
  for (let i = 0; i < count; i++) product *= factor;
  return product;
}
