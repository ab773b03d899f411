/**
 * Log-softmax and the multinomial logistic loss (the paper, section 3.1).
 *
 *   logSoftmax    x [rows, classes]  ->  y = x − log Σ_c exp(x_c);  dx = dy − exp(y) · Σ dy
 *   crossEntropy  logits [rows, classes], labels [rows] (int32)  ->  the mean over rows of −logSoftmax(logits)[label]
 *                 dLogits = (softmax − one-hot) / rows
 *   labelRank     logits, labels  ->  int32 [rows]: how many classes lie ahead of the true one (0: top-1 is right)
 *
 * Throws ShapeError for wrong ranks or counts that differ, UsageError for a label outside [0, classes). Labels that were
 * computed, not given, cannot be checked before they are there: one that is no class makes loss and gradient NaN.
 */
import type { ClassesShape } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import type { Engine } from "../core/engine.js";
import { ShapeError, UsageError } from "../core/errors.js";
import { formatShape } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { checkRank } from "./check.js";

const logSoftmaxOp: Op<{ x: Tensor }, object, ClassesShape, { y: Tensor }> = {
  name: "logSoftmax",

  infer({ x }) {
    checkRank("logSoftmax", "x", x, 2, "[rows, classes]");
    return { rows: x.shape[0], classes: x.shape[1] };
  },

  outputShape: (s) => [s.rows, s.classes],

  forward(engine, s, { x }, y) {
    engine.record("logSoftmaxForward", s, { x, y });
    return { y };
  },

  backward(engine, s, dy, { y }, gradients) {
    engine.record("logSoftmaxBackward", s, { dy, y, dx: gradients.into("x").target });
  },

  accumulates: [],
};

/** Log-probabilities of each row. */
export function logSoftmax(x: Tensor): Tensor {
  return apply(logSoftmaxOp, { x }, {});
}

type CrossEntropySaved = { logProbabilities: Tensor; labels: Tensor };

const crossEntropyOp: Op<{ logits: Tensor; labels: Tensor }, object, ClassesShape, CrossEntropySaved> = {
  name: "crossEntropy",

  infer({ logits, labels }) {
    return checkLabels("crossEntropy", logits, labels);
  },

  outputShape: () => [],

  forward(engine, s, { logits, labels }, loss) {
    const logProbabilities = engine.emptyTensor(logits.shape);
    engine.record("logSoftmaxForward", s, { x: logits, y: logProbabilities });
    engine.record("nllForward", s, { y: logProbabilities, labels, loss });
    return { logProbabilities, labels };
  },

  backward(engine, s, dLoss, { logProbabilities, labels }, gradients) {
    const dx = gradients.into("logits").target;
    engine.record("crossEntropyBackward", s, { dLoss, y: logProbabilities, labels, dx });
  },

  accumulates: [],
};

/** Mean cross-entropy of a batch; a scalar. */
export function crossEntropy(logits: Tensor, labels: Tensor): Tensor {
  return apply(crossEntropyOp, { logits, labels }, {});
}

/** For each row, how many classes have a larger logit than the true one (ties: the smaller index is ahead). */
export function labelRank(logits: Tensor, labels: Tensor): Tensor {
  const shape = checkLabels("labelRank", logits, labels);
  const { engine } = logits;
  const ranks = engine.emptyTensor([shape.rows], "int32");
  engine.withOp("labelRank", "forward", () => engine.record("labelRank", shape, { x: logits, labels, ranks }));
  return ranks;
}

/** Class indices as an int32 tensor. Throws UsageError for a label outside [0, classes). */
export function labelsTensor(engine: Engine, labels: ArrayLike<number>, classes: number): Tensor {
  const values = Int32Array.from(labels);
  for (let i = 0; i < labels.length; i++) {
    if (values[i] !== labels[i] || values[i] < 0 || values[i] >= classes) {
      throw new UsageError(
        `labelsTensor: label ${labels[i]} at place ${i} is not a class (classes ${classes}). Use integers from 0 to ${classes - 1}.`,
      );
    }
  }
  return engine.tensor(values, [values.length]);
}

function checkLabels(op: string, logits: Tensor, labels: Tensor): ClassesShape {
  checkRank(op, "logits", logits, 2, "[rows, classes]");
  checkRank(op, "labels", labels, 1, "[rows]");
  if (labels.dtype !== "int32") {
    throw new ShapeError(`${op}: labels must be int32 (labels ${labels.dtype}). Make them with labelsTensor().`);
  }
  const [rows, classes] = logits.shape;
  if (labels.shape[0] !== rows) {
    throw new ShapeError(
      `${op}: one label per row is needed (logits ${formatShape(logits.shape)}, labels ${formatShape(labels.shape)}). Give ${rows} labels.`,
    );
  }
  labels.hostValues()?.forEach((label, place) => {
    if (label < 0 || label >= classes) {
      throw new UsageError(
        `${op}: label ${label} at place ${place} is not a class (classes ${classes}). Use integers from 0 to ${classes - 1}.`,
      );
    }
  });
  return { rows, classes };
}
