/** Updates of parameters. See kernels.ts. */
import type { ReferenceKernels } from "./kernel.js";

export const OPTIMIZER_KERNELS = {
  sgd({ lr, momentum, weightDecay, form }, { grad, param, velocity }) {
    for (let i = 0; i < param.length; i++) {
      const g = grad[i] + weightDecay * param[i];
      const step = (velocity ? momentum * velocity[i] : 0) + (form === "caffe" ? lr * g : g);
      if (velocity) velocity[i] = step;
      param[i] -= form === "caffe" ? step : lr * step;
    }
  },

  adam(s, { grad, param, expAvg, expAvgSq }) {
    for (let i = 0; i < param.length; i++) {
      const g = grad[i] + (s.decoupled ? 0 : s.weightDecay * param[i]);
      const average = s.beta1 * expAvg[i] + (1 - s.beta1) * g;
      const square = s.beta2 * expAvgSq[i] + (1 - s.beta2) * g * g;
      expAvg[i] = average;
      expAvgSq[i] = square;
      const kept = s.decoupled ? param[i] - s.lr * s.weightDecay * param[i] : param[i];
      param[i] = kept - (s.lr * average) / s.correction1 / (Math.sqrt(square / s.correction2) + s.eps);
    }
  },
} satisfies ReferenceKernels;
