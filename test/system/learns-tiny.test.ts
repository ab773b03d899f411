/** A small VGG learns: three kinds of the drawn shapes, from nothing to nearly all of them right, on any number of threads. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type DataSplits, type Dataset, subset } from "#src/data/dataset.js";
import { shapes } from "#src/data/shapes.js";
import { createEngine } from "#src/engine.js";
import { vgg } from "#src/models/vgg.js";
import { oneCycle } from "#src/optim/index.js";
import { evaluate } from "#src/train/evaluate.js";
import type { TrainOptions } from "#src/train/train-options.js";
import { train } from "#src/train/trainer.js";

/** Disc, ring, hourglass: a net tells them apart soon. */
const CLASSES = [0, 5, 9];
const OPTIONS: TrainOptions = { epochs: 10, batch: 16, lr: 0.02, schedule: oneCycle(), augment: { flip: true } };
/** Chance is 1/3; 0.99 was measured. */
const MIN_TOP1 = 0.9;

/** The pictures of some classes, numbered from 0. */
function onlyClasses(dataset: Dataset, classes: readonly number[]): Dataset {
  const indices = Array.from(dataset.labels.keys()).filter((i) => classes.includes(dataset.labels[i]));
  const { labels, ...rest } = subset(dataset, indices);
  const classNames = classes.map((label) => dataset.classNames[label]);
  return { ...rest, classNames, labels: labels.map((label) => classes.indexOf(label)) };
}

function tinyShapes(): DataSplits<Dataset> {
  const { train, validation, test, notes } = shapes({ count: 2000, seed: 1 });
  const tiny = (dataset: Dataset): Dataset => onlyClasses(dataset, CLASSES);
  return { train: tiny(train), validation: tiny(validation), test: tiny(test), notes };
}

/** The loss of every step, and the accuracy on the test pictures before and after. */
async function learn(data: DataSplits<Dataset>, threads: number, classifier: readonly number[], options: TrainOptions) {
  const engine = await createEngine({ threads });
  const model = vgg("A", { classes: 3, inputSize: 32, width: 0.125, classifier, seed: 1 }, engine);
  const normalise = { mean: [128, 128, 128], std: [64, 64, 64] };
  const before = await evaluate(model, data.test, { batch: 100, normalise });
  const losses: number[] = [];
  for await (const record of train(model, data, { ...options, normalise })) {
    if (record.kind === "step") losses.push(record.loss);
  }
  const after = await evaluate(model, data.test, { batch: 100, normalise });
  await engine.close();
  return { losses, before, after };
}

const data = tinyShapes();

test(`A, width 0.125, x=[16,3,32,32], ${data.train.labels.length} pictures of 3 classes: over 90 % right after 10 epochs`, async () => {
  const { losses, before, after } = await learn(data, 2, [], OPTIONS);
  const mean = (values: number[]): number => values.reduce((sum, value) => sum + value) / values.length;
  const [first, last] = [mean(losses.slice(0, 10)), mean(losses.slice(-10))];
  console.log(
    `tiny shapes: loss ${first.toFixed(3)} -> ${last.toFixed(3)}, test accuracy ${before.top1.toFixed(3)} -> ${after.top1.toFixed(3)} ` +
      `on ${data.test.labels.length} pictures; chance is 0.333`,
  );
  assert.ok(after.top1 >= MIN_TOP1, `test accuracy ${after.top1}`);
  assert.ok(last < first / 3, `loss ${first} -> ${last}`);
});

test("with dropout: the same losses and accuracy, to the bit, a second time and on 1 thread", async () => {
  const short = { ...OPTIONS, epochs: 1 };
  const first = await learn(data, 2, [32], short);
  assert.equal(await learn(data, 2, [32], short), first);
  assert.equal(await learn(data, 1, [32], short), first);
});

test.run();
