import { test } from "uvu";
import * as assert from "uvu/assert";
import { cropPadded, flipHorizontal, normalise, normaliseTable } from "#src/data/transforms.js";

const SHAPE = { channels: 2, height: 3, width: 4 };
const PICTURE = Float32Array.from({ length: 24 }, (_, i) => i + 1);

/** The definition, one value at a time. */
function cropSlowly(x: Float32Array, padding: number, top: number, left: number): number[] {
  return Array.from(x, (_, i) => {
    const c = Math.floor(i / 12);
    const row = (Math.floor(i / 4) % 3) + top - padding;
    const column = (i % 4) + left - padding;
    return row < 0 || row >= 3 || column < 0 || column >= 4 ? 0 : x[(c * 3 + row) * 4 + column];
  });
}

test("normalise: pixels=[2,3,4], one mean and std a channel", () => {
  const pixels = Uint8Array.from({ length: 24 }, (_, i) => i * 10);
  const out = new Float32Array(24);
  normalise(pixels, SHAPE, normaliseTable({ mean: [100, 50], std: [10, 3] }, 2), out);
  assert.is(out[0], -10);
  assert.is(out[11], 1);
  assert.is(out[12], Math.fround(70 / 3));
  assert.is(out[23], 60);
});

test("cropPadded: x=[2,3,4] padding=0..5, every window", () => {
  for (let padding = 0; padding <= 5; padding++) {
    for (let top = 0; top <= 2 * padding; top++) {
      for (let left = 0; left <= 2 * padding; left++) {
        const out = new Float32Array(24).fill(NaN);
        cropPadded(PICTURE, SHAPE, padding, top, left, out);
        assert.equal([...out], cropSlowly(PICTURE, padding, top, left), `padding ${padding} top ${top} left ${left}`);
      }
    }
  }
});

test("cropPadded: top = left = padding is the picture itself", () => {
  const out = new Float32Array(24);
  cropPadded(PICTURE, SHAPE, 3, 3, 3, out);
  assert.equal(out, PICTURE);
});

test("flipHorizontal: x=[2,3,4] and odd width x=[1,1,5]; twice is the picture itself", () => {
  const x = PICTURE.slice();
  flipHorizontal(x, SHAPE);
  assert.equal([...x.subarray(0, 8)], [4, 3, 2, 1, 8, 7, 6, 5]);
  flipHorizontal(x, SHAPE);
  assert.equal(x, PICTURE);
  const odd = Float32Array.of(1, 2, 3, 4, 5);
  flipHorizontal(odd, { channels: 1, height: 1, width: 5 });
  assert.equal([...odd], [5, 4, 3, 2, 1]);
});

test.run();
