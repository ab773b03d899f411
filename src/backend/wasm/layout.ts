/**
 * Where everything lies in an engine's memory: buffers of kept tensors, and the regions that programs work in. Numbers alone: the
 * wasm backend has the memory, the planning backend has none. Next layers down: memory.ts (the arena), lowering.ts (launches).
 */
import { BackendError, MemoryFullError } from "../../core/errors.js";
import {
  type Buffer,
  type DataType,
  type Derived,
  ELEMENT_BYTES,
  type KernelCall,
  type Place,
  type Plan,
  type PlannedCall,
  type Room,
} from "../backend.js";
import { derivedOf, type Launch, type LoweringOptions, lower, scratchBytes } from "./lowering.js";
import { type Arena, WasmBuffer } from "./memory.js";
import { tableBytes } from "./program-table.js";

/** A plan that has its memory. */
export interface LaidOut {
  readonly launches: readonly Launch[];
  /** Index of the first launch of each call, and the number of all. */
  readonly firstLaunch: readonly number[];
  /** Each thread's own scratch memory. */
  readonly scratch: readonly number[];
  readonly table: number;
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

export class Layout {
  private readonly slots: Region;
  private readonly scratch: Region;
  private readonly table: Region;
  private slotAddresses: number[] = [];

  constructor(
    readonly arena: Arena,
    readonly lowering: LoweringOptions,
  ) {
    this.slots = new Region(arena, "a program's activations");
    this.scratch = new Region(arena, "scratch memory");
    this.table = new Region(arena, "a program's table");
  }

  sizeBytes(length: number, dtype: DataType): number {
    return length * ELEMENT_BYTES[dtype];
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

  /** @throws MemoryFullError */
  layOut(plan: Plan): LaidOut {
    const detail = (): string => `, the largest in ${largestCall(plan)},`;
    // By far the largest region: the others move out of its way.
    const base = this.makingRoom([this.scratch, this.table], () => this.slots.reserve(plan.sizeBytes, detail));
    this.slotAddresses = plan.slots.map(({ offsetBytes }) => base + offsetBytes);

    const firstLaunch: number[] = [];
    const launches: Launch[] = [];
    for (const planned of plan.calls) {
      firstLaunch.push(launches.length);
      launches.push(...this.lowerCall(planned));
    }
    firstLaunch.push(launches.length);

    const workerBytes = Math.ceil(launches.reduce((most, launch) => Math.max(most, launch.workerBytes), 64) / 64) * 64;
    const { threads } = this.lowering;
    const scratchBase = this.scratch.reserve(workerBytes * threads);
    const scratch = Array.from({ length: threads }, (_, thread) => scratchBase + thread * workerBytes);
    return { launches, firstLaunch, scratch, table: this.table.reserve(tableBytes(launches)) };
  }

  addressOf(room: Room): number {
    return "slot" in room ? this.slotAddresses[room.slot] : wasmBuffer(room.buffer).address;
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

  private lowerCall({ call, scratch, derived }: PlannedCall): Launch[] {
    const { kernel, shape, tensors } = call;
    const addresses: Record<string, number> = {};
    for (const [role, place] of Object.entries<Place | null>(tensors)) {
      addresses[role] = place === null ? 0 : this.addressOf(place);
    }
    const callScratch = scratch === null ? 0 : this.slotAddresses[scratch];
    const derivedAddress = derived && { ...derived, address: this.addressOf(derived.room) };
    return lower(
      { kernel, shape, tensors: addresses } as KernelCall<number>,
      callScratch,
      derivedAddress,
      this.lowering,
    );
  }
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
