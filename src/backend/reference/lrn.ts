/** Local response normalisation. See kernels.ts. */
import { pow } from "../../core/math.js";
import type { LrnShape } from "../backend.js";
import { accumulateInto, type ReferenceKernels } from "./kernel.js";

/** Calls visit(element, neighbour) for every pair of elements whose channels are in one window. */
function forEachNeighbour(s: LrnShape, visit: (centre: number, neighbour: number) => void): void {
  for (let b = 0; b < s.batch; b++) {
    for (let c = 0; c < s.channels; c++) {
      const begin = Math.max(0, c - Math.floor(s.size / 2));
      const end = Math.min(s.channels - 1, c + Math.floor((s.size - 1) / 2));
      for (let j = begin; j <= end; j++) {
        for (let p = 0; p < s.plane; p++) {
          visit((b * s.channels + c) * s.plane + p, (b * s.channels + j) * s.plane + p);
        }
      }
    }
  }
}

export const LRN_KERNELS = {
  lrnForward(s, { x, y, scale }) {
    accumulateInto(scale, false, (sums) => {
      forEachNeighbour(s, (centre, neighbour) => {
        sums[centre] += x[neighbour] * x[neighbour];
      });
      for (let i = 0; i < sums.length; i++) sums[i] = s.k + (s.alpha / s.size) * sums[i];
    });
    for (let i = 0; i < y.length; i++) y[i] = x[i] * pow(scale[i], -s.beta);
  },

  lrnBackward(s, { dy, x, scale, dx }) {
    accumulateInto(dx, false, (sums) => {
      forEachNeighbour(s, (centre, neighbour) => {
        sums[neighbour] += dy[centre] * x[centre] * pow(scale[centre], -s.beta - 1);
      });
      for (let i = 0; i < sums.length; i++) {
        sums[i] = dy[i] * pow(scale[i], -s.beta) - ((2 * s.alpha * s.beta) / s.size) * x[i] * sums[i];
      }
    });
  },
} satisfies ReferenceKernels;
