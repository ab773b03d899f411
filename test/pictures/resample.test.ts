/** Resizing against Pillow (antialiasing) and PyTorch's interpolate (without). */
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import { decodePicture } from "#src/pictures/decode-wasm.js";
import { fitPicture, type Picture, type ResizeOptions, rescalePicture, resizePicture } from "#src/pictures/picture.js";

const fixtures = fileURLToPath(new URL("../fixtures/pictures/", import.meta.url));
const expected: Record<string, { width: number; height: number; pixels: string }> = JSON.parse(
  readFileSync(path.join(fixtures, "coded.json"), "utf8"),
);
const resized = Object.entries(expected).filter(([name]) => /^\d/.test(name));
const picture = await decodePicture(readFileSync(path.join(fixtures, "noise.png")));

/** Pillow rounds to bytes between its two passes, PyTorch computes in float32: measured 1. */
const TOLERANCE = 1;

const MODES: readonly ResizeOptions[] = [
  { mode: "bilinear", antialias: true },
  { mode: "bilinear", antialias: false },
  { mode: "bicubic", antialias: true },
  { mode: "bicubic", antialias: false },
];

for (const options of MODES) {
  const { mode, antialias } = options;
  test(`27x23 ${mode}, antialias ${antialias}, as ${antialias ? "Pillow" : "PyTorch"} does`, () => {
    const cases = resized.filter(([name]) => name.endsWith(`${mode} ${antialias}`));
    assert.is(cases.length, 4);
    for (const [name, { width, height, pixels }] of cases) {
      const found = resizePicture(picture, width, height, options).pixels;
      const right = Buffer.from(pixels, "base64");
      assert.is(found.length, right.length);
      const worst = right.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i])), 0);
      assert.ok(worst <= TOLERANCE, `${name} differs by ${worst}`);
    }
  });

  test(`${mode}, antialias ${antialias}: fitPicture equals rescalePicture and cutting`, () => {
    for (const [size, scale] of [
      [9, 9],
      [16, 21],
      [40, 64],
    ]) {
      const whole = rescalePicture(picture, scale, options);
      assert.equal([whole.width, whole.height], [Math.floor((27 * scale) / 23), scale]);
      const left = Math.floor((whole.width - size) / 2);
      const top = Math.floor((whole.height - size) / 2);
      const planes = fitPicture(picture, size, scale, options);
      for (let i = 0; i < planes.length; i++) {
        const [channel, y, x] = [Math.floor(i / (size * size)), Math.floor(i / size) % size, i % size];
        assert.is(planes[i], whole.pixels[((top + y) * whole.width + left + x) * 3 + channel]);
      }
    }
  });

  test(`${mode}, antialias ${antialias}: the same size is the same picture, one colour stays`, () => {
    assert.equal(resizePicture(picture, 27, 23, options).pixels, picture.pixels);
    const grey: Picture = { width: 5, height: 3, pixels: new Uint8Array(45).fill(201) };
    assert.ok(resizePicture(grey, 40, 1, options).pixels.every((value) => value === 201));
    assert.ok(resizePicture(grey, 1, 70, options).pixels.every((value) => value === 201));
  });
}

test("the default is bilinear with antialiasing", () => {
  assert.equal(resizePicture(picture, 10, 8), resizePicture(picture, 10, 8, { mode: "bilinear", antialias: true }));
});

test("bicubic overshoots, and ends at 0 and 255", () => {
  const pixels = Uint8Array.from({ length: 16 * 3 }, (_, i) => (i < 24 ? 0 : 255));
  const { pixels: found } = resizePicture({ width: 16, height: 1, pixels }, 64, 4, { mode: "bicubic" });
  const line = Array.from({ length: 64 }, (_, x) => found[x * 3]);
  assert.is(line.filter((value) => value > 0 && value < 255).length, 4);
  assert.equal(
    [...line].sort((a, b) => a - b),
    line,
  );
});

test("what is no mode, no truth, no side", () => {
  const usage = (text: string) => (error: unknown) => error instanceof UsageError && error.message.startsWith(text);
  const options = (text: string): ResizeOptions => JSON.parse(text);
  assert.throws(
    () => resizePicture(picture, 4, 4, options('{"mode":"nearest"}')),
    usage('resizePicture: there is no such mode (mode nearest). Pass "bilinear" or "bicubic".'),
  );
  assert.throws(
    () => fitPicture(picture, 4, 4, options('{"antialias":1}')),
    usage("fitPicture: antialias is neither true nor false (antialias 1)."),
  );
  for (const side of [0, -3, 1.5, Number.NaN, 20_000, Number.POSITIVE_INFINITY]) {
    assert.throws(
      () => rescalePicture(picture, side),
      usage(
        "rescalePicture: the smaller side is not a positive whole number that keeps the picture below 100 megapixels",
      ),
    );
  }
});

test.run();
