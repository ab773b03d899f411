/** What a reference kernel is, and what several of them use. */
import type { HostArray, KernelName, ShapeOf, TensorsOf } from "../backend.js";

/** The kernels of a family: shape record and arrays in, arrays filled. */
export type ReferenceKernels = { readonly [K in KernelName]?: (s: ShapeOf<K>, t: TensorsOf<K, HostArray>) => void };

/** Sums in double precision what a loop adds to the elements of `out`, then stores or adds it. */
export function accumulateInto(out: HostArray, accumulate: boolean, loop: (sums: Float64Array) => void): void {
  const sums = new Float64Array(out.length);
  loop(sums);
  for (let i = 0; i < out.length; i++) out[i] = accumulate ? out[i] + sums[i] : sums[i];
}
