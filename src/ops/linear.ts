/**
 * Fully connected layer.
 *
 *   x [batch, inFeatures], weight [outFeatures, inFeatures], bias [outFeatures] or null  ->  y [batch, outFeatures]
 *   y = x · weightᵀ + bias          dx = dy · weight      dWeight = dyᵀ · x      dBias = Σ_batch dy
 *
 * Throws ShapeError for wrong ranks or features that differ.
 */
import type { LinearShape } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import { ShapeError } from "../core/errors.js";
import { formatShape } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { checkBias, checkRank } from "./check.js";

type Inputs = { x: Tensor; weight: Tensor; bias: Tensor | null };

const linearOp: Op<Inputs, object, LinearShape, { x: Tensor; weight: Tensor }> = {
  name: "linear",

  infer({ x, weight, bias }) {
    checkRank("linear", "x", x, 2, "[batch, features]");
    checkRank("linear", "weight", weight, 2, "[outFeatures, inFeatures]");
    const [batch, inFeatures] = x.shape;
    const [outFeatures, weightFeatures] = weight.shape;
    if (inFeatures !== weightFeatures) {
      throw new ShapeError(
        `linear: input features differ (x ${formatShape(x.shape)} has ${inFeatures}, weight ${formatShape(weight.shape)} takes ${weightFeatures}). ` +
          "Check the input size of the network, or flatten x first.",
      );
    }
    checkBias("linear", bias, outFeatures);
    return { batch, inFeatures, outFeatures };
  },

  outputShape: (s) => [s.batch, s.outFeatures],

  forward(engine, s, { x, weight, bias }, y) {
    engine.record("linearForward", { ...s, relu: false }, { x, weight, bias, y });
    return { x, weight };
  },

  backward(engine, s, dy, { x, weight }, gradients) {
    if (gradients.needs("x")) {
      engine.record("linearBackwardInput", s, { dy, weight, mask: null, dx: gradients.into("x").target });
    }
    if (gradients.needs("weight")) {
      const { target, accumulate } = gradients.into("weight");
      engine.record("linearBackwardWeight", { ...s, accumulate }, { x, dy, dWeight: target });
    }
    if (gradients.needs("bias")) {
      const { target, accumulate } = gradients.into("bias");
      engine.record("linearBackwardBias", { ...s, accumulate }, { dy, dBias: target });
    }
  },

  accumulates: ["weight", "bias"],
};

/** x · weightᵀ + bias; see the head of this file. */
export function linear(x: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  return apply(linearOp, { x, weight, bias }, {});
}
