/** Local response normalisation. */
import { LRN_ARGUMENTS } from "../arguments.js";
import { type Lowerings, launch, NONE } from "./launch.js";

export const LRN_LOWERINGS = {
  lrnForward: {
    scratchBytes: NONE,
    launches: (s, { x, y, scale }) => [
      launch("lrnForward", LRN_ARGUMENTS, { ...s, x, y, scale }, s.batch * s.channels),
    ],
  },

  lrnBackward: {
    scratchBytes: (s) => s.batch * s.channels * s.plane * 4,
    launches(s, { dy, x, scale, dx }, callScratch) {
      const values = { ...s, dy, x, scale, dx, callScratch };
      const grains = s.batch * s.channels;
      return [
        launch("lrnBackwardRatio", LRN_ARGUMENTS, values, grains),
        launch("lrnBackward", LRN_ARGUMENTS, values, grains),
      ];
    },
  },
} satisfies Lowerings;
