/** Linear layers. See kernels.ts. */

import type { HostArray } from "../backend.js";
import { accumulateInto, applyMask, type ReferenceKernels, rectify } from "./kernel.js";
import { OPTIMIZER_KERNELS } from "./optimizer.js";

/** As KernelTable.linearQuantizedForward says, in single precision whatever the backend's. */
function roundedTo16Bits(image: HostArray): Float64Array {
  let largest = 0;
  for (const value of image) largest = Math.max(largest, Math.abs(value));
  const step = Math.fround(Math.fround(largest) / 32767);
  const whole = (value: number): number => {
    const nearest = Math.fround(Math.fround(value) / step) + ROUND - ROUND;
    return Math.max(-32767, Math.min(32767, nearest));
  };
  return Float64Array.from(image, (value) => (step === 0 ? 0 : whole(value) * step));
}

/** Added and subtracted, it rounds a float64 to the nearest whole number, ties to even. */
const ROUND = 1.5 * 2 ** 52;

export const LINEAR_KERNELS = {
  linearForward({ batch, inFeatures, outFeatures, relu }, { x, weight, bias, y }) {
    for (let b = 0; b < batch; b++) {
      for (let o = 0; o < outFeatures; o++) {
        let sum = bias ? bias[o] : 0;
        for (let i = 0; i < inFeatures; i++) sum += x[b * inFeatures + i] * weight[o * inFeatures + i];
        y[b * outFeatures + o] = sum;
      }
    }
    if (relu) rectify(y);
  },

  linearQuantizedForward({ batch, inFeatures, outFeatures, weightType, relu }, { x, weight, scale, bias, y }) {
    for (let b = 0; b < batch; b++) {
      const image = x.subarray(b * inFeatures, (b + 1) * inFeatures);
      const factors = weightType === "int8" ? roundedTo16Bits(image) : image;
      for (let o = 0; o < outFeatures; o++) {
        let sum = 0;
        for (let i = 0; i < inFeatures; i++) sum += factors[i] * weight[o * inFeatures + i];
        y[b * outFeatures + o] = sum * scale[o] + (bias ? bias[o] : 0);
      }
    }
    if (relu) rectify(y);
  },

  linearBackwardInput({ batch, inFeatures, outFeatures }, { dy, weight, mask, dx }) {
    for (let b = 0; b < batch; b++) {
      for (let i = 0; i < inFeatures; i++) {
        let sum = 0;
        for (let o = 0; o < outFeatures; o++) sum += dy[b * outFeatures + o] * weight[o * inFeatures + i];
        dx[b * inFeatures + i] = sum;
      }
    }
    applyMask(dx, mask);
  },

  linearBackwardWeight({ batch, inFeatures, outFeatures, accumulate }, { x, dy, dWeight }) {
    accumulateInto(dWeight, accumulate, (sums) => {
      for (let b = 0; b < batch; b++) {
        for (let o = 0; o < outFeatures; o++) {
          for (let i = 0; i < inFeatures; i++) {
            sums[o * inFeatures + i] += dy[b * outFeatures + o] * x[b * inFeatures + i];
          }
        }
      }
    });
  },

  linearUpdateWeight(s, { x, dy, param, velocity }) {
    const grad = param.slice();
    LINEAR_KERNELS.linearBackwardWeight({ ...s, accumulate: false }, { x, dy, dWeight: grad });
    OPTIMIZER_KERNELS.sgd({ ...s, length: param.length }, { grad, param, velocity });
  },

  linearBackwardBias({ outFeatures, accumulate }, { dy, dBias }) {
    accumulateInto(dBias, accumulate, (sums) => {
      for (let i = 0; i < dy.length; i++) sums[i % outFeatures] += dy[i];
    });
  },
} satisfies ReferenceKernels;
