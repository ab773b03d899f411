/**
 * Creates engines on a host: the only file that knows the backends by name. What differs between Node and browsers comes in as a
 * {@link Host}; engine.ts has Node's, engine-browser.ts that of browsers, so neither loads what the other needs.
 */
import type { Backend, Tier } from "./backend/backend.js";
import type { WasmHost } from "./backend/wasm/host.js";
import type { TierChoice } from "./backend/wasm/tiers.js";
import type { GpuFacts } from "./backend/webgpu/automatic.js";
import type { GpuHost } from "./backend/webgpu/host.js";
import { Engine } from "./core/engine.js";
import { UsageError } from "./core/errors.js";

export type { GpuFacts };

/** What an engine needs of where it runs. */
export interface Host extends WasmHost, GpuHost {
  /** The backend that the user's surroundings ask for (VERYDEEP_BACKEND in Node), where the caller asks for none. */
  preferredBackend(): string | undefined;
  /** Threads where the caller asks for no number. */
  defaultThreads(): Promise<number>;
  /** Frees what dropped models hold, as far as the host can: called when tensor memory is full. */
  collectGarbage(): Promise<void>;
}

/** What createEngine takes; all optional. */
export interface EngineOptions {
  /**
   * `auto` (default): webgpu where there is a GPU and the work is large enough to gain (`macs`), else wasm; wasm wherever something is asked
   * for that only wasm has: threads, a tier, deterministic. Or `wasm`, `webgpu` (any adapter, software too), `reference`: plain loops, for
   * checks. In Node the variable VERYDEEP_BACKEND is asked before `auto`.
   */
  readonly backend?: "auto" | "wasm" | "webgpu" | "reference";
  /**
   * What is to run at once, in multiply-accumulates: a net's (`netTotals`) times the batch; three times that for training. `auto` looks at
   * it. Default: as much as a GPU is worth having for.
   */
  readonly macs?: number;
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
   * How convolutions are computed: the fastest by shape (`auto`, default); by shape among those with the smallest rounding errors (`exact`: 1e-6
   * of the largest value, where auto's are 1e-5); or always by `im2col`, or by Winograd's F(2x2), F(4x4) or F(6x6) where it is possible. On webgpu
   * `exact` is `im2col`, a product without the matrix, and `winograd6` is `winograd4`.
   */
  readonly convAlgorithm?: "auto" | "exact" | "im2col" | "winograd2" | "winograd4" | "winograd6";
  /**
   * Keep the transformed filters of Winograd's convolutions beside the weights until these change: four times the bytes of a 3x3
   * weight with F(4x4), for not making them anew in each program. Default true; false where memory is dearer than time. When memory
   * is full they are dropped anyway. The bits are the same.
   */
  readonly keepTransformedWeights?: boolean;
  /** Most memory for tensors, in bytes; default 4 GiB, all that WebAssembly can address; on a GPU all that it has. */
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

/** Looks for a host's GPU, measures it where that was not done before, and tells what `auto` makes of it. */
export async function gpuFacts(host: Host): Promise<GpuFacts> {
  const { describeGpu } = await import("./backend/webgpu/automatic.js");
  return describeGpu(host, await host.defaultThreads());
}

async function createBackend(host: Host, options: EngineOptions): Promise<Backend> {
  const { precision = "float32", convAlgorithm = "auto", memoryMaxBytes, arenaBaseBytes } = options;
  const { tier = "auto", deterministic = false, gpuLimits = "adapter", macs = Number.POSITIVE_INFINITY } = options;
  const backend = wantedBackend(host, options);
  checkChoice("precision", precision, ["float32", "float64", "f16"]);
  checkChoice("convAlgorithm", convAlgorithm, ["auto", "exact", "im2col", "winograd2", "winograd4", "winograd6"]);
  checkChoice("tier", tier, ["auto", "plain", "relaxed", "turbo"]);
  checkChoice("gpuLimits", gpuLimits, ["default", "adapter"]);
  checkTogether(options);
  checkWhole("threads", options.threads, 1, MAX_THREADS, "Leave it out to use all cores.");
  // A GPU may have more than WebAssembly can address.
  const mostBytes = backend === "webgpu" ? Number.MAX_SAFE_INTEGER : 2 ** 32;
  checkWhole("memoryMaxBytes", memoryMaxBytes, PAGE_BYTES * 2, mostBytes, "Leave it out for all there is.");
  checkWhole("arenaBaseBytes", arenaBaseBytes, 0, 2 ** 32, "Leave it out.");
  if (!(macs >= 0)) throw new UsageError(`createEngine: macs must be a number from 0 (macs ${macs}). Leave it out.`);
  const most = memoryMaxBytes === undefined ? {} : { memoryMaxBytes };
  if (backend === "reference") {
    const { ReferenceBackend } = await import("./backend/reference/reference-backend.js");
    return new ReferenceBackend(precision === "float64" ? precision : "float32");
  }
  if (backend === "webgpu" || backend === "auto") {
    const gpu = {
      limits: gpuLimits,
      precision: precision === "f16" ? precision : "float32",
      convAlgorithm,
      ...most,
    } as const;
    if (backend === "webgpu") {
      const { WebGpuBackend } = await import("./backend/webgpu/webgpu-backend.js");
      return WebGpuBackend.create(host, gpu);
    }
    const { chooseBackend } = await import("./backend/webgpu/automatic.js");
    const { opened } = await chooseBackend(host, { macs, threads: await host.defaultThreads() }, gpu);
    if (opened !== null) return opened;
  }
  const { WasmBackend } = await import("./backend/wasm/wasm-backend.js");
  return WasmBackend.create(host, {
    threads: options.threads ?? (await host.defaultThreads()),
    convAlgorithm,
    tier: deterministic ? "plain" : tier,
    ...most,
    // The arena hands out whole cache lines.
    ...(arenaBaseBytes === undefined ? {} : { arenaBaseBytes: Math.ceil(arenaBaseBytes / 64) * 64 }),
  });
}

const BACKENDS = ["auto", "wasm", "webgpu", "reference"] as const;

/** What the caller asks for, by name or by what only wasm has; then what the surroundings do. */
function wantedBackend(host: Host, options: EngineOptions): (typeof BACKENDS)[number] {
  const { backend, threads, tier = "auto", deterministic, arenaBaseBytes } = options;
  if (backend !== undefined) checkChoice("backend", backend, BACKENDS);
  const wasmOnly = threads !== undefined || tier !== "auto" || deterministic === true || arenaBaseBytes !== undefined;
  if (backend !== undefined && backend !== "auto") return backend;
  if (wasmOnly) return "wasm";
  const preferred = host.preferredBackend();
  if (backend !== undefined || preferred === undefined) return "auto";
  const found = BACKENDS.find((name) => name === preferred);
  if (found !== undefined) return found;
  throw new UsageError(
    `createEngine: there is no such backend (VERYDEEP_BACKEND ${preferred}). Use auto, wasm, webgpu or reference.`,
  );
}

const PAGE_BYTES = 65536;

function checkChoice(name: string, value: string, choices: readonly string[]): void {
  if (choices.includes(value)) return;
  throw new UsageError(
    `createEngine: there is no such ${name} (${name} ${String(value)}). Use ${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}.`,
  );
}

/** @throws UsageError for options that contradict each other. */
function checkTogether({ backend = "auto", tier = "auto", deterministic = false }: EngineOptions): void {
  if (typeof deterministic !== "boolean") {
    throw new UsageError(
      `createEngine: deterministic is true or false (deterministic ${String(deterministic)}). Leave it out for false.`,
    );
  }
  if (deterministic && backend !== "wasm" && backend !== "auto") {
    throw new UsageError(
      `createEngine: deterministic engines run on the wasm backend (backend ${backend}). Leave one of the two out.`,
    );
  }
  if (deterministic && tier !== "auto" && tier !== "plain") {
    throw new UsageError(
      `createEngine: deterministic engines run in the plain tier (tier ${tier}). Leave one of the two out.`,
    );
  }
  if ((backend === "reference" || backend === "webgpu") && tier !== "auto") {
    throw new UsageError(`createEngine: the ${backend} backend has no tiers (tier ${tier}). Leave tier out.`);
  }
}

function checkWhole(name: string, value: number | undefined, least: number, most: number, remedy: string): void {
  if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) return;
  throw new UsageError(
    `createEngine: ${name} must be an integer from ${least} to ${most} (${name} ${value}). ${remedy}`,
  );
}
