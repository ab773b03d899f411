/** Thinning, gaps, and the round numbers of axes. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { linearAxis, logAxis, plain } from "#src/report/axis.js";
import { badRuns, binMeans, pieces, type Sample, thinExtremes } from "#src/report/series.js";

function samplesOf(values: readonly number[]): Sample[] {
  return values.map((value, i) => ({ step: i + 1, value }));
}

test("thinExtremes: 100,000 samples keep their extremes, in order, in 1000 points", () => {
  const samples = samplesOf(Array.from({ length: 100_000 }, (_, i) => (i * 7919) % 1013));
  samples[54_321] = { step: 54_322, value: 9999 };
  samples[77_777] = { step: 77_778, value: -5 };
  const thin = thinExtremes(samples);
  assert.ok(thin.length <= 1000 && thin.length > 900, String(thin.length));
  assert.equal(
    thin.filter(({ value }) => value === 9999 || value === -5),
    [samples[54_321], samples[77_777]],
  );
  assert.ok(thin.every(({ step }, i) => i === 0 || step > thin[i - 1].step));
});

test("thinExtremes: 1000 samples stay; 1001 do not", () => {
  const samples = samplesOf(Array.from({ length: 1001 }, (_, i) => i % 10));
  assert.equal(thinExtremes(samples.slice(0, 1000)), samples.slice(0, 1000));
  assert.ok(thinExtremes(samples).length < 1001);
});

test("thinExtremes: a bin without finite values is a gap; with some, these", () => {
  const values = [1, 2, Number.NaN, Number.POSITIVE_INFINITY, Number.NaN, 5, 7, 6];
  assert.equal(
    thinExtremes(samplesOf(values), 7).map(({ step, value }) => [step, value]),
    [
      [1, 1],
      [2, 2],
      [6, 5],
      [7, 7],
      [8, 6],
    ],
  );
  const gap = thinExtremes(samplesOf([1, 2, Number.NaN, Number.NaN, 3, 4]), 5);
  assert.equal(
    gap.map(({ value }) => value),
    [1, 2, 3, 4],
  );
  const long = thinExtremes(samplesOf([1, 2, 3, Number.NaN, Number.NaN, Number.NaN, 4, 5, 6]), 6);
  assert.equal(
    long.map(({ value }) => value),
    [1, 3, Number.NaN, 4, 6],
  );
});

test("binMeans: of the finite values, at the middle of each bin", () => {
  assert.equal(binMeans(samplesOf([1, 3, Number.NaN, 5, Number.NaN, Number.NaN, 7]), 2), [
    { step: 1.5, value: 2 },
    { step: 3.5, value: 5 },
    { step: 5.5, value: Number.NaN },
    { step: 7, value: 7 },
  ]);
});

test("pieces, badRuns: where a curve has gaps", () => {
  const samples = samplesOf([1, 2, Number.NaN, Number.POSITIVE_INFINITY, 5, Number.NaN]);
  assert.equal(
    pieces(samples).map((piece) => piece.map(({ step }) => step)),
    [[1, 2], [5]],
  );
  assert.equal(badRuns(samples), [
    { from: 3, to: 4 },
    { from: 6, to: 6 },
  ]);
});

test("linearAxis: round ticks; a span around one value, and around none", () => {
  const axis = linearAxis([0, 2.43], 5);
  assert.equal([...axis.ticks], [0, 0.5, 1, 1.5, 2, 2.5]);
  assert.is(axis.place(1.25), 0.5);
  assert.is(linearAxis([4, 4], 5).place(4), 0.5);
  for (const none of [[0, 0], []]) assert.equal([...linearAxis(none, 5).ticks], [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.ok(linearAxis([Number.NaN, 1, 2], 5).ticks.every(Number.isFinite));
});

test("logAxis: powers of ten; more between them where they are few; 0 has no place", () => {
  assert.equal([...logAxis([1e-4, 0.01], 3).ticks], [0.0001, 0.001, 0.01]);
  assert.equal([...logAxis([0.01, 0.01], 3).ticks], [0.005, 0.01, 0.02]);
  assert.ok(logAxis([1e-12, 1], 3).ticks.length <= 4);
  assert.ok(logAxis([], 3).ticks.length > 0);
  assert.ok(Number.isNaN(logAxis([0, 0.1], 3).place(0)));
  assert.ok(Math.abs(logAxis([1e-4, 0.01], 3).place(0.001) - 0.5) < 1e-12);
});

test("plain: numbers as people write them", () => {
  const written = [0, 0.1 + 0.2, 1500, 1234567.5, 2e-7, 0.0001, 3e9, -1500].map(plain);
  assert.equal(written, ["0", "0.3", "1,500", "1,234,567.5", "2e-7", "0.0001", "3e9", "-1,500"]);
});

test.run();
