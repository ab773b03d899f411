/** The probe of what the machine multiplies at best: what it computes is known, what it measures is plausible. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createEngine, type EngineOptions } from "#src/engine.js";
import { measurePeak } from "#src/profile/peak.js";
import { BACKENDS } from "../helpers/engines.js";

/** No processor core that runs WebAssembly is slower or faster, whatever else is at work. */
const SLOWEST_GFLOPS = 0.1;
const FASTEST_GFLOPS = 1000;

for (const { name, options } of BACKENDS) {
  test(`${name}: peakProbe of 3 grains, 5 products each: y = [5,5,5]`, async () => {
    const engine = await createEngine(options);
    const y = await engine.scope(() => {
      const y = engine.emptyTensor([3]);
      engine.record("peakProbe", { grains: 3, products: 5 }, { y });
      return y;
    });
    assert.equal(await y.data(), Float32Array.of(5, 5, 5));
    await engine.close();
  });
}

const MEASURED: readonly EngineOptions[] = [{ threads: 1 }, { threads: 2 }];
for (const options of MEASURED) {
  test(`peak of ${options.threads} threads`, async () => {
    const engine = await createEngine(options);
    const gflops = await measurePeak(engine);
    assert.ok(gflops > SLOWEST_GFLOPS && gflops < FASTEST_GFLOPS, `${gflops} GFLOP/s`);
    await engine.close();
  });
}

test.run();
