/**
 * Reshape and flatten: the same values in the same order under another shape. No kernel runs; storage is shared.
 * dx = dy under the old shape. Throws ShapeError for a size that is no positive integer, or when the sizes differ.
 */
import { apply, type Op } from "../core/autograd.js";
import { ShapeError } from "../core/errors.js";
import { formatShape, type Shape, sizeOf } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";

/** Views are made by viewAs(); this operation only puts the change of shape on the tape. */
const reshapeOp: Op<{ x: Tensor }, { shape: Shape }, { shape: Shape }, null> = {
  name: "reshape",

  infer({ x }, { shape }) {
    if (shape.some((n) => !Number.isInteger(n) || n < 1)) {
      throw new ShapeError(
        `reshape: every size must be an integer of at least 1 (shape ${formatShape(shape)}). Change the shape.`,
      );
    }
    if (sizeOf(shape) !== x.size) {
      throw new ShapeError(
        `reshape: the sizes differ (x ${formatShape(x.shape)}, shape ${formatShape(shape)}). Give a shape of ${x.size} elements.`,
      );
    }
    return { shape };
  },

  outputShape: (s) => s.shape,
  view: ({ x }, s) => x.viewAs(s.shape),
  forward: () => null,

  backward(_engine, _s, dy, _saved, gradients) {
    gradients.pass("x", dy);
  },

  accumulates: [],
};

/** x under another shape of the same size. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  return apply(reshapeOp, { x }, { shape });
}

/** [batch, ...] -> [batch, all the rest]: CHW order, as PyTorch flattens. */
export function flatten(x: Tensor): Tensor {
  if (x.shape.length === 0) {
    throw new ShapeError(
      `flatten: x must have at least 1 dimension, [batch, ...] (x ${formatShape(x.shape)}). Reshape it.`,
    );
  }
  return reshape(x, [x.shape[0], x.size / x.shape[0]]);
}
