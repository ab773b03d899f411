/** Pooling, window by window. See kernels.ts. */
import type { AdaptivePool2dShape, AvgPool2dShape, Pool2dShape } from "../backend.js";
import { accumulateInto, type ReferenceKernels } from "./kernel.js";

/** Calls visit(y index, x index, place in the window) for every place inside the input. */
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

/** Calls visit(y index, x index, place in the plane of x) for every place of every adaptive window. */
function forEachAdaptivePlace(s: AdaptivePool2dShape, visit: (y: number, x: number, place: number) => void): void {
  for (let plane = 0; plane < s.batch * s.channels; plane++) {
    for (let oh = 0; oh < s.outH; oh++) {
      for (let ow = 0; ow < s.outW; ow++) {
        const hEnd = Math.ceil(((oh + 1) * s.inH) / s.outH);
        const wEnd = Math.ceil(((ow + 1) * s.inW) / s.outW);
        for (let ih = Math.floor((oh * s.inH) / s.outH); ih < hEnd; ih++) {
          for (let iw = Math.floor((ow * s.inW) / s.outW); iw < wEnd; iw++) {
            const place = ih * s.inW + iw;
            visit((plane * s.outH + oh) * s.outW + ow, plane * s.inH * s.inW + place, place);
          }
        }
      }
    }
  }
}

/** Places of a window along one side that count: those inside the input, or inside the padded input. */
function counted(begin: number, kernelSize: number, size: number, padding: number, countIncludePad: boolean): number {
  const edge = countIncludePad ? padding : 0;
  return Math.min(begin + kernelSize, size + edge) - Math.max(begin, -edge);
}

/** What each output's sum is divided by. */
function avgDivisor(s: AvgPool2dShape, yi: number): number {
  const oh = Math.floor(yi / s.outW) % s.outH;
  const ow = yi % s.outW;
  return (
    counted(oh * s.strideH - s.padH, s.kH, s.inH, s.padH, s.countIncludePad) *
    counted(ow * s.strideW - s.padW, s.kW, s.inW, s.padW, s.countIncludePad)
  );
}

/** Places in each adaptive window, by y index. */
function adaptiveSizes(s: AdaptivePool2dShape, length: number): Float64Array {
  const sizes = new Float64Array(length);
  forEachAdaptivePlace(s, (yi) => {
    sizes[yi]++;
  });
  return sizes;
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

  avgPool2dForward(s, { x, y }) {
    accumulateInto(y, false, (sums) => {
      forEachPlace(s, (yi, xi) => {
        sums[yi] += x[xi];
      });
      for (let yi = 0; yi < y.length; yi++) sums[yi] /= avgDivisor(s, yi);
    });
  },

  avgPool2dBackward(s, { dy, dx }) {
    accumulateInto(dx, false, (sums) =>
      forEachPlace(s, (yi, xi) => {
        sums[xi] += dy[yi] / avgDivisor(s, yi);
      }),
    );
  },

  adaptiveAvgPool2dForward(s, { x, y }) {
    const sizes = adaptiveSizes(s, y.length);
    accumulateInto(y, false, (sums) =>
      forEachAdaptivePlace(s, (yi, xi) => {
        sums[yi] += x[xi] / sizes[yi];
      }),
    );
  },

  adaptiveAvgPool2dBackward(s, { dy, dx }) {
    const sizes = adaptiveSizes(s, dy.length);
    accumulateInto(dx, false, (sums) =>
      forEachAdaptivePlace(s, (yi, xi) => {
        sums[xi] += dy[yi] / sizes[yi];
      }),
    );
  },

  adaptiveMaxPool2dForward(s, { x, y, winners }) {
    const started = new Uint8Array(y.length);
    forEachAdaptivePlace(s, (yi, xi, place) => {
      if (!started[yi] || x[xi] > y[yi] || Number.isNaN(x[xi])) {
        y[yi] = x[xi];
        if (winners) winners[yi] = place;
        started[yi] = 1;
      }
    });
  },

  adaptiveMaxPool2dBackward(s, { dy, winners, dx }) {
    accumulateInto(dx, false, (sums) =>
      forEachAdaptivePlace(s, (yi, xi, place) => {
        if (winners?.[yi] === place) sums[xi] += dy[yi];
      }),
    );
  },

  maxPool2dBackward(s, { dy, winners, dx }) {
    accumulateInto(dx, false, (sums) =>
      forEachPlace(s, (yi, xi, place) => {
        if (winners?.[yi] === place) sums[xi] += dy[yi];
      }),
    );
  },
} satisfies ReferenceKernels;
