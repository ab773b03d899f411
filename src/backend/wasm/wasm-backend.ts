/**
 * The WebAssembly backend: places plans in one memory, writes them as program tables, and has them walked by all threads.
 * Next layers down: lowering.ts (kernel calls to launches), program-table.ts (what workers do), assembly/ (kernels).
 */
import { BackendError, MemoryFullError, UsageError } from "../../core/errors.js";
import type {
  Backend,
  Buffer,
  ByteSource,
  CallTiming,
  DataType,
  Derived,
  HostArray,
  KernelCall,
  LoadedPlan,
  MemoryUse,
  Place,
  Plan,
  PlannedCall,
  Room,
  Tier,
} from "../backend.js";
import type { ConvAlgorithmOption } from "./conv-plan.js";
import { type Executor, SingleExecutor, type WorkerSetup } from "./executor.js";
import type { WasmHost } from "./host.js";
import { compileKernels, kernelNamesOf } from "./instantiate.js";
import { algorithmOf, derivedOf, type Launch, type LoweringOptions, lower, scratchBytes } from "./lowering.js";
import { Arena, createMemory, MAX_MEMORY_BYTES, WasmBuffer } from "./memory.js";
import { launchSpans, tableBytes, writeTable } from "./program-table.js";
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

/** Block of the arena that is kept between programs and replaced when it is too small. */
class Region {
  private buffer: WasmBuffer | null = null;

  constructor(
    private readonly arena: Arena,
    private readonly label: string,
  ) {}

  /** Address of at least `sizeBytes`; `detail` says more of what they are for, should there be no room. */
  reserve(sizeBytes: number, detail: () => string = () => ""): number {
    if (this.buffer === null || this.buffer.sizeBytes < sizeBytes) {
      this.release();
      this.buffer = this.arena.allocate(sizeBytes, this.label + detail());
    }
    return this.buffer.address;
  }

  release(): void {
    if (this.buffer) this.arena.release(this.buffer);
    this.buffer = null;
  }
}

export class WasmBackend implements Backend {
  readonly name = "wasm";
  private readonly slots: Region;
  private readonly scratch: Region;
  private readonly table: Region;
  private readonly kernelIndex: ReadonlyMap<string, number>;
  private slotAddresses: number[] = [];

  private constructor(
    readonly tier: Tier,
    private readonly memoryObject: WebAssembly.Memory,
    private readonly arena: Arena,
    readonly executor: Executor,
    private readonly lowering: LoweringOptions,
    kernelNames: readonly string[],
  ) {
    this.slots = new Region(arena, "a program's activations");
    this.scratch = new Region(arena, "scratch memory");
    this.table = new Region(arena, "a program's table");
    this.kernelIndex = new Map(kernelNames.map((name, index) => [name, index]));
  }

  static async create(host: WasmHost, options: WasmOptions): Promise<WasmBackend> {
    const { threads, memoryMaxBytes = MAX_MEMORY_BYTES, arenaBaseBytes, convAlgorithm = "auto" } = options;
    const tier = await enterTier(options.tier ?? "auto", host);
    const createPool = threads > 1 ? checkPool(host, threads) : null;
    const shared = createPool !== null;
    const module = await compileKernels(tier, shared, host);
    const { memory, maxBytes } = createMemory(shared, memoryMaxBytes);
    const kernelNames = kernelNamesOf(module);
    if (tier === "turbo") await checkOnce({ module, kernelNames }, shared);
    const setup = { module, memory, kernelNames, wide: tier === "turbo" };
    const executor = createPool === null ? new SingleExecutor(setup) : createPool(threads, setup);
    const arena = new Arena(memory, maxBytes, arenaBaseBytes);
    return new WasmBackend(
      tier,
      memory,
      arena,
      executor,
      { convAlgorithm, threads: createPool ? threads : 1 },
      kernelNames,
    );
  }

  get threads(): number {
    return this.executor.threads;
  }

  sizeBytes(length: number, dtype: DataType): number {
    return dtype === "uint8" ? length : length * 4;
  }

  scratchBytes(call: KernelCall<unknown>): number {
    return scratchBytes(call, this.lowering);
  }

  derivedOf(call: KernelCall<unknown>): Derived | null {
    return derivedOf(call, this.lowering);
  }

  allocate(sizeBytes: number, label: string): Buffer {
    return this.makingRoom([this.slots, this.scratch, this.table], () => this.arena.allocate(sizeBytes, label));
  }

  release(buffer: Buffer): void {
    this.arena.release(wasmBuffer(buffer));
  }

  async load(plan: Plan): Promise<LoadedPlan> {
    this.placeSlots(plan);
    const firstLaunch: number[] = [];
    const launches: Launch[] = [];
    for (const planned of plan.calls) {
      firstLaunch.push(launches.length);
      launches.push(...this.lowerCall(planned));
    }
    firstLaunch.push(launches.length);

    const workerBytes = Math.ceil(launches.reduce((most, launch) => Math.max(most, launch.workerBytes), 64) / 64) * 64;
    const scratchBase = this.scratch.reserve(workerBytes * this.threads);
    const scratch = Array.from({ length: this.threads }, (_, thread) => scratchBase + thread * workerBytes);
    const table = this.table.reserve(tableBytes(launches));
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
    return Int32Array.from(source);
  }

  async writeFrom(place: Place, source: ByteSource): Promise<void> {
    // Whoever loads weights is about to run: the threads start while the bytes come.
    this.executor.prepare();
    await source(new Uint8Array(this.memoryObject.buffer, this.addressOf(place), place.length * 4));
  }

  memory(): MemoryUse {
    return this.arena.use();
  }

  async close(): Promise<void> {
    await this.executor.close();
  }

  private placeSlots(plan: Plan): void {
    const detail = (): string => `, the largest in ${largestCall(plan)},`;
    // By far the largest region: the others move out of its way.
    const base = this.makingRoom([this.scratch, this.table], () => this.slots.reserve(plan.sizeBytes, detail));
    this.slotAddresses = plan.slots.map(({ offsetBytes }) => base + offsetBytes);
  }

  /** Allocates; where memory is full, once more without `regions`, which hold nothing between programs. */
  private makingRoom<T>(regions: readonly Region[], allocate: () => T): T {
    try {
      return allocate();
    } catch (error) {
      if (!(error instanceof MemoryFullError)) throw error;
      for (const region of regions) region.release();
      return allocate();
    }
  }

  private callTiming(call: KernelCall<Place>, launches: CallTiming["launches"]): CallTiming {
    const { beginMs } = launches[0];
    const { endMs } = launches[launches.length - 1];
    return { beginMs, endMs, algorithm: algorithmOf(call, this.lowering), launches };
  }

  private lowerCall({ call, scratch, derived }: PlannedCall): Launch[] {
    const { kernel, shape, tensors } = call;
    const addresses: Record<string, number> = {};
    for (const [role, place] of Object.entries<Place | null>(tensors)) {
      addresses[role] = place === null ? 0 : this.addressOf(place);
    }
    const callScratch = scratch === null ? 0 : this.slotAddresses[scratch];
    const derivedAddress = derived && { address: this.addressOf(derived.room), fresh: derived.fresh };
    return lower(
      { kernel, shape, tensors: addresses } as KernelCall<number>,
      callScratch,
      derivedAddress,
      this.lowering,
    );
  }

  private addressOf(room: Room): number {
    return "slot" in room ? this.slotAddresses[room.slot] : wasmBuffer(room.buffer).address;
  }

  private view(place: Place): Float32Array | Int32Array | Uint8Array {
    const { buffer } = this.memoryObject;
    const address = this.addressOf(place);
    if (place.dtype === "uint8") return new Uint8Array(buffer, address, place.length);
    if (place.dtype === "int32") return new Int32Array(buffer, address, place.length);
    return new Float32Array(buffer, address, place.length);
  }
}

const checks = new Map<boolean, Promise<void>>();

/** The check of the wide code, once for each kind of memory: further engines share its code. */
function checkOnce(setup: Omit<WorkerSetup, "memory" | "wide">, shared: boolean): Promise<void> {
  const check = checks.get(shared) ?? checkWideCode(setup, shared);
  checks.set(shared, check);
  return check;
}

/** The host's pool. @throws UsageError where several threads cannot work. */
function checkPool({ createPool }: WasmHost, threads: number): NonNullable<WasmHost["createPool"]> {
  if (createPool === null) {
    throw new UsageError(`wasm: there is no pool of threads in browsers yet (threads ${threads}). Use one thread.`);
  }
  if (typeof SharedArrayBuffer === "undefined") {
    throw new UsageError(
      `wasm: there is no shared memory here for several threads (threads ${threads}). Use one thread.`,
    );
  }
  return createPool;
}

/** Label of the first call that works in the plan's largest slot. */
function largestCall({ slots, calls }: Plan): string {
  const sizes = slots.map(({ sizeBytes }) => sizeBytes);
  const largest = sizes.indexOf(sizes.reduce((most, sizeBytes) => Math.max(most, sizeBytes), 0));
  const isLargest = (room: Room | null): boolean => room !== null && "slot" in room && room.slot === largest;
  const call = calls.find(
    ({ call, scratch, derived }) =>
      scratch === largest || isLargest(derived?.room ?? null) || Object.values(call.tensors).some(isLargest),
  );
  return call?.label ?? "an upload";
}

function wasmBuffer(buffer: Buffer): WasmBuffer {
  if (buffer instanceof WasmBuffer) return buffer;
  throw new BackendError("wasm: the buffer belongs to another backend. Use one engine for all tensors.");
}
