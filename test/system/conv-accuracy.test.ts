/**
 * Every way to convolve stays near float64 in all three directions: largest error over largest value, at 2,000 random places of each
 * tensor. VGG's own shapes at batch 8 are scripts/long/conv-accuracy.ts's.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createEngine } from "#src/engine.js";
import { ALGORITHMS } from "../../bench/harness.js";
import {
  type ConvCase,
  caseName,
  convInputs,
  convResults,
  type InputKind,
  limitOf,
  sampledErrors,
} from "../helpers/conv-accuracy.js";

const PLACES = 2000;

/** As VGG's inner layers are, but smaller; the last ones are those of 32x32 pictures. */
const CASES: readonly ConvCase[] = [
  { batch: 1, inC: 64, size: 56, outC: 64 },
  { batch: 2, inC: 128, size: 28, outC: 64 },
  { batch: 4, inC: 128, size: 14, outC: 128 },
  { batch: 4, inC: 3, size: 32, outC: 64 },
  { batch: 8, inC: 128, size: 4, outC: 128 },
  { batch: 16, inC: 256, size: 2, outC: 128 },
];
const KINDS: readonly InputKind[] = ["signed", "rectified"];

for (const algorithm of ALGORITHMS) {
  for (const c of CASES) {
    test(`${caseName(c)} ${algorithm}: y, dx and dWeight near float64`, async () => {
      const limit = limitOf(algorithm);
      const engine = await createEngine({ threads: 1, convAlgorithm: algorithm });
      for (const kind of KINDS) {
        const inputs = convInputs(c, kind);
        const errors = sampledErrors(c, inputs, await convResults(engine, c, inputs), PLACES);
        for (const name of ["y", "dx", "dWeight"] as const) {
          const text = `${kind} ${name}: error ${errors[name].toExponential(1)}, at most ${limit[name]}`;
          // Float32 cannot be exact: an error of 0 would mean that nothing was compared.
          assert.ok(errors[name] > 0 && errors[name] <= limit[name], text);
        }
      }
      await engine.close();
    });
  }
}

test.run();
