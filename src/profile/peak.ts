/**
 * What this machine multiplies at best with an engine's own kernels: the yardstick of profiles. Measured, never looked up, since it depends on
 * threads, tier, clock and whoever else is at work. Next layer down: the kernel peakProbe.
 */
import type { Engine } from "../core/engine.js";

/** Some 7 ms a program at 40 GFLOP/s a thread; a grain of 0.4 ms, so that threads end together. */
const GRAINS_PER_THREAD = 16;
const PRODUCTS = 256;
/** Done when it has not become faster for so long: V8 first runs code that it has not optimised. */
const STEADY_MS = 60;
const LIMIT_MS = 1000;
/** Less is noise. */
const FASTER = 1.01;

/** Billions of floating-point operations a second, all threads together: the best of some 100 to 200 ms. */
export async function measurePeak(engine: Engine): Promise<number> {
  // The reference backend's loops are far slower, whatever they are told to do.
  const shape =
    engine.backend.name === "wasm"
      ? { grains: GRAINS_PER_THREAD * engine.threads, products: PRODUCTS }
      : { grains: 1, products: 4 };
  const start = performance.now();
  let best = 0;
  let bestSince = start;
  for (let now = start; now - bestSince < STEADY_MS && now - start < LIMIT_MS; now = performance.now()) {
    const { calls } = await engine.profile(() => {
      engine.withOp("peakProbe", "forward", () => {
        engine.record("peakProbe", shape, { y: engine.emptyTensor([shape.grains]) });
      });
    });
    const gflops = calls.reduce((sum, { flops, ms }) => sum + flops / ms / 1e6, 0);
    if (gflops > best * FASTER) bestSince = performance.now();
    best = Math.max(best, gflops);
  }
  return best;
}
