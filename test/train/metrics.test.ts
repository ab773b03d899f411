/** Ranks, best classes, the confusion matrix and what is read from it. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ShapeError, UsageError } from "#src/core/errors.js";
import { Random } from "#src/core/random.js";
import { createEngine } from "#src/engine.js";
import { labelRank, labelsTensor } from "#src/ops/loss.js";
import { argmax, PredictionCounts, perClassAccuracy, rankOf, topConfusions } from "#src/train/metrics.js";

const NAN = Number.NaN;

test("argmax: the largest; of equal ones the first; -1 for none and for NaN", () => {
  assert.is(argmax([1, 3, 2]), 1);
  assert.is(argmax([2, 5, 5]), 1);
  assert.is(argmax([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]), 0);
  assert.is(argmax([0, Number.POSITIVE_INFINITY]), 1);
  assert.is(argmax([]), -1);
  assert.is(argmax([9, NAN, 1]), -1);
});

test("rankOf: how many are ahead; equal ones before the label are, NaN is", () => {
  assert.is(rankOf([1, 3, 2], 1), 0);
  assert.is(rankOf([1, 3, 2], 0), 2);
  assert.is(rankOf([5, 5, 5], 0), 0);
  assert.is(rankOf([5, 5, 5], 2), 2);
  assert.is(rankOf([9, NAN, 1], 0), 1);
  assert.is(rankOf([9, NAN, 1], 1), 2);
});

test("rankOf: a label that is no class", () => {
  for (const label of [3, -1, 0.5]) {
    assert.throws(
      () => rankOf([1, 2, 3], label),
      (error: unknown) =>
        error instanceof UsageError &&
        error.message === `rankOf: the label is not a class (label ${label}, classes 3). Use an integer from 0 to 2.`,
    );
  }
});

test("rankOf equals the kernel labelRank: logits=[40,7] with ties and NaN", async () => {
  const random = new Random(3, "ranks");
  const logits = Float32Array.from({ length: 40 * 7 }, () => random.integer(6));
  for (let i = 0; i < logits.length; i += 37) logits[i] = NAN;
  const labels = Array.from({ length: 40 }, () => random.integer(7));
  const engine = await createEngine({ threads: 1 });
  const ranks = await labelRank(engine.tensor(logits, [40, 7]), labelsTensor(engine, labels, 7)).data();
  assert.equal(
    labels.map((label, row) => rankOf(logits.subarray(row * 7, row * 7 + 7), label)),
    [...ranks],
  );
});

test("PredictionCounts: logits=[5,6] top-1, top-5, matrix, NaN", () => {
  const counts = new PredictionCounts(6);
  const rows = [
    [9, 1, 2, 3, 4, 5],
    [9, 1, 2, 3, 4, 5],
    [0, 9, 0, 0, 0, 0],
    [0, 1, 2, NAN, 4, 5],
  ];
  counts.add(Float32Array.from(rows.slice(0, 2).flat()), [0, 1]);
  counts.add(Float32Array.from(rows.slice(2).flat()), [5, 5]);
  assert.is(counts.pictures, 4);
  assert.is(counts.top1, 1);
  // Label 1 of row 2 and label 5 of row 3 are last; label 5 of row 4 has only the NaN ahead.
  assert.is(counts.top5, 2);
  assert.is(counts.undecided, 1);
  assert.is(counts.confusion[0], 1);
  assert.is(counts.confusion[1 * 6 + 0], 1);
  assert.is(counts.confusion[5 * 6 + 1], 1);
  assert.is(
    counts.confusion.reduce((sum, count) => sum + count, 0),
    3,
  );
});

test("PredictionCounts: sizes that do not fit count nothing", () => {
  const counts = new PredictionCounts(3);
  assert.throws(
    () => counts.add(new Float32Array(7), [0, 1]),
    (error: unknown) =>
      error instanceof ShapeError &&
      error.message ===
        "PredictionCounts.add: the logits are not rows x classes (logits [7], labels [2], classes 3). Pass one row of logits for each label.",
  );
  assert.throws(() => counts.add(new Float32Array(6), [0, 3]), /^rankOf: the label is not a class/);
  assert.is(counts.pictures, 0);
});

const COUNTS = Uint32Array.from([8, 2, 0, 2, 6, 2, 0, 0, 0]);
const NAMES = ["a", "b", "c"];

test("perClassAccuracy: counts=[3,3] with a class without pictures", () => {
  assert.equal(perClassAccuracy(COUNTS, NAMES), [
    { name: "a", pictures: 10, correct: 8, accuracy: 0.8 },
    { name: "b", pictures: 10, correct: 6, accuracy: 0.6 },
    { name: "c", pictures: 0, correct: 0, accuracy: null },
  ]);
});

test("topConfusions: counts=[3,3] equal ones in the order of the classes", () => {
  assert.equal(topConfusions(COUNTS, NAMES), [
    { truth: "a", predicted: "b", count: 2, share: 0.2 },
    { truth: "b", predicted: "a", count: 2, share: 0.2 },
    { truth: "b", predicted: "c", count: 2, share: 0.2 },
  ]);
  assert.is(topConfusions(COUNTS, NAMES, 1).length, 1);
  assert.equal(topConfusions(Uint32Array.of(1, 0, 5, 0), ["x", "y"])[0], {
    truth: "y",
    predicted: "x",
    count: 5,
    share: 1,
  });
});

test("perClassAccuracy, topConfusions: a matrix that is not square", () => {
  for (const [op, run] of [
    ["perClassAccuracy", perClassAccuracy],
    ["topConfusions", topConfusions],
  ] as const) {
    assert.throws(
      () => run(new Uint32Array(8), NAMES),
      (error: unknown) =>
        error instanceof ShapeError &&
        error.message ===
          `${op}: the counts are not classes x classes (counts [8], names [3]). Pass a square matrix and a name for each class.`,
    );
  }
});

test.run();
