/** Learning-rate schedules: pure functions from a step to a factor of the base rate. */
import { cos } from "../core/math.js";

/** Factor of the learning rate at `step` (from 0) of `totalSteps`. */
export type Schedule = (step: number, totalSteps: number) => number;

export const constant: Schedule = () => 1;

const { PI } = Math;

/**
 * One cycle (Smith and Topin 2018): up from 1/25 over the first `warmup` share of the steps, then down to 0, along cosines.
 */
export function oneCycle(warmup = 0.25): Schedule {
  return (step, totalSteps) => {
    const peak = Math.max(1, warmup * totalSteps);
    if (step < peak) return 0.04 + (0.96 * (1 - cos((PI * step) / peak))) / 2;
    return (1 + cos((PI * (step - peak)) / Math.max(1, totalSteps - peak))) / 2;
  };
}
