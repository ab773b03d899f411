/** Time stamps of the program table, as spans: what happens where the clock's 32 bits run over, or a thread is late. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { launchSpans } from "#src/backend/wasm/program-table.js";

const TABLE = 64;

/** A table of launches with these stamps, in microseconds, at address 64. */
function tableOf(stamps: readonly (readonly [begin: number, end: number])[]): ArrayBuffer {
  const words = new Int32Array((TABLE + stamps.length * 32) / 4);
  stamps.forEach(([begin, end], i) => {
    words.set([begin | 0, end | 0], TABLE / 4 + i * 8 + 5);
  });
  return words.buffer;
}

test("spans are from the first launch's begin, in milliseconds", () => {
  const buffer = tableOf([
    [1_000_500, 1_002_000],
    [1_002_250, 1_002_250],
  ]);
  assert.equal(launchSpans(buffer, TABLE, 2), [
    { beginMs: 0, endMs: 1.5 },
    { beginMs: 1.75, endMs: 1.75 },
  ]);
});

test("the clock runs over between two stamps", () => {
  const buffer = tableOf([
    [2 ** 32 - 1000, 500],
    [750, 2000],
  ]);
  assert.equal(launchSpans(buffer, TABLE, 2), [
    { beginMs: 0, endMs: 1.5 },
    { beginMs: 1.75, endMs: 3 },
  ]);
});

test("an end that was written late ends where the next launch begins", () => {
  const buffer = tableOf([
    [0, 5000],
    [1000, 900],
    [1000, 3000],
  ]);
  assert.equal(launchSpans(buffer, TABLE, 3), [
    { beginMs: 0, endMs: 1 },
    { beginMs: 1, endMs: 1 },
    { beginMs: 1, endMs: 3 },
  ]);
});

test("no launch: no span", () => {
  assert.equal(launchSpans(new ArrayBuffer(TABLE), TABLE, 0), []);
});

test.run();
