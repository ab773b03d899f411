/**
 * The reference backend: runs a plan call by call with the plain loops of kernels.ts, in float32 or float64.
 * One ArrayBuffer per buffer and one for all slots; single-threaded; made to be read, not to be fast.
 */
import { BackendError } from "../../core/errors.js";
import { decodeF16 } from "../../core/quantize.js";
import {
  type Backend,
  type Buffer,
  type ByteSource,
  type CallTiming,
  type DataType,
  ELEMENT_BYTES,
  type HostArray,
  type KernelCall,
  type KernelName,
  type LoadedPlan,
  type MemoryUse,
  ONE_PIECE,
  type Place,
  type Plan,
  type ShapeOf,
  type Slot,
  type TensorsOf,
} from "../backend.js";
import { referenceKernels } from "./kernels.js";

export type Precision = "float32" | "float64";

class ReferenceBuffer implements Buffer {
  constructor(readonly bytes: ArrayBuffer) {}

  get sizeBytes(): number {
    return this.bytes.byteLength;
  }
}

export class ReferenceBackend implements Backend {
  readonly name = "reference";
  readonly threads = 1;
  readonly tier = null;
  readonly slotRules = ONE_PIECE;
  private memoryOfSlots = new ArrayBuffer(0);
  private slots: readonly Slot[] = [];
  private usedBytes = 0;
  private peakBytes = 0;

  constructor(readonly precision: Precision = "float32") {}

  sizeBytes(length: number, dtype: DataType): number {
    return length * (dtype === "float32" && this.precision === "float64" ? 8 : ELEMENT_BYTES[dtype]);
  }

  async prepare(): Promise<void> {}

  scratchBytes(): number {
    return 0;
  }

  derivedOf(): null {
    return null;
  }

  allocate(sizeBytes: number): Buffer {
    this.usedBytes += sizeBytes;
    return new ReferenceBuffer(new ArrayBuffer(sizeBytes));
  }

  release(buffer: Buffer): void {
    this.usedBytes -= buffer.sizeBytes;
  }

  async load(plan: Plan): Promise<LoadedPlan> {
    this.memoryOfSlots = new ArrayBuffer(plan.sizeBytes);
    this.slots = plan.slots;
    this.peakBytes = Math.max(this.peakBytes, this.usedBytes + plan.sizeBytes);
    for (const { place, data } of plan.uploads) this.view(place).set(data);
    const timings: CallTiming[] = [];
    let start = 0;
    return {
      run: async (begin, end) => {
        if (begin === 0) start = performance.now();
        for (let i = begin; i < end; i++) timings[i] = this.timeCall(plan.calls[i].call, start);
      },
      timings: () => timings,
    };
  }

  async read(place: Place, begin: number, length: number): Promise<HostArray> {
    return this.view(place).slice(begin, begin + length);
  }

  async writeFrom(place: Place, source: ByteSource): Promise<void> {
    const bytes = new Uint8Array(place.length * ELEMENT_BYTES[place.dtype]);
    await source(bytes);
    if (place.dtype !== "float32") {
      new Uint8Array(...this.bytesOf(place), bytes.length).set(bytes);
      return;
    }
    const [from, to] = [new DataView(bytes.buffer), this.view(place)];
    for (let i = 0; i < place.length; i++) to[i] = from.getFloat32(i * 4, true);
  }

  memory(): MemoryUse {
    return { usedBytes: this.usedBytes, peakBytes: this.peakBytes, maxBytes: Number.MAX_SAFE_INTEGER };
  }

  async close(): Promise<void> {
    this.memoryOfSlots = new ArrayBuffer(0);
  }

  private timeCall(call: KernelCall<Place>, start: number): CallTiming {
    const beginMs = performance.now() - start;
    this.runCall(call);
    const span = { beginMs, endMs: performance.now() - start };
    return { ...span, algorithm: "", launches: [{ kernel: call.kernel, ...span }] };
  }

  private runCall<K extends KernelName>(call: KernelCall<Place, K>): void {
    const { kernel, shape, tensors }: { kernel: K; shape: ShapeOf<K>; tensors: TensorsOf<K, Place> } = call;
    const arrays: Record<string, HostArray | null> = {};
    for (const [role, place] of Object.entries<Place | null>(tensors)) {
      arrays[role] = place && this.view(place);
    }
    referenceKernels[kernel](shape, arrays as TensorsOf<K, HostArray>);
  }

  private bytesOf(place: Place): [bytes: ArrayBuffer, offset: number] {
    return "slot" in place ? [this.memoryOfSlots, this.slots[place.slot].offsetBytes] : [bytesOf(place.buffer), 0];
  }

  /** A tensor's memory; of weights in fewer bits a copy, which kernels only read. */
  private view(place: Place): HostArray {
    const { length, dtype } = place;
    const [bytes, offset] = this.bytesOf(place);
    if (dtype === "float16") return decodeF16(new Uint16Array(bytes, offset, length));
    if (dtype === "int8") return Int32Array.from(new Int8Array(bytes, offset, length));
    if (dtype === "uint8") return new Uint8Array(bytes, offset, length);
    if (dtype === "int32") return new Int32Array(bytes, offset, length);
    return this.precision === "float64"
      ? new Float64Array(bytes, offset, length)
      : new Float32Array(bytes, offset, length);
  }
}

function bytesOf(buffer: Buffer): ArrayBuffer {
  if (buffer instanceof ReferenceBuffer) return buffer.bytes;
  throw new BackendError("reference: the buffer belongs to another backend. Use one engine for all tensors.");
}
