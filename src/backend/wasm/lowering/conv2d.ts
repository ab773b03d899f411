/** Convolution: im2col or Winograd, in all three directions. */
import type { Conv2dShape, Derived } from "../../backend.js";
import { CONV2D_ARGUMENTS } from "../arguments.js";
import {
  type ConvDirection,
  type Cut,
  conv2dAlgorithm,
  cutConv2dBackwardInput,
  cutConv2dBackwardWeight,
  cutConv2dForward,
  KC,
  winogradAlphaOf,
} from "../conv-plan.js";
import type { Alpha } from "../winograd-plan.js";
import {
  type Addresses,
  type DerivedAddress,
  type Launch,
  type LoweringOptions,
  type Lowerings,
  launch,
  NONE,
  needDerived,
  type Values,
} from "./launch.js";
import { pool2dLaunch } from "./pool2d.js";
import {
  transposed,
  winogradFilters,
  winogradGradientLaunches,
  winogradGradientScratchBytes,
  winogradLaunches,
  winogradScratchBytes,
} from "./winograd.js";

/** Bytes of the offset table of assembly/im2col.ts for blocks of `columns` columns. */
function offsetTableBytes(s: Conv2dShape, columns: number): number {
  const panels = Math.ceil(columns / 8);
  return (s.kH * s.kW + 3) * panels * 32 + s.kH * s.kW * panels + 16;
}

function weightBytes(s: Conv2dShape): number {
  return s.outC * (s.inC / s.groups) * s.kH * s.kW * 4;
}

function conv2dLaunch(
  kernel: string,
  s: Conv2dShape,
  cut: Cut,
  addresses: Values<typeof CONV2D_ARGUMENTS>,
  grains: number,
  workerBytes = 0,
): Launch {
  return launch(kernel, CONV2D_ARGUMENTS, { ...s, ...cut, ...addresses }, grains, workerBytes);
}

/** Places a side of the tiles of the Winograd kernel that computes this, or null where another algorithm does. */
function winogradAlpha(s: Conv2dShape, { convAlgorithm }: LoweringOptions, direction: ConvDirection): Alpha | null {
  return winogradAlphaOf(conv2dAlgorithm(s, convAlgorithm, direction));
}

const POOL_WINDOW = { kH: 2, kW: 2, strideH: 2, strideW: 2, padH: 0, padW: 0 };

function outputBytes({ batch, outC, outH, outW }: Conv2dShape): number {
  return batch * outC * outH * outW * 4;
}

function forwardFilters(s: Conv2dShape, options: LoweringOptions): Derived | null {
  const alpha = winogradAlpha(s, options, "forward");
  return alpha === null ? null : winogradFilters(s, alpha, options.threads, "forward");
}

/** Launches of a forward pass; with `pool`, which im2col cannot, y is pooled. */
function forwardLaunches(
  s: Conv2dShape,
  { x, weight, bias, y }: Addresses<"conv2dForward">,
  callScratch: number,
  derived: DerivedAddress | null,
  options: LoweringOptions,
  ending: { readonly relu: number; readonly pool?: number },
): Launch[] {
  const alpha = winogradAlpha(s, options, "forward");
  if (alpha !== null) {
    const strides = { outStride: s.inC * 9, inStride: 9, flip: 0 };
    const values = { x, weight, bias, y, ...ending, ...strides };
    return winogradLaunches(s, alpha, options.threads, callScratch, needDerived(derived), values);
  }
  const cut = cutConv2dForward(s);
  const workerBytes = (KC + cut.mBlock) * cut.nBlock * 4 + offsetTableBytes(s, cut.nBlock);
  const grains = cut.mBlocks * cut.groupBlocks * cut.nBlocks;
  return [conv2dLaunch("conv2dForward", s, cut, { x, weight, bias, y, ...ending }, grains, workerBytes)];
}

export const CONV2D_LOWERINGS = {
  conv2dForward: {
    algorithm: (s, { convAlgorithm }) => conv2dAlgorithm(s, convAlgorithm, "forward"),
    scratchBytes(s, options) {
      const alpha = winogradAlpha(s, options, "forward");
      return alpha === null ? 0 : winogradScratchBytes(s, alpha, options.threads);
    },
    derived: forwardFilters,
    launches: ({ relu, ...s }, tensors, callScratch, derived, options) =>
      forwardLaunches(s, tensors, callScratch, derived, options, { relu: Number(relu) }),
  },

  conv2dMaxPool2dForward: {
    algorithm: (s, { convAlgorithm }) => conv2dAlgorithm(s, convAlgorithm, "forward"),
    scratchBytes(s, options) {
      const alpha = winogradAlpha(s, options, "forward");
      return alpha === null ? outputBytes(s) : winogradScratchBytes(s, alpha, options.threads);
    },
    derived: forwardFilters,
    launches(s, tensors, callScratch, derived, options) {
      if (winogradAlpha(s, options, "forward") !== null) {
        return forwardLaunches(s, tensors, callScratch, derived, options, { relu: 1, pool: 1 });
      }
      const whole = { ...tensors, y: callScratch };
      const { batch, outC: channels, outH: inH, outW: inW } = s;
      const pool = { batch, channels, inH, inW, outH: inH / 2, outW: inW / 2, ...POOL_WINDOW };
      return [
        ...forwardLaunches(s, whole, 0, null, options, { relu: 1 }),
        pool2dLaunch("maxPool2dForward", pool, { x: callScratch, y: tensors.y, winners: null }),
      ];
    },
  },

  conv2dBackwardInput: {
    algorithm: (s, { convAlgorithm }) => conv2dAlgorithm(s, convAlgorithm, "backwardInput"),
    scratchBytes(s, options) {
      const alpha = winogradAlpha(s, options, "backwardInput");
      return alpha === null ? weightBytes(s) : winogradScratchBytes(transposed(s), alpha, options.threads);
    },
    derived(s, options): Derived | null {
      const alpha = winogradAlpha(s, options, "backwardInput");
      return alpha === null ? null : winogradFilters(transposed(s), alpha, options.threads, "backwardInput");
    },
    launches(s, { dy, weight, bias, mask, dx }, callScratch, derived, options) {
      const alpha = winogradAlpha(s, options, "backwardInput");
      if (alpha !== null) {
        // dx is dy convolved with the filters turned by 180 degrees, input and output channels exchanged.
        const strides = { outStride: 9, inStride: s.inC * 9, flip: 1 };
        const values = { x: dy, weight, bias, mask, y: dx, ...strides };
        return winogradLaunches(transposed(s), alpha, options.threads, callScratch, needDerived(derived), values);
      }
      const cut = cutConv2dBackwardInput(s);
      const taps = s.kH * s.kW;
      const workerBytes = (KC + cut.mBlock * taps) * cut.nBlock * 4 + offsetTableBytes(s, cut.nBlock);
      const rowGrains = Math.ceil((s.inC * taps) / 64);
      const grains = cut.mBlocks * cut.groupBlocks * cut.chunks;
      return [
        conv2dLaunch("conv2dTransposeWeight", s, cut, { weight, callScratch }, rowGrains),
        conv2dLaunch("conv2dBackwardInput", s, cut, { dy, bias, mask, dx, callScratch }, grains, workerBytes),
      ];
    },
  },

  conv2dBackwardWeight: {
    algorithm: (s, { convAlgorithm }) => conv2dAlgorithm(s, convAlgorithm, "backwardWeight"),
    scratchBytes(s, options) {
      const alpha = winogradAlpha(s, options, "backwardWeight");
      if (alpha !== null) return winogradGradientScratchBytes(s, alpha);
      const { chunks } = cutConv2dBackwardWeight(s);
      return chunks === 1 ? 0 : chunks * weightBytes(s);
    },
    launches({ accumulate, ...s }, { x, dy, dWeight }, callScratch, _derived, options) {
      const alpha = winogradAlpha(s, options, "backwardWeight");
      if (alpha !== null) {
        return winogradGradientLaunches(s, alpha, callScratch, { x, dy, dWeight, accumulate: Number(accumulate) });
      }
      const cut = cutConv2dBackwardWeight(s);
      const floats = (KC + cut.groupBlock * cut.mBlock) * cut.nBlock + cut.mBlock * KC;
      const workerBytes = floats * 4 + offsetTableBytes(s, KC);
      const addresses = { x, dy, dWeight, callScratch, accumulate: Number(accumulate) };
      const grains = cut.mBlocks * cut.nBlocks * cut.groupBlocks * cut.chunks;
      const product = conv2dLaunch("conv2dBackwardWeight", s, cut, addresses, grains, workerBytes);
      if (cut.chunks === 1) return [product];
      return [product, conv2dLaunch("conv2dReduceChunks", s, cut, addresses, Math.ceil(s.outC / 4))];
    },
  },

  conv2dBackwardBias: {
    scratchBytes: NONE,
    launches: ({ accumulate, ...s }, { dy, dBias }) => [
      launch("conv2dBackwardBias", CONV2D_ARGUMENTS, { ...s, dy, dBias, accumulate: Number(accumulate) }, s.outC),
    ],
  },
} satisfies Lowerings;
