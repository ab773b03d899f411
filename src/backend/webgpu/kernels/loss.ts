/** Not there yet. */
import type { Lowerings } from "../dispatch.js";
import { missing } from "./missing.js";

export const LOSS_LOWERINGS = {
  logSoftmaxForward: missing("logSoftmaxForward"),
  logSoftmaxBackward: missing("logSoftmaxBackward"),
  nllForward: missing("nllForward"),
  crossEntropyBackward: missing("crossEntropyBackward"),
  squaredErrorForward: missing("squaredErrorForward"),
  squaredErrorBackward: missing("squaredErrorBackward"),
  labelRank: missing("labelRank"),
} satisfies Lowerings;
