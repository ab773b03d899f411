/**
 * Cuts a window out of every plane (fully convolutional nets align their maps so: Long et al. 2015).
 *
 *   x [batch, channels, inH, inW]  ->  y [batch, channels, height, width] = x[:, :, top : top + height, left : left + width]
 *   dx = dy inside the window, 0 outside
 *
 * Throws ShapeError for a wrong rank, and for a window that is not inside the input.
 */
import type { StridedCopyShape } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import { ShapeError } from "../core/errors.js";
import { formatShape, type Shape } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { checkRank } from "./check.js";

/** Which part crop2d takes, in pixels. */
export interface Crop2dOptions {
  /** First row and column. */
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

type CropShape = { readonly y: Shape; readonly length: number; readonly copy: StridedCopyShape };

const crop2dOp: Op<{ x: Tensor }, Crop2dOptions, CropShape, null> = {
  name: "crop2d",

  infer({ x }, { top, left, height, width }) {
    checkRank("crop2d", "x", x, 4, "[batch, channels, height, width]");
    const [batch, channels, inH, inW] = x.shape;
    const inside = (begin: number, size: number, all: number): boolean =>
      Number.isInteger(begin) && Number.isInteger(size) && begin >= 0 && size >= 1 && begin + size <= all;
    if (!inside(top, height, inH) || !inside(left, width, inW)) {
      throw new ShapeError(
        `crop2d: the window is not inside the input (x ${formatShape(x.shape)}, top ${top}, left ${left}, height ${height}, width ${width}). Move it, or make it smaller.`,
      );
    }
    return {
      y: [batch, channels, height, width],
      length: x.size,
      copy: {
        size0: batch * channels,
        size1: height,
        size2: width,
        x: { begin: top * inW + left, stride0: inH * inW, stride1: inW, stride2: 1 },
        y: { begin: 0, stride0: height * width, stride1: width, stride2: 1 },
      },
    };
  },

  outputShape: (s) => s.y,

  forward(engine, { copy }, { x }, y) {
    engine.record("stridedCopy", copy, { x, y });
    return null;
  },

  backward(engine, { length, copy: { x, y, ...sizes } }, dy, _saved, gradients) {
    const dx = gradients.into("x").target;
    engine.record("fill", { length, factor: 0 }, { y: dx });
    engine.record("stridedCopy", { ...sizes, x: y, y: x }, { x: dy, y: dx });
  },

  accumulates: [],
};

/** A window of every plane; see the head of this file. */
export function crop2d(x: Tensor, options: Crop2dOptions): Tensor {
  return apply(crop2dOp, { x }, options);
}
