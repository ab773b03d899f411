import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import { constant, oneCycle } from "#src/optim/schedule.js";
import { throws } from "../engine/nets.js";

test("constant: 1 at every step", () => {
  assert.equal([constant(0, 10), constant(9, 10)], [1, 1]);
});

test("oneCycle: 1/25 at the start, 1 after the warm-up, near 0 at the end; up, then down", () => {
  const schedule = oneCycle(0.25);
  const factors = Array.from({ length: 100 }, (_, step) => schedule(step, 100));
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
      const factor = oneCycle()(step, total);
      assert.ok(factor > 0 && factor <= 1, `step ${step} of ${total}: ${factor}`);
    }
  }
});

test("oneCycle: warmup is a share", () => {
  for (const warmup of [0, 1]) assert.ok(oneCycle(warmup)(0, 10) > 0);
  for (const warmup of [-0.1, 1.1, NaN]) {
    const text = `oneCycle: warmup must be a number from 0 to 1 (warmup ${warmup}). Change warmup.`;
    throws(() => oneCycle(warmup), UsageError, text);
  }
});

test.run();
