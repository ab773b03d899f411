/** Sums of all elements and of losses' terms: of chunks first, then of these sums, in an order that the length alone decides. */
import { BackendError } from "../../../core/errors.js";
import type { KernelName, Place } from "../../backend.js";
import {
  type CallContext,
  type Dispatch,
  float,
  grid,
  type Lowerings,
  pieces,
  type Window,
  whole,
} from "../dispatch.js";
import math from "./math.wgsl.js";
import reduce from "./reduce.wgsl.js";

/** Elements of a chunk: 16 for each of 256 threads. */
export const SUM_CHUNK = 4096;

const source = `${math}\n${reduce}`;

/** Terms that are added: elements of x, squares of differences of a and b, or what labels pick from rows of x. */
export interface Terms {
  readonly length: number;
  readonly tensors: Readonly<Record<string, Window>>;
  readonly constants?: Readonly<Record<string, number | boolean>>;
}

/** Sums of the chunks of terms, times `factor`, to y from `yBegin` on. */
function sumChunks(
  name: KernelName,
  { length, tensors, constants }: Terms,
  { y, yBegin, chunk, factor }: { y: Place; yBegin: number; chunk: number; factor: number },
  c: CallContext,
): Dispatch {
  const chunks = Math.ceil(length / chunk);
  return {
    name,
    source,
    constants: { LENGTH: length, CHUNK: chunk, CHUNKS: chunks, Y_BEGIN: yBegin, ...constants },
    tensors: { ...tensors, y: whole(y) },
    writes: ["y"],
    uniforms: { factor: float(factor) },
    workgroups: grid(chunks, c),
  };
}

/** Scratch memory that {@link sumTerms} needs. */
export function sumScratchBytes(length: number): number {
  return length <= SUM_CHUNK ? 0 : Math.ceil(length / SUM_CHUNK) * 4;
}

/** y[0] = factor times the sum of terms, which come in parts whose lengths, but for the last, are multiples of a chunk. */
export function sumTerms(
  name: KernelName,
  parts: readonly Terms[],
  y: Place,
  factor: number,
  c: CallContext,
): Dispatch[] {
  const [only] = parts;
  if (parts.length === 1 && only.length <= SUM_CHUNK) {
    return [sumChunks(name, only, { y, yBegin: 0, chunk: SUM_CHUNK, factor }, c)];
  }
  if (c.scratch === null) throw new BackendError("webgpu: a plan has no place for a sum's parts. Report this.");
  const dispatches: Dispatch[] = [];
  let count = 0;
  for (const part of parts) {
    dispatches.push(sumChunks(name, part, { y: c.scratch, yBegin: count, chunk: SUM_CHUNK, factor: 1 }, c));
    count += Math.ceil(part.length / SUM_CHUNK);
  }
  const sums = { length: count, tensors: { x: { place: c.scratch, begin: 0, length: count } } };
  return [...dispatches, sumChunks(name, sums, { y, yBegin: 0, chunk: count, factor }, c)];
}

export const REDUCE_LOWERINGS = {
  sum: {
    scratchBytes: ({ length }) => sumScratchBytes(length),
    dispatches: (_s, { x, y }, c) =>
      sumTerms(
        "sum",
        pieces(x, c).map((window) => ({ length: window.length, tensors: { x: window } })),
        y,
        1,
        c,
      ),
  },
} satisfies Lowerings;
