/** Linear layers. */
import type { LinearShape } from "../../backend.js";
import { LINEAR_ARGUMENTS } from "../arguments.js";
import { cutLinearColumns, cutLinearColumnsInPlace, cutLinearRows, KC, LINEAR_IN_PLACE_BATCH } from "../conv-plan.js";
import { type Launch, type Lowerings, launch, NONE, type Values } from "./launch.js";

/** Columns of the tile in linear's weight gradient: 64 rows of them are 48 KB. */
const LINEAR_TILE_COLUMNS = 192;

function linearLaunch(
  kernel: string,
  s: LinearShape,
  values: Values<typeof LINEAR_ARGUMENTS>,
  grains: number,
  workerBytes = 0,
): Launch {
  return launch(kernel, LINEAR_ARGUMENTS, { ...s, ...values }, grains, workerBytes);
}

function paddedBatchBytes(s: LinearShape): number {
  return Math.ceil(s.batch / 8) * 32;
}

function isInPlace(s: LinearShape): boolean {
  return s.batch <= LINEAR_IN_PLACE_BATCH;
}

export const LINEAR_LOWERINGS = {
  linearForward: {
    algorithm: (s) => (s.batch === 1 ? "vector" : "gemm"),
    scratchBytes: (s) => (s.batch === 1 ? 0 : s.inFeatures * paddedBatchBytes(s)),
    launches({ relu: rectify, ...s }, { x, weight, bias, y }, callScratch) {
      const relu = Number(rectify);
      const { block, count } = cutLinearRows(s);
      if (s.batch === 1) return [linearLaunch("linearForwardVector", s, { x, weight, bias, y, relu, block }, count)];
      const values = { weight, bias, y, callScratch, relu, block };
      return [
        linearLaunch("linearPackInput", s, { x, callScratch }, Math.ceil(s.inFeatures / KC)),
        linearLaunch("linearForward", s, values, count, block * paddedBatchBytes(s)),
      ];
    },
  },

  linearBackwardInput: {
    algorithm: (s) => (isInPlace(s) ? "rows" : "gemm"),
    scratchBytes: NONE,
    launches(s, { dy, weight, mask, dx }) {
      if (isInPlace(s)) {
        const { block, count } = cutLinearColumnsInPlace(s);
        const workerBytes = s.batch * block * 4;
        return [linearLaunch("linearBackwardInputRows", s, { dy, weight, mask, dx, block }, count, workerBytes)];
      }
      const { block, count } = cutLinearColumns(s);
      return [
        linearLaunch("linearBackwardInput", s, { dy, weight, mask, dx, block }, count, (KC + s.batch) * block * 4),
      ];
    },
  },

  linearBackwardWeight: {
    scratchBytes: (s) => s.outFeatures * s.batch * 4,
    launches({ accumulate, ...s }, { x, dy, dWeight }, callScratch) {
      const { block, count } = cutLinearRows(s);
      const nBlock = LINEAR_TILE_COLUMNS;
      const values = { x, dWeight, callScratch, block, nBlock, accumulate: Number(accumulate) };
      return [
        linearLaunch("linearTransposeGradient", s, { dy, callScratch }, Math.ceil(s.outFeatures / 64)),
        linearLaunch("linearBackwardWeight", s, values, count, (KC + block) * nBlock * 4),
      ];
    },
  },

  linearBackwardBias: {
    scratchBytes: NONE,
    launches: ({ accumulate, ...s }, { dy, dBias }) => [
      linearLaunch(
        "linearBackwardBias",
        s,
        { dy, dBias, accumulate: Number(accumulate) },
        Math.ceil(s.outFeatures / 64),
      ),
    ],
  },
} satisfies Lowerings;
