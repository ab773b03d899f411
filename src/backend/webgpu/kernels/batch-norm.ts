/** Batch normalisation: sums over batch and plane in chunks, then in order, and what is done element by element. */
import { BackendError } from "../../../core/errors.js";
import type { BatchNormShape, KernelName, Place } from "../../backend.js";
import {
  type CallContext,
  type DeviceFacts,
  type Dispatch,
  type Float,
  float,
  grid,
  type Lowerings,
  optional,
  pieces,
  type Window,
  whole,
} from "../dispatch.js";
import source from "./batch-norm.wgsl.js";
import sums from "./batch-norm-sums.wgsl.js";

/** Threads of a workgroup that sums, and places that each of them takes. */
const THREADS = 256;
const PLACES = 16;
/** Neighbouring addresses that neighbouring threads read at once, where they can. */
const LINE = 32;
/** Floats of a chunk's part. */
const PART = 4;

/** A piece of the tensors, and the chunks of it. */
interface Cut {
  /** Elements before it, and in it. */
  readonly begin: number;
  readonly length: number;
  /** The first image that it has something of. */
  readonly image: number;
  /** Of each channel, of images that it has something of. */
  readonly places: number;
  readonly chunks: number;
}

/** Channels that a workgroup sums: several where planes are short, a power of two. */
function channelsTogether({ channels, plane }: BatchNormShape): number {
  let wide = 1;
  while (wide * plane < LINE && wide < channels) wide *= 2;
  return wide;
}

function chunkOf(s: BatchNormShape): number {
  return (PLACES * THREADS) / channelsTogether(s);
}

/** What chunks there are depends on the shape and the size of pieces alone. */
function cutsOf(s: BatchNormShape, { pieceBytes }: DeviceFacts): Cut[] {
  const image = s.channels * s.plane;
  const total = s.batch * image;
  const size = Math.floor(pieceBytes / 4);
  const cuts: Cut[] = [];
  for (let begin = 0; begin < total; begin += size) {
    const end = Math.min(total, begin + size);
    const first = Math.floor(begin / image);
    const places = (Math.ceil(end / image) - first) * s.plane;
    cuts.push({ begin, length: end - begin, image: first, places, chunks: Math.ceil(places / chunkOf(s)) });
  }
  return cuts;
}

function scratchBytes(s: BatchNormShape, facts: DeviceFacts): number {
  return cutsOf(s, facts).reduce((sum, { chunks }) => sum + chunks, 0) * s.channels * PART * 4;
}

interface Sums {
  readonly kernel: KernelName;
  readonly statistics: boolean;
  /** Cut into pieces. */
  readonly large: Readonly<Record<string, Place>>;
  /** What the chunks need beside them, and the totals. */
  readonly chunks: Readonly<Record<string, Window>>;
  readonly totals: Readonly<Record<string, Window>>;
  readonly writes: readonly string[];
  readonly uniforms: Readonly<Record<string, Float>>;
}

function sumsOf(s: BatchNormShape, call: Sums, c: CallContext): Dispatch[] {
  if (c.scratch === null)
    throw new BackendError(`webgpu: a plan has no place for ${call.kernel}'s parts. Report this.`);
  const parts = { ...whole(c.scratch), element: "vec4<f32>" };
  const { statistics } = call;
  const wide = channelsTogether(s);
  const blocks = Math.ceil(s.channels / wide);
  let count = 0;
  const dispatches = cutsOf(s, c).map(({ begin, length, image, places, chunks }, i): Dispatch => {
    const firstChunk = count;
    count += chunks;
    return {
      name: call.kernel,
      source: sums,
      constants: {
        chunks: true,
        statistics,
        CHANNELS: s.channels,
        PLANE: s.plane,
        WIDE: wide,
        BLOCKS: blocks,
        CHUNK: chunkOf(s),
        CHUNKS: chunks,
        FIRST_CHUNK: firstChunk,
        PLACES: places,
        IMAGE: image,
        BEGIN: begin,
        LENGTH: length,
      },
      tensors: {
        ...Object.fromEntries(Object.entries(call.large).map(([role, place]) => [role, pieces(place, c)[i]])),
        ...call.chunks,
        parts,
      },
      writes: ["parts"],
      uniforms: {},
      workgroups: grid(chunks * blocks, c),
    };
  });
  // As many threads for a channel as it has chunks, or a few more: a power of two.
  const together = Math.max(1, THREADS / 2 ** Math.ceil(Math.log2(count)));
  const totals: Dispatch = {
    name: call.kernel,
    source: sums,
    constants: { statistics, CHANNELS: s.channels, WIDE: together, CHUNKS: count, COUNT: float(s.batch * s.plane) },
    tensors: { ...call.totals, parts },
    writes: call.writes,
    uniforms: call.uniforms,
    workgroups: grid(Math.ceil(s.channels / together), c),
  };
  return [...dispatches, totals];
}

/** Element by element, of tensors in pieces; the others are [channels]. */
function byElements(
  kernel: KernelName,
  s: BatchNormShape,
  large: Readonly<Record<string, Place>>,
  small: Readonly<Record<string, Window | null>>,
  output: string,
  c: CallContext,
): Dispatch[] {
  return pieces(large[output], c).map(({ begin, length }) => {
    const vectors = Math.ceil(length / 4);
    return {
      name: kernel,
      source,
      constants: {
        [kernel]: true,
        together: s.plane % 4 === 0,
        VECTORS: vectors,
        BEGIN: begin,
        CHANNELS: s.channels,
        PLANE: s.plane,
        COUNT: float(s.batch * s.plane),
      },
      tensors: {
        ...Object.fromEntries(
          Object.entries(large).map(([role, place]) => [role, { place, begin, length, element: "vec4<f32>" }]),
        ),
        ...small,
      },
      writes: [output],
      uniforms: {},
      workgroups: grid(Math.ceil(vectors / 64), c),
    };
  });
}

export const BATCH_NORM_LOWERINGS = {
  batchNormStatistics: {
    scratchBytes,
    dispatches: (s, { x, mean, invStd, runningMean, runningVar }, c) =>
      sumsOf(
        s,
        {
          kernel: "batchNormStatistics",
          statistics: true,
          large: { x },
          chunks: {},
          totals: {
            mean: whole(mean),
            invStd: whole(invStd),
            runningMean: whole(runningMean),
            runningVar: whole(runningVar),
          },
          writes: ["mean", "invStd", "runningMean", "runningVar"],
          uniforms: { momentum: float(s.momentum), eps: float(s.eps) },
        },
        c,
      ),
  },
  batchNormRunning: {
    dispatches: ({ channels, eps }, { runningMean, runningVar, mean, invStd }, c) => [
      {
        name: "batchNormRunning",
        source,
        constants: { batchNormRunning: true, CHANNELS: channels },
        tensors: {
          runningMean: whole(runningMean),
          runningVar: whole(runningVar),
          mean: whole(mean),
          invStd: whole(invStd),
        },
        writes: ["mean", "invStd"],
        uniforms: { eps: float(eps) },
        workgroups: grid(Math.ceil(channels / 64), c),
      },
    ],
  },
  batchNormForward: {
    dispatches: (s, { x, mean, invStd, weight, bias, y }, c) =>
      byElements(
        "batchNormForward",
        s,
        { x, y },
        { mean: whole(mean), invStd: whole(invStd), weight: whole(weight), bias: optional(bias) },
        "y",
        c,
      ),
  },
  batchNormBackwardWeight: {
    scratchBytes,
    dispatches: (s, { dy, x, mean, invStd, dWeight, dBias }, c) =>
      sumsOf(
        s,
        {
          kernel: "batchNormBackwardWeight",
          statistics: false,
          large: { dy, x },
          chunks: { mean: whole(mean) },
          totals: { invStd: whole(invStd), dWeight: whole(dWeight), dBias: whole(dBias) },
          writes: ["dWeight", "dBias"],
          uniforms: {},
        },
        c,
      ),
  },
  batchNormBackwardInput: {
    dispatches: (s, { dy, x, mean, invStd, weight, sumDy, sumDyNormalised, dx }, c) =>
      byElements(
        "batchNormBackwardInput",
        s,
        { dy, x, dx },
        {
          mean: whole(mean),
          invStd: whole(invStd),
          weight: whole(weight),
          sumDy: optional(sumDy),
          sumDyNormalised: optional(sumDyNormalised),
        },
        "dx",
        c,
      ),
  },
} satisfies Lowerings;
