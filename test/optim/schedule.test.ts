import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import { constant, cosine, oneCycle, plateau, plateauEnded, stepDecay, warmUp } from "#src/optim/schedule.js";
import { throws } from "../engine/nets.js";

test("constant: 1 at every step", () => {
  assert.equal([constant(0, 10, []), constant(9, 10, [])], [1, 1]);
});

test("oneCycle: 1/25 at the start, 1 after the warm-up, near 0 at the end; up, then down", () => {
  const schedule = oneCycle(0.25);
  const factors = Array.from({ length: 100 }, (_, step) => schedule(step, 100, []));
  assert.ok(Math.abs(factors[0] - 0.04) < 1e-12);
  assert.ok(Math.abs(factors[25] - 1) < 1e-12);
  assert.ok(factors[99] > 0 && factors[99] < 1e-3);
  for (let step = 1; step < 100; step++) {
    assert.ok(step <= 25 ? factors[step] > factors[step - 1] : factors[step] < factors[step - 1], `step ${step}`);
  }
});

test("oneCycle: runs of 1 and 2 steps have positive rates", () => {
  for (const total of [1, 2]) {
    for (let step = 0; step < total; step++) {
      const factor = oneCycle()(step, total, []);
      assert.ok(factor > 0 && factor <= 1, `step ${step} of ${total}: ${factor}`);
    }
  }
});

test("oneCycle: warmup is a share", () => {
  for (const warmup of [0, 1]) assert.ok(oneCycle(warmup)(0, 10, []) > 0);
  for (const warmup of [-0.1, 1.1, NaN]) {
    const text = `oneCycle: warmup must be a number from 0 to 1 (warmup ${warmup}). Change warmup.`;
    throws(() => oneCycle(warmup), UsageError, text);
  }
});

test("cosine: from 1 to least, half-way in the middle", () => {
  const schedule = cosine(0.2);
  for (const [step, factor] of [
    [0, 1],
    [50, 0.6],
    [100, 0.2],
  ]) {
    assert.ok(Math.abs(schedule(step, 100, []) - factor) < 1e-12, `step ${step}`);
  }
  for (const least of [-0.1, 1.1, NaN]) {
    throws(
      () => cosine(least),
      UsageError,
      `cosine: least must be a number from 0 to 1 (least ${least}). Change least.`,
    );
  }
});

test("stepDecay: drops at each milestone, by its factor", () => {
  const schedule = stepDecay({ milestones: [0.25, 0.5], factor: 0.5 });
  assert.equal(
    [0, 24, 25, 49, 50, 99].map((step) => schedule(step, 100, [])),
    [1, 1, 0.5, 0.5, 0.25, 0.25],
  );
  for (const milestones of [[0], [1], [0.5, 0.5], [0.5, 0.25], [NaN]]) {
    const text = `stepDecay: milestones must be ascending shares of the run, above 0 and below 1 (milestones [${milestones}]). Change them.`;
    throws(() => stepDecay({ milestones }), UsageError, text);
  }
  for (const factor of [0, 1.1, NaN]) {
    const text = `stepDecay: factor must be above 0 and at most 1 (factor ${factor}). Change factor.`;
    throws(() => stepDecay({ factor }), UsageError, text);
  }
});

test("warmUp: a straight line to where the other schedule is", () => {
  const schedule = warmUp(3, stepDecay({ milestones: [0.5], factor: 0.1 }));
  assert.equal(
    [0, 1, 2, 3, 4, 5].map((step) => schedule(step, 10, [])),
    [0.25, 0.5, 0.75, 1, 1, 0.1],
  );
  assert.is(warmUp(0)(0, 1, []), 1);
  for (const steps of [-1, 0.5, NaN]) {
    const text = `warmUp: steps must be a whole number of at least 0 (steps ${steps}). Change steps.`;
    throws(() => warmUp(steps), UsageError, text);
  }
});

test("plateau: a tenth after each `patience` epochs without improvement, three times; then the run has ended", () => {
  const schedule = plateau({ patience: 2 });
  const ended = plateauEnded({ patience: 2 });
  const after = (...validation: number[]): number => schedule(0, 1, validation);
  assert.is(after(), 1);
  assert.is(after(0.5, 0.6, 0.7), 1);
  assert.is(after(0.5, 0.4), 1);
  assert.is(after(0.5, 0.4, 0.5), 0.1);
  // The best so far counts, not the last; an improvement ends the count.
  assert.is(after(0.5, 0.4, 0.6, 0.5), 1);
  assert.is(after(0.5, 0.4, 0.4, 0.4), 0.1);
  assert.is(after(0.5, 0.4, 0.4, 0.4, 0.4), 0.1 * 0.1);
  // Less than the threshold is no improvement.
  assert.is(plateau({ patience: 1, threshold: 0.01 })(0, 1, [0.5, 0.505]), 0.1);
  assert.is(plateau({ patience: 1, threshold: 0 })(0, 1, [0.5, 0.505]), 1);
  const flat = Array(7).fill(0.5);
  assert.is(after(...flat), 0.1 * 0.1 * 0.1);
  assert.is(ended(flat), false);
  const flatter = Array(9).fill(0.5);
  assert.is(after(...flatter), 0.1 * 0.1 * 0.1);
  assert.is(ended(flatter), true);
  throws(
    () => plateau({ patience: 0 }),
    UsageError,
    "plateau: patience must be a whole number of at least 1, drops of at least 0 (patience 0, drops 3). Change them.",
  );
  throws(
    () => plateau({ threshold: 1 }),
    UsageError,
    "plateau: threshold must be a share of at least 0, below 1 (threshold 1). Change threshold.",
  );
});

test.run();
