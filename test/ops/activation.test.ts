/** tanh, sigmoid and leakyRelu: lengths around grains and vectors, exactness everywhere, special values, layers, errors. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import { LeakyReLU, Sigmoid, Tanh } from "#src/nn/index.js";
import { leakyRelu, sigmoid, tanh } from "#src/ops/index.js";
import { apart } from "../helpers/finite-differences.js";
import { compare, engines, gradients, oracle, ROUNDING, refuses, reportAfter, valuesOf } from "../helpers/op-tests.js";
import { type Inputs, randomTensor } from "../helpers/run-op.js";
import { onGpu } from "../helpers/webgpu.js";

reportAfter();

const OPS = {
  tanh: (t: Inputs) => tanh(t.x),
  sigmoid: (t: Inputs) => sigmoid(t.x),
  leakyRelu: (t: Inputs) => leakyRelu(t.x, 0.3),
};
const NAMES = ["tanh", "sigmoid", "leakyRelu"] as const;

/** Lengths around a grain of 16384 elements, and around vectors of 2 and 4. */
const LENGTHS = [1, 2, 3, 4, 5, 16383, 16384, 16385, 40000];

/** tanh's gradient is 1 − y² with y rounded to float32: up to 2, where that is 0.07, it loses four bits. */
const TOLERANCE = { tanh: 3e-6, sigmoid: ROUNDING, leakyRelu: ROUNDING };

for (const op of NAMES) {
  for (const length of LENGTHS) {
    compare(
      op,
      `x=[${length}]`,
      () => ({
        inputs: { x: randomTensor(`x ${length}`, [length], -2, 2) },
        forward: OPS[op],
        dy: randomTensor(`dy ${length}`, [length]),
      }),
      TOLERANCE[op],
    );
  }
  gradients(op, "x=[2,3,4]", () => ({
    inputs: { x: apart([2, 3, 4]) },
    forward: OPS[op],
    dy: randomTensor("dy", [2, 3, 4]),
  }));
}
gradients("leakyRelu", "x=[12] slope=-0.5", () => ({
  inputs: { x: apart([12]) },
  forward: (t) => leakyRelu(t.x, -0.5),
  dy: randomTensor("dy", [12]),
}));

/** Every float32 is within one rounding of what JavaScript's own functions give in float64. */
const ONE_ROUNDING = 2 ** -24 * 1.0001;

/** Shaders compute in float32, whose divisions are good to 2.5 units in the last place: eight roundings hold all of a formula's. */
const EIGHT_ROUNDINGS = 2 ** -21;
const EXACTNESS = onGpu() ? EIGHT_ROUNDINGS : ONE_ROUNDING;

/** From 1e-30 to 1e3, both signs: relative errors, not relative to the largest. */
const MAGNITUDES = Float32Array.from({ length: 4001 }, (_, i) => (i % 2 ? -1 : 1) * 10 ** (-30 + (33 * i) / 4000));

test("tanh x=[4001] from 1e-30 to 1e3: each value to its last bit but one", async () => {
  for (const engine of engines) {
    const y = await tanh(engine.tensor(MAGNITUDES, [4001])).data();
    for (const [i, x] of MAGNITUDES.entries()) {
      const error = Math.abs(y[i] / Math.tanh(x) - 1);
      assert.ok(error <= EXACTNESS, `tanh ${x}: ${y[i]}, relative error ${error}`);
    }
  }
});

test("sigmoid x=[4001] from -80 to 80: each value to its last bit but one", async () => {
  const values = Float32Array.from({ length: 4001 }, (_, i) => -80 + i / 25);
  for (const engine of engines) {
    const y = await sigmoid(engine.tensor(values, [4001])).data();
    for (const [i, x] of values.entries()) {
      const error = Math.abs(y[i] * (1 + Math.exp(-x)) - 1);
      assert.ok(error <= EXACTNESS, `sigmoid ${x}: ${y[i]}, relative error ${error}`);
    }
  }
});

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
const SPECIAL = [nan, infinity, -infinity, 3.4e38, -3.4e38, 0, nan];

test("tanh, sigmoid, leakyRelu x=[7]: NaN stays NaN, limits are reached, 0 stays 0", async () => {
  assert.equal(await valuesOf(SPECIAL, [7], tanh), [nan, 1, -1, 1, -1, 0, nan]);
  assert.equal(await valuesOf(SPECIAL, [7], sigmoid), [nan, 1, 0, 1, 0, 0.5, nan]);
  const leaky = await valuesOf(SPECIAL.slice(0, 3), [3], (x) => leakyRelu(x, 0.5));
  assert.equal(leaky, [nan, infinity, -infinity]);
  for (const engine of engines) {
    const y = await tanh(engine.tensor([-0, 0, -0], [3])).data();
    assert.ok(Object.is(y[0], -0) && Object.is(y[1], 0) && Object.is(y[2], -0));
  }
});

test("layers compute what the operations do", async () => {
  const { data, shape } = randomTensor("x", [3, 5]);
  const pairs = [
    [new Tanh(), tanh],
    [new Sigmoid(), sigmoid],
    [new LeakyReLU(), leakyRelu],
  ] as const;
  for (const [layer, op] of pairs) {
    const y = await layer.forward(oracle.tensor(data, shape)).values();
    assert.equal(y, await op(oracle.tensor(data, shape)).values());
  }
  const y = await new LeakyReLU(0.25).forward(oracle.tensor([-4, 4], [2])).values();
  assert.equal([...y], [-1, 4]);
});

refuses(UsageError, "leakyRelu: the slope must be a finite number (slope NaN). Change it.", () =>
  leakyRelu(oracle.tensor([1], [1]), nan),
);
refuses(
  UsageError,
  "LeakyReLU: the slope must be a finite number (slope Infinity). Change it.",
  () => new LeakyReLU(infinity),
);

test.run();
