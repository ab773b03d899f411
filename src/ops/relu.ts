/**
 * Rectified linear unit: y = max(x, 0), dx = dy where y > 0. Any shape. NaN stays NaN.
 */
import type { LengthShape } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import type { Shape } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";

const reluOp: Op<{ x: Tensor }, object, LengthShape & { shape: Shape }, { y: Tensor }> = {
  name: "relu",
  infer: ({ x }) => ({ length: x.size, shape: x.shape }),
  outputShape: (s) => s.shape,

  forward(engine, { length }, { x }, y) {
    engine.record("reluForward", { length }, { x, y });
    return { y };
  },

  backward(engine, { length }, dy, { y }, gradients) {
    engine.record("reluBackward", { length }, { dy, y, dx: gradients.into("x").target });
  },

  accumulates: [],
};

/** max(x, 0), element by element. */
export function relu(x: Tensor): Tensor {
  return apply(reluOp, { x }, {});
}
