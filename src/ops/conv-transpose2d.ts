/**
 * Transposed 2-D convolution, also called deconvolution or fractionally strided convolution: the input gradient of a
 * convolution as an operation of its own.
 *
 *   x [batch, inC, inH, inW], weight [inC, outC / groups, kH, kW], bias [outC] or null  ->  y [batch, outC, outH, outW]
 *   outH = (inH − 1)·strideH − 2·padH + dilationH·(kH − 1) + outputPaddingH + 1
 *   y[b, o, ih·strideH + kh·dilationH − padH, …] = bias[o] + Σ x[b,c,ih,iw] · weight[c,o,kh,kw] over all that land there
 *
 * The **mirrored** convolution goes from y's shape to x's with the same weight, [its outC, its inC / groups, kH, kW]. Then
 *   y = its input gradient for dy := x;  dx = its forward pass on dy;  dWeight = its weight gradient for x := dy, dy := x.
 *
 * Rows and columns of the output padding may be reached by no input: they hold the bias.
 * Throws ShapeError for wrong ranks, channels that differ or that groups do not divide, an output without pixels, and an
 * output padding that is not below stride or dilation. Source: Long et al. 2014, section 3.3; options as in PyTorch.
 */
import type { Conv2dShape } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import { ShapeError } from "../core/errors.js";
import { formatShape } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { checkBias, checkGroups, checkRank, type Pair, pair } from "./check.js";
import type { Conv2dOptions } from "./conv2d.js";

/** Window of convTranspose2d, in PyTorch's words. */
export interface ConvTranspose2dOptions extends Conv2dOptions {
  /** Rows and columns to add below and to the right: strides make several sizes possible. Default 0. */
  readonly outputPadding?: Pair;
}

type Inputs = { x: Tensor; weight: Tensor; bias: Tensor | null };

const NAME = "convTranspose2d";

/** The shape record is the mirrored convolution's: its inputs are y's, its outputs x's. */
const convTranspose2dOp: Op<Inputs, ConvTranspose2dOptions, Conv2dShape, { x: Tensor; weight: Tensor }> = {
  name: NAME,

  infer({ x, weight, bias }, { stride = 1, padding = 0, outputPadding = 0, dilation = 1, groups = 1 }) {
    checkRank(NAME, "x", x, 4, "[batch, channels, height, width]");
    checkRank(NAME, "weight", weight, 4, "[inChannels, outChannels, kernelHeight, kernelWidth]");
    const [batch, inC, inH, inW] = x.shape;
    const [weightC, outPerGroup, kH, kW] = weight.shape;
    if (inC !== weightC) {
      throw new ShapeError(
        `${NAME}: input channels differ (x ${formatShape(x.shape)} has ${inC}, weight ${formatShape(weight.shape)} takes ${weightC}). ` +
          `Give x ${weightC} channels, or the weight ${inC}.`,
      );
    }
    const outC = outPerGroup * groups;
    checkGroups(NAME, groups, inC, outC);
    checkBias(NAME, bias, outC);
    const strides = pair(NAME, "stride", stride, 1);
    const paddings = pair(NAME, "padding", padding, 0);
    const dilations = pair(NAME, "dilation", dilation, 1);
    const outputPaddings = pair(NAME, "outputPadding", outputPadding, 0);
    const [outH, outW] = ["height", "width"].map((side, i) => {
      const [size, k, extra] = [x.shape[2 + i], weight.shape[2 + i], outputPaddings[i]];
      if (extra >= Math.max(strides[i], dilations[i])) {
        throw new ShapeError(
          `${NAME}: outputPadding must be below stride or dilation (${side}: outputPadding ${extra}, stride ${strides[i]}, dilation ${dilations[i]}). ` +
            "Use less outputPadding.",
        );
      }
      const out = (size - 1) * strides[i] - 2 * paddings[i] + dilations[i] * (k - 1) + extra + 1;
      if (out < 1) {
        throw new ShapeError(
          `${NAME}: nothing is left of the output (${side} ${out} of input ${size}, kernelSize ${k}, padding ${paddings[i]}). Use less padding.`,
        );
      }
      return out;
    });
    return {
      ...{ batch, inC: outC, inH: outH, inW: outW, outC: inC, outH: inH, outW: inW, kH, kW, groups },
      ...{ strideH: strides[0], strideW: strides[1], padH: paddings[0], padW: paddings[1] },
      ...{ dilationH: dilations[0], dilationW: dilations[1] },
    };
  },

  outputShape: (s) => [s.batch, s.inC, s.inH, s.inW],

  forward(engine, s, { x, weight, bias }, y) {
    engine.record("conv2dBackwardInput", s, { dy: x, weight, bias, mask: null, dx: y });
    return { x, weight };
  },

  backward(engine, s, dy, { x, weight }, gradients) {
    if (gradients.needs("x")) {
      const tensors = { x: dy, weight, bias: null, y: gradients.into("x").target };
      engine.record("conv2dForward", { ...s, relu: false }, tensors);
    }
    if (gradients.needs("weight")) {
      const { target, accumulate } = gradients.into("weight");
      engine.record("conv2dBackwardWeight", { ...s, accumulate }, { x: dy, dy: x, dWeight: target });
    }
    if (gradients.needs("bias")) {
      const { target, accumulate } = gradients.into("bias");
      // The sum over dy's pixels: dy lies where the mirrored convolution's input does.
      const sums = { ...s, outC: s.inC, outH: s.inH, outW: s.inW, accumulate };
      engine.record("conv2dBackwardBias", sums, { dy, dBias: target });
    }
  },

  accumulates: ["weight", "bias"],
};

/** The transpose of a convolution, plus the bias; see the head of this file. */
export function convTranspose2d(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvTranspose2dOptions = {},
): Tensor {
  return apply(convTranspose2dOp, { x, weight, bias }, options);
}
