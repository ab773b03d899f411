/** The warning about runs that learn nothing. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { pixelStatistics } from "#src/data/dataset.js";
import { shapes } from "#src/data/shapes.js";
import { createEngine } from "#src/engine.js";
import { vgg } from "#src/models/vgg.js";
import { normal } from "#src/nn/index.js";
import { DEAD_START_WINDOW, deadStart } from "#src/train/dead-start.js";
import { train } from "#src/train/trainer.js";

const losses = (loss: number, count = DEAD_START_WINDOW): number[] => Array(count).fill(loss);

test("ln(classes) after 200, 400 or 800 steps: a warning with its numbers", () => {
  for (const step of [200, 400, 800]) {
    const text = deadStart(step, losses(Math.LN10), 10) ?? "";
    assert.ok(
      text.startsWith(
        `train: nothing is being learnt (loss 2.303 after ${step} steps, guessing among 10 classes costs 2.303).`,
      ),
      text,
    );
  }
  assert.type(deadStart(200, losses(6.9078), 1000), "string");
});

test("no warning: another step, a lower or higher loss, too few losses, one class", () => {
  assert.is(deadStart(199, losses(Math.LN10), 10), null);
  assert.is(deadStart(200, losses(2.28), 10), null);
  assert.is(deadStart(200, losses(2.33), 10), null);
  assert.is(deadStart(200, losses(Math.LN10, DEAD_START_WINDOW - 1), 10), null);
  assert.is(deadStart(200, losses(0), 1), null);
});

test("net A with weights from a normal of std 0.01: the warning comes after step 200, and only then", async () => {
  const engine = await createEngine({ threads: 2 });
  const data = shapes({ count: 200 });
  const options = { classes: 10, inputSize: 32, width: 1 / 16, classifier: [16], seed: 1, init: normal(0.01) };
  const warnings: number[] = [];
  const run = train(vgg("A", options, engine), data, {
    epochs: 70,
    batch: 50,
    lr: 0.01,
    normalise: pixelStatistics(data.train),
  });
  for await (const record of run) {
    if (record.kind === "event") warnings.push(record.step);
    if (record.step === 210) break;
  }
  assert.equal(warnings, [200]);
  await engine.close();
});

test.run();
