/** Whatever draws random numbers. See kernels.ts. */
import { cos, log, sin } from "../../core/math.js";
import { threefry2x32 } from "../../core/random.js";
import type { RandomStream } from "../backend.js";
import type { ReferenceKernels } from "./kernel.js";

const TWO_PI = 2 * Math.PI;

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

export const RANDOM_KERNELS = {
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
} satisfies ReferenceKernels;
