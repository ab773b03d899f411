/**
 * Joins tensors along the channels (GoogLeNet's branches; skip connections).
 *
 *   inputs [batch, channels, …] of rank 2 or 4, alike but in their channels  ->  y [batch, Σ channels, …], in order
 *   each input's gradient is its part of dy; a tensor that is there twice gets the sum of both parts
 *
 * Throws ShapeError where no input is given, for a rank other than 2 or 4, and where the other sizes differ.
 */
import type { StridedCopyShape, Strides } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import { ShapeError } from "../core/errors.js";
import { formatShape, type Shape, sizeOf } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";

interface ConcatShape {
  readonly y: Shape;
  /** How each input lies in y, by role. */
  readonly copies: ReadonlyMap<string, StridedCopyShape>;
}

/** Roles are `input0`, `input1`, … */
const concatOp: Op<Record<string, Tensor>, object, ConcatShape, null> = {
  name: "concat",

  infer(inputs) {
    const [first, ...others] = Object.values(inputs);
    if (first.shape.length !== 2 && first.shape.length !== 4) {
      throw new ShapeError(
        `concat: inputs must have 2 or 4 dimensions, [batch, channels] or [batch, channels, height, width] (x ${formatShape(first.shape)}). Reshape them.`,
      );
    }
    const other = others.find(
      ({ shape }) => shape.length !== first.shape.length || shape.some((n, i) => i !== 1 && n !== first.shape[i]),
    );
    if (other) {
      throw new ShapeError(
        `concat: the inputs differ in more than their channels (first ${formatShape(first.shape)}, other ${formatShape(other.shape)}). Bring them to one batch, height and width.`,
      );
    }
    const [batch, , ...rest] = first.shape;
    const plane = sizeOf(rest);
    const channels = Object.values(inputs).reduce((sum, { shape }) => sum + shape[1], 0);
    const copies = new Map<string, StridedCopyShape>();
    let channel = 0;
    for (const [role, { shape }] of Object.entries(inputs)) {
      const layout = (begin: number, ofBatch: number): Strides => ({
        begin: begin * plane,
        stride0: ofBatch * plane,
        stride1: plane,
        stride2: 1,
      });
      copies.set(role, {
        size0: batch,
        size1: shape[1],
        size2: plane,
        x: layout(0, shape[1]),
        y: layout(channel, channels),
      });
      channel += shape[1];
    }
    return { y: [batch, channels, ...rest], copies };
  },

  outputShape: (s) => s.y,

  forward(engine, { copies }, inputs, y) {
    for (const [role, shape] of copies) engine.record("stridedCopy", shape, { x: inputs[role], y });
    return null;
  },

  backward(engine, { copies }, dy, _saved, gradients) {
    for (const [role, { x, y, ...sizes }] of copies) {
      if (!gradients.needs(role)) continue;
      engine.record("stridedCopy", { ...sizes, x: y, y: x }, { x: dy, y: gradients.into(role).target });
    }
  },

  accumulates: [],
};

/** The inputs behind one another along dimension 1; see the head of this file. */
export function concat(inputs: readonly Tensor[]): Tensor {
  if (inputs.length === 0) {
    throw new ShapeError(`concat: there is nothing to join (inputs ${inputs.length}). Give at least one tensor.`);
  }
  return apply(concatOp, Object.fromEntries(inputs.map((input, i) => [`input${i}`, input])), {});
}
