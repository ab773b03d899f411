import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import { Random, threefry2x32 } from "#src/core/random.js";

/** Random123's kat_vectors, "threefry2x32 20": counter, key, result. */
const KNOWN_ANSWERS = [
  [0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x6b200159, 0x99ba4efe],
  [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7],
  [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xc4923a9c, 0x483df7a0],
];

/** First words of two streams: if they change, so do all data, orders and weights. */
const PINNED_WORDS = [1474379495, 1736823377, 66488330];
const PINNED_FORK = [97624745, 3614474593, 655378158];

function draw(random: Random, count: number): number[] {
  return Array.from({ length: count }, () => random.uint32());
}

function isUsageError(text: string): (error: Error) => boolean {
  return (error) => {
    assert.instance(error, UsageError);
    assert.is(error.message, text);
    return true;
  };
}

test("threefry2x32: Random123's known answers", () => {
  const out = new Uint32Array(2);
  for (const [counter0, counter1, key0, key1, ...answer] of KNOWN_ANSWERS) {
    threefry2x32(key0, key1, counter0, counter1, out);
    assert.equal([...out], answer);
  }
});

test("same seed and stream: same numbers; any other: other numbers", () => {
  const first = draw(new Random(7, "order", 3), 8);
  assert.equal(draw(new Random(7, "order", 3), 8), first);
  const others = [
    new Random(8, "order", 3),
    new Random(7, "order", 4),
    new Random(7, "order"),
    new Random(7, "orde", "r", 3),
    new Random(7, "order", "", 3),
    new Random(7, "order", "3"),
    new Random(7 + 2 ** 32, "order", 3),
    new Random(7, "order", 3 + 2 ** 32),
  ];
  const firstWords = others.map((random) => random.uint32());
  assert.is(new Set([first[0], ...firstWords]).size, others.length + 1);
});

test('pinned: the first words of (1, "a") and of its fork 2', () => {
  assert.equal(draw(new Random(1, "a"), 3), PINNED_WORDS);
  assert.equal(draw(new Random(1, "a").fork(2), 3), PINNED_FORK);
});

test("fork: equals the longer stream name, and leaves the parent as it was", () => {
  const parent = new Random(5, "x");
  const [word] = draw(parent, 1);
  assert.equal(draw(parent.fork("y"), 4), draw(new Random(5, "x", "y"), 4));
  assert.equal([word, ...draw(parent, 3)], draw(new Random(5, "x"), 4));
});

test("counter: goes back and skips", () => {
  const random = new Random(9, "c");
  const words = draw(random, 10);
  for (const at of [3, 0, 9, 8, 1]) {
    random.counter = at;
    assert.is(random.uint32(), words[at]);
  }
});

test("uniform: 100,000 draws in [0, 1), multiples of 2^-24, mean 1/2", () => {
  const random = new Random(1, "uniform");
  let sum = 0;
  for (let i = 0; i < 100000; i++) {
    const value = random.uniform();
    assert.ok(value >= 0 && value < 1 && Math.fround(value) === value);
    sum += value;
  }
  assert.ok(Math.abs(sum / 100000 - 0.5) < 0.005); // 5.5 standard errors
});

test("integer: n=6 is even over 60,000 draws; n=1 and n=2^32", () => {
  const random = new Random(1, "integer");
  const counts = new Int32Array(6);
  for (let i = 0; i < 60000; i++) counts[random.integer(6)]++;
  for (const count of counts) assert.ok(Math.abs(count - 10000) < 500, `${[...counts]}`); // 5.5 standard errors
  assert.is(random.integer(1), 0);
  assert.ok(random.integer(2 ** 32) < 2 ** 32);
});

test("integer: n=3·2^30 is unbiased where a plain remainder is not", () => {
  const random = new Random(1, "bias");
  let low = 0;
  for (let i = 0; i < 30000; i++) if (random.integer(3 * 2 ** 30) < 2 ** 30) low++;
  assert.ok(Math.abs(low - 10000) < 450, `${low}`); // a plain remainder gives 15,000
});

test("normal: 100,000 draws have mean 0, variance 1, kurtosis 3", () => {
  const random = new Random(1, "normal");
  let sum = 0;
  let squares = 0;
  let fourth = 0;
  for (let i = 0; i < 100000; i++) {
    const value = random.normal();
    sum += value;
    squares += value * value;
    fourth += value * value * value * value;
  }
  assert.ok(Math.abs(sum / 100000) < 0.016);
  assert.ok(Math.abs(squares / 100000 - 1) < 0.023);
  assert.ok(Math.abs(fourth / 100000 - 3) < 0.16);
  assert.is(random.counter, 200000);
});

test("permutation: n=1000 holds each number once; n=0 and n=1", () => {
  const order = new Random(1, "p").permutation(1000);
  assert.equal(
    [...order].sort((a, b) => a - b),
    Array.from({ length: 1000 }, (_, i) => i),
  );
  assert.not.equal([...order], [...new Random(2, "p").permutation(1000)]);
  assert.equal([...new Random(1, "p").permutation(0)], []);
  assert.equal([...new Random(1, "p").permutation(1)], [0]);
});

test("shuffle: all 6 orders of 3 items are as likely; works on plain arrays", () => {
  const counts = new Map<string, number>();
  const random = new Random(1, "s");
  for (let i = 0; i < 6000; i++) {
    const order = random.shuffle(["a", "b", "c"]).join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assert.is(counts.size, 6);
  for (const count of counts.values()) assert.ok(Math.abs(count - 1000) < 160, `${[...counts]}`);
});

test("bad input: seed, label, range, length", () => {
  assert.throws(
    () => new Random(-1, "a"),
    isUsageError("random: the seed is not a whole number from 0 to 2^53 - 1 (seed -1). Pass one."),
  );
  assert.throws(
    () => new Random(1, 0.5),
    isUsageError("random: the stream label is not a whole number from 0 to 2^53 - 1 (stream label 0.5). Pass one."),
  );
  const random = new Random(1, "bad");
  assert.throws(
    () => random.integer(0),
    isUsageError("random.integer: the range is not a whole number from 1 to 2^32 (n 0). Pass the count of values."),
  );
  assert.throws(
    () => random.permutation(-1),
    isUsageError(
      "random.permutation: the length is not a whole number from 0 to 2^31 - 1 (n -1). Pass the count of items.",
    ),
  );
});

test.run();
