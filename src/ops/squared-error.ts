/**
 * Losses from squared errors, of x and target of one shape; scalars. Gradients flow into both.
 *
 *   mseLoss        Σ (x − target)² / elements         dx = 2 · (x − target) / elements    (PyTorch)
 *   euclideanLoss  Σ (x − target)² / (2 · batch)      dx = (x − target) / batch           (Caffe; the paper, appendix A, for boxes)
 *
 *   dTarget = −dx. Several losses: add(euclideanLoss(…), scale(crossEntropy(…), weight)).
 *
 * Throw ShapeError where the shapes differ; euclideanLoss for a scalar, which has no batch.
 */
import { apply, type Op } from "../core/autograd.js";
import { ShapeError } from "../core/errors.js";
import { formatShape } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { checkSameShape } from "./check.js";

type Inputs = { x: Tensor; target: Tensor };

/** loss = factor · Σ (x − target)² */
function squaredErrorOp(
  name: string,
  factorOf: (x: Tensor) => number,
): Op<Inputs, object, { length: number; factor: number }, Inputs> {
  return {
    name,

    infer({ x, target }) {
      checkSameShape(name, x, target, ["x", "target"]);
      return { length: x.size, factor: factorOf(x) };
    },

    outputShape: () => [],

    forward(engine, s, { x, target }, loss) {
      engine.record("squaredErrorForward", s, { a: x, b: target, loss });
      return { x, target };
    },

    backward(engine, { length, factor }, dLoss, { x, target }, gradients) {
      const shape = { length, factor: 2 * factor };
      if (gradients.needs("x")) {
        engine.record("squaredErrorBackward", shape, { dLoss, a: x, b: target, dx: gradients.into("x").target });
      }
      if (gradients.needs("target")) {
        engine.record("squaredErrorBackward", shape, { dLoss, a: target, b: x, dx: gradients.into("target").target });
      }
    },

    accumulates: [],
  };
}

const mseLossOp = squaredErrorOp("mseLoss", (x) => 1 / x.size);

const euclideanLossOp = squaredErrorOp("euclideanLoss", ({ shape }) => {
  if (shape.length === 0) {
    throw new ShapeError(
      `euclideanLoss: x must have at least 1 dimension, [batch, ...] (x ${formatShape(shape)}). Reshape it.`,
    );
  }
  return 1 / (2 * shape[0]);
});

/** The mean of the squared errors. */
export function mseLoss(x: Tensor, target: Tensor): Tensor {
  return apply(mseLossOp, { x, target }, {});
}

/** Half the sum of the squared errors of a batch's element, on average. */
export function euclideanLoss(x: Tensor, target: Tensor): Tensor {
  return apply(euclideanLossOp, { x, target }, {});
}
