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
} satisfies ReferenceKernels;
