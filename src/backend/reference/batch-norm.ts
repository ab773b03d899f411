/** Batch normalisation. See kernels.ts. */
import type { BatchNormShape, HostArray } from "../backend.js";
import { accumulateInto, type ReferenceKernels } from "./kernel.js";

/** Calls visit(element, channel) for every element. */
function forEachElement({ batch, channels, plane }: BatchNormShape, visit: (i: number, channel: number) => void): void {
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < channels; c++) {
      for (let p = 0; p < plane; p++) visit((b * channels + c) * plane + p, c);
    }
  }
}

/** Of each channel the mean of f(element), summed in double precision. */
function channelMeans(s: BatchNormShape, f: (i: number, channel: number) => number): Float64Array {
  const sums = new Float64Array(s.channels);
  forEachElement(s, (i, c) => {
    sums[c] += f(i, c);
  });
  return sums.map((sum) => sum / (s.batch * s.plane));
}

function mix(running: HostArray, channel: number, value: number, momentum: number): void {
  running[channel] = (1 - momentum) * running[channel] + momentum * value;
}

export const BATCH_NORM_KERNELS = {
  batchNormStatistics(s, { x, mean, invStd, runningMean, runningVar }) {
    const count = s.batch * s.plane;
    const means = channelMeans(s, (i) => x[i]);
    const variances = channelMeans(s, (i, c) => (x[i] - means[c]) ** 2);
    for (let c = 0; c < s.channels; c++) {
      mean[c] = means[c];
      invStd[c] = 1 / Math.sqrt(variances[c] + s.eps);
      mix(runningMean, c, means[c], s.momentum);
      mix(runningVar, c, (variances[c] * count) / (count - 1), s.momentum);
    }
  },

  batchNormRunning({ channels, eps }, { runningMean, runningVar, mean, invStd }) {
    for (let c = 0; c < channels; c++) {
      mean[c] = runningMean[c];
      invStd[c] = 1 / Math.sqrt(runningVar[c] + eps);
    }
  },

  batchNormForward(s, { x, mean, invStd, weight, bias, y }) {
    forEachElement(s, (i, c) => {
      y[i] = (x[i] - mean[c]) * invStd[c] * weight[c] + (bias ? bias[c] : 0);
    });
  },

  batchNormBackwardWeight(s, { dy, x, mean, invStd, dWeight, dBias }) {
    accumulateInto(dWeight, false, (sums) =>
      forEachElement(s, (i, c) => {
        sums[c] += dy[i] * (x[i] - mean[c]) * invStd[c];
      }),
    );
    accumulateInto(dBias, false, (sums) =>
      forEachElement(s, (i, c) => {
        sums[c] += dy[i];
      }),
    );
  },

  batchNormBackwardInput(s, { dy, x, mean, invStd, weight, sumDy, sumDyNormalised, dx }) {
    const count = s.batch * s.plane;
    forEachElement(s, (i, c) => {
      const normalised = (x[i] - mean[c]) * invStd[c];
      const ofMean = sumDy ? sumDy[c] / count : 0;
      const ofVariance = sumDyNormalised ? (normalised * sumDyNormalised[c]) / count : 0;
      dx[i] = weight[c] * invStd[c] * (dy[i] - ofMean - ofVariance);
    });
  },
} satisfies ReferenceKernels;
