/** Soft-max, losses, ranks. */
import { LOSS_ARGUMENTS } from "../arguments.js";
import { type Lowerings, launch, NONE } from "./launch.js";

export const LOSS_LOWERINGS = {
  logSoftmaxForward: {
    scratchBytes: NONE,
    launches: (s, { x, y }) => [launch("logSoftmaxForward", LOSS_ARGUMENTS, { ...s, x, y }, s.rows)],
  },

  logSoftmaxBackward: {
    scratchBytes: NONE,
    launches: (s, { dy, y, dx }) => [launch("logSoftmaxBackward", LOSS_ARGUMENTS, { ...s, dy, y, dx }, s.rows)],
  },

  nllForward: {
    scratchBytes: NONE,
    launches: (s, { y, labels, loss }) => [launch("nllForward", LOSS_ARGUMENTS, { ...s, y, labels, loss }, 1)],
  },

  crossEntropyBackward: {
    scratchBytes: NONE,
    launches: (s, { dLoss, y, labels, dx }) => [
      launch("crossEntropyBackward", LOSS_ARGUMENTS, { ...s, dLoss, y, labels, dx }, s.rows),
    ],
  },

  labelRank: {
    scratchBytes: NONE,
    launches: (s, { x, labels, ranks }) => [launch("labelRank", LOSS_ARGUMENTS, { ...s, x, labels, ranks }, s.rows)],
  },
} satisfies Lowerings;
