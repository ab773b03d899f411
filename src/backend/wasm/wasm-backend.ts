/**
 * The WebAssembly backend: writes plans as program tables into one memory, and has them walked by all threads.
 * Next layers down: layout.ts (what lies where, kernel calls to launches), program-table.ts (what workers do), assembly/ (kernels).
 */
import { UsageError } from "../../core/errors.js";
import { decodeF16 } from "../../core/quantize.js";
import {
  type Backend,
  type Buffer,
  type ByteSource,
  type CallTiming,
  type DataType,
  type Derived,
  type HostArray,
  type KernelCall,
  type LoadedPlan,
  type MemoryUse,
  ONE_PIECE,
  type Place,
  type Plan,
  type Tier,
} from "../backend.js";
import type { ConvAlgorithmOption } from "./conv-plan.js";
import { type Executor, SingleExecutor, type WorkerSetup } from "./executor.js";
import type { WasmHost } from "./host.js";
import { compileKernels, kernelNamesOf } from "./instantiate.js";
import { Layout } from "./layout.js";
import { algorithmOf } from "./lowering.js";
import { Arena, createMemory, MAX_MEMORY_BYTES } from "./memory.js";
import { launchSpans, writeTable } from "./program-table.js";
import { checkWideCode } from "./self-check.js";
import { enterTier, type TierChoice } from "./tiers.js";

export interface WasmOptions {
  readonly threads: number;
  /** Which build of the kernels; default: the best that needs no flag. */
  readonly tier?: TierChoice;
  /** Upper bound of tensor memory; default: all that WebAssembly can address, 4 GiB. */
  readonly memoryMaxBytes?: number;
  /** Default: by shape (conv-plan.ts). */
  readonly convAlgorithm?: ConvAlgorithmOption;
  /** Where the arena starts. Tests put it above 2 GiB. */
  readonly arenaBaseBytes?: number;
}

/** Halves as their bits. */
const VIEWS = {
  float32: Float32Array,
  int32: Int32Array,
  uint8: Uint8Array,
  float16: Uint16Array,
  int8: Int8Array,
} as const satisfies { readonly [T in DataType]: unknown };

export class WasmBackend implements Backend {
  readonly name = "wasm";
  readonly slotRules = ONE_PIECE;
  private readonly kernelIndex: ReadonlyMap<string, number>;

  private constructor(
    readonly tier: Tier,
    private readonly memoryObject: WebAssembly.Memory,
    private readonly layout: Layout,
    readonly executor: Executor,
    kernelNames: readonly string[],
  ) {
    this.kernelIndex = new Map(kernelNames.map((name, index) => [name, index]));
  }

  static async create(host: WasmHost, options: WasmOptions): Promise<WasmBackend> {
    const { threads, memoryMaxBytes = MAX_MEMORY_BYTES, arenaBaseBytes, convAlgorithm = "auto" } = options;
    const tier = await enterTier(options.tier ?? "auto", host);
    const shared = threads > 1;
    if (shared) checkSharedMemory(host, threads);
    const module = await compileKernels(tier, shared, host);
    const { memory, maxBytes } = createMemory(shared, memoryMaxBytes);
    const kernelNames = kernelNamesOf(module);
    if (tier === "turbo") await checkOnce({ module, kernelNames }, shared);
    const setup = { module, memory, kernelNames, wide: tier === "turbo" };
    const executor = shared ? host.createPool(threads, setup) : new SingleExecutor(setup);
    const lowering = { convAlgorithm, threads: executor.threads };
    const layout = new Layout(new Arena(memory, maxBytes, arenaBaseBytes), lowering);
    return new WasmBackend(tier, memory, layout, executor, kernelNames);
  }

  get threads(): number {
    return this.executor.threads;
  }

  sizeBytes(length: number, dtype: DataType): number {
    return this.layout.sizeBytes(length, dtype);
  }

  async prepare(): Promise<void> {}

  scratchBytes(call: KernelCall<unknown>): number {
    return this.layout.scratchBytes(call);
  }

  derivedOf(call: KernelCall<unknown>): Derived | null {
    return this.layout.derivedOf(call);
  }

  allocate(sizeBytes: number, label: string): Buffer {
    return this.layout.allocate(sizeBytes, label);
  }

  release(buffer: Buffer): void {
    this.layout.release(buffer);
  }

  async load(plan: Plan): Promise<LoadedPlan> {
    const { launches, firstLaunch, scratch, table } = this.layout.layOut(plan);
    writeTable(this.memoryObject.buffer, table, launches, this.kernelIndex);
    for (const { place, data } of plan.uploads) this.view(place).set(data);
    return {
      run: async (begin, end) => {
        if (begin < end) await this.executor.run(table, firstLaunch[begin], firstLaunch[end], scratch);
      },
      timings: () => {
        const spans = launchSpans(this.memoryObject.buffer, table, launches.length);
        const timed = spans.map((span, i) => ({ kernel: launches[i].kernel, ...span }));
        return plan.calls.map(({ call }, i) => this.callTiming(call, timed.slice(firstLaunch[i], firstLaunch[i + 1])));
      },
    };
  }

  async read(place: Place, begin: number, length: number): Promise<HostArray> {
    const source = this.view(place).subarray(begin, begin + length);
    // A copy in memory of its own: views of shared memory must not leave the backend.
    if (source instanceof Float32Array) return Float32Array.from(source);
    if (source instanceof Uint16Array) return decodeF16(source);
    return Int32Array.from(source);
  }

  async writeFrom(place: Place, source: ByteSource): Promise<void> {
    // Whoever loads weights is about to run: the threads start while the bytes come.
    this.executor.prepare();
    await source(
      new Uint8Array(this.memoryObject.buffer, this.layout.addressOf(place), this.sizeBytes(place.length, place.dtype)),
    );
  }

  memory(): MemoryUse {
    return this.layout.arena.use();
  }

  async close(): Promise<void> {
    await this.executor.close();
  }

  private callTiming(call: KernelCall<Place>, launches: CallTiming["launches"]): CallTiming {
    const { beginMs } = launches[0];
    const { endMs } = launches[launches.length - 1];
    return { beginMs, endMs, algorithm: algorithmOf(call, this.layout.lowering), launches };
  }

  private view(place: Place): Float32Array | Int32Array | Uint8Array | Int8Array | Uint16Array {
    const { buffer } = this.memoryObject;
    return new VIEWS[place.dtype](buffer, this.layout.addressOf(place), place.length);
  }
}

const checks = new Map<boolean, Promise<void>>();

/** The check of the wide code, once for each kind of memory: further engines share its code. */
function checkOnce(setup: Omit<WorkerSetup, "memory" | "wide">, shared: boolean): Promise<void> {
  const check = checks.get(shared) ?? checkWideCode(setup, shared);
  checks.set(shared, check);
  return check;
}

/** @throws UsageError where several threads cannot work. */
function checkSharedMemory({ sharedMemoryRemedy }: WasmHost, threads: number): void {
  if (typeof SharedArrayBuffer !== "undefined") return;
  throw new UsageError(
    `wasm: there is no shared memory here for several threads (threads ${threads}). ${sharedMemoryRemedy}`,
  );
}
