/** WebGPU's response normalisation: powers over many magnitudes, value by value, and infinities. Windows: test/ops/against-reference.test.ts. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { localResponseNorm } from "#src/ops/index.js";
import { engines, gpuTest, gpuTests, oracle } from "./gpu-tests.js";

gpuTests();

/** Two roundings of the exponent -beta · log(scale), which is below 32 here, and a few of the rest. */
const TOLERANCE = 2 * 32 * 2 ** -24 + 2 ** -21;

/** x² from 1e-8 to 1e8. */
const MAGNITUDES = Float32Array.from({ length: 1001 }, (_, i) => 10 ** (-4 + i / 125));

for (const beta of [0.75, 0.5, 1.1, 0, -0.4]) {
  gpuTest(`localResponseNorm x=[1,1,1001] size=1 beta=${beta}: each value`, async () => {
    const shape = [1, 1, MAGNITUDES.length];
    const options = { size: 1, alpha: 1, beta, k: 1e-9 };
    const expected = await localResponseNorm(oracle.tensor(MAGNITUDES, shape), options).values();
    for (const engine of engines) {
      const y = await localResponseNorm(engine.tensor(MAGNITUDES, shape), options).values();
      const errors = y.map((value, i) => Math.abs(value / expected[i] - 1));
      const worst = errors.reduce((a, b) => (b > a || Number.isNaN(b) ? b : a));
      assert.ok(worst <= TOLERANCE, `relative error ${worst.toExponential(2)}`);
    }
  });

  gpuTest(`localResponseNorm x=[1,3,1] beta=${beta}: infinities and NaN as the plain loops have them`, async () => {
    for (const value of [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]) {
      const options = { size: 2, alpha: 1, beta, k: 1 };
      const expected = await localResponseNorm(oracle.tensor([1, value, 2], [1, 3, 1]), options).values();
      for (const engine of engines) {
        const y = await localResponseNorm(engine.tensor([1, value, 2], [1, 3, 1]), options).values();
        for (const [i, truth] of expected.entries()) {
          assert.ok(Object.is(y[i], truth) || Math.abs(y[i] - truth) <= TOLERANCE, `${y} and not ${expected}`);
        }
      }
    }
  });
}

test.run();
