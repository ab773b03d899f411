/**
 * VGG-11 (A) at its full size on WebGPU against wasm: `node --import tsx scripts/long/webgpu-vgg11.ts` after a build. One picture of 224x224,
 * 1000 classes, 133 million weights; at the adapter's limits, and at WebGPU's default ones, where the first linear layer's weight (411 MB) is
 * split. Prints the largest error of a logit, over the largest logit, and fails above 1e-4. Takes some minutes on a software driver, and 4 GB.
 */
import { Random } from "#src/core/random.js";
import { createEngine, type EngineOptions } from "#src/engine.js";
import { vgg } from "#src/models/vgg.js";
import "../../test/helpers/vulkan-drivers.js";
import { maxRelativeError } from "../../test/helpers/compare.js";

const LIMIT = 1e-4;
const SHAPE = [1, 3, 224, 224];

const random = new Random(1, "picture");
const x = Float32Array.from({ length: 3 * 224 * 224 }, () => 4 * random.uniform() - 2);

async function logitsOn(options: EngineOptions, state: ReadonlyMap<string, Float32Array> | null) {
  const engine = await createEngine(options);
  const net = vgg("A", { seed: 5 }, engine).eval();
  if (state) for (const [name, tensor] of net.stateDict()) await tensor.write(state.get(name) ?? new Float32Array());
  const begin = performance.now();
  const logits = await net.forward(engine.tensor(x, SHAPE)).values();
  const seconds = (performance.now() - begin) / 1000;
  const kept = new Map<string, Float32Array>();
  if (state === null) for (const [name, tensor] of net.stateDict()) kept.set(name, await tensor.read());
  await engine.close();
  return { logits, seconds, state: kept };
}

const wasm = await logitsOn({ backend: "wasm" }, null);
console.log(`wasm: ${wasm.seconds.toFixed(1)} s`);
for (const gpuLimits of ["adapter", "default"] as const) {
  const { logits, seconds } = await logitsOn({ backend: "webgpu", gpuLimits }, wasm.state);
  const error = maxRelativeError(logits, wasm.logits);
  console.log(`webgpu, ${gpuLimits} limits: ${seconds.toFixed(1)} s, relative error ${error.toExponential(2)}`);
  if (error > LIMIT) process.exitCode = 1;
}
