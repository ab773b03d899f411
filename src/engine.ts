/** Engines in Node, and in Deno and Bun, which have Node's modules: kernels from files, threads in a piscina pool. */
import type { Engine } from "./core/engine.js";
import {
  createEngineOn,
  createPlanningEngine,
  type EngineOptions,
  type GpuFacts,
  gpuFacts,
  type HostFacts,
  hostFacts,
} from "./create-engine.js";
import { NODE } from "./node-host.js";

export type { EngineOptions, GpuFacts, PlanningOptions } from "./create-engine.js";
export { createPlanningEngine };

/**
 * Makes an engine.
 * @throws UsageError for options that make no sense, or for a tier that cannot run here; BackendError where WebAssembly SIMD is missing.
 */
export function createEngine(options: EngineOptions = {}): Promise<Engine> {
  return createEngineOn(NODE, options);
}

/** What this machine's GPU is, and what `auto` makes of it. Opens it, and measures it the first time. */
export function describeGpu(): Promise<GpuFacts> {
  return gpuFacts(NODE);
}

/** What this machine offers to engines. */
export function describeHost(): Promise<HostFacts> {
  return hostFacts(NODE);
}
