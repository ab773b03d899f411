/**
 * Reshape and flatten: the same values in the same order under another shape. No kernel runs; storage is shared.
 * dx = dy under the old shape. Throws ShapeError when the sizes differ.
 */
import { apply, type Op } from "../core/autograd.js";
import { ShapeError } from "../core/errors.js";
import { formatShape, type Shape, sizeOf } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";

/** Views are made by viewAs(); this operation only puts the change of shape on the tape. */
const reshapeOp: Op<{ x: Tensor }, { shape: Shape }, { shape: Shape }, null> = {
  name: "reshape",

  infer({ x }, { shape }) {
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
  return reshape(x, [x.shape[0], x.size / x.shape[0]]);
}
