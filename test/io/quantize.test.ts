import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { WeightsError } from "#src/core/errors.js";
import { decodeBf16, decodeF16, dequantizeRows, encodeF16, quantizeRows } from "#src/io/quantize.js";
import { has } from "./fails.js";

const numpy = JSON.parse(readFileSync(new URL("../fixtures/quantize.json", import.meta.url), "utf8"));
const COUNT = 1 << 18;

const digest = (array: ArrayBufferView): string =>
  createHash("sha256")
    .update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength))
    .digest("hex");

/** The values of make-quantize.py. */
function floats(seed: number): Float32Array {
  const words = new Uint32Array(COUNT);
  let state = seed;
  for (let i = 0; i < COUNT; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[i] = (state & 0x807fffff) | ((96 + ((state >>> 24) % 46)) << 23);
  }
  return new Float32Array(words.buffer);
}

const allHalves = Uint16Array.from({ length: 1 << 16 }, (_, half) => half);

/** A half by the definition of its fields. */
function halfValue(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const mantissa = half & 0x3ff;
  if (exponent === 31) return mantissa > 0 ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

test("all 65536 halves, by definition and by numpy", () => {
  const values = decodeF16(allHalves);
  allHalves.forEach((half) => {
    assert.ok(Object.is(values[half], halfValue(half)), `half ${half} gave ${values[half]}`);
  });
  assert.is(digest(values.filter((value) => !Number.isNaN(value))), numpy.decodeF16);
});

test("all finite halves come back from float32 as they were", () => {
  const finite = allHalves.filter((half) => ((half >> 10) & 31) < 31);
  assert.is(finite.length, 2 * 31 * 1024);
  assert.equal(encodeF16(decodeF16(finite)), finite);
});

test("NaN of halves keep their payload", () => {
  const words = new Uint32Array(decodeF16(Uint16Array.of(0x7e01, 0xfdff)).buffer);
  assert.equal([...words], [0x7fc02000, 0xffbfe000]);
});

test("between neighbours: to the nearest, ties to even", () => {
  const words = new Uint32Array(1);
  const float = new Float32Array(words.buffer);
  const beside = (middle: number, step: number): number => {
    float[0] = middle;
    words[0] += step;
    return float[0];
  };
  const highest = 0x7bff;
  for (let half = 0; half < highest; half++) {
    const middle = (halfValue(half) + halfValue(half + 1)) / 2;
    const values = Float32Array.of(beside(middle, -1), middle, beside(middle, 1), -middle);
    const even = half & 1 ? half + 1 : half;
    assert.equal([...encodeF16(values)], [half, even, half + 1, 0x8000 | even], `half ${half}`);
  }
  assert.equal([...encodeF16(Float32Array.of(65519.996, -65519.996))], [highest, 0x8000 | highest]);
});

test("262144 values of every size, by numpy", () => {
  assert.is(digest(encodeF16(floats(1))), numpy.encodeF16);
});

test("what has no half is an error that names it", () => {
  const remedy = "Keep the tensor as float32; finite values below 65520 fit.";
  for (const value of [65520, -70000, Number.POSITIVE_INFINITY, Number.NaN]) {
    const text = `encodeF16: the value has no float16 (element 1, value ${value}). ${remedy}`;
    assert.throws(
      () => encodeF16(Float32Array.of(1, value)),
      (error: unknown) => has(error, WeightsError, text),
    );
  }
});

test("bfloat16: the upper half of a float32", () => {
  const bits = Uint16Array.of(0x3f80, 0xbf80, 0x0001, 0x8000, 0x7f80, 0x7f7f, 0x4049);
  assert.equal([...decodeBf16(bits)], [1, -1, 2 ** -133, -0, Number.POSITIVE_INFINITY, 255 * 2 ** 120, 3.140625]);
});

test("64 rows of 4096 as int8 and back, by numpy", () => {
  const { q, scales } = quantizeRows(floats(2), COUNT / 64);
  assert.is(digest(scales), numpy.scales);
  assert.is(digest(q), numpy.q);
  assert.is(digest(dequantizeRows({ q, scales })), numpy.dequantized);
});

test("int8: ties to even, zeros, and rows as small as float32 has them", () => {
  const tiny = 2 ** -149;
  const values = Float32Array.of(127, 0.5, 1.5, -2.5, 0, 0, 0, 0, 190 * tiny, -190 * tiny, tiny, 0, tiny, 0, -tiny, 0);
  const { q, scales } = quantizeRows(values, 4);
  assert.equal([...scales], [1, 0, tiny, 0]);
  assert.equal([...q], [127, 0, 2, -2, 0, 0, 0, 0, 127, -127, 1, 0, 0, 0, 0, 0]);
});

test("int8: what is not finite is an error that names it", () => {
  for (const value of [Number.NaN, Number.NEGATIVE_INFINITY]) {
    const text = `quantizeRows: a value is not finite (element 2, value ${value}). Keep the tensor as float32, or mend it.`;
    assert.throws(
      () => quantizeRows(Float32Array.of(1, 2, value, 3), 2),
      (error: unknown) => has(error, WeightsError, text),
    );
  }
});

test("results go where they are asked to, inside of larger arrays too", () => {
  const room = new Float32Array(6);
  decodeF16(Uint16Array.of(0x3c00, 0x4000), room.subarray(1, 3));
  decodeBf16(Uint16Array.of(0x4040), room.subarray(3, 4));
  dequantizeRows({ q: Int8Array.of(2), scales: Float32Array.of(2) }, room.subarray(4, 5));
  assert.equal([...room], [0, 1, 2, 3, 4, 0]);
});

test.run();
