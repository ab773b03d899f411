/**
 * Creates engines on a host: the only file that knows the backends by name. What differs between Node and browsers comes in as a
 * {@link Host}; engine.ts has Node's, engine-browser.ts that of browsers, so neither loads what the other needs.
 */
import type { Backend, Tier } from "./backend/backend.js";
import type { WasmHost } from "./backend/wasm/host.js";
import type { TierChoice } from "./backend/wasm/tiers.js";
import type { GpuHost } from "./backend/webgpu/host.js";
import { Engine } from "./core/engine.js";
import { UsageError } from "./core/errors.js";

/** What an engine needs of where it runs. */
export interface Host extends WasmHost, GpuHost {
  /** Threads where the caller asks for no number. */
  defaultThreads(): Promise<number>;
  /** Frees what dropped models hold, as far as the host can: called when tensor memory is full. */
  collectGarbage(): Promise<void>;
}

/** What createEngine takes; all optional. */
export interface EngineOptions {
  /** `wasm` (default), `webgpu`, or `reference`: plain loops, for checks. */
  readonly backend?: "wasm" | "webgpu" | "reference";
  /** Threads that compute; default: all that this process or page may use. Results do not depend on it. */
  readonly threads?: number;
  /**
   * Which build of the wasm kernels runs: `plain`, the same bits on every machine; `relaxed`, fused multiply-add; `turbo`, V8's
   * experimental 256-bit vectors on top (Node >= 24 on x86-64 with AVX2), the bits of relaxed. Default `auto`: relaxed where it needs no
   * flag of V8, else plain.
   */
  readonly tier?: TierChoice;
  /** Pins the wasm backend and its plain tier, whose bits are the same on every machine and in every version of Node. */
  readonly deterministic?: boolean;
  /**
   * `float32` (default). The reference backend also computes in `float64`; webgpu can multiply in half precision, `f16`, where the GPU has it,
   * and sums in float32.
   */
  readonly precision?: "float32" | "float64" | "f16";
  /** What webgpu asks of the GPU: all that it offers (`adapter`, default), or WebGPU's default limits, which every GPU has; for tests. */
  readonly gpuLimits?: "default" | "adapter";
  /**
   * How wasm convolves: the fastest by shape (`auto`, default); by shape among those with the smallest rounding errors (`exact`: 1e-6
   * of the largest value, where auto's are 1e-5); or always by `im2col`, or by Winograd's F(2x2), F(4x4) or F(6x6) where it is possible.
   */
  readonly convAlgorithm?: "auto" | "exact" | "im2col" | "winograd2" | "winograd4" | "winograd6";
  /**
   * Keep the transformed filters of Winograd's convolutions beside the weights until these change: four times the bytes of a 3x3
   * weight with F(4x4), for not making them anew in each program. Default true; false where memory is dearer than time. When memory
   * is full they are dropped anyway. The bits are the same.
   */
  readonly keepTransformedWeights?: boolean;
  /** Most memory for tensors, in bytes; default 4 GiB, all that WebAssembly can address. */
  readonly memoryMaxBytes?: number;
  /** Where tensor memory starts, in bytes; for tests of addresses above 2 GiB. */
  readonly arenaBaseBytes?: number;
}

/** Most threads an engine takes. */
export const MAX_THREADS = 256;

/** Makes an engine. Throws UsageError for options that make no sense, BackendError where WebAssembly SIMD is missing. */
export async function createEngineOn(host: Host, options: EngineOptions): Promise<Engine> {
  const { keepTransformedWeights = true } = options;
  if (typeof keepTransformedWeights !== "boolean") {
    throw new UsageError(
      `createEngine: keepTransformedWeights must be true or false (keepTransformedWeights ${String(keepTransformedWeights)}). Leave it out.`,
    );
  }
  return new Engine(await createBackend(host, options), () => host.collectGarbage(), { keepTransformedWeights });
}

/**
 * An engine that records, plans and counts as one of the wasm backend would, and computes nothing: `memory()` tells what a program
 * needs, and one that does not fit throws as ever.
 */
export async function createPlanningEngine({ threads, memoryMaxBytes }: PlanningOptions): Promise<Engine> {
  const { PlanningBackend } = await import("./backend/wasm/planning-backend.js");
  const backend = new PlanningBackend(threads, memoryMaxBytes, "auto");
  return new Engine(backend, async () => {}, { keepTransformedWeights: true });
}

/** The engine that is stood in for. */
export interface PlanningOptions {
  readonly threads: number;
  readonly memoryMaxBytes: number;
}

/** What engines find on a host. */
export interface HostFacts {
  /** All tiers that could run. */
  readonly tiers: readonly Tier[];
  /** The default one. */
  readonly tier: Tier;
  /** The default number of threads. */
  readonly threads: number;
  /** Most memory for tensors. */
  readonly memoryMaxBytes: number;
}

/** Looks at a host without making an engine. */
export async function hostFacts(host: Host): Promise<HostFacts> {
  const [{ defaultTier, possibleTiers }, { createMemory, MAX_MEMORY_BYTES }] = await Promise.all([
    import("./backend/wasm/tiers.js"),
    import("./backend/wasm/memory.js"),
  ]);
  const threads = await host.defaultThreads();
  const { maxBytes } = createMemory(threads > 1, MAX_MEMORY_BYTES);
  return { tiers: await possibleTiers(host), tier: defaultTier(), threads, memoryMaxBytes: maxBytes };
}

async function createBackend(host: Host, options: EngineOptions): Promise<Backend> {
  const { backend = "wasm", precision = "float32", convAlgorithm = "auto", memoryMaxBytes, arenaBaseBytes } = options;
  const { tier = "auto", deterministic = false } = options;
  checkChoice("backend", backend, ["wasm", "webgpu", "reference"]);
  checkChoice("precision", precision, ["float32", "float64", "f16"]);
  checkChoice("convAlgorithm", convAlgorithm, ["auto", "exact", "im2col", "winograd2", "winograd4", "winograd6"]);
  checkChoice("tier", tier, ["auto", "plain", "relaxed", "turbo"]);
  checkTogether(options);
  checkWhole("threads", options.threads, 1, MAX_THREADS, "Leave it out to use all cores.");
  checkWhole("memoryMaxBytes", memoryMaxBytes, PAGE_BYTES * 2, 2 ** 32, "Leave it out for all there is.");
  checkWhole("arenaBaseBytes", arenaBaseBytes, 0, 2 ** 32, "Leave it out.");
  if (backend === "reference") {
    const { ReferenceBackend } = await import("./backend/reference/reference-backend.js");
    return new ReferenceBackend(precision === "float64" ? precision : "float32");
  }
  if (backend === "webgpu") {
    const { WebGpuBackend } = await import("./backend/webgpu/webgpu-backend.js");
    return WebGpuBackend.create(host, {
      limits: options.gpuLimits ?? "adapter",
      precision: precision === "f16" ? precision : "float32",
      convAlgorithm,
      ...(memoryMaxBytes === undefined ? {} : { memoryMaxBytes }),
    });
  }
  const { WasmBackend } = await import("./backend/wasm/wasm-backend.js");
  return WasmBackend.create(host, {
    threads: options.threads ?? (await host.defaultThreads()),
    convAlgorithm,
    tier: deterministic ? "plain" : tier,
    ...(memoryMaxBytes === undefined ? {} : { memoryMaxBytes }),
    // The arena hands out whole cache lines.
    ...(arenaBaseBytes === undefined ? {} : { arenaBaseBytes: Math.ceil(arenaBaseBytes / 64) * 64 }),
  });
}

const PAGE_BYTES = 65536;

function checkChoice(name: string, value: string, choices: readonly string[]): void {
  if (choices.includes(value)) return;
  throw new UsageError(
    `createEngine: there is no such ${name} (${name} ${String(value)}). Use ${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}.`,
  );
}

/** @throws UsageError for options that contradict each other. */
function checkTogether({ backend = "wasm", tier = "auto", deterministic = false }: EngineOptions): void {
  if (typeof deterministic !== "boolean") {
    throw new UsageError(
      `createEngine: deterministic is true or false (deterministic ${String(deterministic)}). Leave it out for false.`,
    );
  }
  if (deterministic && backend !== "wasm") {
    throw new UsageError(
      `createEngine: deterministic engines run on the wasm backend (backend ${backend}). Leave one of the two out.`,
    );
  }
  if (deterministic && tier !== "auto" && tier !== "plain") {
    throw new UsageError(
      `createEngine: deterministic engines run in the plain tier (tier ${tier}). Leave one of the two out.`,
    );
  }
  if (backend === "reference" && tier !== "auto") {
    throw new UsageError(`createEngine: the reference backend has no tiers (tier ${tier}). Leave tier out.`);
  }
}

function checkWhole(name: string, value: number | undefined, least: number, most: number, remedy: string): void {
  if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) return;
  throw new UsageError(
    `createEngine: ${name} must be an integer from ${least} to ${most} (${name} ${value}). ${remedy}`,
  );
}
