import { test } from "uvu";
import * as assert from "uvu/assert";
import { formatShape, sameShape, sizeOf } from "#src/core/shape.js";

test("sizeOf: [], [0,3], [2,3,4]", () => {
  assert.is(sizeOf([]), 1);
  assert.is(sizeOf([0, 3]), 0);
  assert.is(sizeOf([2, 3, 4]), 24);
});

test("formatShape: [], [2,3,8,8]", () => {
  assert.is(formatShape([]), "[]");
  assert.is(formatShape([2, 3, 8, 8]), "[2,3,8,8]");
});

test("sameShape: sizes and their order", () => {
  assert.ok(sameShape([], []));
  assert.ok(sameShape([2, 3], [2, 3]));
  assert.not(sameShape([2, 3], [3, 2]));
  assert.not(sameShape([2, 3], [2, 3, 1]));
  assert.not(sameShape([2, 3, 1], [2, 3]));
});

test.run();
