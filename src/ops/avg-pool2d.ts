/**
 * Average pooling.
 *
 *   x [batch, channels, inH, inW]  ->  y [batch, channels, outH, outW], sizes as in pool2d.ts
 *   y = Σ window / divisor                dx = dy / divisor at every place of each window, added up where windows overlap
 *
 * The divisor is PyTorch's: with `countIncludePad` (the default) the places of the window inside the padded input, without
 * it those inside the input. What hangs over the padding in ceil mode never counts.
 *
 * Throws ShapeError for a wrong rank, a window that does not fit, padding over half the window.
 */
import type { AvgPool2dShape } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import type { Tensor } from "../core/tensor.js";
import { type Pool2dOptions, pool2dShape } from "./pool2d.js";

/** Window of avgPool2d, and what its mean counts. */
export interface AvgPool2dOptions extends Pool2dOptions {
  /** Default true. */
  readonly countIncludePad?: boolean;
}

const avgPool2dOp: Op<{ x: Tensor }, AvgPool2dOptions, AvgPool2dShape, null> = {
  name: "avgPool2d",

  infer({ x }, { countIncludePad = true, ...options }) {
    return { ...pool2dShape("avgPool2d", x, options), countIncludePad };
  },

  outputShape: (s) => [s.batch, s.channels, s.outH, s.outW],

  forward(engine, s, { x }, y) {
    engine.record("avgPool2dForward", s, { x, y });
    return null;
  },

  backward(engine, s, dy, _saved, gradients) {
    engine.record("avgPool2dBackward", s, { dy, dx: gradients.into("x").target });
  },

  accumulates: [],
};

/** The mean of each window; see the head of this file. */
export function avgPool2d(x: Tensor, options: AvgPool2dOptions): Tensor {
  return apply(avgPool2dOp, { x }, options);
}
