/** Learning-rate schedules: pure functions from a step to a factor of the base rate. */
import { UsageError } from "../core/errors.js";
import { cos } from "../core/math.js";

/** Factor of the learning rate at `step` (from 0) of `totalSteps`. */
export type Schedule = (step: number, totalSteps: number) => number;

/** The schedule that leaves the rate as it is. */
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
