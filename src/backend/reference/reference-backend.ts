/**
 * The reference backend: runs a plan call by call with the plain loops of kernels.ts, in float32 or float64.
 * One typed array per buffer and per tensor of a slot; single-threaded; made to be read, not to be fast.
 */
import { BackendError } from "../../core/errors.js";
import type {
  Backend,
  Buffer,
  ByteSource,
  CallTiming,
  DataType,
  HostArray,
  KernelCall,
  KernelName,
  LoadedPlan,
  MemoryUse,
  Place,
  Plan,
  ShapeOf,
  TensorsOf,
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
  private slots: ArrayBuffer[] = [];
  private usedBytes = 0;
  private peakBytes = 0;

  constructor(readonly precision: Precision = "float32") {}

  sizeBytes(length: number, dtype: DataType): number {
    return length * (dtype === "uint8" ? 1 : dtype === "int32" ? 4 : this.precision === "float64" ? 8 : 4);
  }

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
    this.slots = plan.slotBytes.map((sizeBytes) => new ArrayBuffer(sizeBytes));
    const slotBytes = plan.slotBytes.reduce((sum, sizeBytes) => sum + sizeBytes, 0);
    this.peakBytes = Math.max(this.peakBytes, this.usedBytes + slotBytes);
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
    const bytes = new Uint8Array(place.length * 4);
    await source(bytes);
    const [from, to] = [new DataView(bytes.buffer), this.view(place)];
    for (let i = 0; i < place.length; i++) to[i] = from.getFloat32(i * 4, true);
  }

  memory(): MemoryUse {
    return { usedBytes: this.usedBytes, peakBytes: this.peakBytes, maxBytes: Number.MAX_SAFE_INTEGER };
  }

  async close(): Promise<void> {
    this.slots = [];
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

  private view(place: Place): HostArray {
    const bytes = "slot" in place ? this.slots[place.slot] : bytesOf(place.buffer);
    if (place.dtype === "uint8") return new Uint8Array(bytes, 0, place.length);
    if (place.dtype === "int32") return new Int32Array(bytes, 0, place.length);
    return this.precision === "float64"
      ? new Float64Array(bytes, 0, place.length)
      : new Float32Array(bytes, 0, place.length);
  }
}

function bytesOf(buffer: Buffer): ArrayBuffer {
  if (buffer instanceof ReferenceBuffer) return buffer.bytes;
  throw new BackendError("reference: the buffer belongs to another backend. Use one engine for all tensors.");
}
