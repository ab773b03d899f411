/** Linear layers. See kernels.ts. */
import { OPTIMIZER_KERNELS } from "./optimizer.js";
import { accumulateInto, applyMask, type ReferenceKernels, rectify } from "./kernel.js";

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
