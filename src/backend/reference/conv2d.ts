/** Convolution, product by product. See kernels.ts. */

import type { Conv2dShape, HostArray } from "../backend.js";
import { accumulateInto, applyMask, type ReferenceKernels, rectify } from "./kernel.js";
import { POOL2D_KERNELS } from "./pool2d.js";

/** Calls visit(y index, x index, weight index) for every product of a convolution. */
function forEachProduct(s: Conv2dShape, visit: (y: number, x: number, weight: number) => void): void {
  const [inCG, outCG] = [s.inC / s.groups, s.outC / s.groups];
  for (let b = 0; b < s.batch; b++) {
    for (let o = 0; o < s.outC; o++) {
      for (let oh = 0; oh < s.outH; oh++) {
        for (let ow = 0; ow < s.outW; ow++) {
          const y = ((b * s.outC + o) * s.outH + oh) * s.outW + ow;
          const c0 = Math.floor(o / outCG) * inCG;
          for (let c = 0; c < inCG; c++) {
            for (let kh = 0; kh < s.kH; kh++) {
              const ih = oh * s.strideH + kh * s.dilationH - s.padH;
              if (ih < 0 || ih >= s.inH) continue;
              for (let kw = 0; kw < s.kW; kw++) {
                const iw = ow * s.strideW + kw * s.dilationW - s.padW;
                if (iw < 0 || iw >= s.inW) continue;
                const x = ((b * s.inC + c0 + c) * s.inH + ih) * s.inW + iw;
                visit(y, x, ((o * inCG + c) * s.kH + kh) * s.kW + kw);
              }
            }
          }
        }
      }
    }
  }
}

/** Adds to [batch, channels, plane] a value per channel. */
function addBias(sums: Float64Array, bias: HostArray | null, channels: number, plane: number): void {
  if (bias) for (let i = 0; i < sums.length; i++) sums[i] += bias[Math.floor(i / plane) % channels];
}

export const CONV2D_KERNELS = {
  conv2dForward(s, { x, weight, bias, y }) {
    accumulateInto(y, false, (sums) => {
      addBias(sums, bias, s.outC, s.outH * s.outW);
      forEachProduct(s, (yi, xi, wi) => {
        sums[yi] += x[xi] * weight[wi];
      });
    });
    if (s.relu) rectify(y);
  },

  conv2dMaxPool2dForward(s, { x, weight, bias, y }) {
    const whole = y instanceof Float64Array ? new Float64Array(y.length * 4) : new Float32Array(y.length * 4);
    CONV2D_KERNELS.conv2dForward({ ...s, relu: true }, { x, weight, bias, y: whole });
    const { batch, outC: channels, outH: inH, outW: inW } = s;
    const window = { kH: 2, kW: 2, strideH: 2, strideW: 2, padH: 0, padW: 0 };
    const pool = { batch, channels, inH, inW, outH: inH / 2, outW: inW / 2, ...window };
    POOL2D_KERNELS.maxPool2dForward(pool, { x: whole, y, winners: null });
  },

  conv2dBackwardInput(s, { dy, weight, bias, mask, dx }) {
    accumulateInto(dx, false, (sums) => {
      addBias(sums, bias, s.inC, s.inH * s.inW);
      forEachProduct(s, (yi, xi, wi) => {
        sums[xi] += dy[yi] * weight[wi];
      });
    });
    applyMask(dx, mask);
  },

  conv2dBackwardWeight(s, { x, dy, dWeight }) {
    accumulateInto(dWeight, s.accumulate, (sums) =>
      forEachProduct(s, (yi, xi, wi) => {
        sums[wi] += dy[yi] * x[xi];
      }),
    );
  },

  conv2dBackwardBias(s, { dy, dBias }) {
    const plane = s.outH * s.outW;
    accumulateInto(dBias, s.accumulate, (sums) => {
      for (let i = 0; i < dy.length; i++) sums[Math.floor(i / plane) % s.outC] += dy[i];
    });
  },
} satisfies ReferenceKernels;
