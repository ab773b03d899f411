/**
 * 2-D convolution (a cross-correlation, as in all deep-learning libraries).
 *
 *   x [batch, inC, inH, inW], weight [outC, inC / groups, kH, kW], bias [outC] or null  ->  y [batch, outC, outH, outW]
 *   outH = floor((inH + 2·padH − dilationH·(kH − 1) − 1) / strideH) + 1
 *   y[b,o,oh,ow] = bias[o] + Σ_{c,kh,kw} x[b, c0 + c, oh·strideH + kh·dilationH − padH, …] · weight[o,c,kh,kw]
 *
 * Channels come in `groups` equal groups: outputs of a group see its inputs alone, from c0 on (groups = inC: depthwise).
 *   dx = Σ dy · weight over the outputs that used each input; dWeight = Σ dy · x over pixels; dBias = Σ dy.
 *
 * Throws ShapeError for wrong ranks, channels that differ or that groups do not divide, a window that does not fit.
 * The paper uses 3x3, stride 1, padding 1 throughout, and 1x1 in config C (section 2.1).
 */
import type { Conv2dShape } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import { ShapeError } from "../core/errors.js";
import { formatShape } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { checkBias, checkGroups, checkRank, type Pair, pair, windowOutput } from "./check.js";

/** Window of conv2d, in PyTorch's words. */
export interface Conv2dOptions {
  readonly stride?: Pair;
  readonly padding?: Pair;
  /** Distance of a window's neighbouring places. Default 1. */
  readonly dilation?: Pair;
  /** Default 1. */
  readonly groups?: number;
}

type Inputs = { x: Tensor; weight: Tensor; bias: Tensor | null };

const conv2dOp: Op<Inputs, Conv2dOptions, Conv2dShape, { x: Tensor; weight: Tensor }> = {
  name: "conv2d",

  infer({ x, weight, bias }, { stride = 1, padding = 0, dilation = 1, groups = 1 }) {
    checkRank("conv2d", "x", x, 4, "[batch, channels, height, width]");
    checkRank("conv2d", "weight", weight, 4, "[outChannels, inChannels, kernelHeight, kernelWidth]");
    const [batch, inC, inH, inW] = x.shape;
    const [outC, weightC, kH, kW] = weight.shape;
    checkGroups("conv2d", groups, inC, outC);
    if (inC !== weightC * groups) {
      const taken = groups === 1 ? `${weightC}` : `${weightC * groups} in ${groups} groups`;
      throw new ShapeError(
        `conv2d: input channels differ (x ${formatShape(x.shape)} has ${inC}, weight ${formatShape(weight.shape)} takes ${taken}). ` +
          `Give x ${weightC * groups} channels, or the weight ${inC / groups}.`,
      );
    }
    checkBias("conv2d", bias, outC);
    const [strideH, strideW] = pair("conv2d", "stride", stride, 1);
    const [padH, padW] = pair("conv2d", "padding", padding, 0);
    const [dilationH, dilationW] = pair("conv2d", "dilation", dilation, 1);
    const outH = windowOutput("conv2d", "height", inH, kH, strideH, padH, dilationH);
    const outW = windowOutput("conv2d", "width", inW, kW, strideW, padW, dilationW);
    const window = { kH, kW, strideH, strideW, padH, padW, dilationH, dilationW };
    return { batch, inC, inH, inW, outC, outH, outW, ...window, groups };
  },

  outputShape: (s) => [s.batch, s.outC, s.outH, s.outW],

  forward(engine, s, { x, weight, bias }, y) {
    engine.record("conv2dForward", { ...s, relu: false }, { x, weight, bias, y });
    return { x, weight };
  },

  backward(engine, s, dy, { x, weight }, gradients) {
    if (gradients.needs("x")) {
      engine.record("conv2dBackwardInput", s, { dy, weight, bias: null, mask: null, dx: gradients.into("x").target });
    }
    if (gradients.needs("weight")) {
      const { target, accumulate } = gradients.into("weight");
      engine.record("conv2dBackwardWeight", { ...s, accumulate }, { x, dy, dWeight: target });
    }
    if (gradients.needs("bias")) {
      const { target, accumulate } = gradients.into("bias");
      engine.record("conv2dBackwardBias", { ...s, accumulate }, { dy, dBias: target });
    }
  },

  accumulates: ["weight", "bias"],
};

/** Convolves x with weight and adds the bias; see the head of this file. */
export function conv2d(x: Tensor, weight: Tensor, bias: Tensor | null = null, options: Conv2dOptions = {}): Tensor {
  return apply(conv2dOp, { x, weight, bias }, options);
}
