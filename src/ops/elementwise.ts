/**
 * Element-wise arithmetic and the sum of all elements.
 *
 *   add    y = a + b         da = dy            db = dy
 *   mul    y = a · b         da = dy · b        db = dy · a
 *   scale  y = x · factor    dx = dy · factor
 *   sum    y = Σ x           dx = dy, everywhere
 *
 * add and mul throw ShapeError unless both shapes are the same (there is no broadcasting).
 */
import type { LengthShape, ScaleShape } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import { UsageError } from "../core/errors.js";
import type { Shape } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { checkSameShape } from "./check.js";

type Two = { a: Tensor; b: Tensor };
type Sized = LengthShape & { readonly shape: Shape };

const addOp: Op<Two, object, Sized, null> = {
  name: "add",

  infer({ a, b }) {
    checkSameShape("add", a, b);
    return { length: a.size, shape: a.shape };
  },

  outputShape: (s) => s.shape,

  forward(engine, { length }, { a, b }, y) {
    engine.record("add", { length }, { a, b, y });
    return null;
  },

  backward(_engine, _s, dy, _saved, gradients) {
    if (gradients.needs("a")) gradients.pass("a", dy);
    if (gradients.needs("b")) gradients.pass("b", dy);
  },

  accumulates: [],
};

const mulOp: Op<Two, object, Sized, Two> = {
  name: "mul",

  infer({ a, b }) {
    checkSameShape("mul", a, b);
    return { length: a.size, shape: a.shape };
  },

  outputShape: (s) => s.shape,

  forward(engine, { length }, { a, b }, y) {
    engine.record("mul", { length }, { a, b, y });
    return { a, b };
  },

  backward(engine, { length }, dy, { a, b }, gradients) {
    if (gradients.needs("a")) engine.record("mul", { length }, { a: dy, b, y: gradients.into("a").target });
    if (gradients.needs("b")) engine.record("mul", { length }, { a: dy, b: a, y: gradients.into("b").target });
  },

  accumulates: [],
};

const scaleOp: Op<{ x: Tensor }, { factor: number }, ScaleShape & { shape: Shape }, null> = {
  name: "scale",

  infer({ x }, { factor }) {
    if (!Number.isFinite(factor)) {
      throw new UsageError(`scale: the factor must be a finite number (factor ${factor}). Change it.`);
    }
    return { length: x.size, factor, shape: x.shape };
  },

  outputShape: (s) => s.shape,

  forward(engine, { length, factor }, { x }, y) {
    engine.record("scale", { length, factor }, { x, y });
    return null;
  },

  backward(engine, { length, factor }, dy, _saved, gradients) {
    engine.record("scale", { length, factor }, { x: dy, y: gradients.into("x").target });
  },

  accumulates: [],
};

const sumOp: Op<{ x: Tensor }, object, LengthShape, null> = {
  name: "sum",
  infer: ({ x }) => ({ length: x.size }),
  outputShape: () => [],

  forward(engine, s, { x }, y) {
    engine.record("sum", s, { x, y });
    return null;
  },

  backward(engine, { length }, dy, _saved, gradients) {
    engine.record("expand", { length, factor: 1 }, { x: dy, y: gradients.into("x").target });
  },

  accumulates: [],
};

/** a + b */
export function add(a: Tensor, b: Tensor): Tensor {
  return apply(addOp, { a, b }, {});
}

/** a · b, element by element */
export function mul(a: Tensor, b: Tensor): Tensor {
  return apply(mulOp, { a, b }, {});
}

/** x · factor */
export function scale(x: Tensor, factor: number): Tensor {
  return apply(scaleOp, { x }, { factor });
}

/** The sum of all elements; a scalar. */
export function sum(x: Tensor): Tensor {
  return apply(sumOp, { x }, {});
}
