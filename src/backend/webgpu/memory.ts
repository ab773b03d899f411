/**
 * GPU memory: a buffer for each kept tensor, and the region that programs' slots lie in. Whatever is larger than a shader can see at once
 * lies in several GPUBuffers, pieces of equal size; slots never cross from one to the next (SlotRules). Counts what it hands out.
 */
import { BackendError, MemoryFullError } from "../../core/errors.js";
import type { Buffer, MemoryUse, Place, Slot } from "../backend.js";
import { GPU_ELEMENT_BYTES, type Window } from "./dispatch.js";

/** Memory of a tensor, in pieces. */
export class GpuBuffer implements Buffer {
  constructor(
    readonly pieces: readonly GPUBuffer[],
    readonly sizeBytes: number,
  ) {}
}

/** A range of one GPUBuffer. */
export interface Range {
  readonly buffer: GPUBuffer;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** Sizes of buffers are multiples of it, as slots begin on multiples of it. */
const UNIT_BYTES = 256;
/** Of a vec4<f32>. */
const VECTOR_BYTES = 16;
/** GPUBufferUsage, whose constants not every host has as a global. */
const USAGE = { mapRead: 1, copySource: 4, copyDestination: 8, uniform: 64, storage: 128, queryResolve: 512 } as const;
const TENSOR_USAGE = USAGE.storage | USAGE.copySource | USAGE.copyDestination;

/** For errors. */
const REGION_LABEL = "the program's tensors";

interface PendingCheck {
  readonly label: string;
  readonly sizeBytes: number;
  readonly refusal: Promise<GPUError | null>;
}

export class GpuMemory {
  private region: readonly GPUBuffer[] = [];
  private regionBytes = 0;
  private slots: readonly Slot[] = [];
  private usedBytes = 0;
  private peakBytes = 0;
  /** To be destroyed when no commands are being recorded on them. */
  private readonly released: GPUBuffer[] = [];
  private checks: PendingCheck[] = [];

  constructor(
    private readonly device: GPUDevice,
    readonly pieceBytes: number,
    private readonly maxBytes: number,
  ) {}

  /** Whether the device really has that much shows later: {@link settle}. */
  allocate(sizeBytes: number, label: string): GpuBuffer {
    this.sweep();
    this.count(sizeBytes, label);
    return new GpuBuffer(this.create(sizeBytes, label), sizeBytes);
  }

  release(buffer: Buffer): void {
    const { pieces, sizeBytes } = own(buffer);
    this.usedBytes -= sizeBytes;
    this.released.push(...pieces);
  }

  /** Memory for a program's slots; what an earlier program had in it is gone. */
  reserve(sizeBytes: number, slots: readonly Slot[]): void {
    this.sweep();
    this.slots = slots;
    if (sizeBytes <= this.regionBytes) return;
    this.dropRegion();
    this.sweep();
    this.count(sizeBytes, REGION_LABEL);
    this.region = this.create(sizeBytes, REGION_LABEL);
    this.regionBytes = sizeBytes;
  }

  /** @throws MemoryFullError where the device had no room for what was allocated since the last time. */
  async settle(): Promise<void> {
    const { checks } = this;
    this.checks = [];
    const refusals = await Promise.all(checks.map(({ refusal }) => refusal));
    const index = refusals.findIndex((refusal) => refusal !== null);
    if (index < 0) return;
    const { label, sizeBytes } = checks[index];
    if (label === REGION_LABEL) this.dropRegion();
    throw this.full(label, sizeBytes);
  }

  /** The part of one GPUBuffer that a window is. @throws MemoryFullError where it is spread over several. */
  rangeOf({ place, begin, length }: Window, label: string): Range {
    const bytes = GPU_ELEMENT_BYTES[place.dtype];
    const ranges = this.rangesOf(place, begin * bytes, length * bytes);
    const [range] = ranges;
    // Behind a tensor its memory goes on to the next unit: kernels may read and write whole vectors.
    if (ranges.length === 1) return { ...range, sizeBytes: Math.ceil(range.sizeBytes / VECTOR_BYTES) * VECTOR_BYTES };
    throw new MemoryFullError(
      `webgpu: a tensor is larger than the GPU lets a kernel see (${label} ${formatBytes(length * bytes)}, at most ${formatBytes(this.pieceBytes)}). ` +
        "Use a smaller batch, a smaller width or input size.",
    );
  }

  /** Bytes of a tensor as the ranges of buffers that they lie in, in order. */
  rangesOf(place: Place, beginBytes: number, sizeBytes: number): Range[] {
    const { pieces, offset } = this.memoryOf(place);
    const ranges: Range[] = [];
    for (let at = offset + beginBytes, left = sizeBytes; left > 0; ) {
      const index = Math.floor(at / this.pieceBytes);
      const offsetBytes = at - index * this.pieceBytes;
      const size = Math.min(left, this.pieceBytes - offsetBytes);
      ranges.push({ buffer: pieces[index], offsetBytes, sizeBytes: size });
      at += size;
      left -= size;
    }
    return ranges;
  }

  /** A buffer that the host reads, once; the caller destroys it. */
  readBack(sizeBytes: number): GPUBuffer {
    return this.device.createBuffer({ size: sizeBytes, usage: USAGE.mapRead | USAGE.copyDestination });
  }

  /** A buffer for the uniforms of a program. */
  uniforms(sizeBytes: number): GPUBuffer {
    return this.device.createBuffer({ size: sizeBytes, usage: USAGE.uniform | USAGE.copyDestination });
  }

  /** A buffer that the stamps of queries are written to. */
  stamps(sizeBytes: number): GPUBuffer {
    return this.device.createBuffer({ size: sizeBytes, usage: USAGE.queryResolve | USAGE.copySource });
  }

  use(): MemoryUse {
    return { usedBytes: this.usedBytes, peakBytes: this.peakBytes, maxBytes: this.maxBytes };
  }

  private memoryOf(place: Place): { pieces: readonly GPUBuffer[]; offset: number } {
    if ("slot" in place) return { pieces: this.region, offset: this.slots[place.slot].offsetBytes };
    return { pieces: own(place.buffer).pieces, offset: 0 };
  }

  private create(sizeBytes: number, label: string): GPUBuffer[] {
    const pieces: GPUBuffer[] = [];
    this.device.pushErrorScope("out-of-memory");
    for (let left = sizeBytes; left > 0; left -= this.pieceBytes) {
      const size = Math.ceil(Math.min(left, this.pieceBytes) / UNIT_BYTES) * UNIT_BYTES;
      pieces.push(this.device.createBuffer({ size, usage: TENSOR_USAGE, label }));
    }
    this.checks.push({ label, sizeBytes, refusal: this.device.popErrorScope().catch(() => null) });
    return pieces;
  }

  private count(sizeBytes: number, label: string): void {
    if (this.usedBytes + sizeBytes > this.maxBytes) throw this.full(label, sizeBytes);
    this.usedBytes += sizeBytes;
    this.peakBytes = Math.max(this.peakBytes, this.usedBytes);
  }

  private full(label: string, sizeBytes: number): MemoryFullError {
    const most = Number.isFinite(this.maxBytes) ? ` of ${formatBytes(this.maxBytes)}` : "";
    return new MemoryFullError(
      `webgpu: the GPU's memory is full (${label} needs ${formatBytes(sizeBytes)}, in use ${formatBytes(this.usedBytes)}${most}). ` +
        "Use a smaller batch, a smaller width or input size, or drop tensors and models that you keep.",
    );
  }

  private dropRegion(): void {
    this.released.push(...this.region);
    this.usedBytes -= this.regionBytes;
    this.region = [];
    this.regionBytes = 0;
  }

  private sweep(): void {
    for (const buffer of this.released.splice(0)) buffer.destroy();
  }
}

function own(buffer: Buffer): GpuBuffer {
  if (buffer instanceof GpuBuffer) return buffer;
  throw new BackendError("webgpu: the buffer belongs to another backend. Use one engine for all tensors.");
}

export function formatBytes(bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${Math.ceil(bytes / 1e6)} MB`;
}
