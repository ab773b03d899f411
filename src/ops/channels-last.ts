/**
 * Channels behind height and width, one row a pixel: what a soft-max over the classes of each pixel takes.
 *
 *   x [batch, channels, height, width]  ->  y [batch · height · width, channels],  y[(b·height + h)·width + w][c] = x[b][c][h][w]
 *   dx is dy the other way round
 *
 * Throws ShapeError for a wrong rank.
 */
import type { StridedCopyShape } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import type { Tensor } from "../core/tensor.js";
import { checkRank } from "./check.js";

const channelsLastOp: Op<{ x: Tensor }, object, StridedCopyShape, null> = {
  name: "channelsLast",

  infer({ x }) {
    checkRank("channelsLast", "x", x, 4, "[batch, channels, height, width]");
    const [batch, channels, height, width] = x.shape;
    const plane = height * width;
    return {
      size0: batch,
      size1: plane,
      size2: channels,
      x: { begin: 0, stride0: channels * plane, stride1: 1, stride2: plane },
      y: { begin: 0, stride0: channels * plane, stride1: channels, stride2: 1 },
    };
  },

  outputShape: (s) => [s.size0 * s.size1, s.size2],

  forward(engine, s, { x }, y) {
    engine.record("stridedCopy", s, { x, y });
    return null;
  },

  backward(engine, { x, y, ...sizes }, dy, _saved, gradients) {
    engine.record("stridedCopy", { ...sizes, x: y, y: x }, { x: dy, y: gradients.into("x").target });
  },

  accumulates: [],
};

/** One row a pixel, one column a channel; see the head of this file. */
export function channelsLast(x: Tensor): Tensor {
  return apply(channelsLastOp, { x }, {});
}
