/** Soft-max, losses, ranks. */
import { LOSS_ARGUMENTS, SQUARED_ERROR_ARGUMENTS } from "../arguments.js";
import { GRAIN_FLOATS } from "./elementwise.js";
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

  squaredErrorForward: {
    scratchBytes: ({ length }) => Math.ceil(length / GRAIN_FLOATS) * 8,
    launches({ length, factor }, { a, b, loss }, callScratch) {
      const values = { a, b, loss, callScratch, length, factor };
      return [
        launch("squaredErrorGrains", SQUARED_ERROR_ARGUMENTS, values, Math.ceil(length / GRAIN_FLOATS)),
        launch("squaredErrorTotal", SQUARED_ERROR_ARGUMENTS, values, 1),
      ];
    },
  },

  squaredErrorBackward: {
    scratchBytes: NONE,
    launches: (s, { dLoss, a, b, dx }) => [
      launch(
        "squaredErrorBackward",
        SQUARED_ERROR_ARGUMENTS,
        { ...s, dLoss, a, b, dx },
        Math.ceil(s.length / GRAIN_FLOATS),
      ),
    ],
  },

  labelRank: {
    scratchBytes: NONE,
    launches: (s, { x, labels, ranks }) => [launch("labelRank", LOSS_ARGUMENTS, { ...s, x, labels, ranks }, s.rows)],
  },
} satisfies Lowerings;
