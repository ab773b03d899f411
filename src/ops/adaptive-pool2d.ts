/**
 * Adaptive pooling: the output size is given, the windows follow from it, as in PyTorch.
 *
 *   x [batch, channels, inH, inW]  ->  y [batch, channels, outH, outW]
 *   window i of outH covers rows floor(i · inH / outH) to ceil((i + 1) · inH / outH) − 1, and columns alike: all places are
 *   covered; windows overlap where the sizes do not divide, or where the output is larger than the input.
 *
 *   adaptiveAvgPool2d   y = the mean of each window            dx = dy / window's size, added up
 *   adaptiveMaxPool2d   y = the largest value of each window   dx: dy goes to each window's winner (the first of equals)
 *   globalAvgPool2d     y [batch, channels, 1, 1] = the mean of each plane
 *
 * Throws ShapeError for a wrong rank or an output size below 1. Fixed-size outputs for pictures of any size: He et al. 2014
 * (spatial pyramid pooling); one mean per channel: Lin et al. 2013 (network in network).
 */
import type { AdaptivePool2dShape } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import type { Tensor } from "../core/tensor.js";
import { checkRank, type Pair, pair } from "./check.js";

type Options = { readonly outputSize: Pair };

function adaptiveShape(op: string, x: Tensor, { outputSize }: Options): AdaptivePool2dShape {
  checkRank(op, "x", x, 4, "[batch, channels, height, width]");
  const [batch, channels, inH, inW] = x.shape;
  const [outH, outW] = pair(op, "outputSize", outputSize, 1);
  return { batch, channels, inH, inW, outH, outW };
}

function avgOp(name: string): Op<{ x: Tensor }, Options, AdaptivePool2dShape, null> {
  return {
    name,
    infer: ({ x }, options) => adaptiveShape(name, x, options),
    outputShape: (s) => [s.batch, s.channels, s.outH, s.outW],

    forward(engine, s, { x }, y) {
      engine.record("adaptiveAvgPool2dForward", s, { x, y });
      return null;
    },

    backward(engine, s, dy, _saved, gradients) {
      engine.record("adaptiveAvgPool2dBackward", s, { dy, dx: gradients.into("x").target });
    },

    accumulates: [],
  };
}

const adaptiveAvgPool2dOp = avgOp("adaptiveAvgPool2d");
const globalAvgPool2dOp = avgOp("globalAvgPool2d");

const adaptiveMaxPool2dOp: Op<{ x: Tensor }, Options, AdaptivePool2dShape, { winners: Tensor | null }> = {
  name: "adaptiveMaxPool2d",
  infer: ({ x }, options) => adaptiveShape("adaptiveMaxPool2d", x, options),
  outputShape: (s) => [s.batch, s.channels, s.outH, s.outW],

  forward(engine, s, { x }, y, train) {
    const winners = train ? engine.emptyTensor(y.shape, "int32") : null;
    engine.record("adaptiveMaxPool2dForward", s, { x, y, winners });
    return { winners };
  },

  backward(engine, s, dy, { winners }, gradients) {
    engine.record("adaptiveMaxPool2dBackward", s, { dy, winners, dx: gradients.into("x").target });
  },

  accumulates: [],
};

/** Means over windows that cover x in outputSize rows and columns; see the head of this file. */
export function adaptiveAvgPool2d(x: Tensor, outputSize: Pair): Tensor {
  return apply(adaptiveAvgPool2dOp, { x }, { outputSize });
}

/** Largest values of windows that cover x in outputSize rows and columns; see the head of this file. */
export function adaptiveMaxPool2d(x: Tensor, outputSize: Pair): Tensor {
  return apply(adaptiveMaxPool2dOp, { x }, { outputSize });
}

/** The mean of each plane, [batch, channels, 1, 1]. */
export function globalAvgPool2d(x: Tensor): Tensor {
  return apply(globalAvgPool2dOp, { x }, { outputSize: 1 });
}
