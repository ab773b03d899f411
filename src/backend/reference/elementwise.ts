/** Element by element, copies, and the sum of all. See kernels.ts. */
import type { ReferenceKernels } from "./kernel.js";

export const ELEMENTWISE_KERNELS = {
  reluForward(_s, { x, y }) {
    for (let i = 0; i < x.length; i++) y[i] = x[i] < 0 ? 0 : x[i];
  },

  reluBackward(_s, { dy, y, dx }) {
    for (let i = 0; i < dy.length; i++) dx[i] = y[i] > 0 ? dy[i] : 0;
  },

  add(_s, { a, b, y }) {
    for (let i = 0; i < y.length; i++) y[i] = a[i] + b[i];
  },

  mul(_s, { a, b, y }) {
    for (let i = 0; i < y.length; i++) y[i] = a[i] * b[i];
  },

  scale({ factor }, { x, y }) {
    for (let i = 0; i < y.length; i++) y[i] = x[i] * factor;
  },

  sum(_s, { x, y }) {
    let sum = 0;
    for (let i = 0; i < x.length; i++) sum += x[i];
    y[0] = sum;
  },

  expand({ factor }, { x, y }) {
    y.fill(x[0] * factor);
  },

  copy({ length, xBegin, yBegin }, { x, y }) {
    y.set(x.subarray(xBegin, xBegin + length), yBegin);
  },

  stridedCopy({ size0, size1, size2, x: from, y: to }, { x, y }) {
    for (let i = 0; i < size0; i++) {
      for (let j = 0; j < size1; j++) {
        for (let k = 0; k < size2; k++) {
          y[to.begin + i * to.stride0 + j * to.stride1 + k * to.stride2] =
            x[from.begin + i * from.stride0 + j * from.stride1 + k * from.stride2];
        }
      }
    }
  },

  fill({ factor }, { y }) {
    y.fill(factor);
  },
} satisfies ReferenceKernels;
