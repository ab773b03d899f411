/** Batch normalisation: a grain is a chunk of one channel's elements, or of several channels where those are few. */
import type { BatchNormShape } from "../../backend.js";
import { BATCH_NORM_ARGUMENTS } from "../arguments.js";
import { type Launch, type Lowerings, launch, NONE, type Values } from "./launch.js";

/** Elements of one channel that are summed in one chunk: part of the result. A grain has about as many. */
const CHUNK = 16384;

/** How channels and their elements are cut; by the shape alone. */
function cut({ batch, channels, plane }: BatchNormShape): {
  block: number;
  blocks: number;
  chunk: number;
  chunks: number;
} {
  const count = batch * plane;
  const block = Math.min(channels, Math.max(1, Math.floor(CHUNK / count)));
  return { block, blocks: Math.ceil(channels / block), chunk: CHUNK, chunks: Math.ceil(count / CHUNK) };
}

function batchNormLaunch(
  kernel: string,
  s: BatchNormShape,
  values: Values<typeof BATCH_NORM_ARGUMENTS>,
  grains?: number,
): Launch {
  const cuts = cut(s);
  return launch(kernel, BATCH_NORM_ARGUMENTS, { ...s, ...cuts, ...values }, grains ?? cuts.blocks * cuts.chunks);
}

/** Two f64 for each chunk of each channel. */
function sumsBytes(s: BatchNormShape): number {
  return s.channels * cut(s).chunks * 2 * 8;
}

export const BATCH_NORM_LOWERINGS = {
  batchNormStatistics: {
    scratchBytes: sumsBytes,
    launches(s, { x, mean, invStd, runningMean, runningVar }, callScratch) {
      return [
        batchNormLaunch("batchNormSums", s, { x, callScratch }),
        batchNormLaunch("batchNormSquares", s, { x, callScratch }),
        batchNormLaunch("batchNormTotals", s, { mean, invStd, runningMean, runningVar, callScratch }, 1),
      ];
    },
  },

  batchNormRunning: {
    scratchBytes: NONE,
    launches: (s, tensors) => [batchNormLaunch("batchNormRunning", s, tensors, 1)],
  },

  batchNormForward: {
    scratchBytes: NONE,
    launches: (s, tensors) => [batchNormLaunch("batchNormForward", s, tensors)],
  },

  batchNormBackwardWeight: {
    scratchBytes: sumsBytes,
    launches: (s, { dy, x, mean, invStd, dWeight, dBias }, callScratch) => [
      batchNormLaunch("batchNormBackwardSums", s, { dy, x, mean, callScratch }),
      batchNormLaunch("batchNormBackwardTotals", s, { invStd, dWeight, dBias, callScratch }, 1),
    ],
  },

  batchNormBackwardInput: {
    scratchBytes: NONE,
    launches: (s, { sumDy, sumDyNormalised, ...tensors }) => [
      batchNormLaunch("batchNormBackwardInput", s, { ...tensors, dBias: sumDy, dWeight: sumDyNormalised }),
    ],
  },
} satisfies Lowerings;
