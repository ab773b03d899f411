/** Batch norm where PyTorch's fixtures have no case: sizes around vectors and chunks, running statistics, undo, layers. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { ShapeError, UsageError } from "#src/core/errors.js";
import type { StateTensor } from "#src/core/tensor.js";
import { BatchNorm1d, BatchNorm2d, Sequential } from "#src/nn/index.js";
import { inMode } from "#src/nn/module.js";
import { type BatchNormOptions, batchNorm, mul, sum } from "#src/ops/index.js";
import { SGD } from "#src/optim/index.js";
import { rejects } from "../engine/nets.js";
import { maxRelativeError } from "../helpers/compare.js";
import { compare, engines, gradients, oracle, refuses, reportAfter } from "../helpers/op-tests.js";
import { type Inputs, type OpRun, randomTensor, runOp, type TensorData } from "../helpers/run-op.js";

reportAfter();

/** A kept tensor with these values, in the open scope. */
function stateOf(engine: Engine, name: string, { data, shape }: TensorData): StateTensor {
  const tensor = engine.stateTensor(shape, name);
  engine.record("copy", { length: tensor.size, xBegin: 0, yBegin: 0 }, { x: engine.tensor(data, shape), y: tensor });
  return tensor;
}

function runOf(x: TensorData, options: BatchNormOptions): OpRun {
  const channels = x.shape[1];
  const name = `${x.shape}`;
  return {
    inputs: {
      x,
      weight: randomTensor(`weight ${name}`, [channels]),
      bias: randomTensor(`bias ${name}`, [channels]),
    },
    forward: (t: Inputs, engine) => {
      const runningMean = stateOf(engine, "mean", randomTensor(`mean ${name}`, [channels]));
      const runningVar = stateOf(engine, "var", randomTensor(`var ${name}`, [channels], 0.5, 2));
      return batchNorm(t.x, { weight: t.weight, bias: t.bias, runningMean, runningVar }, options);
    },
    dy: randomTensor(`dy ${name}`, x.shape),
  };
}

// ---- kernels against the plain loops -----------------------------------------------------------------------------------

/** Around vectors of 4, grains of several channels, and chunks of 16384 elements of a channel. */
const SHAPES: readonly (readonly number[])[] = [
  [5, 1],
  [3, 5],
  [64, 7],
  [300, 70],
  [6, 3000],
  [16385, 3],
  [1, 1, 1, 5],
  [6, 3, 1, 1],
  [1, 9, 3, 3],
  [3, 2, 5, 7],
  [2, 33, 15, 17],
  [1, 1, 128, 128],
  [1, 2, 128, 129],
  [5, 3, 64, 64],
  [33, 2, 31, 33],
];

for (const shape of SHAPES) {
  for (const training of [true, false]) {
    compare("batchNorm", `x=[${shape}] ${training ? "training" : "evaluation"}`, () =>
      runOf(randomTensor(`x ${shape}`, shape, -2, 3), { training }),
    );
  }
}

for (const shift of [100, -1000]) {
  test(`batchNorm x=[4,3,17,19] around ${shift}: the variance loses no digits`, async () => {
    const shape = [4, 3, 17, 19];
    const x = { shape, data: randomTensor("x", shape).data.map((value) => value + shift) };
    const run = runOf(x, { training: true });
    const expected = await runOp(oracle, run);
    for (const engine of engines) {
      const { y, gradients: actual } = await runOp(engine, run);
      // The mean is rounded to float32: a shift by as much in units of the deviation, which is 0.58.
      const tolerance = (2 * Math.abs(shift) * 2 ** -24) / 0.58;
      assert.ok(maxRelativeError(y, expected.y) <= tolerance);
      assert.ok(maxRelativeError(actual.x, expected.gradients.x) <= tolerance);
      assert.ok(maxRelativeError(actual.weight, expected.gradients.weight) <= tolerance * 10);
    }
  });
}

test("batchNorm x=[4,2]: NaN reaches its channel, and no other", async () => {
  const x = { shape: [4, 2], data: Float32Array.of(1, 2, Number.NaN, 3, 4, 5, 6, 7) };
  for (const engine of [...engines, oracle]) {
    const { y } = await runOp(engine, runOf(x, { training: true }));
    assert.equal(
      [...y].map((value) => Number.isNaN(value)),
      [true, false, true, false, true, false, true, false],
    );
  }
});

// ---- finite differences ------------------------------------------------------------------------------------------------

for (const shape of [
  [4, 3],
  [2, 2, 3, 2],
]) {
  for (const options of [{ training: true }, { training: false }, { training: true, momentum: 1, eps: 0.5 }]) {
    gradients("batchNorm", `x=[${shape}] ${JSON.stringify(options)}`, () => runOf(randomTensor("x", shape), options));
  }
}

test("batchNorm x=[4,3]: only the gradients that are needed, to the same bits", async () => {
  const { data, shape } = randomTensor("x", [4, 3]);
  const { data: dy } = randomTensor("dy", [4, 3]);
  for (const training of [true, false]) {
    const full = await runOp(engines[0], { ...runOf({ data, shape }, { training }), dy: { shape, data: dy } });
    const engine = engines[0];
    const layer = new BatchNorm1d(engine, { numFeatures: 3 }).train(training);
    const expected = runOf({ data, shape }, { training }).inputs;
    await layer.weight.write(expected.weight.data);
    await layer.bias.write(expected.bias.data);
    await layer.runningMean.write(randomTensor(`mean ${shape}`, [3]).data);
    await layer.runningVar.write(randomTensor(`var ${shape}`, [3], 0.5, 2).data);
    // A plain input takes no gradient.
    await engine.scope(() => sum(mul(layer.forward(engine.tensor(data, shape)), engine.tensor(dy, shape))).backward());
    assert.equal(await layer.weight.grad?.values(), full.gradients.weight);
    assert.equal(await layer.bias.grad?.values(), full.gradients.bias);
  }
});

// ---- layers --------------------------------------------------------------------------------------------------------------

test("BatchNorm2d: names, initial values, parameters and buffers apart", async () => {
  const net = new Sequential({ norm: new BatchNorm2d(oracle, { numFeatures: 2 }) });
  const state = net.stateDict();
  assert.equal([...state.keys()], ["norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"]);
  assert.equal(
    net.parameters().map(({ name }) => name),
    ["norm.weight", "norm.bias"],
  );
  assert.is(state.get("norm.running_var")?.name, "norm.running_var");
  const values = await Promise.all([...state.values()].map((tensor) => tensor.read()));
  assert.equal(
    values.map((list) => [...list]),
    [
      [1, 1],
      [0, 0],
      [0, 0],
      [1, 1],
    ],
  );
});

test("BatchNorm1d: the running statistics of x=[4,2] by hand, over two steps, and none in evaluation", async () => {
  for (const engine of [...engines, oracle]) {
    const layer = new BatchNorm1d(engine, { numFeatures: 2, momentum: 0.5 });
    const step = (...values: number[]): Promise<unknown> => layer.forward(engine.tensor(values, [4, 2])).data();
    await step(1, 0, 2, 0, 3, 0, 6, 0);
    // Mean 3, unbiased variance 14/3; half of them and half of 0 and 1.
    const check = async (tensor: StateTensor, expected: readonly number[]): Promise<void> => {
      assert.ok(maxRelativeError(await tensor.values(), expected) < 1e-7, `${await tensor.values()}`);
    };
    await check(layer.runningMean, [1.5, 0]);
    await check(layer.runningVar, [0.5 + 7 / 3, 0.5]);
    await step(5, 1, 5, 1, 5, 1, 5, 1);
    await check(layer.runningMean, [3.25, 0.5]);
    await check(layer.runningVar, [0.25 + 7 / 6, 0.25]);
    layer.eval();
    await step(9, 9, 8, 7, 6, 5, 4, 3);
    await check(layer.runningMean, [3.25, 0.5]);
  }
});

test("BatchNorm2d: a scope that throws leaves the running statistics untouched, and the next step is as if it had not been", async () => {
  for (const engine of engines) {
    const [layer, twin] = [1, 2].map(() => new BatchNorm2d(engine, { numFeatures: 3 }));
    const { data, shape } = randomTensor("x", [2, 3, 4, 4]);
    const step = (which: BatchNorm2d): void => {
      const y = which.forward(engine.tensor(data, shape));
      sum(mul(y, y)).backward();
    };
    const failure = engine.scope(() => {
      step(layer);
      throw new Error("on purpose");
    });
    await rejects(failure, Error, "on purpose");
    assert.equal(await layer.runningMean.read(), new Float32Array(3));
    assert.equal(await layer.runningVar.read(), new Float32Array(3).fill(1));
    assert.is(layer.weight.grad, null);
    await engine.scope(() => step(layer));
    await engine.scope(() => step(twin));
    assert.equal(await layer.runningMean.read(), await twin.runningMean.read());
    assert.equal(await layer.runningVar.read(), await twin.runningVar.read());
    assert.not.equal(await layer.runningVar.read(), new Float32Array(3).fill(1));
  }
});

test("BatchNorm2d: evaluation and training in one scope each see the statistics of their moment", async () => {
  for (const engine of [...engines, oracle]) {
    const layer = new BatchNorm2d(engine, { numFeatures: 1, momentum: 1, eps: 1e-12 });
    const { before, after } = await engine.scope(() => {
      const x = engine.tensor([0, 2, 4, 6], [1, 1, 2, 2]);
      const evaluate = () => layer.eval().forward(engine.tensor([3, 4, 5, 6], [1, 1, 2, 2]));
      const first = evaluate();
      layer.train().forward(x);
      return { before: first, after: evaluate() };
    });
    assert.ok(maxRelativeError(await before.values(), [3, 4, 5, 6]) < 1e-6);
    // Mean 3, unbiased variance 20/3.
    const deviation = Math.sqrt(20 / 3);
    assert.ok(maxRelativeError(await after.values(), [0, 1 / deviation, 2 / deviation, 3 / deviation]) < 1e-6);
  }
});

test("BatchNorm2d: evaluated by inMode() between two steps of its training: the same weights and statistics", async () => {
  for (const engine of engines) {
    const results: Float32Array[][] = [];
    for (const between of [false, true]) {
      const net = new Sequential([new BatchNorm2d(engine, { numFeatures: 3 })]);
      const sgd = new SGD(net.parameters(), { lr: 0.1, momentum: 0.9 });
      for (let step = 0; step < 3; step++) {
        const { data, shape } = randomTensor(`step ${step}`, [2, 3, 4, 4]);
        await engine.scope(() => {
          const y = net.forward(engine.tensor(data, shape));
          net.zeroGrad();
          sum(mul(y, mul(y, y))).backward();
          sgd.step();
        });
        if (between) await inMode(net, false, () => net.forward(engine.tensor(data, shape))).data();
      }
      results.push(await Promise.all([...net.stateDict().values()].map((tensor) => tensor.read())));
    }
    assert.equal(results[0], results[1]);
  }
});

test("BatchNorm2d: backward in evaluation mode keeps the statistics it was recorded with", async () => {
  for (const engine of engines) {
    const layer = new BatchNorm2d(engine, { numFeatures: 2, momentum: 1 });
    const { data, shape } = randomTensor("x", [2, 2, 3, 3]);
    const evaluate = () => {
      const y = layer.eval().forward(engine.tensor(data, shape));
      return sum(mul(y, y));
    };
    await engine.scope(() => evaluate().backward());
    const expected = await layer.weight.grad?.read();
    layer.zeroGrad();
    await engine.scope(() => {
      const loss = evaluate();
      layer.train().forward(engine.tensor(data, shape));
      loss.backward();
    });
    assert.equal(await layer.weight.grad?.read(), expected);
  }
});

test("BatchNorm1d: an awaited loss can still be differentiated", async () => {
  for (const engine of engines) {
    const layer = new BatchNorm1d(engine, { numFeatures: 2 });
    const { data, shape } = randomTensor("x", [5, 2]);
    const y = layer.forward(engine.tensor(data, shape));
    const loss = sum(mul(y, mul(y, y)));
    await loss.item();
    loss.backward();
    const late = await layer.weight.grad?.read();
    layer.zeroGrad();
    await engine.scope(() => {
      const again = layer.forward(engine.tensor(data, shape));
      sum(mul(again, mul(again, again))).backward();
    });
    assert.equal(await layer.weight.grad?.read(), late);
  }
});

// ---- errors ------------------------------------------------------------------------------------------------------------

const layer = new BatchNorm1d(oracle, { numFeatures: 3 });
const { weight, bias, runningMean, runningVar } = layer;
const state = { weight, bias, runningMean, runningVar };
const x = (...shape: number[]) => oracle.tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
refuses(
  ShapeError,
  "batchNorm: x must have 2 or 4 dimensions, [batch, channels] or [batch, channels, height, width] (x [2,3,4]). Reshape it.",
  () => batchNorm(x(2, 3, 4), state, { training: true }),
);
refuses(ShapeError, "batchNorm: weight must have one value per channel, 4 (weight [3]). Give a tensor [4].", () =>
  batchNorm(x(2, 4), state, { training: true }),
);
refuses(
  ShapeError,
  "batchNorm: one value per channel has no variance (x [1,3]). Use a larger batch, or evaluation mode.",
  () => batchNorm(x(1, 3), state, { training: true }),
);
for (const [momentum, eps] of [
  [1.5, 1e-5],
  [0.1, 0],
  [Number.NaN, 1e-5],
]) {
  refuses(
    UsageError,
    `batchNorm: momentum must be from 0 to 1, eps positive (momentum ${momentum}, eps ${eps}). Change them.`,
    () => batchNorm(x(2, 3), state, { training: true, momentum, eps }),
  );
}
refuses(
  ShapeError,
  "BatchNorm: x must have 2 dimensions here (x [2,3,4,4]). Use the other layer, BatchNorm1d or BatchNorm2d.",
  () => layer.forward(x(2, 3, 4, 4)),
);
refuses(
  ShapeError,
  "BatchNorm: numFeatures must be an integer of at least 1 (numFeatures 0). Change numFeatures.",
  () => new BatchNorm2d(oracle, { numFeatures: 0 }),
);

test.run();
