/**
 * Activations with a curve or two slopes, element by element; any shape. relu has a file of its own.
 *
 *   tanh       y = (e^x − e^−x) / (e^x + e^−x)        dx = dy · (1 − y²)
 *   sigmoid    y = 1 / (1 + e^−x)                     dx = dy · y · (1 − y)
 *   leakyRelu  y = x where x > 0, else slope · x      dx = dy where x > 0, else slope · dy
 *
 * NaN stays NaN, and nothing overflows: the curves reach their limits. leakyRelu throws UsageError for a slope that is not
 * finite.
 */
import type { LengthShape, ScaleShape } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import { UsageError } from "../core/errors.js";
import type { Shape } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";

type X = { x: Tensor };

const tanhOp: Op<X, object, LengthShape & { shape: Shape }, { y: Tensor }> = {
  name: "tanh",
  infer: ({ x }) => ({ length: x.size, shape: x.shape }),
  outputShape: (s) => s.shape,

  forward(engine, { length }, { x }, y) {
    engine.record("tanhForward", { length }, { x, y });
    return { y };
  },

  backward(engine, { length }, dy, { y }, gradients) {
    engine.record("tanhBackward", { length }, { dy, y, dx: gradients.into("x").target });
  },

  accumulates: [],
};

const sigmoidOp: Op<X, object, LengthShape & { shape: Shape }, { y: Tensor }> = {
  name: "sigmoid",
  infer: ({ x }) => ({ length: x.size, shape: x.shape }),
  outputShape: (s) => s.shape,

  forward(engine, { length }, { x }, y) {
    engine.record("sigmoidForward", { length }, { x, y });
    return { y };
  },

  backward(engine, { length }, dy, { y }, gradients) {
    engine.record("sigmoidBackward", { length }, { dy, y, dx: gradients.into("x").target });
  },

  accumulates: [],
};

const leakyReluOp: Op<X, { slope: number }, ScaleShape & { shape: Shape }, X> = {
  name: "leakyRelu",

  infer({ x }, { slope }) {
    if (!Number.isFinite(slope)) {
      throw new UsageError(`leakyRelu: the slope must be a finite number (slope ${slope}). Change it.`);
    }
    return { length: x.size, factor: slope, shape: x.shape };
  },

  outputShape: (s) => s.shape,

  forward(engine, { length, factor }, { x }, y) {
    engine.record("leakyReluForward", { length, factor }, { x, y });
    return { x };
  },

  backward(engine, { length, factor }, dy, { x }, gradients) {
    engine.record("leakyReluBackward", { length, factor }, { dy, x, dx: gradients.into("x").target });
  },

  accumulates: [],
};

/** Hyperbolic tangent, from −1 to 1. */
export function tanh(x: Tensor): Tensor {
  return apply(tanhOp, { x }, {});
}

/** The logistic curve, from 0 to 1. */
export function sigmoid(x: Tensor): Tensor {
  return apply(sigmoidOp, { x }, {});
}

/** x where it is positive, slope · x elsewhere. */
export function leakyRelu(x: Tensor, slope = 0.01): Tensor {
  return apply(leakyReluOp, { x }, { slope });
}
