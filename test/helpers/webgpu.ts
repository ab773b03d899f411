/**
 * WebGPU engines for tests, on whatever there is: a GPU, or a software driver for Vulkan (SwiftShader of Debian's chromium, lavapipe of its
 * mesa-vulkan-drivers). Where there is none the tests say so and are skipped.
 */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import type { Engine } from "#src/core/engine.js";
import { createEngine, type EngineOptions } from "#src/engine.js";

/** Do the tests of operations run on WebGPU? A function: test/webgpu/ops.test.ts decides so after this file is loaded. */
export function onGpu(): boolean {
  return process.env.TEST_BACKEND === "webgpu";
}

/** Of the largest value. */
export const GPU_TOLERANCE = 2e-5;

/** Software drivers, by name. */
export const DRIVERS = {
  swiftshader: ["/usr/lib/chromium/vk_swiftshader_icd.json", "/usr/lib/chromium-browser/vk_swiftshader_icd.json"],
  lavapipe: ["/usr/share/vulkan/icd.d/lvp_icd.json", "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json"],
} as const;

/** The driver's file on this machine; null where it is not installed. */
export function driverFile(name: keyof typeof DRIVERS): string | null {
  return DRIVERS[name].find((file) => existsSync(file)) ?? null;
}

// Without a choice of the caller's: the driver that most machines can have. It is read when the first GPU is asked for.
const swiftshader = driverFile("swiftshader");
if (swiftshader !== null) process.env.VK_DRIVER_FILES ??= swiftshader;
// The Vulkan loader complains where there is none, as in containers.
process.env.XDG_RUNTIME_DIR ??= tmpdir();

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
