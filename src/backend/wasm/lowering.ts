/**
 * From kernel calls to launches: which exports of assembly/index.ts run, with which argument record, in how many grains.
 * A call may take several launches (pack, then multiply); between two launches all grains of the first are done.
 * Addresses are numbers here; 0 stands for a missing optional tensor.
 */
import type { Conv2dShape, KernelCall, KernelName, LinearShape, Pool2dShape, ShapeOf, TensorsOf } from "../backend.js";
import {
  type ArgumentFields,
  CONV2D_ARGUMENTS,
  ELEMENTWISE_ARGUMENTS,
  LINEAR_ARGUMENTS,
  LOSS_ARGUMENTS,
  LRN_ARGUMENTS,
  POOL2D_ARGUMENTS,
  RANDOM_ARGUMENTS,
  SGD_ARGUMENTS,
  WINOGRAD_ARGUMENTS,
} from "./arguments.js";
import {
  type ConvAlgorithmOption,
  type Cut,
  conv2dAlgorithm,
  cutConv2dBackwardInput,
  cutConv2dBackwardWeight,
  cutConv2dForward,
  cutLinearColumns,
  cutLinearRows,
  cutWinograd,
  KC,
  WINOGRAD_SUB_ROWS,
  type WinogradShape,
} from "./conv-plan.js";

/** One export to run over all its grains. */
export interface Launch {
  readonly kernel: string;
  readonly fields: ArgumentFields;
  readonly values: Readonly<Record<string, number>>;
  readonly grains: number;
  /** Memory that each worker needs for itself. */
  readonly workerBytes: number;
}

type Addresses<K extends KernelName> = TensorsOf<K, number>;

/** Choices that an engine makes once. */
export interface LoweringOptions {
  readonly convAlgorithm: ConvAlgorithmOption;
}

interface Lowering<K extends KernelName> {
  /** Memory that all workers share for the length of the call. */
  scratchBytes(s: ShapeOf<K>, options: LoweringOptions): number;
  launches(s: ShapeOf<K>, t: Addresses<K>, callScratch: number, options: LoweringOptions): Launch[];
}

/** Elements of a grain; must equal GRAIN_FLOATS of assembly/elementwise.ts and RANDOM_GRAIN of assembly/random.ts. */
export const GRAIN_FLOATS = 16384;
export const RANDOM_GRAIN = 8192;
/** Columns of the tile in linear's weight gradient: 64 rows of them are 48 KB. */
const LINEAR_TILE_COLUMNS = 192;

const NONE = (): number => 0;

type Values<F extends ArgumentFields> = { readonly [N in keyof F]?: number | null };

/** A launch with its values in field order; what is missing is 0. */
function launch<F extends ArgumentFields>(
  kernel: string,
  fields: F,
  values: Values<F>,
  grains: number,
  workerBytes = 0,
): Launch {
  const all: Record<string, number> = {};
  for (const name of Object.keys(fields)) all[name] = values[name] ?? 0;
  return { kernel, fields, values: all, grains, workerBytes };
}

/** Bytes of the offset table of assembly/im2col.ts for blocks of `columns` columns. */
function offsetTableBytes(s: Conv2dShape, columns: number): number {
  const panels = Math.ceil(columns / 8);
  return (s.kH * s.kW + 3) * panels * 32 + s.kH * s.kW * panels + 16;
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

function linearLaunch(
  kernel: string,
  s: LinearShape,
  values: Values<typeof LINEAR_ARGUMENTS>,
  grains: number,
  workerBytes = 0,
): Launch {
  return launch(kernel, LINEAR_ARGUMENTS, { ...s, ...values }, grains, workerBytes);
}

function pool2dLaunch(kernel: string, s: Pool2dShape, addresses: Values<typeof POOL2D_ARGUMENTS>): Launch {
  const { batch, channels, ...sizes } = s;
  const planes = batch * channels;
  return launch(kernel, POOL2D_ARGUMENTS, { ...sizes, planes, ...addresses }, planes);
}

/** An element-wise kernel without shared scratch memory. */
function elementwise<K extends KernelName>(
  kernel: string,
  values: (s: ShapeOf<K>, t: Addresses<K>) => Values<typeof ELEMENTWISE_ARGUMENTS> & { length: number },
): Lowering<K> {
  return {
    scratchBytes: NONE,
    launches(s, t) {
      const fields = values(s, t);
      return [launch(kernel, ELEMENTWISE_ARGUMENTS, fields, Math.ceil(fields.length / GRAIN_FLOATS))];
    },
  };
}

function randomFill(kernel: "fillUniform" | "fillNormal"): Lowering<"fillUniform" | "fillNormal"> {
  return {
    scratchBytes: NONE,
    launches: ({ length, key0, key1, counter, scale }, { y }) => [
      launch(kernel, RANDOM_ARGUMENTS, { y, length, key0, key1, counter, scale }, Math.ceil(length / RANDOM_GRAIN), 64),
    ],
  };
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

function paddedBatchBytes(s: LinearShape): number {
  return Math.ceil(s.batch / 8) * 32;
}

const LOWERINGS: { readonly [K in KernelName]: Lowering<K> } = {
  conv2dForward: {
    scratchBytes: (s, { convAlgorithm }) =>
      conv2dAlgorithm(s, convAlgorithm) === "winograd" ? winogradWeightBytes(s) : 0,
    launches(s, { x, weight, bias, y }, callScratch, { convAlgorithm }) {
      if (conv2dAlgorithm(s, convAlgorithm) === "winograd") {
        const strides = { outStride: s.inC * 9, inStride: 9, flip: 0 };
        return winogradLaunches(s, { x, weight, bias, y, callScratch, ...strides });
      }
      const cut = cutConv2dForward(s);
      const workerBytes = (KC + cut.mBlock) * cut.nBlock * 4 + offsetTableBytes(s, cut.nBlock);
      return [conv2dLaunch("conv2dForward", s, cut, { x, weight, bias, y }, cut.mBlocks * cut.nBlocks, workerBytes)];
    },
  },

  conv2dBackwardInput: {
    scratchBytes: (s, { convAlgorithm }) =>
      conv2dAlgorithm(s, convAlgorithm) === "winograd" ? winogradWeightBytes(s) : s.outC * s.inC * s.kH * s.kW * 4,
    launches(s, { dy, weight, dx }, callScratch, { convAlgorithm }) {
      if (conv2dAlgorithm(s, convAlgorithm) === "winograd") {
        // dx is dy convolved with the filters turned by 180 degrees, input and output channels exchanged.
        const values = { x: dy, weight, y: dx, callScratch, outStride: 9, inStride: s.inC * 9, flip: 1 };
        return winogradLaunches(transposed(s), values);
      }
      const cut = cutConv2dBackwardInput(s);
      const taps = s.kH * s.kW;
      const workerBytes = (KC + cut.mBlock * taps) * cut.nBlock * 4 + offsetTableBytes(s, cut.nBlock);
      const rowGrains = Math.ceil((s.inC * taps) / 64);
      return [
        conv2dLaunch("conv2dTransposeWeight", s, cut, { weight, callScratch }, rowGrains),
        conv2dLaunch("conv2dBackwardInput", s, cut, { dy, dx, callScratch }, cut.mBlocks * cut.chunks, workerBytes),
      ];
    },
  },

  conv2dBackwardWeight: {
    scratchBytes(s) {
      const { chunks } = cutConv2dBackwardWeight(s);
      return chunks === 1 ? 0 : chunks * s.outC * s.inC * s.kH * s.kW * 4;
    },
    launches({ accumulate, ...s }, { x, dy, dWeight }, callScratch) {
      const cut = cutConv2dBackwardWeight(s);
      const workerBytes = ((KC + cut.mBlock) * cut.nBlock + cut.mBlock * KC) * 4 + offsetTableBytes(s, KC);
      const addresses = { x, dy, dWeight, callScratch, accumulate: Number(accumulate) };
      const product = conv2dLaunch(
        "conv2dBackwardWeight",
        s,
        cut,
        addresses,
        cut.mBlocks * cut.nBlocks * cut.chunks,
        workerBytes,
      );
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

  linearForward: {
    scratchBytes: (s) => (s.batch === 1 ? 0 : s.inFeatures * paddedBatchBytes(s)),
    launches(s, { x, weight, bias, y }, callScratch) {
      const { block, count } = cutLinearRows(s);
      if (s.batch === 1) return [linearLaunch("linearForwardVector", s, { x, weight, bias, y, block }, count)];
      return [
        linearLaunch("linearPackInput", s, { x, callScratch }, Math.ceil(s.inFeatures / KC)),
        linearLaunch("linearForward", s, { weight, bias, y, callScratch, block }, count, block * paddedBatchBytes(s)),
      ];
    },
  },

  linearBackwardInput: {
    scratchBytes: NONE,
    launches(s, { dy, weight, dx }) {
      const { block, count } = cutLinearColumns(s);
      return [linearLaunch("linearBackwardInput", s, { dy, weight, dx, block }, count, (KC + s.batch) * block * 4)];
    },
  },

  linearBackwardWeight: {
    scratchBytes: (s) => s.outFeatures * s.batch * 4,
    launches({ accumulate, ...s }, { x, dy, dWeight }, callScratch) {
      const { block, count } = cutLinearRows(s);
      const nBlock = LINEAR_TILE_COLUMNS;
      const values = { x, dWeight, callScratch, block, nBlock, accumulate: Number(accumulate) };
      return [
        linearLaunch("linearTransposeGradient", s, { dy, callScratch }, Math.ceil(s.outFeatures / 64)),
        linearLaunch("linearBackwardWeight", s, values, count, (KC + block) * nBlock * 4),
      ];
    },
  },

  linearBackwardBias: {
    scratchBytes: NONE,
    launches: ({ accumulate, ...s }, { dy, dBias }) => [
      linearLaunch(
        "linearBackwardBias",
        s,
        { dy, dBias, accumulate: Number(accumulate) },
        Math.ceil(s.outFeatures / 64),
      ),
    ],
  },

  maxPool2dForward: {
    scratchBytes: NONE,
    launches: (s, { x, y, winners }) => [pool2dLaunch("maxPool2dForward", s, { x, y, winners })],
  },

  maxPool2dBackward: {
    scratchBytes: NONE,
    launches: (s, { dy, winners, dx }) => [pool2dLaunch("maxPool2dBackward", s, { dy, winners, dx })],
  },

  reluForward: elementwise("reluForward", ({ length }, { x, y }) => ({ length, a: x, y })),
  reluBackward: elementwise("reluBackward", ({ length }, { dy, y, dx }) => ({ length, a: dy, b: y, y: dx })),

  dropout: {
    scratchBytes: NONE,
    launches({ length, p, key0, key1, counter }, { x, y }) {
      const threshold = Math.floor(p * 4294967296);
      const values = { x, y, length, key0, key1, counter, threshold, scale: 1 / (1 - p) };
      return [launch("dropout", RANDOM_ARGUMENTS, values, Math.ceil(length / RANDOM_GRAIN), 64)];
    },
  },

  lrnForward: {
    scratchBytes: NONE,
    launches: (s, { x, y, scale }) => [
      launch("lrnForward", LRN_ARGUMENTS, { ...s, x, y, scale }, s.batch * s.channels),
    ],
  },

  lrnBackward: {
    scratchBytes: (s) => s.batch * s.channels * s.plane * 4,
    launches(s, { dy, x, scale, dx }, callScratch) {
      const values = { ...s, dy, x, scale, dx, callScratch };
      const grains = s.batch * s.channels;
      return [
        launch("lrnBackwardRatio", LRN_ARGUMENTS, values, grains),
        launch("lrnBackward", LRN_ARGUMENTS, values, grains),
      ];
    },
  },

  logSoftmaxForward: {
    scratchBytes: NONE,
    launches: (s, { x, y }) => [launch("logSoftmaxForward", LOSS_ARGUMENTS, { ...s, x, y }, s.rows)],
  },

  logSoftmaxBackward: {
    scratchBytes: NONE,
    launches: (s, { dy, y, dx }) => [launch("logSoftmaxBackward", LOSS_ARGUMENTS, { ...s, dy, y, dx }, s.rows)],
  },

  nllForward: {
    scratchBytes: NONE,
    launches: (s, { y, labels, loss }) => [launch("nllForward", LOSS_ARGUMENTS, { ...s, y, labels, loss }, 1)],
  },

  crossEntropyBackward: {
    scratchBytes: NONE,
    launches: (s, { dLoss, y, labels, dx }) => [
      launch("crossEntropyBackward", LOSS_ARGUMENTS, { ...s, dLoss, y, labels, dx }, s.rows),
    ],
  },

  labelRank: {
    scratchBytes: NONE,
    launches: (s, { x, labels, ranks }) => [launch("labelRank", LOSS_ARGUMENTS, { ...s, x, labels, ranks }, s.rows)],
  },

  add: elementwise("add", ({ length }, { a, b, y }) => ({ length, a, b, y })),
  mul: elementwise("mul", ({ length }, { a, b, y }) => ({ length, a, b, y })),
  scale: elementwise("scale", ({ length, factor }, { x, y }) => ({ length, factor, a: x, y })),
  expand: elementwise("expand", ({ length, factor }, { x, y }) => ({ length, factor, a: x, y })),
  fill: elementwise("fill", ({ length, factor }, { y }) => ({ length, factor, y })),
  copy: elementwise("copy", ({ length, xBegin, yBegin }, { x, y }) => ({ length, a: x, y, aBegin: xBegin, yBegin })),

  sum: {
    scratchBytes: ({ length }) => Math.ceil(length / GRAIN_FLOATS) * 8,
    launches({ length }, { x, y }, callScratch) {
      const values = { a: x, y, callScratch, length };
      return [
        launch("sumGrains", ELEMENTWISE_ARGUMENTS, values, Math.ceil(length / GRAIN_FLOATS)),
        launch("sumTotal", ELEMENTWISE_ARGUMENTS, values, 1),
      ];
    },
  },

  fillUniform: randomFill("fillUniform"),
  fillNormal: randomFill("fillNormal"),

  sgd: {
    scratchBytes: NONE,
    launches({ length, lr, momentum, weightDecay, form }, { grad, param, velocity }) {
      const values = { param, grad, velocity, length, lr, momentum, weightDecay, caffe: Number(form === "caffe") };
      return [launch("sgd", SGD_ARGUMENTS, values, Math.ceil(length / GRAIN_FLOATS))];
    },
  },
};

/** Shared scratch memory of a call. */
export function scratchBytes<K extends KernelName>(call: KernelCall<unknown, K>, options: LoweringOptions): number {
  const { kernel, shape }: { kernel: K; shape: ShapeOf<K> } = call;
  return LOWERINGS[kernel].scratchBytes(shape, options);
}

/** The launches of a call whose tensors are addresses. */
export function lower<K extends KernelName>(
  call: KernelCall<number, K>,
  callScratch: number,
  options: LoweringOptions,
): Launch[] {
  const { kernel, shape, tensors }: { kernel: K; shape: ShapeOf<K>; tensors: Addresses<K> } = call;
  return LOWERINGS[kernel].launches(shape, tensors, callScratch, options);
}
