/** Updates of parameters, element by element, piece by piece. What changes from step to step is in the uniforms. */
import type { SgdShape } from "../../backend.js";
import { type Dispatch, type Float, float, type Lowerings } from "../dispatch.js";
import adam from "./adam.wgsl.js";
import { dispatchPieces } from "./elementwise.js";
import sgd from "./sgd.wgsl.js";
import sgdPieces from "./sgd-pieces.wgsl.js";

/** The constants of sgd.wgsl. */
export function sgdConstants({ form }: Pick<SgdShape, "form">): Dispatch["constants"] {
  return { caffe: form === "caffe" };
}

/** The uniforms of sgd.wgsl. */
export function sgdUniforms({ lr, momentum, weightDecay }: Omit<SgdShape, "length" | "form">): Record<string, Float> {
  return { lr: float(lr), momentum: float(momentum), weightDecay: float(weightDecay) };
}

export const OPTIMIZER_LOWERINGS = {
  sgd: {
    dispatches: (s, tensors, c) =>
      dispatchPieces(
        "sgd",
        `${sgdPieces}\n${sgd}`,
        { ...tensors },
        { output: "param", uniforms: sgdUniforms(s) },
        c,
      ).map((dispatch) => ({
        ...dispatch,
        constants: { ...dispatch.constants, ...sgdConstants(s) },
        writes: ["param", "velocity"],
      })),
  },
  adam: {
    dispatches(s, tensors, c) {
      const { lr, beta1, beta2, eps, weightDecay, decoupled, correction1, correction2 } = s;
      const uniforms = {
        beta1: float(beta1),
        rest1: float(1 - beta1),
        beta2: float(beta2),
        rest2: float(1 - beta2),
        eps: float(eps),
        // Of the gradient, or of the parameter.
        decay: float(decoupled ? 0 : weightDecay),
        kept: float(decoupled ? 1 - lr * weightDecay : 1),
        rate: float(lr / correction1),
        correction2: float(correction2),
      };
      return dispatchPieces("adam", adam, { ...tensors }, { output: "param", uniforms }, c).map((dispatch) => ({
        ...dispatch,
        writes: ["param", "expAvg", "expAvgSq"],
      }));
    },
  },
} satisfies Lowerings;
