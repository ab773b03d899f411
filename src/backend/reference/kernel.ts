/** What a reference kernel is, and what several of them use. */
import type { HostArray, KernelName, ShapeOf, TensorsOf } from "../backend.js";

/** The kernels of a family: shape record and arrays in, arrays filled. */
export type ReferenceKernels = { readonly [K in KernelName]?: (s: ShapeOf<K>, t: TensorsOf<K, HostArray>) => void };

/** y = max(y, 0); NaN stays NaN. */
export function rectify(y: HostArray): void {
  for (let i = 0; i < y.length; i++) if (y[i] < 0) y[i] = 0;
}

/** 0 where the mask is not above 0; nothing without a mask. */
export function applyMask(dx: HostArray, mask: HostArray | null): void {
  if (mask) for (let i = 0; i < dx.length; i++) if (!(mask[i] > 0)) dx[i] = 0;
}

/** Sums in double precision what a loop adds to the elements of `out`, then stores or adds it. */
export function accumulateInto(out: HostArray, accumulate: boolean, loop: (sums: Float64Array) => void): void {
  const sums = new Float64Array(out.length);
  loop(sums);
  for (let i = 0; i < out.length; i++) out[i] = accumulate ? out[i] + sums[i] : sums[i];
}
