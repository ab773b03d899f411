/** WebGPU's random numbers: the words of the plain loops and of wasm, to the bit; normal values to float32's digits. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { createEngine } from "#src/engine.js";
import { dropout } from "#src/ops/index.js";
import { randomTensor } from "../helpers/run-op.js";
import { engines, gpuTest, gpuTests, oracle } from "./gpu-tests.js";

gpuTests();

const wasm = await createEngine({ threads: 1 });
const STREAMS = [
  { key0: 1, key1: 2, counter: 0 },
  { key0: 0xfedcba98, key1: 0x89abcdef, counter: 0x80000001 },
];
/** Around vectors, workgroups of 256 elements, and more. */
const LENGTHS = [1, 3, 4, 255, 257, 30001];

function fill(engine: Engine, kernel: "fillNormal" | "fillUniform", length: number, i: number): Promise<Float64Array> {
  const y = engine.emptyTensor([length]);
  engine.record(kernel, { length, ...STREAMS[i], scale: 0.3 }, { y });
  return y.values();
}

for (const length of LENGTHS) {
  for (const i of STREAMS.keys()) {
    gpuTest(`fillUniform y=[${length}] stream ${i}: wasm's bits`, async () => {
      const expected = await fill(wasm, "fillUniform", length, i);
      for (const engine of engines) assert.equal(await fill(engine, "fillUniform", length, i), expected);
    });
    gpuTest(`fillNormal y=[${length}] stream ${i}: the reference's, to a few roundings`, async () => {
      const expected = await fill(oracle, "fillNormal", length, i);
      for (const engine of engines) {
        const values = await fill(engine, "fillNormal", length, i);
        // Of each value but for those near a zero of the cosine: there of the scale.
        const worst = Math.max(
          ...values.map((value, j) => Math.abs(value - expected[j]) / (Math.abs(expected[j]) + 0.01)),
        );
        assert.ok(worst < 5e-7, `${worst}`);
      }
    });
    for (const p of [0.2, 0.5, 0.999]) {
      gpuTest(`dropout x=[${length}] p=${p} stream ${i}: wasm's bits`, async () => {
        const { data, shape } = randomTensor("x", [length]);
        const run = (engine: Engine) => dropout(engine.tensor(data, shape), { p, random: STREAMS[i] }).values();
        const expected = await run(wasm);
        for (const engine of engines) assert.equal(await run(engine), expected);
      });
    }
  }
}

test.after(() => wasm.close());
test.run();
