/**
 * The WebGPU backend: a plan's calls become dispatches (lowering.ts), recorded into command buffers each time they run. Weights stay on the
 * device, values come back when asked for. What WebGPU reports late (memory, validation, a lost device) is awaited where the program runs,
 * and told with the operation's name.
 */
import { BackendError } from "../../core/errors.js";
import { decodeF16 } from "../../core/quantize.js";
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
  SlotRules,
  TensorFacts,
} from "../backend.js";
import { recallTuning, rememberTuning, type Tuning, tune } from "./autotune.js";
import { type AdapterFacts, findAdapter, type OpenDevice, openDevice } from "./device.js";
import { type CallContext, GPU_ELEMENT_BYTES, type LoweringContext } from "./dispatch.js";
import type { GpuHost } from "./host.js";
import { algorithmOf, derivedOf, lower, scratchBytes } from "./lowering.js";
import { GpuMemory } from "./memory.js";
import { type Bound, Pipelines, type Prepared } from "./pipelines.js";
import { writeUniform } from "./shader.js";
import { runTimed, type TimedDispatch } from "./timing.js";
import { DeviceWatch, GO_ON, messageOf } from "./watch.js";

export interface WebGpuOptions {
  /** Take what the adapter offers (default), or WebGPU's default limits. */
  readonly limits?: "default" | "adapter";
  readonly precision?: "float32" | "f16";
  readonly convAlgorithm?: string;
  readonly memoryMaxBytes?: number;
  /** Measure which ways are fastest: on GPUs (default), or also on a software adapter, for tests, which remembers nothing. */
  readonly tune?: "gpu" | "always";
  /** Compile shaders for each shape; default: on GPUs. Software adapters compile long, and once for all shapes. */
  readonly specialise?: boolean;
  /**
   * For tests: tensors lie in pieces of this size where the device could have them in larger ones. A multiple of 1024; of 16384 where
   * sums are computed.
   */
  readonly pieceBytes?: number;
}

/** Calls that go to the device at once: short enough for systems that end what keeps a GPU for seconds. */
const CALLS_PER_SUBMIT = 16;

export class WebGpuBackend implements Backend {
  readonly name = "webgpu";
  readonly threads = 1;
  readonly tier = null;
  readonly slotRules: SlotRules;
  private readonly memoryOfDevice: GpuMemory;
  private readonly pipelines: Pipelines;
  private readonly watch: DeviceWatch;
  private uniforms: GPUBuffer | null = null;

  private constructor(
    private readonly device: GPUDevice,
    readonly adapter: AdapterFacts,
    readonly context: LoweringContext,
    private readonly tuning: Tuning,
    private readonly host: GpuHost,
    private readonly options: WebGpuOptions,
  ) {
    const { memoryMaxBytes: maxBytes = Number.POSITIVE_INFINITY } = options;
    this.slotRules = { unitBytes: 256, pieceBytes: context.pieceBytes };
    this.memoryOfDevice = new GpuMemory(device, context.pieceBytes, maxBytes);
    this.pipelines = new Pipelines(device, context.compact);
    this.watch = new DeviceWatch(device);
  }

  /** @throws BackendError where there is no adapter, or it gives no device. */
  static async create(host: GpuHost, options: WebGpuOptions): Promise<WebGpuBackend> {
    const found = await findAdapter(host);
    if ("reason" in found) throw new BackendError(`webgpu: there is no GPU (${found.reason}). Use the wasm backend.`);
    const device = await openDevice(found.adapter, found.facts, options.limits ?? "adapter");
    return WebGpuBackend.open(device, host, options);
  }

  /** A backend on a device that is open. @throws BackendError for a precision that it does not have. */
  static async open(
    { device, adapter, facts }: OpenDevice,
    host: GpuHost,
    options: WebGpuOptions,
  ): Promise<WebGpuBackend> {
    const { precision = "float32", convAlgorithm = "auto" } = options;
    if (precision === "f16" && !adapter.f16) {
      throw new BackendError(
        `webgpu: the GPU has no half-precision arithmetic (${adapter.name}, precision f16). Use precision float32.`,
      );
    }
    const tuning = await recallTuning(host, adapter);
    const context = {
      ...facts,
      pieceBytes: Math.min(facts.pieceBytes, options.pieceBytes ?? facts.pieceBytes),
      f16: precision === "f16",
      compact: options.specialise === undefined ? adapter.software : !options.specialise,
      convAlgorithm,
      tuned: (key: string) => tuning.get(key) ?? null,
    };
    return new WebGpuBackend(device, adapter, context, tuning, host, options);
  }

  /** What was measured to be fastest, by what autotune.ts asks. */
  get tuned(): ReadonlyMap<string, string> {
    return this.tuning;
  }

  sizeBytes(length: number, dtype: DataType): number {
    return length * GPU_ELEMENT_BYTES[dtype];
  }

  async prepare(calls: readonly KernelCall<TensorFacts>[]): Promise<void> {
    this.watch.checkAlive("prepare");
    if (this.adapter.software && this.options.tune !== "always") return;
    const time = async (dispatches: ReturnType<typeof lower>, repeats: number, label: string): Promise<number> => {
      const bound = dispatches.map((dispatch) => this.pipelines.bind(dispatch, this.memoryOfDevice, label));
      const [prepared] = await this.prepareDispatches([bound]);
      const call = { label };
      const begin = performance.now();
      await this.guard([call], [prepared], async () => {
        this.device.queue.submit([this.encode(new Array(repeats).fill(prepared))]);
        await this.device.queue.onSubmittedWorkDone();
      });
      return performance.now() - begin;
    };
    const measured = await tune(calls, this.context, this.tuning, this.memoryOfDevice, time);
    if (measured && !this.adapter.software) await rememberTuning(this.host, this.adapter, this.tuning);
  }

  scratchBytes(call: KernelCall<unknown>): number {
    return scratchBytes(call, this.context);
  }

  derivedOf(call: KernelCall<unknown>): Derived | null {
    return derivedOf(call, this.context);
  }

  allocate(sizeBytes: number, label: string): Buffer {
    return this.memoryOfDevice.allocate(sizeBytes, label);
  }

  release(buffer: Buffer): void {
    this.memoryOfDevice.release(buffer);
  }

  async load(plan: Plan): Promise<LoadedPlan> {
    const { calls } = plan;
    const { bound, prepared } = await this.watch.during(
      "load",
      () => this.place(plan),
      async (reason) =>
        new BackendError(
          `webgpu: the GPU refused to take a program (${labelsOf(calls)}: ${reason}). Use the wasm backend.`,
        ),
    );
    let timings: readonly CallTiming[] = [];
    return {
      run: async (begin, end) => {
        if (!plan.timed) return this.run(calls, prepared, begin, end);
        const ran = prepared.slice(begin, end).flatMap((dispatches, i) =>
          dispatches.map((dispatch, j): TimedDispatch => {
            const { name } = bound[begin + i][j].dispatch;
            return { ...dispatch, name, call: begin + i };
          }),
        );
        timings = await this.guard(calls.slice(begin, end), prepared.slice(begin, end), () =>
          runTimed(this.device, this.memoryOfDevice, ran, (call) => algorithmOf(calls[call].call, this.context)),
        );
      },
      timings: () => timings,
    };
  }

  async read({ dtype, ...room }: Place, begin: number, length: number): Promise<HostArray> {
    this.watch.checkAlive("read");
    const size = GPU_ELEMENT_BYTES[dtype];
    // Copies are of whole words.
    const from = Math.floor((begin * size) / 4) * 4;
    const to = Math.ceil(((begin + length) * size) / 4) * 4;
    const bytes = await this.download({ dtype, ...room }, from, to - from);
    const offset = begin * size - from;
    if (dtype === "float32") return new Float32Array(bytes, offset, length);
    if (dtype === "float16") return decodeF16(new Uint16Array(bytes, offset, length));
    if (dtype === "int8") return Int32Array.from(new Int8Array(bytes, offset, length));
    return new Int32Array(bytes, offset, length);
  }

  async writeFrom(place: Place, source: ByteSource): Promise<void> {
    this.watch.checkAlive("write");
    await this.memoryOfDevice.settle();
    const bytes = new Uint8Array(this.sizeBytes(place.length, place.dtype));
    await source(bytes);
    this.upload(place, 0, bytes);
  }

  memory(): MemoryUse {
    return this.memoryOfDevice.use();
  }

  async close(): Promise<void> {
    this.device.destroy();
  }

  private async place({
    calls,
    slots,
    sizeBytes,
    uploads,
  }: Plan): Promise<{ bound: Bound[][]; prepared: Prepared[][] }> {
    this.memoryOfDevice.reserve(sizeBytes, slots);
    await this.memoryOfDevice.settle();
    for (const { place, data } of uploads) this.upload(place, 0, bytesOf(data, place.dtype));
    const bound = calls.map((planned) => this.bindCall(planned));
    return { bound, prepared: await this.prepareDispatches(bound) };
  }

  private bindCall({ call, scratch, derived, label }: PlannedCall): Bound[] {
    const context: CallContext = {
      ...this.context,
      scratch:
        scratch === null ? null : { slot: scratch, length: scratchBytes(call, this.context) / 4, dtype: "float32" },
      derived: derived && {
        place: { ...derived.room, length: (derivedOf(call, this.context)?.sizeBytes ?? 0) / 4, dtype: "float32" },
        fresh: derived.fresh,
      },
    };
    return lower(call, context).map((dispatch) => this.pipelines.bind(dispatch, this.memoryOfDevice, label));
  }

  /** Compiles what is new, and writes the uniforms of all dispatches. */
  private async prepareDispatches(calls: readonly (readonly Bound[])[]): Promise<Prepared[][]> {
    const all = calls.flat();
    const bytes = new ArrayBuffer(Math.max(1, all.length) * UNIFORM_BYTES);
    all.forEach(({ dispatch }, i) => {
      const view = new DataView(bytes, i * UNIFORM_BYTES, UNIFORM_BYTES);
      for (const [field, value] of Object.values(dispatch.uniforms).entries()) writeUniform(view, field * 4, value);
    });
    if (this.uniforms === null || this.uniforms.size < bytes.byteLength) {
      this.uniforms?.destroy();
      this.uniforms = this.memoryOfDevice.uniforms(bytes.byteLength);
    }
    const buffer = this.uniforms;
    this.device.queue.writeBuffer(buffer, 0, bytes);
    let index = 0;
    return Promise.all(
      calls.map((bound) =>
        Promise.all(
          bound.map((one) => {
            const offsetBytes = index++ * UNIFORM_BYTES;
            return this.pipelines.prepare(one, { buffer, offsetBytes, sizeBytes: uniformBytes(one) });
          }),
        ),
      ),
    );
  }

  private run(
    calls: readonly PlannedCall[],
    prepared: readonly Prepared[][],
    begin: number,
    end: number,
  ): Promise<void> {
    return this.guard(calls.slice(begin, end), prepared.slice(begin, end), async () => {
      for (let first = begin; first < end; first += CALLS_PER_SUBMIT) {
        this.device.queue.submit([this.encode(prepared.slice(first, Math.min(end, first + CALLS_PER_SUBMIT)))]);
      }
      await this.device.queue.onSubmittedWorkDone();
    });
  }

  private encode(calls: readonly (readonly Prepared[])[]): GPUCommandBuffer {
    const encoder = this.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const { pipeline, bindGroup, workgroups } of calls.flat()) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(...workgroups);
    }
    pass.end();
    return encoder.finish();
  }

  /** Runs calls by `work`; a failure becomes an error that names one of them. */
  private guard<T>(calls: readonly Labelled[], prepared: readonly Prepared[][], work: () => Promise<T>): Promise<T> {
    return this.watch.during(labelsOf(calls), work, async (reason) => {
      const culprit = (await this.findCulprit(calls, prepared)) ?? labelsOf(calls);
      return new BackendError(
        `webgpu: the GPU refused a program (${culprit}: ${reason}). Its tensors are lost: ${GO_ON}`,
      );
    });
  }

  /** The first call that cannot be encoded by itself. */
  private async findCulprit(calls: readonly Labelled[], prepared: readonly Prepared[][]): Promise<string | null> {
    for (const [i, { label }] of calls.entries()) {
      if (this.watch.isLost) break;
      this.device.pushErrorScope("validation");
      this.encode([prepared[i]]);
      if ((await this.device.popErrorScope().catch(() => null)) !== null) return label;
    }
    return null;
  }

  private upload(place: Place, beginBytes: number, data: Uint8Array<ArrayBuffer>): void {
    // Whole words; what is rounded up lies behind the tensor, in its own buffer.
    const whole = data.length % 4 === 0 ? data : padded(data);
    let from = 0;
    for (const { buffer, offsetBytes, sizeBytes } of this.memoryOfDevice.rangesOf(place, beginBytes, whole.length)) {
      this.device.queue.writeBuffer(buffer, offsetBytes, whole, from, sizeBytes);
      from += sizeBytes;
    }
  }

  private async download(place: Place, beginBytes: number, sizeBytes: number): Promise<ArrayBuffer> {
    const bytes = new Uint8Array(sizeBytes);
    let at = 0;
    for (const range of this.memoryOfDevice.rangesOf(place, beginBytes, sizeBytes)) {
      const staging = this.memoryOfDevice.readBack(range.sizeBytes);
      const encoder = this.device.createCommandEncoder();
      encoder.copyBufferToBuffer(range.buffer, range.offsetBytes, staging, 0, range.sizeBytes);
      this.device.queue.submit([encoder.finish()]);
      await staging.mapAsync(MAP_READ).catch((error: unknown) => {
        this.watch.checkAlive("read");
        throw new BackendError(`webgpu: values cannot be read back (${messageOf(error)}). Create a new engine.`);
      });
      bytes.set(new Uint8Array(staging.getMappedRange()), at);
      staging.destroy();
      at += range.sizeBytes;
    }
    return bytes.buffer;
  }
}

/** What errors name. */
type Labelled = Pick<PlannedCall, "label">;

/** `conv2d (features.0) to sgd (classifier.6)`. */
function labelsOf(calls: readonly Labelled[]): string {
  if (calls.length === 0) return "no call";
  return calls.length === 1 ? calls[0].label : `${calls[0].label} to ${calls[calls.length - 1].label}`;
}

/** GPUMapMode.READ. */
const MAP_READ = 1;
/** Room for the uniforms of a dispatch: a multiple of the alignment that WebGPU asks for at most. */
const UNIFORM_BYTES = 512;

/** Structs of uniforms are seen in units of 16 bytes. */
function uniformBytes({ dispatch }: Bound): number {
  return Math.max(16, Math.ceil((Object.keys(dispatch.uniforms).length * 4) / 16) * 16);
}

/** Host values as a tensor's bytes. */
function bytesOf(data: HostArray, dtype: DataType): Uint8Array<ArrayBuffer> {
  if (dtype === "float32") return new Uint8Array(Float32Array.from(data).buffer);
  if (dtype === "int32" || dtype === "uint8") return new Uint8Array(Int32Array.from(data).buffer);
  throw new BackendError(`webgpu: values of this type are not uploaded (dtype ${dtype}). Write them by writeFrom().`);
}

function padded(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(Math.ceil(data.length / 4) * 4);
  whole.set(data);
  return whole;
}
