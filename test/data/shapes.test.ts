import { createHash } from "node:crypto";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import { shapes, shapesPicture } from "#src/data/shapes.js";

/** SHA-256 of the default set's pixels, then labels, training, validation, test: the same bits on every machine. */
const DEFAULT_SHA256 = "68923e94b9f33db90e097addab79d0720624771b584adaac013da47ea644a694";

function fails(run: () => unknown, text: string): void {
  assert.throws(run, (error: Error) => {
    assert.instance(error, UsageError);
    assert.is(error.message, text);
    return true;
  });
}

test("default: 9,000 + 1,000 + 2,000 pictures, pinned SHA-256", () => {
  const splits = shapes();
  const parts = [splits.train, splits.validation, splits.test];
  assert.equal(
    parts.map((part) => part.labels.length),
    [9000, 1000, 2000],
  );
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part.images);
  for (const part of parts) hash.update(Uint8Array.from(part.labels));
  assert.is(hash.digest("hex"), DEFAULT_SHA256);
});

test("count=200: shapes [3,32,32], ten classes, each as often", () => {
  const { train, validation, test: held } = shapes({ count: 200 });
  assert.is(train.labels.length + validation.labels.length + held.labels.length, 200);
  assert.equal([train.channels, train.height, train.width, train.classNames.length], [3, 32, 32, 10]);
  const counts = new Int32Array(10);
  for (const part of [train, validation, held]) for (const label of part.labels) counts[label]++;
  assert.equal([...counts], new Array(10).fill(20));
});

test("picture i depends on (seed, i) alone: count=200 begins as count=50 does, and shapesPicture agrees", () => {
  const few = shapes({ count: 50, testFraction: 0.5 }).train;
  const many = shapes({ count: 200 }).train;
  assert.equal(many.images.subarray(0, few.images.length), few.images);
  const picture = shapesPicture(1, 17);
  assert.is(picture.label, 7);
  assert.equal(picture.pixels, many.images.subarray(17 * 3072, 18 * 3072));
  assert.not.equal(shapesPicture(2, 17).pixels, picture.pixels);
});

test("shapesPicture: another class at index 17 keeps the background's corner pixels", () => {
  const arrow = shapesPicture(1, 17).pixels;
  const heart = shapesPicture(1, 17, 8);
  assert.is(heart.label, 8);
  assert.not.equal(heart.pixels, arrow);
  const same = arrow.filter((value, i) => value === heart.pixels[i]).length;
  assert.ok(same > 3072 / 3, `${same}`);
});

test("200 discs: the middle is lighter than the corners by 70 on average, as objects are", () => {
  let middle = 0;
  let corner = 0;
  for (let i = 0; i < 200; i++) {
    const { pixels } = shapesPicture(1, i, 0);
    for (let c = 0; c < 3; c++) {
      middle += pixels[c * 1024 + 16 * 32 + 16] / 600;
      corner += pixels[c * 1024] / 600;
    }
  }
  assert.ok(middle - corner > 70, `${middle} ${corner}`);
});

test("bad input: count, fractions, seed, class", () => {
  fails(
    () => shapes({ count: 2 }),
    "shapes: the count is not a whole number of at least 3 (count 2). Pass the number of pictures.",
  );
  fails(
    () => shapes({ testFraction: 1 }),
    "shapes: the fraction is not between 0 and 1 (testFraction 1). Pass a part such as 0.1.",
  );
  fails(
    () => shapes({ validationFraction: 0 }),
    "shapes: the fraction is not between 0 and 1 (validationFraction 0). Pass a part such as 0.1.",
  );
  fails(
    () => shapes({ count: 10, testFraction: 0.95 }),
    "shapes: nothing is left to learn from (count 10, testFraction 0.95). Pass a smaller testFraction.",
  );
  fails(() => shapes({ seed: -1 }), "random: the seed is not a whole number from 0 to 2^53 - 1 (seed -1). Pass one.");
  fails(() => shapesPicture(1, 0, 10), "shapesPicture: there is no such class (classIndex 10). Pass 0 to 9.");
});

test.run();
