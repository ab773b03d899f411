/** TrainingRun: micro-batches give the gradient of the whole, and a run that is taken up again ends with the same bits. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { UsageError } from "#src/core/errors.js";
import { Random } from "#src/core/random.js";
import type { Tensor } from "#src/core/tensor.js";
import { pixelStatistics } from "#src/data/dataset.js";
import { shapes } from "#src/data/shapes.js";
import { createEngine } from "#src/engine.js";
import { vgg } from "#src/models/vgg.js";
import { Linear, Module } from "#src/nn/index.js";
import { add, flatten } from "#src/ops/index.js";
import { Adam } from "#src/optim/adam.js";
import { plateau } from "#src/optim/schedule.js";
import { SGD } from "#src/optim/sgd.js";
import type { EpochRecord, EventRecord, StepRecord, TrainRecord } from "#src/train/records.js";
import type { TrainOptions } from "#src/train/train-options.js";
import { TrainingRun } from "#src/train/training-run.js";
import { throws, weightsHash } from "../engine/nets.js";
import { maxRelativeError } from "../helpers/compare.js";

const engine = await createEngine({ threads: 2 });
const data = shapes({ count: 200 });
const normalise = pixelStatistics(data.train);
const CLASSES = data.train.classNames.length;
/** 150 pictures to learn: two steps of 64 and one of 22. */
const OPTIONS: TrainOptions & { normalise: typeof normalise } = { epochs: 2, batch: 64, lr: 0.01, normalise };

function net(own: Engine = engine, batchNorm = false): Module {
  const options = {
    classes: CLASSES,
    inputSize: 32,
    width: 1 / 16,
    classifier: [16],
    dropout: 0.5,
    seed: 3,
    batchNorm,
  };
  return vgg("A", options, own);
}

function runOf(options: Partial<TrainOptions> = {}, model = net()): TrainingRun {
  return new TrainingRun(model, data, { ...OPTIONS, ...options, normalise });
}

async function recordsOf(run: TrainingRun): Promise<TrainRecord[]> {
  const records: TrainRecord[] = [];
  for await (const record of run.records()) records.push(record);
  return records;
}

const steps = (records: readonly TrainRecord[]): StepRecord[] =>
  records.filter((record): record is StepRecord => record.kind === "step");
const events = (records: readonly TrainRecord[]): EventRecord[] =>
  records.filter((record): record is EventRecord => record.kind === "event");

/** Copies everything that a checkpoint holds from one run to another. */
async function moveTo(run: TrainingRun, from: TrainingRun): Promise<void> {
  const values = new Map<string, Float32Array>();
  for (const [name, tensor] of from.tensors()) values.set(name, await tensor.read());
  run.restore(from.progress, values.keys());
  const tensors = run.tensors();
  assert.equal([...tensors.keys()].sort(), [...values.keys()].sort());
  for (const [name, tensor] of tensors) await tensor.write(values.get(name) ?? new Float32Array());
  for (const [name, counter] of run.counters()) counter.value = from.counters().get(name)?.value ?? -1;
}

test("micro-batches: the records of a step of 64 in parts of 8", async () => {
  const records = await recordsOf(runOf({ epochs: 1, microBatch: 8 }));
  const kinds = [...Array(7).fill("micro"), "step"];
  assert.equal(
    records.map(({ kind }) => kind),
    [...kinds, ...kinds, "micro", "micro", "step", "epoch"],
  );
  const done = records.flatMap((record) => (record.kind === "micro" ? [[record.pictures, record.stepPictures]] : []));
  const whole = [8, 16, 24, 32, 40, 48, 56].map((pictures) => [pictures, 64]);
  assert.equal(done, [...whole, ...whole, [8, 22], [16, 22]]);
});

test("the paper's batch: loss and gradients of 256 pictures as 16 parts of 16, and in other parts, as at once", async () => {
  const many = shapes({ count: 400 });
  // The rounding errors of large tiles would hide that the parts add up.
  const exact = await createEngine({ threads: 2, convAlgorithm: "exact" });
  const gradientsOf = async (microBatch: number): Promise<{ loss: number; gradients: Map<string, Float32Array> }> => {
    // No dropout: its masks differ from part to part.
    const options = { classes: CLASSES, inputSize: 32, width: 1 / 16, classifier: [16], dropout: 0, seed: 3 };
    const model = vgg("A", options, exact);
    // A run forgets the gradients of a step; this is its first one.
    const optimiser = (): SGD => Object.assign(new SGD(model.parameters(), { lr: 0 }), { zeroGrad() {} });
    const run = new TrainingRun(model, many, { ...OPTIONS, batch: 256, microBatch, lr: 0, optimiser });
    for await (const record of run.records()) {
      if (record.kind !== "step") continue;
      const gradients = new Map<string, Float32Array>();
      for (const parameter of model.parameters()) {
        if (parameter.grad === null) throw new Error(`${parameter.name} has no gradient`);
        gradients.set(parameter.name, await parameter.grad.read());
      }
      return { loss: record.loss, gradients };
    }
    throw new Error("no step");
  };
  const whole = await gradientsOf(256);
  let worst = 0;
  for (const microBatch of [16, 1, 128]) {
    const parts = await gradientsOf(microBatch);
    assert.ok(Math.abs(parts.loss - whole.loss) < 1e-6 * whole.loss);
    for (const [name, expected] of whole.gradients) {
      const error = maxRelativeError(parts.gradients.get(name) ?? [], expected);
      assert.ok(error <= 1e-6, `${name}, parts of ${microBatch}: relative error ${error.toExponential(2)}`);
      worst = Math.max(worst, error);
    }
  }
  await exact.close();
  console.log(`  accumulation: worst relative error ${worst.toExponential(1)}`);
});

test("micro-batch: must divide the batch", () => {
  for (const [microBatch, better] of [
    [48, 32],
    [0, 1],
    [128, 64],
    [2.5, 2],
  ]) {
    throws(
      () => runOf({ microBatch }),
      UsageError,
      `train: microBatch must divide the batch (microBatch ${microBatch}, batch 64). Use ${better}, for example.`,
    );
  }
});

const VARIANTS: readonly (readonly [name: string, options: Partial<TrainOptions>, batchNorm: boolean])[] = [
  ["SGD with momentum and dropout, moved and mirrored", { augment: { cropPadding: 2, flip: true } }, false],
  ["batch normalisation, parts of 32", { microBatch: 32 }, true],
  [
    "Adam, plateau",
    { optimiser: (model) => new Adam(model.parameters(), { lr: 0.001 }), schedule: plateau({ patience: 1 }) },
    false,
  ],
];

for (const [name, options, batchNorm] of VARIANTS) {
  test(`taken up after each record, on another engine: the bits of a run that was never stopped (${name})`, async () => {
    const whole = runOf(options, net(engine, batchNorm));
    const expected = await recordsOf(whole);
    const hash = await weightsHash(whole.model);
    const one = await createEngine({ threads: 1 });
    for (let stop = 1; stop < expected.length; stop++) {
      const first = runOf(options, net(engine, batchNorm));
      let count = 0;
      for await (const _ of first.records()) if (++count === stop) break;
      const second = runOf(options, net(one, batchNorm));
      await moveTo(second, first);
      const rest = await recordsOf(second);
      assert.is(await weightsHash(second.model), hash, `stopped after ${stop} records`);
      const losses = (records: readonly TrainRecord[]): number[] => steps(records).map(({ loss }) => loss);
      assert.equal(losses(rest), losses(expected.slice(stop)));
      const epochs = (records: readonly TrainRecord[]): number[][] =>
        records
          .filter((record): record is EpochRecord => record.kind === "epoch")
          .map(({ epoch, trainLoss, valTop1, valLoss, lr }) => [epoch, trainLoss, valTop1, valLoss, lr]);
      assert.equal(epochs(rest), epochs(expected.slice(stop)));
    }
    await one.close();
  });
}

/** A root that is no Sequential, with a part that no loss reaches. */
class Branched extends Module {
  private readonly parts: ReadonlyMap<string, Linear>;

  constructor(own: Engine) {
    super();
    const layer = (outFeatures: number, label: string): Linear =>
      new Linear(own, { inFeatures: 3072, outFeatures, random: new Random(1, label) });
    this.parts = new Map([
      ["left", layer(CLASSES, "left")],
      ["right", layer(CLASSES, "right")],
      ["unused", layer(2, "unused")],
    ]);
  }

  override children(): ReadonlyMap<string, Module> {
    return this.parts;
  }

  override forward(x: Tensor): Tensor {
    const flat = flatten(x);
    const [left, right] = ["left", "right"].map((name) => this.parts.get(name)?.forward(flat));
    if (!left || !right) throw new Error("a part is missing");
    return add(left, right);
  }
}

test("a root that is no Sequential, a part without gradients: names of their own, saved in mid-step, the same bits", async () => {
  const options = { epochs: 1, microBatch: 32, lr: 0.001 };
  const whole = runOf(options, new Branched(engine));
  const expected = await recordsOf(whole);
  const hash = await weightsHash(whole.model);
  for (let stop = 1; stop < expected.length; stop++) {
    const first = runOf(options, new Branched(engine));
    let count = 0;
    for await (const _ of first.records()) if (++count === stop) break;
    const names = [...first.tensors().keys()];
    assert.is(names.filter((name) => name.startsWith("optimiser.")).length, 6);
    assert.equal(
      names.filter((name) => name.startsWith("grad.")),
      first.progress.pictures > 0 ? ["grad.left.weight", "grad.left.bias", "grad.right.weight", "grad.right.bias"] : [],
    );
    const second = runOf(options, new Branched(engine));
    await moveTo(second, first);
    await recordsOf(second);
    assert.is(await weightsHash(second.model), hash, `stopped after ${stop} records`);
  }
});

test("a memory too small for the batch: smaller parts, told once, and the bits of a run that was given them", async () => {
  const small = await createEngine({ threads: 1, memoryMaxBytes: 4 * 2 ** 20 });
  const run = runOf({ epochs: 1 }, net(small));
  const told = events(await recordsOf(run));
  const { microBatch } = run.progress;
  assert.ok(microBatch < 64 && 64 % microBatch === 0, `${microBatch}`);
  assert.is(told.at(-1)?.name, "micro-batch");
  assert.match(told.at(-1)?.text ?? "", `each step adds up the gradients of parts of ${microBatch}`);
  const other = runOf({ epochs: 1, microBatch });
  await recordsOf(other);
  assert.is(await weightsHash(run.model), await weightsHash(other.model));
  await small.close();
});

test("plateau: an event tells of each drop, and stop ends the run", async () => {
  const run = runOf({
    epochs: 20,
    lr: 1e-9,
    schedule: plateau({ patience: 1, drops: 2 }),
    stop: (validation) => validation.length === 5,
  });
  const records = await recordsOf(run);
  assert.is(records.filter(({ kind }) => kind === "epoch").length, 5);
  assert.equal(
    events(records).map(({ name, epoch, text }) => [name, epoch, text]),
    [
      ["rate", 2, "validation stopped improving: learning rate 1e-9 -> 1e-10"],
      ["rate", 3, "validation stopped improving: learning rate 1e-10 -> 1e-11"],
    ],
  );
});

test.after(() => engine.close());

test.run();
