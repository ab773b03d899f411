/** The text of every check in src/ops: what is wrong, the values that were compared, what to do. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ShapeError, UsageError, VerydeepError } from "#src/core/errors.js";
import { sizeOf } from "#src/core/shape.js";
import type { Tensor } from "#src/core/tensor.js";
import { createEngine } from "#src/engine.js";
import {
  add,
  conv2d,
  crossEntropy,
  dropout,
  flatten,
  labelRank,
  labelsTensor,
  linear,
  localResponseNorm,
  logSoftmax,
  maxPool2d,
  mul,
  relu,
  reshape,
  scale,
} from "#src/ops/index.js";

// Checks happen while recording: no backend takes part.
const engine = await createEngine({ backend: "reference" });
const other = await createEngine({ backend: "reference" });

/** A tensor of this shape. */
function x(...shape: number[]): Tensor {
  return engine.tensor(new Float32Array(sizeOf(shape)), shape);
}

const image = x(1, 2, 5, 6);
const kernel = x(4, 2, 3, 3);
const labels = labelsTensor(engine, [0, 1, 2], 4);
const random = { key0: 1, key1: 2, counter: 3 };

type ErrorClass = typeof ShapeError | typeof UsageError;

function throws(errorClass: ErrorClass, text: string, act: () => unknown): void {
  test(text, () => {
    try {
      act();
    } catch (error) {
      assert.instance(error, errorClass);
      assert.instance(error, VerydeepError);
      assert.is(error instanceof Error && error.message, text);
      return;
    }
    assert.unreachable("nothing was thrown");
  });
}

// ---- conv2d ----------------------------------------------------------------------------------------------------------

throws(ShapeError, "conv2d: x must have 4 dimensions, [batch, channels, height, width] (x [2,5,6]). Reshape it.", () =>
  conv2d(x(2, 5, 6), kernel),
);
throws(
  ShapeError,
  "conv2d: weight must have 4 dimensions, [outChannels, inChannels, kernelHeight, kernelWidth] (weight [4,18]). Reshape it.",
  () => conv2d(image, x(4, 18)),
);
throws(
  ShapeError,
  "conv2d: input channels differ (x [1,2,5,6] has 2, weight [4,3,3,3] takes 3). Give x 3 channels, or the weight 2.",
  () => conv2d(image, x(4, 3, 3, 3)),
);
throws(ShapeError, "conv2d: bias must have one value per output, 4 (bias [3]). Give a bias [4] or null.", () =>
  conv2d(image, kernel, x(3)),
);
throws(ShapeError, "conv2d: bias must have one value per output, 4 (bias [4,1]). Give a bias [4] or null.", () =>
  conv2d(image, kernel, x(4, 1)),
);
throws(ShapeError, "conv2d: stride must be an integer of at least 1, or two of them (stride 0). Change stride.", () =>
  conv2d(image, kernel, null, { stride: 0 }),
);
throws(
  ShapeError,
  "conv2d: stride must be an integer of at least 1, or two of them (stride [1,1.5]). Change stride.",
  () => conv2d(image, kernel, null, { stride: [1, 1.5] }),
);
throws(ShapeError, "conv2d: stride must be an integer of at least 1, or two of them (stride NaN). Change stride.", () =>
  conv2d(image, kernel, null, { stride: Number.NaN }),
);
throws(
  ShapeError,
  "conv2d: padding must be an integer of at least 0, or two of them (padding -1). Change padding.",
  () => conv2d(image, kernel, null, { padding: -1 }),
);
throws(
  ShapeError,
  "conv2d: the window is larger than the padded input (height 5 + 2·1, kernelSize 8). " +
    "Use a larger input, more padding or a smaller kernel.",
  () => conv2d(image, x(4, 2, 8, 3), null, { padding: 1 }),
);
throws(
  ShapeError,
  "conv2d: the window is larger than the padded input (width 6 + 2·0, kernelSize 7). " +
    "Use a larger input, more padding or a smaller kernel.",
  () => conv2d(image, x(4, 2, 5, 7), null, { padding: [1, 0] }),
);

// ---- linear ----------------------------------------------------------------------------------------------------------

throws(ShapeError, "linear: x must have 2 dimensions, [batch, features] (x [1,2,5,6]). Reshape it.", () =>
  linear(image, x(3, 60)),
);
throws(ShapeError, "linear: weight must have 2 dimensions, [outFeatures, inFeatures] (weight [60]). Reshape it.", () =>
  linear(x(1, 60), x(60)),
);
throws(
  ShapeError,
  "linear: input features differ (x [2,60] has 60, weight [3,61] takes 61). " +
    "Check the input size of the network, or flatten x first.",
  () => linear(x(2, 60), x(3, 61)),
);
throws(ShapeError, "linear: bias must have one value per output, 3 (bias [1]). Give a bias [3] or null.", () =>
  linear(x(2, 60), x(3, 60), x(1)),
);

// ---- maxPool2d ---------------------------------------------------------------------------------------------------------

throws(ShapeError, "maxPool2d: x must have 4 dimensions, [batch, channels, height, width] (x [5,6]). Reshape it.", () =>
  maxPool2d(x(5, 6), { kernelSize: 2 }),
);
throws(
  ShapeError,
  "maxPool2d: kernelSize must be an integer of at least 1, or two of them (kernelSize [0,2]). Change kernelSize.",
  () => maxPool2d(image, { kernelSize: [0, 2] }),
);
throws(
  ShapeError,
  "maxPool2d: stride must be an integer of at least 1, or two of them (stride 0.5). Change stride.",
  () => maxPool2d(image, { kernelSize: 2, stride: 0.5 }),
);
throws(
  ShapeError,
  "maxPool2d: padding must be an integer of at least 0, or two of them (padding [0,-1]). Change padding.",
  () => maxPool2d(image, { kernelSize: 2, padding: [0, -1] }),
);
throws(ShapeError, "maxPool2d: the window has over 255 places (kernelSize [16,16]). Use a smaller window.", () =>
  maxPool2d(x(1, 1, 20, 20), { kernelSize: 16 }),
);
throws(
  ShapeError,
  "maxPool2d: padding is more than half the window (padding [1,2], kernelSize [3,3]). Use less padding.",
  () => maxPool2d(image, { kernelSize: 3, padding: [1, 2] }),
);
throws(
  ShapeError,
  "maxPool2d: the window is larger than the padded input (height 5 + 2·0, kernelSize 6). " +
    "Use a larger input, more padding or a smaller kernel.",
  () => maxPool2d(image, { kernelSize: 6 }),
);

// ---- element by element, shapes ----------------------------------------------------------------------------------------

throws(ShapeError, "add: the shapes differ (a [2,3], b [3,2]). Give two tensors of one shape.", () =>
  add(x(2, 3), x(3, 2)),
);
throws(ShapeError, "mul: the shapes differ (a [6], b [6,1]). Give two tensors of one shape.", () => mul(x(6), x(6, 1)));
throws(UsageError, "scale: the factor must be a finite number (factor NaN). Change it.", () => scale(x(2), Number.NaN));
throws(ShapeError, "reshape: the sizes differ (x [2,3], shape [4,2]). Give a shape of 6 elements.", () =>
  reshape(x(2, 3), [4, 2]),
);
throws(ShapeError, "reshape: every size must be an integer of at least 1 (shape [-2,-3]). Change the shape.", () =>
  reshape(x(2, 3), [-2, -3]),
);
throws(ShapeError, "reshape: every size must be an integer of at least 1 (shape [0.5,12]). Change the shape.", () =>
  reshape(x(2, 3), [0.5, 12]),
);
throws(ShapeError, "flatten: x must have at least 1 dimension, [batch, ...] (x []). Reshape it.", () => flatten(x()));

// ---- dropout, normalisation ----------------------------------------------------------------------------------------------

for (const p of [1, -0.1, Number.NaN]) {
  throws(UsageError, `dropout: p must be at least 0 and below 1 (p ${p}). Change p.`, () =>
    dropout(x(2), { p, random }),
  );
}
throws(
  ShapeError,
  "localResponseNorm: x must have at least 3 dimensions, [batch, channels, ...] (x [2,3]). Reshape it.",
  () => localResponseNorm(x(2, 3), { size: 5 }),
);
for (const size of [0, 2.5]) {
  throws(UsageError, `localResponseNorm: size must be a positive integer (size ${size}). Change size.`, () =>
    localResponseNorm(image, { size }),
  );
}
for (const [k, alpha, beta] of [
  [0, 1, 0.75],
  [1, -1, 0.75],
  [1, 1, Number.POSITIVE_INFINITY],
]) {
  throws(
    UsageError,
    `localResponseNorm: k must be positive, alpha at least 0, beta finite (k ${k}, alpha ${alpha}, beta ${beta}). Change them.`,
    () => localResponseNorm(image, { size: 5, k, alpha, beta }),
  );
}

// ---- losses -----------------------------------------------------------------------------------------------------------------

throws(ShapeError, "logSoftmax: x must have 2 dimensions, [rows, classes] (x [3]). Reshape it.", () =>
  logSoftmax(x(3)),
);
for (const [name, op] of [
  ["crossEntropy", crossEntropy],
  ["labelRank", labelRank],
] as const) {
  throws(ShapeError, `${name}: logits must have 2 dimensions, [rows, classes] (logits [12]). Reshape it.`, () =>
    op(x(12), labels),
  );
  throws(ShapeError, `${name}: labels must have 1 dimensions, [rows] (labels [3,1]). Reshape it.`, () =>
    op(x(3, 4), x(3, 1)),
  );
  throws(ShapeError, `${name}: labels must be int32 (labels float32). Make them with labelsTensor().`, () =>
    op(x(3, 4), x(3)),
  );
  throws(ShapeError, `${name}: one label per row is needed (logits [2,4], labels [3]). Give 2 labels.`, () =>
    op(x(2, 4), labels),
  );
}
for (const label of [4, -1, 1.5]) {
  throws(
    UsageError,
    `labelsTensor: label ${label} at place 1 is not a class (classes 4). Use integers from 0 to 3.`,
    () => labelsTensor(engine, [0, label], 4),
  );
}

// ---- all operations -----------------------------------------------------------------------------------------------------------

throws(UsageError, "add: the inputs belong to different engines. Create all of them with one engine.", () =>
  add(x(2), other.tensor([1, 2], [2])),
);
throws(UsageError, "relu: a tensor has no value yet (p). Initialise or load it first.", () =>
  relu(engine.parameter([2], "p")),
);

test("a throw leaves the scope as it was: the next recording runs", async () => {
  const weight = engine.parameter([2], "weight");
  await weight.write(Float32Array.of(1, 2));
  const attempt = engine.scope(() => {
    mul(weight, weight);
    add(weight, x(3));
  });
  let message = "";
  await attempt.catch((error: Error) => {
    message = error.message;
  });
  assert.is(message, "add: the shapes differ (a [2], b [3]). Give two tensors of one shape.");
  assert.equal([...(await add(weight, weight).data())], [2, 4]);
});

test.run();
