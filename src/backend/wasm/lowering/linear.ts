/** Linear layers. */
import type { LinearShape } from "../../backend.js";
import { LINEAR_ARGUMENTS } from "../arguments.js";
import {
  cutLinearColumns,
  cutLinearColumnsInPlace,
  cutLinearRows,
  KC,
  LINEAR_IN_PLACE_BATCH,
  linearTileColumns,
} from "../conv-plan.js";
import { type Launch, type Lowerings, launch, NONE, type Values } from "./launch.js";

/** The tile of assembly/linear-weight.ts: four rows of 128 columns and 64 bytes. */
const LINEAR_STRIP_BYTES = 4 * (128 * 4 + 64);

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

function packedGradientBytes(s: LinearShape): number {
  return Math.ceil(s.outFeatures / 4) * s.batch * 16;
}

/** dy packed, then the kernel over rows of the weight. */
function gradientLaunches(
  kernel: string,
  s: LinearShape,
  dy: number,
  values: Values<typeof LINEAR_ARGUMENTS> & { readonly callScratch: number },
): Launch[] {
  const { block, count } = cutLinearRows(s);
  const { callScratch } = values;
  const nBlock = linearTileColumns(s);
  const workerBytes = s.batch * nBlock * 4 + LINEAR_STRIP_BYTES;
  return [
    linearLaunch("linearPackGradient", s, { dy, callScratch }, Math.ceil(s.outFeatures / 64)),
    linearLaunch(kernel, s, { ...values, block, nBlock }, count, workerBytes),
  ];
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
    scratchBytes: packedGradientBytes,
    launches: ({ accumulate, ...s }, { x, dy, dWeight }, callScratch) =>
      gradientLaunches("linearBackwardWeight", s, dy, { x, dWeight, callScratch, accumulate: Number(accumulate) }),
  },

  linearUpdateWeight: {
    scratchBytes: packedGradientBytes,
    launches: ({ form, lr, momentum, weightDecay, ...s }, { x, dy, param, velocity }, callScratch) =>
      gradientLaunches("linearUpdateWeight", s, dy, {
        ...{ x, callScratch, weight: param, velocity },
        ...{ lr, momentum, weightDecay, caffe: Number(form === "caffe") },
      }),
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
