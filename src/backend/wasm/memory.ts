/**
 * The one WebAssembly memory of an engine and the arena in it. Addresses are plain numbers in bytes; they pass 2 GiB, so
 * whatever reads them back from an Int32Array uses `>>> 0`.
 *
 *   0        control block (see program-table.ts)
 *   64 KiB   arena: parameters, gradients, slots, scratch, program tables, all in 64-byte units, first come first served
 *
 * The kernels have no static data and allocate nothing; only the coordinator grows the memory, between programs.
 */
import { BackendError, MemoryFullError } from "../../core/errors.js";
import type { Buffer } from "../backend.js";

export const PAGE_BYTES = 65536;
/** Everything starts on a cache line. */
const UNIT_BYTES = 64;
const MAX_PAGES = 65536;
/** Kernels may look this far behind a tensor (assembly/winograd-patch.ts); nothing is stored there. */
const CLEAR_BYTES = 64;

/** A block of the arena. */
export class WasmBuffer implements Buffer {
  constructor(
    readonly address: number,
    readonly sizeBytes: number,
  ) {}
}

/** All that WebAssembly can address. */
export const MAX_MEMORY_BYTES = MAX_PAGES * PAGE_BYTES;

/**
 * A memory of at most `maxBytes`; where the platform refuses to reserve that much, of a half, a quarter, an eighth.
 * Returns what it can grow to.
 */
export function createMemory(shared: boolean, maxBytes: number): { memory: WebAssembly.Memory; maxBytes: number } {
  const wanted = Math.max(1, Math.floor(maxBytes / PAGE_BYTES));
  let refusal: unknown = null;
  for (const divisor of [1, 2, 4, 8]) {
    const maximum = Math.max(1, Math.floor(wanted / divisor));
    try {
      return { memory: new WebAssembly.Memory({ initial: 1, maximum, shared }), maxBytes: maximum * PAGE_BYTES };
    } catch (error) {
      refusal = error;
    }
  }
  throw new BackendError(
    `wasm: no memory could be reserved (${formatBytes(maxBytes)}: ${String(refusal)}). Close other programs, or give a smaller memoryMaxBytes.`,
  );
}

/** What the arena needs of a WebAssembly.Memory; the planning backend has one of numbers alone. */
export interface GrowingMemory {
  readonly buffer: { readonly byteLength: number };
  grow(pages: number): unknown;
}

/** First-fit allocation with free neighbours joined. Also counts. */
export class Arena {
  /** Free blocks by address, never adjacent. */
  private readonly free: { address: number; sizeBytes: number }[] = [];
  private end: number;
  private peakBytes = 0;
  private usedBytes = 0;

  constructor(
    private readonly memory: GrowingMemory,
    readonly maxBytes: number,
    baseBytes = PAGE_BYTES,
  ) {
    this.end = Math.max(baseBytes, PAGE_BYTES);
  }

  /** A block of at least `sizeBytes`, not cleared. `label` says what for, should there be no room. */
  allocate(sizeBytes: number, label: string): WasmBuffer {
    const size = Math.max(UNIT_BYTES, Math.ceil(sizeBytes / UNIT_BYTES) * UNIT_BYTES);
    const buffer = this.takeFree(size) ?? this.takeEnd(size);
    if (buffer === null) {
      throw new MemoryFullError(
        `wasm: memory is full (${label} needs ${formatBytes(size)}, in use ${formatBytes(this.usedBytes)} of ${formatBytes(this.maxBytes)}). ` +
          "Use a smaller batch, a smaller width or input size, or drop tensors and models that you keep.",
      );
    }
    this.usedBytes += size;
    this.peakBytes = Math.max(this.peakBytes, this.usedBytes);
    return buffer;
  }

  release(buffer: WasmBuffer): void {
    this.usedBytes -= buffer.sizeBytes;
    let index = this.free.findIndex((block) => block.address > buffer.address);
    if (index < 0) index = this.free.length;
    this.free.splice(index, 0, { address: buffer.address, sizeBytes: buffer.sizeBytes });
    this.joinNext(index);
    if (index > 0) this.joinNext(index - 1);
    const last = this.free.at(-1);
    if (last && last.address + last.sizeBytes === this.end) {
      this.end = last.address;
      this.free.pop();
    }
  }

  use(): { usedBytes: number; peakBytes: number; maxBytes: number } {
    return { usedBytes: this.usedBytes, peakBytes: this.peakBytes, maxBytes: this.maxBytes };
  }

  private joinNext(index: number): void {
    const block = this.free[index];
    const next = this.free[index + 1];
    if (next && block.address + block.sizeBytes === next.address) {
      block.sizeBytes += next.sizeBytes;
      this.free.splice(index + 1, 1);
    }
  }

  private takeFree(size: number): WasmBuffer | null {
    const index = this.free.findIndex((block) => block.sizeBytes >= size);
    if (index < 0) return null;
    const block = this.free[index];
    const buffer = new WasmBuffer(block.address, size);
    block.address += size;
    block.sizeBytes -= size;
    if (block.sizeBytes === 0) this.free.splice(index, 1);
    return buffer;
  }

  private takeEnd(size: number): WasmBuffer | null {
    const end = this.end + size;
    if (end + CLEAR_BYTES > this.maxBytes) return null;
    const missing = end + CLEAR_BYTES - this.memory.buffer.byteLength;
    if (missing > 0) {
      try {
        this.memory.grow(Math.ceil(missing / PAGE_BYTES));
      } catch {
        return null;
      }
    }
    const buffer = new WasmBuffer(this.end, size);
    this.end = end;
    return buffer;
  }
}

export function formatBytes(bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${Math.ceil(bytes / 1e6)} MB`;
}
