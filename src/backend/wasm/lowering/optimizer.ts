/** Updates of parameters. */
import { SGD_ARGUMENTS } from "../arguments.js";
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
} satisfies Lowerings;
