/** Convolution: im2col or Winograd, in all three directions. */
import type { Conv2dShape } from "../../backend.js";
import { CONV2D_ARGUMENTS, WINOGRAD_ARGUMENTS } from "../arguments.js";
import {
  type Cut,
  conv2dAlgorithm,
  cutConv2dBackwardInput,
  cutConv2dBackwardWeight,
  cutConv2dForward,
  cutWinograd,
  KC,
  WINOGRAD_SUB_ROWS,
  type WinogradShape,
} from "../conv-plan.js";
import { type Launch, type Lowerings, launch, NONE, type Values } from "./launch.js";

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

/** The convolution of dy that gives dx. */
function transposed({ batch, inC, inH, inW, outC, outH, outW, padH, padW }: Conv2dShape): WinogradShape {
  return { batch, inC: outC, inH: outH, inW: outW, outC: inC, outH: inH, outW: inW, padH: 2 - padH, padW: 2 - padW };
}

function winogradWeightBytes(s: Conv2dShape): number {
  return 16 * s.outC * s.inC * 4;
}

function winogradLaunches(
  { batch, inC, inH, inW, outC, outH, outW, padH, padW }: WinogradShape,
  values: Values<typeof WINOGRAD_ARGUMENTS>,
): Launch[] {
  const shape = { batch, inC, inH, inW, outC, outH, outW, padH, padW };
  const cut = cutWinograd(shape);
  const all = { ...shape, ...cut, ...values };
  const tileBytes = cut.tBlock * 4;
  // V with its padding, M, and the table of tiles with its flags.
  const workerBytes = 16 * (inC * tileBytes + 64) + 16 * WINOGRAD_SUB_ROWS * tileBytes + 16 * tileBytes + cut.tBlock;
  return [
    launch("winogradTransformWeight", WINOGRAD_ARGUMENTS, all, Math.ceil(outC / 4)),
    launch("winogradConv2d", WINOGRAD_ARGUMENTS, all, cut.mBlocks * cut.tBlocks, workerBytes),
  ];
}

export const CONV2D_LOWERINGS = {
  conv2dForward: {
    algorithm: (s, { convAlgorithm }) => conv2dAlgorithm(s, convAlgorithm),
    scratchBytes: (s, { convAlgorithm }) =>
      conv2dAlgorithm(s, convAlgorithm) === "winograd" ? winogradWeightBytes(s) : 0,
    launches({ relu: rectify, ...s }, { x, weight, bias, y }, callScratch, { convAlgorithm }) {
      const relu = Number(rectify);
      if (conv2dAlgorithm(s, convAlgorithm) === "winograd") {
        const strides = { outStride: s.inC * 9, inStride: 9, flip: 0 };
        return winogradLaunches(s, { x, weight, bias, y, callScratch, relu, ...strides });
      }
      const cut = cutConv2dForward(s);
      const workerBytes = (KC + cut.mBlock) * cut.nBlock * 4 + offsetTableBytes(s, cut.nBlock);
      const grains = cut.mBlocks * cut.groupBlocks * cut.nBlocks;
      return [conv2dLaunch("conv2dForward", s, cut, { x, weight, bias, y, relu }, grains, workerBytes)];
    },
  },

  conv2dBackwardInput: {
    algorithm: (s, { convAlgorithm }) => conv2dAlgorithm(s, convAlgorithm),
    scratchBytes: (s, { convAlgorithm }) =>
      conv2dAlgorithm(s, convAlgorithm) === "winograd" ? winogradWeightBytes(s) : weightBytes(s),
    launches(s, { dy, weight, bias, mask, dx }, callScratch, { convAlgorithm }) {
      if (conv2dAlgorithm(s, convAlgorithm) === "winograd") {
        // dx is dy convolved with the filters turned by 180 degrees, input and output channels exchanged.
        const strides = { outStride: 9, inStride: s.inC * 9, flip: 1 };
        return winogradLaunches(transposed(s), { x: dy, weight, bias, mask, y: dx, callScratch, ...strides });
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
    algorithm: () => "im2col",
    scratchBytes(s) {
      const { chunks } = cutConv2dBackwardWeight(s);
      return chunks === 1 ? 0 : chunks * weightBytes(s);
    },
    launches({ accumulate, ...s }, { x, dy, dWeight }, callScratch) {
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
