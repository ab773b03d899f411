/**
 * Max pooling.
 *
 *   x [batch, channels, inH, inW]  ->  y [batch, channels, outH, outW],  outH = floor((inH + 2·padH − kH) / strideH) + 1
 *   y = the largest value of each window; padding never wins; of equal values the first in row-major order does.
 *   dx: dy goes to each window's winner, added up where windows overlap.
 *
 * With `ceilMode` the division rounds up, so that the last window may hang over the border; PyTorch's rule: it must start
 * inside the input or the padding before it, or it is left out.
 *
 * Throws ShapeError for a wrong rank, a window that does not fit or has over 255 places, padding over half the window.
 * The paper's pools are 2x2 with stride 2 (section 2.1).
 */
import type { Pool2dShape } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import { ShapeError } from "../core/errors.js";
import type { Tensor } from "../core/tensor.js";
import { checkRank, type Pair, pair, windowOutput } from "./check.js";

/** Window of a pooling, in PyTorch's words. */
export interface Pool2dOptions {
  readonly kernelSize: Pair;
  /** Default: kernelSize. */
  readonly stride?: Pair;
  /** Default 0. */
  readonly padding?: Pair;
  /** Default false. */
  readonly ceilMode?: boolean;
}

/** The sizes of a pooling with windows; all checks that poolings share. */
export function pool2dShape(op: string, x: Tensor, options: Pool2dOptions): Pool2dShape {
  const { kernelSize, stride = kernelSize, padding = 0, ceilMode = false } = options;
  checkRank(op, "x", x, 4, "[batch, channels, height, width]");
  const [batch, channels, inH, inW] = x.shape;
  const [kH, kW] = pair(op, "kernelSize", kernelSize, 1);
  const [strideH, strideW] = pair(op, "stride", stride, 1);
  const [padH, padW] = pair(op, "padding", padding, 0);
  if (padH * 2 > kH || padW * 2 > kW) {
    throw new ShapeError(
      `${op}: padding is more than half the window (padding [${padH},${padW}], kernelSize [${kH},${kW}]). Use less padding.`,
    );
  }
  const output = ceilMode ? ceilOutput : windowOutput;
  const outH = output(op, "height", inH, kH, strideH, padH);
  const outW = output(op, "width", inW, kW, strideW, padW);
  return { batch, channels, inH, inW, outH, outW, kH, kW, strideH, strideW, padH, padW };
}

/** Output size in ceil mode. */
function ceilOutput(
  op: string,
  side: string,
  size: number,
  kernelSize: number,
  stride: number,
  padding: number,
): number {
  const out = Math.ceil((size + 2 * padding - kernelSize) / stride) + 1;
  // What is too small rounded up is too small rounded down: let that check say so.
  if (out < 1) return windowOutput(op, side, size, kernelSize, stride, padding);
  return (out - 1) * stride >= size + padding ? out - 1 : out;
}

const maxPool2dOp: Op<{ x: Tensor }, Pool2dOptions, Pool2dShape, { winners: Tensor | null }> = {
  name: "maxPool2d",

  infer({ x }, options) {
    const shape = pool2dShape("maxPool2d", x, options);
    const { kH, kW } = shape;
    if (kH * kW > 255) {
      throw new ShapeError(
        `maxPool2d: the window has over 255 places (kernelSize [${kH},${kW}]). Use a smaller window.`,
      );
    }
    return shape;
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
