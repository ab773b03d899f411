/**
 * The kernels as a text book has them: plain loops over plain arrays. They are the second oracle of all other backends
 * (PyTorch is the first), so nothing here is clever. Sums are in double precision; results are rounded when they are
 * stored in a Float32Array.
 */
import { cos, exp, log, pow, sin } from "../../core/math.js";
import { threefry2x32 } from "../../core/random.js";
import type {
  Conv2dShape,
  HostArray,
  KernelName,
  LrnShape,
  Pool2dShape,
  RandomStream,
  ShapeOf,
  TensorsOf,
} from "../backend.js";

type Kernels = { readonly [K in KernelName]: (s: ShapeOf<K>, t: TensorsOf<K, HostArray>) => void };

/** Calls visit(y index, x index, weight index) for every product of a convolution. */
function forEachProduct(s: Conv2dShape, visit: (y: number, x: number, weight: number) => void): void {
  for (let b = 0; b < s.batch; b++) {
    for (let o = 0; o < s.outC; o++) {
      for (let oh = 0; oh < s.outH; oh++) {
        for (let ow = 0; ow < s.outW; ow++) {
          const y = ((b * s.outC + o) * s.outH + oh) * s.outW + ow;
          for (let c = 0; c < s.inC; c++) {
            for (let kh = 0; kh < s.kH; kh++) {
              const ih = oh * s.strideH + kh - s.padH;
              if (ih < 0 || ih >= s.inH) continue;
              for (let kw = 0; kw < s.kW; kw++) {
                const iw = ow * s.strideW + kw - s.padW;
                if (iw < 0 || iw >= s.inW) continue;
                visit(y, ((b * s.inC + c) * s.inH + ih) * s.inW + iw, ((o * s.inC + c) * s.kH + kh) * s.kW + kw);
              }
            }
          }
        }
      }
    }
  }
}

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

/** Sums in double precision what a loop adds to the elements of `out`, then stores or adds it. */
function accumulateInto(out: HostArray, accumulate: boolean, loop: (sums: Float64Array) => void): void {
  const sums = new Float64Array(out.length);
  loop(sums);
  for (let i = 0; i < out.length; i++) out[i] = accumulate ? out[i] + sums[i] : sums[i];
}

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

/** Random words in element order: element e takes word e & 1 of block e >> 1. */
function* randomWords(
  { key0, key1, counter }: RandomStream,
  length: number,
): Generator<[first: number, second: number]> {
  const words = new Uint32Array(2);
  for (let block = 0; block * 2 < length; block++) {
    threefry2x32(key0, key1, block, counter, words);
    yield [words[0], words[1]];
  }
}

/** A label that is no class makes loss and gradient NaN. */
function isClass(label: number, classes: number): boolean {
  return label >= 0 && label < classes;
}

const TWO_PI = 2 * Math.PI;

export const referenceKernels: Kernels = {
  conv2dForward(s, { x, weight, bias, y }) {
    const plane = s.outH * s.outW;
    accumulateInto(y, false, (sums) => {
      for (let i = 0; i < sums.length; i++) sums[i] = bias ? bias[Math.floor(i / plane) % s.outC] : 0;
      forEachProduct(s, (yi, xi, wi) => {
        sums[yi] += x[xi] * weight[wi];
      });
    });
  },

  conv2dBackwardInput(s, { dy, weight, dx }) {
    accumulateInto(dx, false, (sums) =>
      forEachProduct(s, (yi, xi, wi) => {
        sums[xi] += dy[yi] * weight[wi];
      }),
    );
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

  linearForward({ batch, inFeatures, outFeatures }, { x, weight, bias, y }) {
    for (let b = 0; b < batch; b++) {
      for (let o = 0; o < outFeatures; o++) {
        let sum = bias ? bias[o] : 0;
        for (let i = 0; i < inFeatures; i++) sum += x[b * inFeatures + i] * weight[o * inFeatures + i];
        y[b * outFeatures + o] = sum;
      }
    }
  },

  linearBackwardInput({ batch, inFeatures, outFeatures }, { dy, weight, dx }) {
    for (let b = 0; b < batch; b++) {
      for (let i = 0; i < inFeatures; i++) {
        let sum = 0;
        for (let o = 0; o < outFeatures; o++) sum += dy[b * outFeatures + o] * weight[o * inFeatures + i];
        dx[b * inFeatures + i] = sum;
      }
    }
  },

  linearBackwardWeight({ batch, inFeatures, outFeatures, accumulate }, { x, dy, dWeight }) {
    accumulateInto(dWeight, accumulate, (sums) => {
      for (let b = 0; b < batch; b++) {
        for (let o = 0; o < outFeatures; o++) {
          for (let i = 0; i < inFeatures; i++) {
            sums[o * inFeatures + i] += dy[b * outFeatures + o] * x[b * inFeatures + i];
          }
        }
      }
    });
  },

  linearBackwardBias({ outFeatures, accumulate }, { dy, dBias }) {
    accumulateInto(dBias, accumulate, (sums) => {
      for (let i = 0; i < dy.length; i++) sums[i % outFeatures] += dy[i];
    });
  },

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

  reluForward(_s, { x, y }) {
    for (let i = 0; i < x.length; i++) y[i] = x[i] < 0 ? 0 : x[i];
  },

  reluBackward(_s, { dy, y, dx }) {
    for (let i = 0; i < dy.length; i++) dx[i] = y[i] > 0 ? dy[i] : 0;
  },

  dropout(s, { x, y }) {
    const threshold = Math.floor(s.p * 4294967296);
    let i = 0;
    for (const words of randomWords(s, s.length)) {
      for (const word of words) {
        if (i < s.length) y[i] = word >= threshold ? x[i] / (1 - s.p) : 0;
        i++;
      }
    }
  },

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

  fill({ factor }, { y }) {
    y.fill(factor);
  },

  fillUniform(s, { y }) {
    let i = 0;
    for (const words of randomWords(s, s.length)) {
      for (const word of words) {
        if (i < s.length) y[i] = ((word >>> 8) / 8388608 - 1) * s.scale;
        i++;
      }
    }
  },

  fillNormal(s, { y }) {
    let i = 0;
    for (const [first, second] of randomWords(s, s.length)) {
      const radius = Math.sqrt(-2 * log((first + 0.5) / 4294967296)) * s.scale;
      const angle = (second / 4294967296) * TWO_PI;
      y[i] = radius * cos(angle);
      if (i + 1 < s.length) y[i + 1] = radius * sin(angle);
      i += 2;
    }
  },

  sgd({ lr, momentum, weightDecay, form }, { grad, param, velocity }) {
    for (let i = 0; i < param.length; i++) {
      const g = grad[i] + weightDecay * param[i];
      const step = (velocity ? momentum * velocity[i] : 0) + (form === "caffe" ? lr * g : g);
      if (velocity) velocity[i] = step;
      param[i] -= form === "caffe" ? step : lr * step;
    }
  },
};
