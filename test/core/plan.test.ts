/** How much memory programs get: what shares slots, and what is written over its input. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import type { Tensor } from "#src/core/tensor.js";
import { add, conv2d, dropout, maxPool2d, relu, scale, sum, tanh } from "#src/ops/index.js";
import { values } from "../engine/nets.js";
import { planningEngine } from "../helpers/plans.js";

const LENGTH = 64;
const BYTES = 4 * LENGTH;
/** What a value of one element takes. */
const UNIT = 64;

/** The memory of the program that computes what `record` returns. */
async function memoryOf(record: (x: Tensor, engine: Engine) => unknown): Promise<number | undefined> {
  const { engine, plans } = planningEngine();
  await engine.scope(() => {
    record(engine.tensor(values(LENGTH), [1, 1, 8, 8]), engine);
  });
  return plans.at(-1)?.sizeBytes;
}

const random = { key0: 1, key1: 2, counter: 3 };

test("a chain of element-wise operations needs the memory of its input", async () => {
  assert.is(await memoryOf((x) => add(scale(dropout(tanh(relu(x)), { p: 0.5, random }), 2), x)), 2 * BYTES);
  assert.is(await memoryOf((x) => scale(dropout(tanh(relu(x)), { p: 0.5, random }), 2)), BYTES);
  assert.is(await memoryOf((x) => add(x, x)), BYTES);
});

test("of two inputs the one that ends is written over", async () => {
  assert.is(
    await memoryOf((x) => {
      const y = scale(x, 2);
      return add(add(x, y), y);
    }),
    2 * BYTES,
  );
});

test("what is kept, returned or awaited is not written over", async () => {
  assert.is(await memoryOf((x) => relu(scale(x, 2)).keep()), BYTES);
  assert.is(await memoryOf((x) => relu(scale(x, 2).keep())), BYTES);

  const { engine, plans } = planningEngine();
  const x = engine.tensor(values(LENGTH), [LENGTH]);
  const [y, z] = [scale(x, 2), scale(x, 3)];
  const [a, b] = [relu(y), relu(z)];
  const read = await Promise.all([y.data(), a.data(), b.data()]);
  assert.is(plans.at(-1)?.sizeBytes, 3 * BYTES);
  assert.equal(
    read[0],
    values(LENGTH).map((value) => 2 * value),
  );
  assert.equal(
    read[1],
    read[0].map((value) => Math.max(value, 0)),
  );
  assert.equal(
    read[2],
    values(LENGTH).map((value) => Math.max(Math.fround(3 * value), 0)),
  );
});

test("a convolution, a pool, a sum and a call that reads a value in two roles keep their inputs", async () => {
  const weight = (x: Tensor): Tensor => x.engine.tensor([1], [1, 1, 1, 1]);
  assert.is(await memoryOf((x) => conv2d(x, weight(x))), UNIT + 2 * BYTES);
  assert.is(await memoryOf((x) => maxPool2d(x, { kernelSize: 1 })), 2 * BYTES);
  assert.is(await memoryOf((x) => sum(x)), UNIT + BYTES);
  const norm = { batch: 1, channels: LENGTH, plane: 1 };
  const record = (x: Tensor, engine: Engine, weightIs: Tensor): void => {
    const [mean, invStd] = [0, 1].map((seed) => engine.tensor(values(LENGTH, seed), [LENGTH]));
    engine.record("batchNormForward", norm, {
      x,
      mean,
      invStd,
      weight: weightIs,
      bias: null,
      y: engine.emptyTensor([LENGTH]),
    });
  };
  assert.is(await memoryOf((x, engine) => record(x, engine, engine.tensor(values(LENGTH), [LENGTH]))), 4 * BYTES);
  assert.is(await memoryOf((x, engine) => record(x, engine, x)), 4 * BYTES);
});

test("steps(): every value has its own memory", async () => {
  const { engine, plans } = planningEngine();
  for await (const { op } of engine.steps(() => scale(relu(engine.tensor(values(LENGTH), [LENGTH])), 2))) assert.ok(op);
  assert.is(plans.at(-1)?.sizeBytes, 3 * BYTES);
});

test.run();
