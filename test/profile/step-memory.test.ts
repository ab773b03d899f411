/** What training steps need, from plans: the bytes that a real engine counts, and the batch at which a real one is full. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { createEngine, createPlanningEngine } from "#src/engine.js";
import { vgg } from "#src/models/vgg.js";
import type { VggConfigName } from "#src/models/vgg-config.js";
import type { Module } from "#src/nn/index.js";
import { recorder } from "#src/profile/net-profile.js";
import { largestFitting, largestTrainingBatch, type StepMemoryOptions, stepBytes } from "#src/profile/step-memory.js";

const GIB = 2 ** 30;
const MIB = 2 ** 20;

test("largestFitting: every limit, in few steps", async () => {
  for (const limit of [0, 1, 2, 3, 4, 5, 31, 32, 33, 1000, 40_000, 65_535, 65_536, 100_000]) {
    let asked = 0;
    const found = await largestFitting(async (batch) => {
      asked++;
      return batch <= limit ? 10 * batch : null;
    });
    const expected = Math.min(limit, 65_536);
    assert.equal(found, expected === 0 ? null : { batch: expected, peakBytes: 10 * expected });
    assert.ok(asked <= 2 * (Math.log2(expected + 1) + 1), `${limit}: ${asked}`);
  }
});

/** A small net with batch normalisation at 32x32. */
function smallNet(engine: Engine): Module {
  return vgg("A", { inputSize: 32, classes: 10, width: 1 / 8, classifier: [64], batchNorm: true }, engine);
}

function small(memoryMaxBytes: number, threads = 1): StepMemoryOptions {
  return {
    ...{ inputSize: 32, classes: 10, build: smallNet },
    createEngine: () => createPlanningEngine({ threads, memoryMaxBytes }),
  };
}

for (const [batch, threads] of [
  [1, 1],
  [7, 2],
  [64, 1],
]) {
  test(`A with batch norm at 32x32, batch ${batch}, ${threads} threads: the bytes of a real engine`, async () => {
    const engine = await createEngine({ threads });
    const what = { batch, inputSize: 32, classes: 10, train: true };
    await engine.scope(await recorder(smallNet(engine), what, engine));
    assert.is(await stepBytes(batch, small(GIB, threads)), engine.memory().peakBytes);
    await engine.close();
  });
}

test("a real engine of 12 MiB trains the largest batch, and not one picture more; the first picture is too much for 1 MiB", async () => {
  const memoryMaxBytes = 12 * MIB;
  const largest = await largestTrainingBatch(small(memoryMaxBytes));
  assert.ok(largest && largest.batch > 1 && largest.peakBytes <= memoryMaxBytes, JSON.stringify(largest));
  for (const [batch, fits] of [
    [largest.batch, true],
    [largest.batch + 1, false],
  ] as const) {
    const engine = await createEngine({ threads: 1, memoryMaxBytes });
    const record = await recorder(smallNet(engine), { batch, inputSize: 32, classes: 10, train: true }, engine);
    const error = await engine.scope(record).then(
      () => null,
      (reason: unknown) => reason,
    );
    if (fits) assert.is(error, null);
    else assert.match(String(error), "wasm: memory is full");
  }
  assert.is(await largestTrainingBatch(small(MIB)), null);
});

/** At 224x224 with 1000 classes, in all the memory that WebAssembly can address. */
function full(config: VggConfigName): StepMemoryOptions {
  return {
    ...{ inputSize: 224, classes: 1000 },
    build: (engine) => vgg(config, {}, engine),
    createEngine: () => createPlanningEngine({ threads: 2, memoryMaxBytes: 4 * GIB }),
  };
}

for (const config of ["A", "B", "C", "D", "E"] as const) {
  test(`a training step of ${config} at 224x224, batch 16, fits into 4 GiB; so does the largest batch, and no larger one`, async () => {
    const bytes = await stepBytes(16, full(config));
    assert.ok(bytes !== null && bytes < 3 * GIB, `${bytes}`);
    const largest = await largestTrainingBatch(full(config));
    assert.ok(largest !== null && largest.batch >= 32, JSON.stringify(largest));
    assert.is(await stepBytes(largest.batch, full(config)), largest.peakBytes);
    assert.is(await stepBytes(largest.batch + 1, full(config)), null);
  });
}

test("an engine that plans runs nothing: values are 0, and what was loaded counts", async () => {
  const engine = await createPlanningEngine({ threads: 1, memoryMaxBytes: GIB });
  const w = engine.parameter([100], "w");
  await w.writeFrom(async () => assert.unreachable("nothing is read"));
  assert.equal(await w.read(), new Float32Array(100));
  assert.is(engine.memory().usedBytes, 448);
  assert.is(engine.tier, null);
  await engine.close();
});

test.run();
