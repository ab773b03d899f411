/**
 * Zeros around every plane.
 *
 *   x [batch, channels, inH, inW]  ->  y [batch, channels, top + inH + bottom, left + inW + right], 0 outside of x
 *   dx = dy[:, :, top : top + inH, left : left + inW]
 *
 * Convolutions pad by themselves, alike on opposite sides; this is for sides that differ (TensorFlow's "same" with stride 2).
 * Throws ShapeError for a wrong rank, and for a side that is no whole number.
 */
import type { StridedCopyShape } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import { ShapeError } from "../core/errors.js";
import { type Shape, sizeOf } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { checkRank } from "./check.js";

/** Rows and columns of zeros on each side. */
export type PadSides = readonly [top: number, left: number, bottom: number, right: number];

type PadShape = { readonly y: Shape; readonly copy: StridedCopyShape };

const pad2dOp: Op<{ x: Tensor }, { readonly sides: PadSides }, PadShape, null> = {
  name: "pad2d",

  infer({ x }, { sides }) {
    checkRank("pad2d", "x", x, 4, "[batch, channels, height, width]");
    if (sides.length !== 4 || !sides.every((side) => Number.isSafeInteger(side) && side >= 0)) {
      throw new ShapeError(
        `pad2d: the sides are not four whole numbers of at least 0 (sides [${sides}]). Give [top, left, bottom, right].`,
      );
    }
    const [batch, channels, inH, inW] = x.shape;
    const [top, left, bottom, right] = sides;
    const [outH, outW] = [top + inH + bottom, left + inW + right];
    return {
      y: [batch, channels, outH, outW],
      copy: {
        size0: batch * channels,
        size1: inH,
        size2: inW,
        x: { begin: 0, stride0: inH * inW, stride1: inW, stride2: 1 },
        y: { begin: top * outW + left, stride0: outH * outW, stride1: outW, stride2: 1 },
      },
    };
  },

  outputShape: (s) => s.y,

  forward(engine, { y: shape, copy }, { x }, y) {
    engine.record("fill", { length: sizeOf(shape), factor: 0 }, { y });
    engine.record("stridedCopy", copy, { x, y });
    return null;
  },

  backward(engine, { copy: { x, y, ...sizes } }, dy, _saved, gradients) {
    engine.record("stridedCopy", { ...sizes, x: y, y: x }, { x: dy, y: gradients.into("x").target });
  },

  accumulates: [],
};

/** Zeros around every plane; see the head of this file. */
export function pad2d(x: Tensor, sides: PadSides): Tensor {
  return apply(pad2dOp, { x }, { sides });
}
