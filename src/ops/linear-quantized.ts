/**
 * Fully connected layer whose weight is kept in fewer bits than float32. For inference alone: it has no gradient.
 *
 *   x [batch, inFeatures], weight [outFeatures, inFeatures] as float16 or int8, scale [outFeatures], bias [outFeatures] or null
 *   y [batch, outFeatures] = x · (weight · scale)ᵀ + bias          row o of the weight is what is stored times scale[o]
 *
 * With float16 y has the bits that linear gives with the same weights in float32, as long as no product is below float32's normal numbers.
 * With int8 each image of x is rounded to whole numbers of 16 bits, a 32767th of its largest magnitude apart, and sums are exact;
 * where an image has an infinity or NaN, all of its outputs are NaN.
 *
 * Throws ShapeError for wrong ranks, types or sizes; UsageError when a gradient is asked for.
 */
import type { QuantizedLinearShape, QuantizedType } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import { ShapeError, UsageError } from "../core/errors.js";
import { formatShape } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { checkBias, checkRank } from "./check.js";

type Inputs = { x: Tensor; weight: Tensor; scale: Tensor; bias: Tensor | null };

const linearQuantizedOp: Op<Inputs, object, QuantizedLinearShape, object> = {
  name: "linearQuantized",

  infer({ x, weight, scale, bias }) {
    checkRank("linearQuantized", "x", x, 2, "[batch, features]");
    checkRank("linearQuantized", "weight", weight, 2, "[outFeatures, inFeatures]");
    const [batch, inFeatures] = x.shape;
    const [outFeatures, weightFeatures] = weight.shape;
    if (inFeatures !== weightFeatures) {
      throw new ShapeError(
        `linearQuantized: input features differ (x ${formatShape(x.shape)} has ${inFeatures}, weight ${formatShape(weight.shape)} takes ${weightFeatures}). ` +
          "Check the input size of the network, or flatten x first.",
      );
    }
    if (scale.shape.length !== 1 || scale.shape[0] !== outFeatures) {
      throw new ShapeError(
        `linearQuantized: scale must have one value per output, ${outFeatures} (scale ${formatShape(scale.shape)}). Give a scale [${outFeatures}].`,
      );
    }
    checkBias("linearQuantized", bias, outFeatures);
    return { batch, inFeatures, outFeatures, weightType: weightTypeOf(weight) };
  },

  outputShape: (s) => [s.batch, s.outFeatures],

  forward(engine, s, { x, weight, scale, bias }, y) {
    engine.record("linearQuantizedForward", { ...s, relu: false }, { x, weight, scale, bias, y });
    return {};
  },

  backward(_engine, s) {
    throw new UsageError(
      `linearQuantized: a layer with weights as ${s.weightType} has no gradient (weight ${formatShape([s.outFeatures, s.inFeatures])}). ` +
        "Train with float32 weights.",
    );
  },

  accumulates: [],
  typed: ["weight"],
};

function weightTypeOf({ dtype, shape }: Tensor): QuantizedType {
  if (dtype === "float16" || dtype === "int8") return dtype;
  throw new ShapeError(
    `linearQuantized: weight must be float16 or int8 (weight ${dtype} ${formatShape(shape)}). Use linear for float32.`,
  );
}

/** x · (weight · scale)ᵀ + bias; see the head of this file. */
export function linearQuantized(x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | null = null): Tensor {
  return apply(linearQuantizedOp, { x, weight, scale, bias }, {});
}
