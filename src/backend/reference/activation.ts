/** Activations with a curve or two slopes. relu is in elementwise.ts. See kernels.ts. */
import { exp } from "../../core/math.js";
import type { ReferenceKernels } from "./kernel.js";

/** tanh x = (1 − t) / (1 + t) with t = e^(−2|x|), which cannot overflow; near 0, where 1 − t loses digits, its series. */
function tanh(x: number): number {
  const size = Math.abs(x);
  if (size < 1e-3) return x - x ** 3 / 3 + (2 * x ** 5) / 15;
  const t = exp(-2 * size);
  return (Math.sign(x) * (1 - t)) / (1 + t);
}

function sigmoid(x: number): number {
  const t = exp(-Math.abs(x));
  return (x < 0 ? t : 1) / (1 + t);
}

export const ACTIVATION_KERNELS = {
  leakyReluForward({ factor }, { x, y }) {
    for (let i = 0; i < x.length; i++) y[i] = x[i] > 0 ? x[i] : x[i] * factor;
  },

  leakyReluBackward({ factor }, { dy, x, dx }) {
    for (let i = 0; i < x.length; i++) dx[i] = x[i] > 0 ? dy[i] : dy[i] * factor;
  },

  tanhForward(_s, { x, y }) {
    for (let i = 0; i < x.length; i++) y[i] = tanh(x[i]);
  },

  tanhBackward(_s, { dy, y, dx }) {
    for (let i = 0; i < y.length; i++) dx[i] = dy[i] * (1 - y[i] * y[i]);
  },

  sigmoidForward(_s, { x, y }) {
    for (let i = 0; i < x.length; i++) y[i] = sigmoid(x[i]);
  },

  sigmoidBackward(_s, { dy, y, dx }) {
    for (let i = 0; i < y.length; i++) dx[i] = dy[i] * y[i] * (1 - y[i]);
  },
} satisfies ReferenceKernels;
