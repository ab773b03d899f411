/**
 * Dropout (the paper, section 3.1: ratio 0.5 on the first two fully connected layers, in training only).
 *
 *   y = x / (1 − p) with probability 1 − p, else 0; dx = dy under the same mask.
 *
 * The mask is computed anew in the backward pass: an element's fate depends on (key, counter, its index) alone.
 * Throws UsageError unless 0 <= p < 1.
 */
import type { DropoutShape, RandomStream } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import { UsageError } from "../core/errors.js";
import type { Shape } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";

/** How much dropout drops, and by which random stream. */
export interface DropoutOptions {
  /** Probability that an element becomes 0. */
  readonly p: number;
  /** Which random numbers: the key tells the layer and the seed, the counter the pass. */
  readonly random: RandomStream;
}

const dropoutOp: Op<{ x: Tensor }, DropoutOptions, DropoutShape & { shape: Shape }, null> = {
  name: "dropout",

  infer({ x }, { p, random }) {
    if (!(p >= 0 && p < 1)) throw new UsageError(`dropout: p must be at least 0 and below 1 (p ${p}). Change p.`);
    return { length: x.size, shape: x.shape, p, ...random };
  },

  outputShape: (s) => s.shape,

  forward(engine, s, { x }, y) {
    engine.record("dropout", s, { x, y });
    return null;
  },

  backward(engine, s, dy, _saved, gradients) {
    engine.record("dropout", s, { x: dy, y: gradients.into("x").target });
  },

  accumulates: [],
};

/** Zeroes elements at random and scales the others up; see the head of this file. */
export function dropout(x: Tensor, options: DropoutOptions): Tensor {
  return apply(dropoutOp, { x }, options);
}
