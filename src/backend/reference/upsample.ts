/** Bilinear resampling, product by product. See kernels.ts. */
import type { UpsampleShape } from "../backend.js";
import { accumulateInto, type ReferenceKernels } from "./kernel.js";

/** The two rows or columns that output place o looks at, with their weights. */
function sources(o: number, step: number, shift: number, size: number): [place: number, weight: number][] {
  const at = Math.max(0, (o + shift) * step - shift);
  const low = Math.min(Math.floor(at), size - 1);
  const share = at - low;
  return [
    [low, 1 - share],
    [Math.min(low + 1, size - 1), share],
  ];
}

/** Calls visit(y index, x index, weight) for the four products of every output. */
function forEachProduct(s: UpsampleShape, visit: (y: number, x: number, weight: number) => void): void {
  for (let plane = 0; plane < s.planes; plane++) {
    for (let oh = 0; oh < s.outH; oh++) {
      for (let ow = 0; ow < s.outW; ow++) {
        const y = (plane * s.outH + oh) * s.outW + ow;
        for (const [ih, weightH] of sources(oh, s.stepH, s.shift, s.inH)) {
          for (const [iw, weightW] of sources(ow, s.stepW, s.shift, s.inW)) {
            visit(y, (plane * s.inH + ih) * s.inW + iw, weightH * weightW);
          }
        }
      }
    }
  }
}

export const UPSAMPLE_KERNELS = {
  upsampleForward(s, { x, y }) {
    accumulateInto(y, false, (sums) =>
      forEachProduct(s, (yi, xi, weight) => {
        sums[yi] += x[xi] * weight;
      }),
    );
  },

  upsampleBackward(s, { dy, dx }) {
    accumulateInto(dx, false, (sums) =>
      forEachProduct(s, (yi, xi, weight) => {
        sums[xi] += dy[yi] * weight;
      }),
    );
  },
} satisfies ReferenceKernels;
