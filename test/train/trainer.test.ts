/** train(): what it yields, how it ends, and that one seed gives the same bits. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { DivergedError, UsageError } from "#src/core/errors.js";
import type { Tensor } from "#src/core/tensor.js";
import { pixelStatistics } from "#src/data/dataset.js";
import { shapes } from "#src/data/shapes.js";
import { createEngine } from "#src/engine.js";
import { vgg } from "#src/models/vgg.js";
import { Linear, Module, ReLU, Sequential } from "#src/nn/index.js";
import { oneCycle } from "#src/optim/schedule.js";
import { evaluate } from "#src/train/evaluate.js";
import type { TrainRecord } from "#src/train/records.js";
import type { TrainOptions } from "#src/train/train-options.js";
import { train } from "#src/train/trainer.js";
import { rejects, weightsHash } from "../engine/nets.js";

const engine = await createEngine({ threads: 2 });
const data = shapes({ count: 200 });
const CLASSES = data.train.classNames.length;
const BATCH = 32;
const STEPS = Math.ceil(data.train.labels.length / BATCH);

function smallVgg(own: Engine = engine, seed = 1): Sequential {
  const options = { classes: CLASSES, inputSize: 32, width: 1 / 8, classifier: [16], dropout: 0.1, seed };
  return vgg("A", options, own);
}

const OPTIONS: TrainOptions = { epochs: 2, batch: BATCH, lr: 0.01 };

async function records(model: Sequential, options: TrainOptions): Promise<TrainRecord[]> {
  const all: TrainRecord[] = [];
  for await (const record of train(model, data, options)) all.push(record);
  return all;
}

test("records: a step record a step, an epoch record an epoch, with all their fields", async () => {
  const model = smallVgg();
  const all = await records(model, { ...OPTIONS, schedule: oneCycle() });
  const kinds = [...Array(STEPS).fill("step"), "epoch"];
  assert.equal(
    all.map(({ kind }) => kind),
    [...kinds, ...kinds],
  );
  let step = 0;
  for (const record of all) {
    if (record.kind === "step") step++;
    assert.is(record.step, step);
    assert.is(record.epoch, record.kind === "step" ? Math.ceil(step / STEPS) : step / STEPS);
    if (record.kind === "step") {
      assert.ok(record.imagesPerSecond > 0 && record.waitMs >= 0);
      assert.is(record.steps, STEPS);
      assert.ok(record.loss > 0 && Number.isFinite(record.loss));
      assert.ok(record.accuracy >= 0 && record.accuracy <= 1);
      assert.is(record.lr, 0.01 * oneCycle()(step - 1, 2 * STEPS, []));
      assert.ok(record.memoryBytes > 0);
    } else if (record.kind === "epoch") {
      assert.ok(record.imagesPerSecond > 0);
      const { valTop1, valTop5, valLoss, trainLoss, seconds } = record;
      assert.ok(0 <= valTop1 && valTop1 <= valTop5 && valTop5 <= 1);
      assert.ok(valLoss > 0 && trainLoss > 0 && seconds > 0);
      assert.is(model.training, true);
    }
  }
  const last = all[all.length - 1];
  if (last.kind !== "epoch") throw new Error("the last record is no epoch");
  const { top1, top5, loss } = await evaluate(model, data.validation, {
    batch: 7,
    normalise: pixelStatistics(data.train),
  });
  assert.equal([top1, top5], [last.valTop1, last.valTop5]);
  assert.ok(Math.abs(loss - last.valLoss) < 1e-5 * loss);
});

test("an epoch's loss is the mean over its pictures", async () => {
  const all = await records(smallVgg(), { ...OPTIONS, epochs: 1 });
  const count = data.train.labels.length;
  let sum = 0;
  for (const record of all) {
    if (record.kind === "step") sum += record.loss * Math.min(BATCH, count - (record.step - 1) * BATCH);
    else if (record.kind === "epoch") assert.ok(Math.abs(record.trainLoss - sum / count) < 1e-12);
  }
});

test("the loss falls in ten steps", async () => {
  const losses: number[] = [];
  for await (const record of train(smallVgg(), data, { ...OPTIONS, epochs: 3, lr: 0.02 })) {
    if (record.kind === "step") losses.push(record.loss);
    if (losses.length === 10) break;
  }
  const mean = (part: number[]): number => part.reduce((sum, loss) => sum + loss, 0) / part.length;
  assert.ok(mean(losses.slice(7)) < mean(losses.slice(0, 3)), losses.join(" "));
});

test("one seed, the same bits; another order, others", async () => {
  const hashOf = async (options: TrainOptions, own: Engine): Promise<string> => {
    const model = smallVgg(own);
    await records(model, options);
    return weightsHash(model);
  };
  const options: TrainOptions = { ...OPTIONS, epochs: 1, augment: { cropPadding: 2, flip: true } };
  const one = await createEngine({ threads: 1 });
  const first = await hashOf(options, engine);
  assert.is(await hashOf({ ...options, seed: 1 }, one), first);
  assert.is.not(await hashOf({ ...options, seed: 2 }, one), first);
});

test("leaving the loop early: the weights are those of that step, and the model can be used at once", async () => {
  const model = smallVgg();
  for await (const record of train(model, data, OPTIONS)) if (record.step === 2) break;
  const expected = smallVgg();
  let hash = "";
  for await (const record of train(expected, data, { ...OPTIONS, epochs: 2 })) {
    if (record.step === 2) hash = await weightsHash(expected);
    if (record.step === 3) break;
  }
  assert.is(await weightsHash(model), hash);
});

test("signal: ends after the current step, with the signal's reason", async () => {
  const stop = new AbortController();
  const seen: number[] = [];
  await rejects(
    async () => {
      for await (const { step } of train(smallVgg(), data, { ...OPTIONS, signal: stop.signal })) {
        seen.push(step);
        if (step === 2) stop.abort(new RangeError("Ctrl-C"));
      }
    },
    RangeError,
    "Ctrl-C",
  );
  assert.equal(seen, [1, 2]);
});

test("signal: aborted in the middle of a step, its record still comes; aborted before, no step runs", async () => {
  const stop = new AbortController();
  const running = train(smallVgg(), data, { ...OPTIONS, signal: stop.signal });
  const first = running.next();
  stop.abort(new RangeError("in the middle"));
  assert.is((await first).value?.step, 1);
  await rejects(running.next(), RangeError, "in the middle");
  await rejects(train(smallVgg(), data, { ...OPTIONS, signal: stop.signal }).next(), RangeError, "in the middle");
});

test("signal: ends the validation too", async () => {
  const stop = new AbortController();
  const kinds: string[] = [];
  await rejects(
    async () => {
      for await (const { kind, step } of train(smallVgg(), data, { ...OPTIONS, epochs: 1, signal: stop.signal })) {
        kinds.push(kind);
        if (step === STEPS) stop.abort(new RangeError("in the validation"));
      }
    },
    RangeError,
    "in the validation",
  );
  assert.equal(kinds, Array(STEPS).fill("step"));
});

test("evaluated while it trains: the same weights as alone, and evaluations without dropout", async () => {
  const alone = smallVgg();
  await records(alone, { ...OPTIONS, epochs: 1 });

  const model = smallVgg();
  const normalise = pixelStatistics(data.train);
  let training = true;
  const steps = records(model, { ...OPTIONS, epochs: 1 }).finally(() => {
    training = false;
  });
  let evaluations = 0;
  while (training) {
    await evaluate(model, data.validation, { batch: 5, normalise });
    evaluations++;
  }
  await steps;
  assert.ok(evaluations > 1, `${evaluations} evaluations`);
  assert.is(await weightsHash(model), await weightsHash(alone));

  // Nor does the mode that the caller sets meanwhile reach a step.
  const other = smallVgg();
  for await (const { kind } of train(other, data, { ...OPTIONS, epochs: 1 })) if (kind === "step") other.eval();
  assert.is(await weightsHash(other), await weightsHash(alone));
});

test("a model without parameters", async () => {
  const model = new Sequential([new ReLU()]);
  const rest = "the model has no parameters (parameters 0). Pass a model with a layer that has weights.";
  const options = { batch: 1, normalise: pixelStatistics(data.train) };
  await rejects(evaluate(model, data.validation, options), UsageError, `evaluate: ${rest}`);
  await rejects(records(model, OPTIONS), UsageError, `train: ${rest}`);
});

/** Has a weight, and fails in every step. */
class Failing extends Module {
  private readonly layer = new Linear(engine, { inFeatures: 1, outFeatures: 1 });

  override children(): ReadonlyMap<string, Module> {
    return new Map([["layer", this.layer]]);
  }

  override forward(_x: Tensor): Tensor {
    throw new RangeError("the step failed");
  }
}

test("the next batch fails while a step does: the batch's error, and no unhandled rejection", async () => {
  let reads = 0;
  const broken = {
    ...data.train,
    get images(): Uint8Array {
      if (++reads > 1) throw new RangeError("the batch failed");
      return data.train.images;
    },
  };
  const unhandled: unknown[] = [];
  const listen = (reason: unknown): void => {
    unhandled.push(reason);
  };
  process.on("unhandledRejection", listen);
  const options = { ...OPTIONS, normalise: pixelStatistics(data.train) };
  await rejects(train(new Failing(), { ...data, train: broken }, options).next(), RangeError, "the batch failed");
  await new Promise((resolve) => setTimeout(resolve, 10));
  process.off("unhandledRejection", listen);
  assert.equal(unhandled, []);
});

test("a loss that is not finite: DivergedError with the step, the rate, and what to try", async () => {
  await rejects(
    records(smallVgg(), { ...OPTIONS, lr: 1e6 }),
    DivergedError,
    /^train: the loss is not a finite number \(loss (NaN|Infinity), step [2-9], lr 1000000\)\. Try a smaller learning rate \(a tenth\), and check that the pictures are normalised\.$/,
  );
  const infinite = { mean: [0, 0, 0], std: [1e-38, 1e-38, 1e-38] };
  await rejects(
    records(smallVgg(), { ...OPTIONS, normalise: infinite }),
    DivergedError,
    /^train: the loss is not a finite number \(loss NaN, step 1, lr 0\.01\)\./,
  );
});

test("options out of range", async () => {
  const cases: [Partial<TrainOptions>, string | RegExp][] = [
    [{ epochs: 0 }, "train: epochs must be a positive whole number (epochs 0). Change it."],
    [{ epochs: 1.5 }, "train: epochs must be a positive whole number (epochs 1.5). Change it."],
    [{ batch: 0 }, "train: batch must be a positive whole number (batch 0). Change it."],
    [{ lr: -1 }, "SGD: lr must be a number of at least 0 (lr -1). Change it."],
    [{ lr: NaN }, "SGD: lr must be a number of at least 0 (lr NaN). Change it."],
    [{ momentum: -1 }, "SGD: momentum must be a number of at least 0 (momentum -1). Change it."],
    [{ seed: -1 }, /seed/],
  ];
  const model = smallVgg();
  for (const [change, text] of cases) await rejects(records(model, { ...OPTIONS, ...change }), UsageError, text);
});

test("pictures of another size than the net's: the error names the layer's shapes", async () => {
  const model = vgg("A", { classes: CLASSES, inputSize: 64, width: 1 / 32, classifier: [] }, engine);
  await rejects(records(model, OPTIONS), Error, /^linear: .*\[32,16\].*\[10,64\]/);
});

test("evaluate: the model's mode stays, also when it is stopped; tops of a batch of 1", async () => {
  const model = smallVgg();
  const options = { batch: 1, normalise: pixelStatistics(data.train) };
  const { top1, top5, loss } = await evaluate(model, data.validation, options);
  assert.ok(top1 <= top5 && loss > 0);
  assert.ok(model.training);
  await rejects(
    evaluate(model, data.validation, { ...options, signal: AbortSignal.abort(new RangeError("stop")) }),
    RangeError,
    "stop",
  );
  assert.ok(model.training);
  await evaluate(model.eval(), data.validation, options);
  assert.not(model.training);
});

test.run();
