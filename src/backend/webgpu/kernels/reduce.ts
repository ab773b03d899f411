/** The sum of all elements: of chunks first, then of these sums, in an order that the length alone decides. */
import { BackendError } from "../../../core/errors.js";
import type { Place } from "../../backend.js";
import { type CallContext, type Dispatch, grid, type Lowerings, pieces, type Window, whole } from "../dispatch.js";
import source from "./reduce.wgsl.js";

/** Elements of a chunk: 16 for each of 256 threads. */
export const SUM_CHUNK = 4096;

/** Sums of a window's chunks, to y from `yBegin` on. */
function sumChunks(x: Window, y: Window, yBegin: number, chunk: number, c: CallContext): Dispatch {
  const chunks = Math.ceil(x.length / chunk);
  return {
    name: "sum",
    source,
    constants: { LENGTH: x.length, CHUNK: chunk, CHUNKS: chunks, Y_BEGIN: yBegin },
    tensors: { x, y },
    writes: ["y"],
    uniforms: {},
    workgroups: grid(chunks, c),
  };
}

/** Scratch memory that {@link sumOf} needs. */
export function sumScratchBytes(length: number): number {
  return Math.ceil(length / SUM_CHUNK) * 4;
}

/** y[0] = the sum of x, which is as long as `scratch` was asked for. */
export function sumOf(x: Place, y: Place, scratch: Place | null, c: CallContext): Dispatch[] {
  if (scratch === null) throw new BackendError("webgpu: a plan has no place for a sum's parts. Report this.");
  const dispatches: Dispatch[] = [];
  let count = 0;
  for (const window of pieces(x, c)) {
    dispatches.push(sumChunks(window, whole(scratch), count, SUM_CHUNK, c));
    count += Math.ceil(window.length / SUM_CHUNK);
  }
  return [...dispatches, sumChunks({ place: scratch, begin: 0, length: count }, whole(y), 0, count, c)];
}

export const REDUCE_LOWERINGS = {
  sum: {
    scratchBytes: ({ length }) => sumScratchBytes(length),
    dispatches: (_s, { x, y }, c) => sumOf(x, y, c.scratch, c),
  },
} satisfies Lowerings;
