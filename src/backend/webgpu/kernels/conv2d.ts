/**
 * Convolutions as matrix products whose loads compute where their elements lie (conv2d.wgsl on gemm.wgsl), or by Winograd's algorithm
 * (winograd.ts): conv-plan.ts decides.
 */
import { BackendError } from "../../../core/errors.js";
import type { Conv2dShape, Derived, Place } from "../../backend.js";
import {
  type CallContext,
  type Dispatch,
  grid,
  type LoweringContext,
  type Lowerings,
  optional,
  type Window,
  whole,
} from "../dispatch.js";
import { type ConvWork, chunksOf, conv2dAlgorithm, conv2dCandidates, productOf, sidesOf, tileOf } from "./conv-plan.js";
import source from "./conv2d.wgsl.js";
import biasSource from "./conv2d-bias.wgsl.js";
import chunksSource from "./conv2d-chunks.wgsl.js";
import turnSource from "./conv2d-turn.wgsl.js";
import { gemm } from "./gemm.js";
import { type WinogradCall, type WinogradTile, winograd, winogradDerived, winogradScratchBytes } from "./winograd.js";

const FORWARD = { direction: "forward" } satisfies ConvWork;
const POOLED = { direction: "forward", pool: true } satisfies ConvWork;
const BACKWARD_INPUT = { direction: "backwardInput" } satisfies ConvWork;
const BACKWARD_WEIGHT = { direction: "backwardWeight" } satisfies ConvWork;

/** Where loads and stores deal in whole vectors. */
function vectors(place: Place): Window {
  return { ...whole(place), element: "vec4<f32>" };
}

function vectorsWhere(condition: boolean, place: Place): Window {
  return condition ? vectors(place) : whole(place);
}

/** A 1x1 convolution of every pixel is one of a single long row. */
function flattened(s: Conv2dShape): Conv2dShape {
  const one = [s.kH, s.kW, s.strideH, s.strideW].every((size) => size === 1);
  if (!one || s.padH > 0 || s.padW > 0 || s.inH !== s.outH || s.inW !== s.outW) return s;
  return { ...s, inH: 1, outH: 1, inW: s.inH * s.inW, outW: s.inH * s.inW };
}

/** What gather() of conv2d.wgsl knows: the planes that it reads, the map of pixels that it reads for. */
function gathering(
  channels: number,
  planes: readonly [number, number],
  map: readonly [number, number],
  step: readonly [number, number],
) {
  const inRows = map[1] % 4 === 0;
  return {
    SRC_C: channels,
    SRC_H: planes[0],
    SRC_W: planes[1],
    MAP_H: map[0],
    MAP_W: map[1],
    STEP_H: step[0],
    STEP_W: step[1],
    IN_ROWS: inRows,
    INPUT_VECTORS: inRows && step[1] === 1 && planes[1] % 4 === 0,
  };
}

function kernelConstants(s: Conv2dShape) {
  return {
    GROUP_IN: s.inC / s.groups,
    GROUP_OUT: s.outC / s.groups,
    KERNEL_H: s.kH,
    KERNEL_W: s.kW,
    PAD_H: s.padH,
    PAD_W: s.padW,
    DILATION_H: s.dilationH,
    DILATION_W: s.dilationW,
  };
}

interface Forward {
  readonly x: Place;
  readonly weight: Place;
  readonly bias: Place | null;
  readonly y: Place;
}

function forward(
  s: Conv2dShape,
  { x, weight, bias, y }: Forward,
  relu: boolean,
  pool: boolean,
  c: CallContext,
): Dispatch[] {
  const work = pool ? POOLED : FORWARD;
  const algorithm = conv2dAlgorithm(s, work, c);
  const tile = tileOf(algorithm);
  if (tile === null) {
    return winogradOf(s, { direction: "forward", inputs: [x, weight], output: y, bias, relu, pool }, algorithm, c);
  }
  const flat = pool ? s : flattened(s);
  const gathered = gathering(s.inC, [flat.inH, flat.inW], [flat.outH, flat.outW], [s.strideH, s.strideW]);
  const product = productOf(s, "forward");
  const weightVectors = product.k % 4 === 0;
  const outputVectors = !pool && (s.outH * s.outW) % 4 === 0;
  return [
    gemm(
      {
        name: pool ? "conv2dMaxPool2dForward" : "conv2dForward",
        ...product,
        loads: source,
        aAlongK: true,
        bAlongK: false,
        constants: {
          forward: true,
          pool,
          relu,
          ...kernelConstants(s),
          ...gathered,
          PIXELS: product.n,
          TAPS: product.k,
          OUT_C: s.outC,
          WEIGHT_VECTORS: weightVectors,
          OUTPUT_VECTORS: outputVectors,
        },
        tensors: {
          input: vectorsWhere(!pool && gathered.INPUT_VECTORS, x),
          weight: vectorsWhere(weightVectors, weight),
          bias: optional(bias),
          y: vectorsWhere(outputVectors, y),
        },
        writes: ["y"],
        tile,
      },
      c,
    ),
  ];
}

/** The weight with its input channels last, where it is not so anyway. */
function turnedWeight(s: Conv2dShape): Derived | null {
  const sizeBytes = s.outC * (s.inC / s.groups) * s.kH * s.kW * 4;
  return s.kH * s.kW === 1 ? null : { key: "conv2dTurned", sizeBytes, partBytes: sizeBytes };
}

function turnWeight(s: Conv2dShape, weight: Place, turned: Place, c: CallContext): Dispatch {
  return {
    name: "conv2dTurnWeight",
    source: turnSource,
    constants: { OUT_C: s.outC, GROUP_IN: s.inC / s.groups, PLACES: s.kH * s.kW },
    tensors: { weight: whole(weight), turned: whole(turned) },
    writes: ["turned"],
    uniforms: {},
    workgroups: grid(Math.ceil(weight.length / 256), c),
  };
}

interface BackwardInput {
  readonly dy: Place;
  readonly weight: Place;
  readonly bias: Place | null;
  readonly mask: Place | null;
  readonly dx: Place;
}

function backwardInput(s: Conv2dShape, { dy, weight, bias, mask, dx }: BackwardInput, c: CallContext): Dispatch[] {
  const algorithm = conv2dAlgorithm(s, BACKWARD_INPUT, c);
  const tile = tileOf(algorithm);
  if (tile === null) {
    return winogradOf(s, { direction: "backwardInput", inputs: [dy, weight], output: dx, bias, mask }, algorithm, c);
  }
  const { strideH, strideW } = s;
  const flat = flattened(s);
  const [h, w] = sidesOf(s);
  const map = [Math.ceil(flat.inH / strideH), Math.ceil(flat.inW / strideW)] as const;
  const gathered = gathering(s.outC, [flat.outH, flat.outW], map, [1, 1]);
  const product = productOf(s, "backwardInput");
  const weightVectors = product.m % 4 === 0;
  const outputVectors = strideH === 1 && strideW === 1 && (s.inH * s.inW) % 4 === 0;
  return [
    ...(c.derived === null || c.derived.fresh ? [] : [turnWeight(s, weight, c.derived.place, c)]),
    gemm(
      {
        name: "conv2dBackwardInput",
        ...product,
        loads: source,
        aAlongK: false,
        bAlongK: false,
        constants: {
          backwardInput: true,
          ...kernelConstants(s),
          ...gathered,
          PIXELS: product.n,
          TERMS: product.k,
          IN_C: s.inC,
          IN_H: flat.inH,
          IN_W: flat.inW,
          STRIDE_H: strideH,
          STRIDE_W: strideW,
          COMMON_H: h.common,
          COMMON_W: w.common,
          INVERSE_H: h.inverse,
          INVERSE_W: w.inverse,
          EVERY_H: h.every,
          EVERY_W: w.every,
          PLACES_H: h.places,
          PLACES_W: w.places,
          WEIGHT_VECTORS: weightVectors,
          OUTPUT_VECTORS: outputVectors,
        },
        tensors: {
          input: vectorsWhere(gathered.INPUT_VECTORS, dy),
          weight: vectorsWhere(weightVectors, c.derived?.place ?? weight),
          bias: optional(bias),
          mask: mask && vectorsWhere(outputVectors, mask),
          dx: vectorsWhere(outputVectors, dx),
        },
        writes: ["dx"],
        tile,
      },
      c,
    ),
  ];
}

interface BackwardWeight {
  readonly x: Place;
  readonly dy: Place;
  readonly dWeight: Place;
}

function backwardWeight(s: Conv2dShape, t: BackwardWeight, accumulate: boolean, c: CallContext): Dispatch[] {
  const { x, dy, dWeight } = t;
  const algorithm = conv2dAlgorithm(s, BACKWARD_WEIGHT, c);
  const tile = tileOf(algorithm);
  if (tile === null) {
    return winogradOf(s, { direction: "backwardWeight", inputs: [x, dy], output: dWeight, accumulate }, algorithm, c);
  }
  const flat = flattened(s);
  const gathered = gathering(s.inC, [flat.inH, flat.inW], [flat.outH, flat.outW], [s.strideH, s.strideW]);
  const product = productOf(s, "backwardWeight");
  const { chunk, chunks } = chunksOf(s, tile, c);
  const parts = chunks > 1 ? scratchOf(c) : null;
  const dyVectors = (s.outH * s.outW) % 4 === 0;
  const outputVectors = product.n % 4 === 0;
  const dispatches = [
    gemm(
      {
        name: "conv2dBackwardWeight",
        ...product,
        k: chunk,
        z: product.z * chunks,
        loads: source,
        aAlongK: true,
        bAlongK: true,
        constants: {
          backwardWeight: true,
          accumulate: accumulate && parts === null,
          ...kernelConstants(s),
          ...gathered,
          PIXELS: product.k,
          TAPS: product.n,
          OUT_C: s.outC,
          CHUNK: chunk,
          CHUNKS: chunks,
          DY_VECTORS: dyVectors,
          OUTPUT_VECTORS: outputVectors,
        },
        tensors: {
          input: vectorsWhere(gathered.INPUT_VECTORS, x),
          dy: vectorsWhere(dyVectors, dy),
          dWeight: vectorsWhere(outputVectors, parts ?? dWeight),
        },
        writes: ["dWeight"],
        tile,
      },
      c,
    ),
  ];
  if (parts === null) return dispatches;
  const whole4 = dWeight.length % 4 === 0;
  const length = whole4 ? dWeight.length / 4 : dWeight.length;
  dispatches.push({
    name: "conv2dSumChunks",
    source: chunksSource,
    constants: { LENGTH: length, CHUNKS: chunks, accumulate },
    tensors: { parts: vectorsWhere(whole4, parts), dWeight: vectorsWhere(whole4, dWeight) },
    writes: ["dWeight"],
    uniforms: {},
    workgroups: grid(Math.ceil(length / 64), c),
  });
  return dispatches;
}

function scratchOf({ scratch }: CallContext): Place {
  if (scratch === null) throw new BackendError("webgpu: a plan has no place for a sum's parts. Report this.");
  return scratch;
}

function scratchBytes(s: Conv2dShape, work: ConvWork, c: LoweringContext): number {
  const algorithm = conv2dAlgorithm(s, work, c);
  const tile = tileOf(algorithm);
  if (tile === null) return winogradScratchBytes(s, work.direction, winogradTile(algorithm), c);
  if (work.direction !== "backwardWeight") return 0;
  const { chunks } = chunksOf(s, tile, c);
  return chunks > 1 ? chunks * s.outC * (s.inC / s.groups) * s.kH * s.kW * 4 : 0;
}

function derived(s: Conv2dShape, work: ConvWork, c: LoweringContext): Derived | null {
  const algorithm = conv2dAlgorithm(s, work, c);
  if (tileOf(algorithm) === null) return winogradDerived(s, work.direction, winogradTile(algorithm), c);
  return work.direction === "backwardInput" ? turnedWeight(s) : null;
}

function winogradTile(algorithm: string): WinogradTile {
  return algorithm === "winograd2" ? 2 : 4;
}

function winogradOf(s: Conv2dShape, call: Omit<WinogradCall, "tile">, algorithm: string, c: CallContext): Dispatch[] {
  return winograd(s, { ...call, tile: winogradTile(algorithm) }, c);
}

/** What the lowerings of all four kernels answer beside their dispatches. */
function facts(work: ConvWork) {
  return {
    scratchBytes: (s: Conv2dShape, c: LoweringContext) => scratchBytes(s, work, c),
    derived: (s: Conv2dShape, c: LoweringContext) => derived(s, work, c),
    algorithm: (s: Conv2dShape, c: LoweringContext) => conv2dAlgorithm(s, work, c),
    candidates: (s: Conv2dShape, c: LoweringContext) =>
      c.convAlgorithm === "auto" ? conv2dCandidates(s, work, c) : null,
  };
}

/** Elements of a chunk of a bias gradient's sums: 16 for each of 256 threads. */
const BIAS_CHUNK = 4096;

/** Sums of chunks of each channel of [images, channels, plane]. */
function sumChannels(
  input: Place,
  [images, channels, plane]: readonly [number, number, number],
  output: Place,
  { chunk, accumulate }: { readonly chunk: number; readonly accumulate: boolean },
  c: CallContext,
): Dispatch {
  const chunks = Math.ceil((images * plane) / chunk);
  return {
    name: "conv2dBackwardBias",
    source: biasSource,
    constants: { IMAGES: images, CHANNELS: channels, PLANE: plane, CHUNK: chunk, CHUNKS: chunks, accumulate },
    tensors: { input: whole(input), output: whole(output) },
    writes: ["output"],
    uniforms: {},
    workgroups: grid(channels * chunks, c),
  };
}

export const CONV2D_LOWERINGS = {
  conv2dForward: { ...facts(FORWARD), dispatches: (s, t, c) => forward(s, t, s.relu, false, c) },
  conv2dMaxPool2dForward: { ...facts(POOLED), dispatches: (s, t, c) => forward(s, t, true, true, c) },
  conv2dBackwardInput: { ...facts(BACKWARD_INPUT), dispatches: backwardInput },
  conv2dBackwardWeight: {
    ...facts(BACKWARD_WEIGHT),
    dispatches: (s, t, c) => backwardWeight(s, t, s.accumulate, c),
  },
  conv2dBackwardBias: {
    scratchBytes({ batch, outC, outH, outW }) {
      const chunks = Math.ceil((batch * outH * outW) / BIAS_CHUNK);
      return chunks > 1 ? outC * chunks * 4 : 0;
    },
    dispatches({ batch, outC, outH, outW, accumulate }, { dy, dBias }, c) {
      const plane = outH * outW;
      const chunks = Math.ceil((batch * plane) / BIAS_CHUNK);
      if (chunks === 1) return [sumChannels(dy, [batch, outC, plane], dBias, { chunk: BIAS_CHUNK, accumulate }, c)];
      const parts = scratchOf(c);
      return [
        sumChannels(dy, [batch, outC, plane], parts, { chunk: BIAS_CHUNK, accumulate: false }, c),
        sumChannels(parts, [1, outC, chunks], dBias, { chunk: chunks, accumulate }, c),
      ];
    },
  },
} satisfies Lowerings;
