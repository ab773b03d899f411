/** Measures how fast a device is: a small kernel for its round trip, a large product for its arithmetic. Some tens of milliseconds. */
import type { KernelCall, Place } from "../backend.js";
import type { GpuSpeed } from "./choice.js";
import type { WebGpuBackend } from "./webgpu-backend.js";

/** Sides of products, until one takes long enough to be told from the round trip. */
const SIDES = [256, 512, 1024, 2048];
const ENOUGH_MS = 2;
const RUNS = 5;

export async function measureSpeed(backend: WebGpuBackend): Promise<GpuSpeed> {
  const roundTripMs = await withTensors(backend, 64, (x) =>
    timeCall(backend, { kernel: "fill", shape: { length: 64, factor: 0 }, tensors: { y: x } }),
  );
  let gflops = 0;
  for (const side of SIDES) {
    const shape = { batch: side, inFeatures: side, outFeatures: side, relu: false };
    const ms = await withTensors(backend, side * side, (x, weight, y) =>
      timeCall(backend, { kernel: "linearForward", shape, tensors: { x, weight, bias: null, y } }),
    );
    // A clock of a browser may be coarse.
    const productMs = Math.max(0.05, ms - roundTripMs);
    gflops = (2 * side ** 3) / (productMs * 1e6);
    if (productMs >= ENOUGH_MS) break;
  }
  return { roundTripMs, gflops };
}

/** Memory for three tensors of a length, for as long as `use` takes. */
async function withTensors(
  backend: WebGpuBackend,
  length: number,
  use: (a: Place, b: Place, c: Place) => Promise<number>,
): Promise<number> {
  const buffers = ["first", "second", "third"].map((name) =>
    backend.allocate(length * 4, `the ${name} tensor of a measurement`),
  );
  try {
    const [a, b, c] = buffers.map((buffer): Place => ({ buffer, length, dtype: "float32" }));
    return await use(a, b, c);
  } finally {
    for (const buffer of buffers) backend.release(buffer);
  }
}

/** Milliseconds of a call alone: the least of some runs, after one that compiles and warms up. */
async function timeCall(backend: WebGpuBackend, call: KernelCall<Place>): Promise<number> {
  const sizeBytes = backend.scratchBytes(call);
  const slots = sizeBytes > 0 ? [{ offsetBytes: 0, sizeBytes }] : [];
  const planned = { call, scratch: sizeBytes > 0 ? 0 : null, derived: null, label: "measurement" };
  const loaded = await backend.load({ slots, sizeBytes, uploads: [], timed: false, calls: [planned] });
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run <= RUNS; run++) {
    const begin = performance.now();
    await loaded.run(0, 1);
    if (run > 0) least = Math.min(least, performance.now() - begin);
  }
  return least;
}
