/** The folder of a run: nothing is overwritten, a cut line is left out, a damaged checkpoint is passed over. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError, WeightsError } from "#src/core/errors.js";
import { pixelStatistics } from "#src/data/dataset.js";
import { shapes } from "#src/data/shapes.js";
import { createEngine } from "#src/engine.js";
import { vgg } from "#src/models/vgg.js";
import { loadCheckpoint } from "#src/runs/checkpoint.js";
import { keepRun } from "#src/runs/keep-run.js";
import { RunFolder } from "#src/runs/run-folder.js";
import type { EpochRecord } from "#src/train/records.js";
import { TrainingRun } from "#src/train/training-run.js";
import { rejects, weightsHash } from "../engine/nets.js";

const place = mkdtempSync(path.join(tmpdir(), "verydeep-runs-"));
const engine = await createEngine({ threads: 1 });
const data = shapes({ count: 100 });
const normalise = pixelStatistics(data.train);

function runOf(batchNorm = false): TrainingRun {
  const options = { classes: 10, inputSize: 32, width: 1 / 32, classifier: [8], seed: 3, batchNorm };
  return new TrainingRun(vgg("A", options, engine), data, {
    epochs: 2,
    batch: 32,
    microBatch: 16,
    lr: 0.01,
    normalise,
  });
}

const KEEP = { everySteps: 1, everySeconds: 0, keep: 3, saveWeights: async () => {}, report: async () => {} };
const epoch: EpochRecord = {
  kind: "epoch",
  epoch: 1,
  step: 3,
  trainLoss: 1,
  valTop1: 0.5,
  valTop5: 1,
  valLoss: 1,
  lr: 0.1,
  imagesPerSecond: 1,
  seconds: 1,
};

test("a new run takes the next free name; a folder that was only begun is used", async () => {
  const wanted = path.join(place, "deep", "name");
  assert.is((await RunFolder.create(wanted, { a: 1 })).path, wanted);
  assert.is((await RunFolder.create(wanted, {})).path, `${wanted}-2`);
  assert.is((await RunFolder.create(wanted, {})).path, `${wanted}-3`);
  const begun = path.join(place, "begun");
  mkdirSync(path.join(begun, "checkpoints"), { recursive: true });
  writeFileSync(path.join(begun, ".config.json.1-0.tmp"), "{");
  assert.is((await RunFolder.create(begun, {})).path, begun);
  assert.is((await RunFolder.open(wanted)).config.a, 1);
  assert.equal((await RunFolder.open(wanted)).section("nothing"), {});
});

test("a folder that is no run's", async () => {
  const missing = path.join(place, "missing");
  await rejects(
    RunFolder.open(missing),
    UsageError,
    `run folder: there is no run to go on with (folder ${missing}, ENOENT config.json). Name the folder of an earlier run.`,
  );
  const other = path.join(place, "other");
  mkdirSync(other);
  for (const text of ["", "{", "[]", '{"format":"x"}']) {
    writeFileSync(path.join(other, "config.json"), text);
    await rejects(
      RunFolder.open(other),
      UsageError,
      `run folder: config.json is not of a training run (folder ${other}). Name the folder of an earlier run.`,
    );
  }
  const file = path.join(place, "file");
  writeFileSync(file, "");
  assert.is((await RunFolder.create(file, {})).path, `${file}-2`);
});

test("records: in order, without a last line that was cut, and without what comes after a checkpoint", async () => {
  const folder = await RunFolder.create(path.join(place, "records"), {});
  const event = { kind: "event", name: "rate", epoch: 1, step: 3, text: "drop" } as const;
  for (const step of [1, 2, 3]) folder.append({ ...event, name: "picture", step });
  folder.append(epoch);
  folder.append(event);
  appendFileSync(folder.file("records.jsonl"), '{"kind":"step","epoch":2,"st');
  assert.equal(
    await folder.records(),
    [1, 2, 3].map((step) => ({ ...event, name: "picture", step })).concat([epoch as never, event as never]),
  );
  // The step is done, the epoch's validation is not.
  await folder.truncateRecords({ step: 3, epoch: 0 });
  assert.equal(
    (await folder.records()).map(({ kind, step }) => [kind, step]),
    [
      ["event", 1],
      ["event", 2],
      ["event", 3],
    ],
  );
  folder.append(epoch);
  assert.is((await folder.records()).length, 4);
  await folder.truncateRecords({ step: 1, epoch: 0 });
  assert.is((await folder.records()).length, 1);
});

for (const batchNorm of [false, true]) {
  test(`taken up from each checkpoint, parts of steps included: the same weights and records (batchNorm ${batchNorm})`, async () => {
    const folder = await RunFolder.create(path.join(place, `whole-${batchNorm}`), {});
    const whole = runOf(batchNorm);
    const copies: string[] = [];
    for await (const record of keepRun(whole, folder, { ...KEEP, signal: new AbortController().signal })) {
      if (record.kind === "event" || !existsSync(folder.file("records.jsonl"))) continue;
      const copy = path.join(place, `copy-${batchNorm}-${copies.length}`);
      copies.push(copy);
      await copyTo(copy, folder, whole);
    }
    const hash = await weightsHash(whole.model);
    const expected = (await folder.records()).map(({ kind, step }) => [kind, step]);
    for (const copy of copies) {
      const opened = await RunFolder.open(copy);
      const run = runOf(batchNorm);
      assert.is(await opened.restore(run, assert.unreachable), true);
      for await (const _ of keepRun(run, opened, { ...KEEP, signal: new AbortController().signal }));
      assert.is(await weightsHash(run.model), hash, copy);
      assert.equal(
        (await opened.records()).map(({ kind, step }) => [kind, step]),
        expected,
      );
    }
  });
}

/** Copies what is on disk of a run, with a checkpoint of this very moment. */
async function copyTo(target: string, folder: RunFolder, run: TrainingRun): Promise<void> {
  const copy = await RunFolder.create(target, {});
  writeFileSync(copy.file("records.jsonl"), readFileSync(folder.file("records.jsonl")));
  await copy.saveCheckpoint(run, 1);
}

test("keeps so many checkpoints; a damaged one is named and put aside", async () => {
  const folder = await RunFolder.create(path.join(place, "damaged"), {});
  const run = runOf();
  let count = 0;
  for await (const _ of keepRun(run, folder, { ...KEEP, signal: new AbortController().signal }))
    if (++count === 8) break;
  const files = await folder.checkpoints();
  assert.is(files.length, 3);
  assert.is(readdirSync(path.dirname(files[0])).length, 3);
  truncateSync(files[0], 2000);
  writeFileSync(files[1], "no checkpoint");
  const told: string[] = [];
  const again = runOf();
  assert.is(await folder.restore(again, (message) => told.push(message)), true);
  assert.is(told.length, 2);
  assert.ok(
    told.every((message, i) => message.includes(files[i])),
    told.join("\n"),
  );
  assert.is(again.progress.step, run.progress.step - 2);
  // What goes on writes checkpoints of smaller numbers than the damaged ones had, and keeps them.
  const resumed: string[] = [];
  for await (const record of keepRun(again, folder, { ...KEEP, keep: 1, signal: new AbortController().signal })) {
    if (record.kind !== "step") continue;
    resumed.push(path.basename((await folder.checkpoints())[0]));
    break;
  }
  assert.equal(resumed, [`step-${String(again.progress.step).padStart(8, "0")}.safetensors`]);
  assert.is(readdirSync(path.dirname(files[0])).filter((name) => name.endsWith(".damaged")).length, 2);
});

test("all checkpoints damaged, or one that is whole but of another net: an error, and nothing changes on disk", async () => {
  const folder = await RunFolder.create(path.join(place, "untouched"), {});
  const run = runOf();
  for await (const record of keepRun(run, folder, { ...KEEP, signal: new AbortController().signal })) {
    if (record.step === 2 && record.kind === "step") break;
  }
  const files = await folder.checkpoints();
  const before = readFileSync(folder.file("records.jsonl"), "utf8");
  await rejects(folder.restore(runOf(true), assert.unreachable), WeightsError, /^loadState: .* lacks /);
  for (const file of files) truncateSync(file, 100);
  await rejects(folder.restore(runOf(), assert.unreachable), WeightsError, /^run folder: all checkpoints are damaged /);
  assert.equal(await folder.checkpoints(), files);
  assert.is(readFileSync(folder.file("records.jsonl"), "utf8"), before);
});

test("a checkpoint of another net, a weights file", async () => {
  const folder = await RunFolder.create(path.join(place, "strange"), {});
  const file = await folder.saveCheckpoint(runOf(), 1);
  const other = runOf(true);
  await rejects(
    loadCheckpoint(file, other),
    WeightsError,
    /^loadState: .* lacks \d+ tensors of the net \(missing model.features.1.weight/,
  );
  const { saveModel } = await import("#src/io/checkpoint.js");
  const weights = folder.file("weights.safetensors");
  await saveModel(weights, runOf().model, {
    config: "A",
    batchNorm: false,
    classes: ["a"],
    inputSize: 32,
    width: 1,
    classifier: [],
    dropout: 0,
    ...normalise,
  });
  await rejects(
    loadCheckpoint(weights, runOf()),
    WeightsError,
    `loadCheckpoint: ${weights} is no checkpoint of this version (format verydeep-vgg, version 1). Use an older checkpoint of the run, or begin anew.`,
  );
});

test("an interrupted run leaves a checkpoint of where it stopped, in the middle of a step", async () => {
  const folder = await RunFolder.create(path.join(place, "interrupted"), {});
  const run = runOf();
  const stop = new AbortController();
  let thrown: unknown;
  try {
    for await (const record of keepRun(run, folder, { ...KEEP, everySteps: 0, signal: stop.signal })) {
      if (record.kind === "micro") stop.abort();
    }
  } catch (error) {
    thrown = error;
  }
  assert.is(thrown, stop.signal.reason);
  const [file] = await folder.checkpoints();
  assert.is(path.basename(file), "step-00000000.000016.safetensors");
  const again = runOf();
  await folder.restore(again, assert.unreachable);
  assert.equal([again.progress.pictures, again.progress.step], [16, 0]);
  assert.ok(existsSync(file));
});

test.after(async () => {
  await engine.close();
  rmSync(place, { recursive: true, force: true });
});

test.run();
