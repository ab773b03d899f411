/**
 * Max pooling.
 *
 *   x [batch, channels, inH, inW]  ->  y [batch, channels, outH, outW],  outH = floor((inH + 2·padH − kH) / strideH) + 1
 *   y = the largest value of each window; padding never wins; of equal values the first in row-major order does.
 *   dx: dy goes to each window's winner, added up where windows overlap.
 *
 * Throws ShapeError for a wrong rank, a window that does not fit or has over 255 places, padding over half the window.
 * The paper's pools are 2x2 with stride 2 (section 2.1).
 */
import type { Pool2dShape } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import { ShapeError } from "../core/errors.js";
import type { Tensor } from "../core/tensor.js";
import { checkRank, type Pair, pair, windowOutput } from "./check.js";

export interface Pool2dOptions {
  readonly kernelSize: Pair;
  /** Default: kernelSize. */
  readonly stride?: Pair;
  readonly padding?: Pair;
}

const maxPool2dOp: Op<{ x: Tensor }, Pool2dOptions, Pool2dShape, { winners: Tensor | null }> = {
  name: "maxPool2d",

  infer({ x }, { kernelSize, stride = kernelSize, padding = 0 }) {
    checkRank("maxPool2d", "x", x, 4, "[batch, channels, height, width]");
    const [batch, channels, inH, inW] = x.shape;
    const [kH, kW] = pair("maxPool2d", "kernelSize", kernelSize, 1);
    const [strideH, strideW] = pair("maxPool2d", "stride", stride, 1);
    const [padH, padW] = pair("maxPool2d", "padding", padding, 0);
    if (kH * kW > 255) {
      throw new ShapeError(
        `maxPool2d: the window has over 255 places (kernelSize [${kH},${kW}]). Use a smaller window.`,
      );
    }
    if (padH * 2 > kH || padW * 2 > kW) {
      throw new ShapeError(
        `maxPool2d: padding is more than half the window (padding [${padH},${padW}], kernelSize [${kH},${kW}]). Use less padding.`,
      );
    }
    const outH = windowOutput("maxPool2d", "height", inH, kH, strideH, padH);
    const outW = windowOutput("maxPool2d", "width", inW, kW, strideW, padW);
    return { batch, channels, inH, inW, outH, outW, kH, kW, strideH, strideW, padH, padW };
  },

  outputShape: (s) => [s.batch, s.channels, s.outH, s.outW],

  forward(engine, s, { x }, y, train) {
    const winners = train ? engine.emptyTensor(y.shape, "uint8") : null;
    engine.record("maxPool2dForward", s, { x, y, winners });
    return { winners };
  },

  backward(engine, s, dy, { winners }, gradients) {
    engine.record("maxPool2dBackward", s, { dy, winners, dx: gradients.into("x").target });
  },

  accumulates: [],
};

/** The largest value of each window; see the head of this file. */
export function maxPool2d(x: Tensor, options: Pool2dOptions): Tensor {
  return apply(maxPool2dOp, { x }, options);
}
