/** Soft-max, losses, ranks. See kernels.ts. */
import { exp, log } from "../../core/math.js";
import type { ReferenceKernels } from "./kernel.js";

/** A label that is no class makes loss and gradient NaN. */
function isClass(label: number, classes: number): boolean {
  return label >= 0 && label < classes;
}

export const LOSS_KERNELS = {
  logSoftmaxForward({ rows, classes }, { x, y }) {
    for (let row = 0; row < rows; row++) {
      const logits = x.subarray(row * classes, (row + 1) * classes);
      let largest = Number.NEGATIVE_INFINITY;
      for (const value of logits) largest = Math.max(largest, value);
      let sum = 0;
      for (const value of logits) sum += exp(value - largest);
      for (let c = 0; c < classes; c++) y[row * classes + c] = logits[c] - largest - log(sum);
    }
  },

  logSoftmaxBackward({ rows, classes }, { dy, y, dx }) {
    for (let row = 0; row < rows; row++) {
      let sum = 0;
      for (let c = 0; c < classes; c++) sum += dy[row * classes + c];
      for (let c = 0; c < classes; c++) {
        const i = row * classes + c;
        dx[i] = dy[i] - exp(y[i]) * sum;
      }
    }
  },

  nllForward({ rows, classes }, { y, labels, loss }) {
    let sum = 0;
    for (let row = 0; row < rows; row++) {
      sum += isClass(labels[row], classes) ? y[row * classes + labels[row]] : Number.NaN;
    }
    loss[0] = -sum / rows;
  },

  crossEntropyBackward({ rows, classes }, { dLoss, y, labels, dx }) {
    for (let row = 0; row < rows; row++) {
      for (let c = 0; c < classes; c++) {
        const i = row * classes + c;
        const gradient = ((exp(y[i]) - (c === labels[row] ? 1 : 0)) * dLoss[0]) / rows;
        dx[i] = isClass(labels[row], classes) ? gradient : Number.NaN;
      }
    }
  },

  squaredErrorForward({ factor }, { a, b, loss }) {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
    loss[0] = factor * sum;
  },

  squaredErrorBackward({ factor }, { dLoss, a, b, dx }) {
    for (let i = 0; i < a.length; i++) dx[i] = factor * dLoss[0] * (a[i] - b[i]);
  },

  labelRank({ rows, classes }, { x, labels, ranks }) {
    for (let row = 0; row < rows; row++) {
      const label = labels[row];
      const own = isClass(label, classes) ? x[row * classes + label] : Number.NaN;
      let rank = 0;
      for (let c = 0; c < classes; c++) {
        const value = x[row * classes + c];
        const behind = value < own || (value === own && c > label);
        if (c !== label && !behind) rank++;
      }
      ranks[row] = rank;
    }
  },
} satisfies ReferenceKernels;
