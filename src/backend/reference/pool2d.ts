/** Pooling, window by window. See kernels.ts. */
import type { Pool2dShape } from "../backend.js";
import { accumulateInto, type ReferenceKernels } from "./kernel.js";

/** Calls visit(y index, plane offset in x, window offset in x, place in the window) for every place inside the input. */
function forEachPlace(s: Pool2dShape, visit: (y: number, x: number, place: number) => void): void {
  for (let plane = 0; plane < s.batch * s.channels; plane++) {
    for (let oh = 0; oh < s.outH; oh++) {
      for (let ow = 0; ow < s.outW; ow++) {
        for (let kh = 0; kh < s.kH; kh++) {
          const ih = oh * s.strideH + kh - s.padH;
          for (let kw = 0; kw < s.kW; kw++) {
            const iw = ow * s.strideW + kw - s.padW;
            if (ih < 0 || ih >= s.inH || iw < 0 || iw >= s.inW) continue;
            visit((plane * s.outH + oh) * s.outW + ow, (plane * s.inH + ih) * s.inW + iw, kh * s.kW + kw);
          }
        }
      }
    }
  }
}

export const POOL2D_KERNELS = {
  maxPool2dForward(s, { x, y, winners }) {
    y.fill(Number.NEGATIVE_INFINITY);
    const started = new Uint8Array(y.length);
    forEachPlace(s, (yi, xi, place) => {
      if (!started[yi] || x[xi] > y[yi] || Number.isNaN(x[xi])) {
        y[yi] = x[xi];
        if (winners) winners[yi] = place;
        started[yi] = 1;
      }
    });
  },

  maxPool2dBackward(s, { dy, winners, dx }) {
    accumulateInto(dx, false, (sums) =>
      forEachPlace(s, (yi, xi, place) => {
        if (winners?.[yi] === place) sums[xi] += dy[yi];
      }),
    );
  },
} satisfies ReferenceKernels;
