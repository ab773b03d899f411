/**
 * Bilinear upsampling (any resampling, in fact: outputs may be smaller than inputs, without smoothing).
 *
 *   x [batch, channels, inH, inW]  ->  y [batch, channels, outH, outW]
 *   alignCorners false: output row o looks at r = max(0, (o + 0.5)·step − 0.5); step = inH / outH, or 1 / scaleFactor
 *   alignCorners true:  r = o·step; step = (inH − 1) / (outH − 1), 0 for one row: the corners of both coincide
 *   y = (1 − λ)·x[h] + λ·x[min(h + 1, inH − 1)] with h = floor(r), λ = r − h; along the columns alike
 *   dx = Σ dy · weight over the outputs that looked at each input
 *
 * `size` or `scaleFactor`, one of them; outH = floor(inH · scaleFactor). Conventions are those of PyTorch's interpolate.
 * Throws ShapeError for a wrong rank, a size that is not positive; UsageError for both or neither, or a bad factor.
 */
import type { UpsampleShape } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import { ShapeError, UsageError } from "../core/errors.js";
import { formatShape } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { checkRank, type Pair, pair } from "./check.js";

/** How large upsampleBilinear2d makes its output. */
export interface UpsampleBilinear2dOptions {
  /** [height, width] of y, or one number for both. */
  readonly size?: Pair;
  /** How much larger y is: above 0, need not be whole. */
  readonly scaleFactor?: Pair;
  /** Default false. */
  readonly alignCorners?: boolean;
}

const NAME = "upsampleBilinear2d";

type Shape = UpsampleShape & { readonly batch: number; readonly channels: number };

const upsampleBilinear2dOp: Op<{ x: Tensor }, UpsampleBilinear2dOptions, Shape, null> = {
  name: NAME,

  infer({ x }, { size, scaleFactor, alignCorners = false }) {
    checkRank(NAME, "x", x, 4, "[batch, channels, height, width]");
    const [batch, channels, inH, inW] = x.shape;
    if ((size === undefined) === (scaleFactor === undefined)) {
      const given = size === undefined ? "neither is given" : "both are given";
      throw new UsageError(`${NAME}: either size or scaleFactor says how large y is (${given}). Give one of them.`);
    }
    const factors = scaleFactor === undefined ? null : positivePair(scaleFactor);
    const [outH, outW] = factors
      ? [Math.floor(inH * factors[0]), Math.floor(inW * factors[1])]
      : pair(NAME, "size", size ?? 0, 1);
    if (outH < 1 || outW < 1) {
      throw new ShapeError(
        `${NAME}: nothing is left of the output (x ${formatShape(x.shape)}, y [${outH},${outW}]). Use a larger scaleFactor.`,
      );
    }
    const step = (input: number, output: number, factor: number | undefined): number => {
      if (alignCorners) return output === 1 ? 0 : (input - 1) / (output - 1);
      return factor === undefined ? input / output : 1 / factor;
    };
    const [stepH, stepW] = [step(inH, outH, factors?.[0]), step(inW, outW, factors?.[1])];
    const shift = alignCorners ? 0 : 0.5;
    return { batch, channels, planes: batch * channels, inH, inW, outH, outW, stepH, stepW, shift };
  },

  outputShape: (s) => [s.batch, s.channels, s.outH, s.outW],

  forward(engine, s, { x }, y) {
    engine.record("upsampleForward", s, { x, y });
    return null;
  },

  backward(engine, s, dy, _saved, gradients) {
    engine.record("upsampleBackward", s, { dy, dx: gradients.into("x").target });
  },

  accumulates: [],
};

function positivePair(scaleFactor: Pair): readonly [number, number] {
  const both = typeof scaleFactor === "number" ? ([scaleFactor, scaleFactor] as const) : scaleFactor;
  if (both.length !== 2 || !both.every((factor) => factor > 0 && Number.isFinite(factor))) {
    const given = typeof scaleFactor === "number" ? scaleFactor : formatShape(scaleFactor);
    throw new UsageError(
      `${NAME}: scaleFactor must be a number above 0, or two of them (scaleFactor ${given}). Change scaleFactor.`,
    );
  }
  return both;
}

/** Resamples the planes of x; see the head of this file. */
export function upsampleBilinear2d(x: Tensor, options: UpsampleBilinear2dOptions): Tensor {
  return apply(upsampleBilinear2dOp, { x }, options);
}
