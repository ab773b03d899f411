/** Not there yet. */
import type { Lowerings } from "../dispatch.js";
import { missing } from "./missing.js";

export const BATCH_NORM_LOWERINGS = {
  batchNormStatistics: missing("batchNormStatistics"),
  batchNormRunning: missing("batchNormRunning"),
  batchNormForward: missing("batchNormForward"),
  batchNormBackwardWeight: missing("batchNormBackwardWeight"),
  batchNormBackwardInput: missing("batchNormBackwardInput"),
} satisfies Lowerings;
