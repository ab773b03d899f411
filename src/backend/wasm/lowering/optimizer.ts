/** Updates of parameters. */
import { ADAM_ARGUMENTS, SGD_ARGUMENTS } from "../arguments.js";
import { GRAIN_FLOATS } from "./elementwise.js";
import { type Lowerings, launch, NONE } from "./launch.js";

export const OPTIMIZER_LOWERINGS = {
  sgd: {
    scratchBytes: NONE,
    launches({ length, lr, momentum, weightDecay, form }, { grad, param, velocity }) {
      const values = { param, grad, velocity, length, lr, momentum, weightDecay, caffe: Number(form === "caffe") };
      return [launch("sgd", SGD_ARGUMENTS, values, Math.ceil(length / GRAIN_FLOATS))];
    },
  },

  adam: {
    scratchBytes: NONE,
    launches({ length, lr, beta1, beta2, eps, weightDecay, decoupled, correction1, correction2 }, tensors) {
      const values = {
        ...tensors,
        length,
        beta1,
        // Not 1 less the rounded betas: that would lose most digits of 1 - 0.999.
        ofGrad: 1 - beta1,
        beta2,
        ofSquare: 1 - beta2,
        stepSize: lr / correction1,
        rootCorrection: Math.sqrt(correction2),
        eps,
        weightDecay: decoupled ? 0 : weightDecay,
        keep: decoupled ? 1 - lr * weightDecay : 1,
      };
      return [launch("adam", ADAM_ARGUMENTS, values, Math.ceil(length / GRAIN_FLOATS))];
    },
  },
} satisfies Lowerings;
