/** mseLoss and euclideanLoss: lengths around grains and vectors, sums of losses, special values, errors. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ShapeError } from "#src/core/errors.js";
import { add, crossEntropy, euclideanLoss, labelsTensor, mseLoss, mul, scale, sum } from "#src/ops/index.js";
import { maxRelativeError } from "../helpers/compare.js";
import { compare, engines, gradients, oracle, ROUNDING, refuses, reportAfter } from "../helpers/op-tests.js";
import { type OpRun, randomTensor, runOp } from "../helpers/run-op.js";

reportAfter();

const OPS = { mseLoss, euclideanLoss };
const NAMES = ["mseLoss", "euclideanLoss"] as const;

function lossRun(op: keyof typeof OPS, shape: readonly number[]): OpRun {
  return {
    inputs: { x: randomTensor(`x ${shape}`, shape), target: randomTensor(`target ${shape}`, shape) },
    forward: (t) => OPS[op](t.x, t.target),
    dy: null,
  };
}

for (const op of NAMES) {
  for (const shape of [[1], [2], [3], [4, 1], [5], [16383], [16384], [5, 3277], [4, 100, 10, 10]]) {
    compare(op, `x=[${shape}]`, () => lossRun(op, shape));
  }
  gradients(op, "x=[2,3,2]", () => lossRun(op, [2, 3, 2]));
}

test("euclideanLoss x=[2,2], mseLoss: by hand", async () => {
  for (const engine of [...engines, oracle]) {
    const two = () => [engine.tensor([1, 2, 3, 4], [2, 2]), engine.tensor([0, 0, 5, 4], [2, 2])] as const;
    // 1 + 4 + 4 + 0
    assert.is(await euclideanLoss(...two()).item(), 9 / 4);
    assert.is(await mseLoss(...two()).item(), 9 / 4);
    assert.is(await euclideanLoss(engine.tensor([3], [1]), engine.tensor([1], [1])).item(), 2);
    assert.is(await mseLoss(engine.tensor([3], []), engine.tensor([1], [])).item(), 4);
  }
});

/** A soft-max and a regression on the same values, as the paper's appendix A weighs one against another. */
function sumRun(weights: readonly [number, number]): OpRun {
  return {
    inputs: { x: randomTensor("x", [3, 4]), target: randomTensor("target", [3, 4]) },
    forward: (t, engine) => {
      const classes = crossEntropy(t.x, labelsTensor(engine, [0, 2, 1], 4));
      return add(scale(classes, weights[0]), scale(euclideanLoss(t.x, t.target), weights[1]));
    },
    dy: null,
  };
}

compare("crossEntropy + euclideanLoss", "x=[3,4], weights 1 and 0.5", () => sumRun([1, 0.5]));
gradients("crossEntropy + euclideanLoss", "x=[3,4], weights 0.25 and 3", () => sumRun([0.25, 3]));

test("several losses added: the gradient is the weighted sum of theirs", async () => {
  for (const engine of [...engines, oracle]) {
    const [first, second, both] = [
      await runOp(engine, sumRun([1, 0])),
      await runOp(engine, sumRun([0, 1])),
      await runOp(engine, sumRun([2, -0.5])),
    ];
    const expected = first.gradients.x.map((value, i) => 2 * value - 0.5 * second.gradients.x[i]);
    assert.ok(maxRelativeError(both.gradients.x, expected) <= ROUNDING);
    assert.ok(Math.abs(both.y[0] - (2 * first.y[0] - 0.5 * second.y[0])) <= ROUNDING * Math.abs(both.y[0]));
  }
});

test("a target that is computed: the gradient goes through both sides", async () => {
  const run: OpRun = {
    inputs: { x: randomTensor("x", [5]) },
    forward: (t) => add(mseLoss(mul(t.x, t.x), scale(t.x, 3)), sum(t.x)),
    dy: null,
  };
  const expected = await runOp(oracle, run);
  for (const engine of engines) {
    const { gradients: actual } = await runOp(engine, run);
    assert.ok(maxRelativeError(actual.x, expected.gradients.x) <= ROUNDING);
  }
});

test("mseLoss x=[3]: NaN makes the loss NaN, squares of 1e30 are infinite in float32", async () => {
  for (const engine of engines) {
    const target = () => engine.tensor([0, 0, 0], [3]);
    assert.ok(Number.isNaN(await mseLoss(engine.tensor([1, Number.NaN, 2], [3]), target()).item()));
    assert.is(await mseLoss(engine.tensor([1e30, 0, 0], [3]), target()).item(), Number.POSITIVE_INFINITY);
  }
});

for (const [name, op] of Object.entries(OPS)) {
  refuses(ShapeError, `${name}: the shapes differ (x [2,3], target [3,2]). Give two tensors of one shape.`, () =>
    op(oracle.tensor(new Float32Array(6), [2, 3]), oracle.tensor(new Float32Array(6), [3, 2])),
  );
}
refuses(ShapeError, "euclideanLoss: x must have at least 1 dimension, [batch, ...] (x []). Reshape it.", () =>
  euclideanLoss(oracle.tensor([1], []), oracle.tensor([1], [])),
);

test.run();
