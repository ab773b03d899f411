/**
 * Compiled shaders and bind groups of a device, each made once. A pipeline's key is its whole text; a bind group's the pipeline and the
 * ranges of buffers that it names, which are the same in every step of a training.
 */
import { BackendError } from "../../core/errors.js";
import type { Dispatch } from "./dispatch.js";
import type { GpuMemory, Range } from "./memory.js";
import { type Binding, ELEMENT_TYPE, generalised, shaderText } from "./shader.js";
import { messageOf } from "./watch.js";

/** A dispatch that is ready to be encoded. */
export interface Prepared {
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

/** A dispatch whose tensors have buffers, and whose pipeline is being compiled. */
export interface Bound {
  readonly dispatch: Dispatch;
  readonly ranges: readonly Range[];
  readonly pipeline: Promise<Compiled>;
}

interface Compiled {
  readonly id: number;
  readonly layout: GPUBindGroupLayout;
  readonly pipeline: GPUComputePipeline;
}

/** GPUShaderStage.COMPUTE. */
const COMPUTE = 4;
/** Bind groups that are kept; a training step of VGG-16 has a few hundred. */
const MAX_GROUPS = 4096;

export class Pipelines {
  private readonly compiled = new Map<string, Promise<Compiled>>();
  private readonly layouts = new Map<string, GPUBindGroupLayout>();
  private readonly groups = new Map<string, GPUBindGroup>();
  private readonly bufferIds = new WeakMap<GPUBuffer, number>();
  private nextId = 0;

  /** Shaders with constants that were looked through, but not compiled. */
  private readonly checked = new Set<string>();

  /** @param general shapes share pipelines ({@link generalised}); the shaders that GPUs get are only checked. */
  constructor(
    private readonly device: GPUDevice,
    private readonly general: boolean,
  ) {}

  /** Finds the buffers of a dispatch and begins to compile its shader. `label` is the call's, for errors. */
  bind(asked: Dispatch, memory: GpuMemory, label: string): Bound {
    const dispatch = this.general ? generalised(asked) : asked;
    const { tensors, writes } = dispatch;
    const found = Object.entries(tensors).flatMap(([name, window]) => {
      if (window === null) return [];
      const range = memory.rangeOf(window, `${label}: ${name}`);
      return [{ name, range, element: window.element ?? ELEMENT_TYPE[window.place.dtype] }];
    });
    const written = found.filter(({ name }) => writes.includes(name));
    const bindings: Binding[] = [];
    const ranges: Range[] = [];
    const aliases = new Map<string, string>();
    for (const { name, range, element } of found) {
      // One buffer cannot be read-only and writable in the same dispatch.
      const writable = written.some((other) => other.range.buffer === range.buffer);
      const at = ranges.findIndex((other) => writable && overlap(other, range));
      if (at < 0) {
        bindings.push({ name, element, writable });
        ranges.push(range);
      } else if (bindings[at].element === element && ranges[at].offsetBytes === range.offsetBytes) {
        aliases.set(name, bindings[at].name);
      } else {
        throw new BackendError(
          `webgpu: tensors of a kernel overlap (${label}, ${dispatch.name}: ${name} and ${bindings[at].name}). Report this.`,
        );
      }
    }
    const pipeline = this.compile(shaderText(dispatch, bindings, aliases), dispatch, bindings, label);
    if (!this.general) return { dispatch, ranges, pipeline };
    const check = this.check(shaderText(asked, bindings, aliases), asked, label);
    return { dispatch, ranges, pipeline: Promise.all([pipeline, check]).then(([compiled]) => compiled) };
  }

  /** Looks through a shader without a pipeline for it. */
  private async check(text: string, { name }: Dispatch, label: string): Promise<void> {
    if (this.checked.has(text)) return;
    this.checked.add(text);
    this.device.pushErrorScope("validation");
    this.device.createShaderModule({ code: text, label: name });
    const error = await this.device.popErrorScope();
    if (error) throw refused(label, name, error);
  }

  /** @param uniforms where the values of the dispatch's uniforms are. */
  async prepare({ dispatch, ranges, pipeline: compiling }: Bound, uniforms: Range): Promise<Prepared> {
    const { id, layout, pipeline } = await compiling;
    const all = Object.keys(dispatch.uniforms).length > 0 ? [...ranges, uniforms] : ranges;
    const key = `${id} ${all.map((range) => `${this.idOf(range.buffer)}:${range.offsetBytes}:${range.sizeBytes}`).join(" ")}`;
    let bindGroup = this.groups.get(key);
    if (bindGroup === undefined) {
      if (this.groups.size >= MAX_GROUPS) this.groups.clear();
      bindGroup = this.device.createBindGroup({
        label: dispatch.name,
        layout,
        entries: all.map(({ buffer, offsetBytes, sizeBytes }, binding) => ({
          binding,
          resource: { buffer, offset: offsetBytes, size: sizeBytes },
        })),
      });
      this.groups.set(key, bindGroup);
    }
    return { pipeline, bindGroup, workgroups: dispatch.workgroups };
  }

  private compile(text: string, dispatch: Dispatch, bindings: readonly Binding[], label: string): Promise<Compiled> {
    let compiled = this.compiled.get(text);
    if (compiled === undefined) {
      compiled = this.compileNew(text, dispatch, bindings);
      this.compiled.set(text, compiled);
      // Whoever awaits it is told.
      compiled.catch(() => this.compiled.delete(text));
    }
    return compiled.catch((error) => {
      throw refused(label, dispatch.name, error);
    });
  }

  private async compileNew(
    text: string,
    { name, uniforms }: Dispatch,
    bindings: readonly Binding[],
  ): Promise<Compiled> {
    const layout = this.layoutOf(bindings, Object.keys(uniforms).length > 0);
    this.device.pushErrorScope("validation");
    const module = this.device.createShaderModule({ code: text, label: name });
    const refusal = this.device.popErrorScope();
    const compiling = this.device.createComputePipelineAsync({
      label: name,
      layout: this.device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: "main" },
    });
    // The module's own refusal says which line is wrong.
    const [error, pipeline] = await Promise.allSettled([refusal, compiling]);
    if (error.status === "fulfilled" && error.value) throw error.value;
    if (pipeline.status === "rejected") throw pipeline.reason;
    return { id: this.nextId++, layout, pipeline: pipeline.value };
  }

  private layoutOf(bindings: readonly Binding[], hasUniforms: boolean): GPUBindGroupLayout {
    const types: GPUBufferBindingType[] = bindings.map(({ writable }) => (writable ? "storage" : "read-only-storage"));
    if (hasUniforms) types.push("uniform");
    const key = types.join(" ");
    const known = this.layouts.get(key);
    if (known) return known;
    const layout = this.device.createBindGroupLayout({
      entries: types.map((type, binding) => ({ binding, visibility: COMPUTE, buffer: { type } })),
    });
    this.layouts.set(key, layout);
    return layout;
  }

  private idOf(buffer: GPUBuffer): number {
    const id = this.bufferIds.get(buffer) ?? this.nextId++;
    this.bufferIds.set(buffer, id);
    return id;
  }
}

function refused(label: string, name: string, error: unknown): BackendError {
  return new BackendError(
    `webgpu: a shader was refused (${label}, ${name}: ${messageOf(error)}). Use the wasm backend, and report this.`,
  );
}

function overlap(a: Range, b: Range): boolean {
  return (
    a.buffer === b.buffer && a.offsetBytes < b.offsetBytes + b.sizeBytes && b.offsetBytes < a.offsetBytes + a.sizeBytes
  );
}
