/**
 * WebGPU engines for tests, on whatever there is: a GPU, or a software driver for Vulkan (vulkan-drivers.ts). Where there is none the tests
 * say so and are skipped.
 */
import "./vulkan-drivers.js";
import type { Engine } from "#src/core/engine.js";
import { createEngine, type EngineOptions } from "#src/engine.js";

/** Do the tests of operations run on WebGPU? A function: test/webgpu/ops.test.ts decides so after this file is loaded. */
export function onGpu(): boolean {
  return process.env.TEST_BACKEND === "webgpu";
}

/** TEST_WEBGPU=all runs every case on WebGPU. */
export function isThorough(): boolean {
  return process.env.TEST_WEBGPU === "all";
}

/**
 * Is a case of a long list run here? On WebGPU only one of `share`, chosen by its name, unless all are asked for: software adapters, which most
 * machines that run tests have alone, take minutes for what GPUs do in seconds.
 */
export function isTaken(name: string, share: number, rest = 0): boolean {
  if (!onGpu() || isThorough()) return true;
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) % 65521;
  return hash % share === rest;
}

/** One of how many cases of an operation is run; convolutions have the most pipelines by far. Pages run fewer (browser/op-bundles.ts). */
export function shareOf(op: string): number {
  return (op.startsWith("conv") ? 8 : 4) * Number(process.env.TEST_SHARE ?? 1);
}

/** Of the largest value. */
export const GPU_TOLERANCE = 2e-5;

/** An engine, or why there is none. */
export type FoundEngine = { readonly engine: Engine } | { readonly reason: string };

/** A WebGPU engine. */
export async function gpuEngine(options: EngineOptions = {}): Promise<FoundEngine> {
  try {
    return { engine: await createEngine({ ...options, backend: "webgpu" }) };
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) };
  }
}

/** What operations are tested on: the adapter's limits, and WebGPU's default ones. Empty where there is no adapter. */
export async function gpuEngines(options: EngineOptions = {}): Promise<readonly Engine[]> {
  const limits = ["adapter", "default"] as const;
  const found = await Promise.all(limits.map((gpuLimits) => gpuEngine({ ...options, gpuLimits })));
  return found.flatMap((one) => ("engine" in one ? [one.engine] : []));
}
