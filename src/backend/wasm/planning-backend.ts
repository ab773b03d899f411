/**
 * The wasm backend without memory and kernels: lays programs out as that one does, counts, and runs nothing. It tells what a program would
 * need before anybody pays for it; values that are read are 0.
 */
import {
  type Backend,
  type Buffer,
  type DataType,
  type Derived,
  type HostArray,
  type KernelCall,
  type LoadedPlan,
  type MemoryUse,
  ONE_PIECE,
  type Place,
  type Plan,
} from "../backend.js";
import type { ConvAlgorithmOption } from "./conv-plan.js";
import { Layout } from "./layout.js";
import { Arena, type GrowingMemory, PAGE_BYTES } from "./memory.js";

export class PlanningBackend implements Backend {
  readonly name = "planning";
  readonly tier = null;
  readonly slotRules = ONE_PIECE;
  private readonly layout: Layout;

  constructor(
    readonly threads: number,
    maxBytes: number,
    convAlgorithm: ConvAlgorithmOption,
  ) {
    this.layout = new Layout(new Arena(new CountedMemory(), maxBytes), { convAlgorithm, threads });
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
    this.layout.layOut(plan);
    return { run: async () => {}, timings: () => [] };
  }

  async read({ dtype }: Place, _begin: number, length: number): Promise<HostArray> {
    return dtype === "float32" ? new Float32Array(length) : new Int32Array(length);
  }

  async writeFrom(): Promise<void> {}

  memory(): MemoryUse {
    return this.layout.arena.use();
  }

  async close(): Promise<void> {}
}

/** Grows as far as it is asked to. */
class CountedMemory implements GrowingMemory {
  buffer = { byteLength: PAGE_BYTES };

  grow(pages: number): void {
    this.buffer = { byteLength: this.buffer.byteLength + pages * PAGE_BYTES };
  }
}
