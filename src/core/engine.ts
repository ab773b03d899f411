/**
 * The engine: records operations into programs, and decides which values survive them.
 *
 * Recording is synchronous; the fields that say where recording stands (scope, operation, module path, noGrad) never
 * outlive a synchronous call. Next layers: program.ts and seal.ts (what a program is), runner.ts (runs them in turn).
 */
import type {
  Backend,
  ByteSource,
  DataType,
  HostArray,
  KernelName,
  MemoryUse,
  ShapeOf,
  TensorsOf,
  Tier,
} from "../backend/backend.js";
import { backward, reachableNodes, type TapeNode } from "./autograd.js";
import { UsageError } from "./errors.js";
import { type Profile, profiledCalls } from "./profile.js";
import { callLabel, isWritten, type Phase, Program } from "./program.js";
import { Runner, type Step } from "./runner.js";
import { seal } from "./seal.js";
import { formatShape, type Shape, sizeOf } from "./shape.js";
import { type KeptMemory, Storage } from "./storage.js";
import { Parameter, StateTensor, Tensor } from "./tensor.js";

/** Records operations into programs and runs them; owns all tensors made with it. Made by createEngine. */
export class Engine {
  private scopeProgram: Program | null = null;
  /** The program of the newest recorded call. */
  private lastProgram: Program | null = null;
  private opName = "";
  private phase: Phase = "forward";
  private readonly modules: string[] = [];
  private noGradDepth = 0;
  /** Calls recorded so far. */
  private recordCount = 0;
  /** The newest awaited loss whose backward pass has not been asked for: what it saved stays. */
  private liveTape: { readonly root: TapeNode; readonly storages: Storage[] } | null = null;
  private readonly runner: Runner;
  private readonly finalizer: FinalizationRegistry<KeptMemory>;

  /** @param collectGarbage called when memory is full, before that becomes an error. */
  constructor(
    readonly backend: Backend,
    collectGarbage: () => Promise<void>,
    options: { readonly keepTransformedWeights: boolean },
  ) {
    this.runner = new Runner(backend, collectGarbage, options);
    this.finalizer = new FinalizationRegistry((memory) => this.runner.release(memory));
  }

  // ---- making tensors ------------------------------------------------------------------------------------------

  /** A tensor with the given values (copied at once). int32 for an Int32Array, else float32. */
  tensor(data: HostArray | readonly number[], shape: Shape): Tensor {
    const values = Array.isArray(data) ? Float64Array.from(data) : (data as HostArray).slice();
    const size = sizeOf(shape);
    if (values.length !== size || shape.some((n) => !Number.isInteger(n) || n < 1)) {
      throw new UsageError(
        `tensor: ${values.length} values do not fill the shape (x [${shape.join(",")}]). Give ${size} values, all sizes at least 1.`,
      );
    }
    const dtype = values instanceof Int32Array ? "int32" : "float32";
    const storage = new Storage(size, dtype, "program", "tensor");
    this.upload(storage, values, this.scopeProgram ?? new Program());
    return new Tensor(this, shape, storage);
  }

  /** A tensor without values, for an operation's result. */
  emptyTensor(shape: Shape, dtype: DataType = "float32"): Tensor {
    return new Tensor(this, shape, new Storage(sizeOf(shape), dtype, "program", this.opName));
  }

  /** Kept memory without values: gradients, buffers of modules, optimiser state. */
  stateTensor(shape: Shape, name: string): StateTensor {
    const tensor = new StateTensor(this, shape, this.keptStorage(shape, name));
    tensor.name = name;
    return tensor;
  }

  /** A new parameter, without values yet; `label` names it in errors until a module does. */
  parameter(shape: Shape, label: string): Parameter {
    const parameter = new Parameter(this, shape, this.keptStorage(shape, label));
    parameter.name = label;
    return parameter;
  }

  /** The memory of a kept tensor, without values; `label` names it in errors. */
  keptStorage(shape: Shape, label: string, dtype: DataType = "float32"): Storage {
    const storage = new Storage(sizeOf(shape), dtype, "kept", label);
    this.finalizer.register(storage, storage.memory);
    return storage;
  }

  // ---- recording -----------------------------------------------------------------------------------------------

  get gradEnabled(): boolean {
    return this.noGradDepth === 0;
  }

  /** Path of the module whose forward pass is being recorded. */
  get modulePath(): string {
    return this.modules.join(".");
  }

  /** Runs a synchronous function in which no tape is made. */
  noGrad<T>(fn: () => T): T {
    this.noGradDepth++;
    try {
      const result = fn();
      refusePromise("noGrad", result);
      return result;
    } finally {
      this.noGradDepth--;
    }
  }

  /** Runs `fn`; what it records belongs to this operation and phase. */
  withOp<T>(name: string, phase: Phase, fn: () => T): T {
    const before = { name: this.opName, phase: this.phase };
    this.opName = name;
    this.phase = phase;
    try {
      return fn();
    } finally {
      this.opName = before.name;
      this.phase = before.phase;
    }
  }

  /** Runs `fn`; what it records belongs to this module, inside the one that is open: a level of the module path. */
  withModule<T>(name: string, fn: () => T): T {
    this.modules.push(name);
    try {
      return fn();
    } finally {
      this.modules.pop();
    }
  }

  /** Appends one kernel call to the program of its tensors, or of the scope. */
  record<K extends KernelName>(kernel: K, shape: ShapeOf<K>, tensors: TensorsOf<K, Tensor>): void {
    const byRole: Readonly<Record<string, Tensor | null>> = { ...tensors };
    const label = callLabel({ op: this.opName || kernel, module: this.modulePath });
    const program = this.programFor(byRole, kernel, label);
    const versions = new Map<Storage, number>();
    this.recordCount++;
    for (const [role, tensor] of Object.entries(byRole)) {
      if (tensor === null) continue;
      const { storage } = tensor;
      storage.lastUse = this.recordCount;
      if (isWritten(kernel, role)) continue;
      this.makeLive(storage, program, label);
      if (storage.lifetime === "kept") versions.set(storage, storage.version);
    }
    program.pushCall({
      kernel,
      shape,
      tensors: byRole,
      op: this.opName || kernel,
      module: this.modulePath,
      phase: this.phase,
      versions,
    });
    this.lastProgram = program;
    for (const [role, tensor] of Object.entries(byRole)) {
      if (tensor !== null && isWritten(kernel, role)) this.markWritten(tensor.storage, program, label);
    }
  }

  /** Records the backward pass of a scalar, all of it or nothing: see autograd.ts. */
  backward(loss: Tensor): void {
    if (this.scopeProgram) backward(loss);
    else this.recordScope(() => backward(loss));
  }

  /** Registers what must be undone with the newest recorded call, if its scope throws or its program gets no memory. */
  onUndo(undo: () => void): void {
    const program = this.scopeProgram ?? this.lastProgram;
    if (program?.open) program.undo.push(undo);
  }

  /** Registers what a throw in the current scope must undo. */
  onScopeUndo(undo: () => void): void {
    this.scopeProgram?.undo.push(undo);
  }

  /** The program that a call on these tensors belongs to; those that make its inputs run before it. */
  private programFor(tensors: Readonly<Record<string, Tensor | null>>, kernel: KernelName, label: string): Program {
    const kept: Program[] = [];
    let program = this.scopeProgram;
    let updates = false;
    for (const [role, tensor] of Object.entries(tensors)) {
      if (tensor === null) continue;
      const { storage } = tensor;
      const written = isWritten(kernel, role);
      updates ||= written && storage.lifetime === "kept";
      if (storage.state === "spent" && storage.hostCopy === null && !written) {
        throw new UsageError(
          `${label}: the value of ${storage.label} is gone (${role} [${tensor.shape.join(",")}]). ` +
            "Call keep() on it before its program runs, or await it there.",
        );
      }
      const other = storage.program?.root();
      if (!other?.open || other === program) continue;
      // A value of a program that others need may have to outlive it.
      if (other.frozen && storage.lifetime === "program") this.retain(storage);
      if (storage.lifetime === "kept") {
        this.remember(storage);
        kept.push(other);
      } else if (program === null) program = other;
      else program.adopt(other);
    }
    // An update belongs to the program that computed the gradient; other calls on parameters alone begin their own.
    if (program === null && updates) program = kept.find((other) => !other.frozen) ?? null;
    program ??= new Program();
    for (const other of kept) if (other.root() !== program) program.need(other.root());
    return program;
  }

  private makeLive(storage: Storage, program: Program, label: string): void {
    if (storage.state === "live") return;
    if (storage.hostCopy === null) {
      throw new UsageError(`${label}: a tensor has no value yet (${storage.label}). Initialise or load it first.`);
    }
    this.upload(storage, storage.hostCopy, program);
  }

  private upload(storage: Storage, data: HostArray, program: Program): void {
    program.pushUpload(storage, data);
    this.markWritten(storage, program, storage.label);
  }

  private markWritten(storage: Storage, program: Program, label: string): void {
    this.remember(storage);
    const before = { state: storage.state, program: storage.program, version: storage.version, label: storage.label };
    program.undo.push(() => Object.assign(storage, before));
    storage.state = "live";
    storage.program = program;
    if (storage.lifetime === "kept") storage.version++;
    else storage.label = label;
  }

  /** Asks for the value to outlive its program. */
  keep(tensor: Tensor): void {
    const { storage } = tensor;
    this.remember(storage);
    // An awaited value is in host memory for good.
    if (storage.lifetime === "kept" || storage.hostCopy !== null) return;
    if (storage.state === "spent") {
      throw new UsageError(
        `keep: the value is gone (${storage.label} [${tensor.shape.join(",")}]). Call keep() before its program runs.`,
      );
    }
    this.retain(storage);
  }

  /** Nobody asks for a parameter's gradient any more: it may end with the program that computes it. */
  forget({ storage }: StateTensor): void {
    const { program } = storage;
    const root = program?.root();
    // A program that others need may run with another one than that which is recording now.
    if (!program || !root?.open || root.frozen || program.frozen) return;
    if (this.scopeProgram && this.scopeProgram !== root) return;
    program.forgotten.add(storage);
    root.undo.push(() => {
      program.forgotten.delete(storage);
    });
  }

  /** Somebody asks for it after all, or it was written anew. */
  private remember(storage: Storage): void {
    const { program } = storage;
    if (!program?.forgotten.delete(storage)) return;
    program.root().undo.push(() => {
      program.forgotten.add(storage);
    });
  }

  private retain(storage: Storage): void {
    storage.lifetime = "kept";
    this.finalizer.register(storage, storage.memory);
    // Its one write was not counted while it was not kept.
    storage.version = 1;
    storage.queuedVersion = storage.program?.root().open ? 0 : 1;
  }

  // ---- running -------------------------------------------------------------------------------------------------

  /**
   * Records everything in `fn`, a synchronous function, as one program, and runs it. Tensors in the result (itself, or in
   * an array or object) are kept. If `fn` throws, nothing of what it recorded remains: no call, no gradient, no counter.
   */
  async scope<T>(fn: () => T): Promise<T> {
    const { program, result } = this.recordKeeping(fn);
    if (program !== this.scopeProgram) await this.flush(program);
    return result;
  }

  /**
   * Records and runs `fn` as scope() does, with the same memory, speed and numbers, and tells of every kernel call when it ran,
   * how, and what it cost. The times are those of this one run; a first run also holds what is done once: the initialisation of
   * parameters, the compilation of kernels.
   * @throws UsageError inside of a scope.
   */
  async profile<T>(fn: () => T): Promise<Profile<T>> {
    if (this.scopeProgram) throw new UsageError("profile: a scope is open. Call profile() outside of scope().");
    const { program, result } = this.recordKeeping(fn);
    const { calls, timings } = await this.runner.profile(seal(program, this.recordCount));
    return { result, calls: profiledCalls(calls, timings) };
  }

  private recordKeeping<T>(fn: () => T): { program: Program; result: T } {
    return this.recordScope(() => {
      const value = fn();
      for (const tensor of tensorsIn(value)) this.keep(tensor);
      return value;
    });
  }

  private recordScope<T>(fn: () => T): { program: Program; result: T } {
    const outer = this.scopeProgram;
    const program = outer ?? new Program();
    const mark = program.mark();
    this.scopeProgram = program;
    try {
      const result = fn();
      refusePromise("scope", result);
      return { program, result };
    } catch (error) {
      program.truncate(mark);
      throw error;
    } finally {
      this.scopeProgram = outer;
    }
  }

  /**
   * Records `fn` like scope(), then runs it one kernel call at a time, yielding each call when it has run: its operation,
   * module, inputs, outputs and gradients, all readable until the end. The numbers are those that scope() computes.
   * Leaving the loop early runs the rest. Inside the loop read by `step.read()`, or a parameter's data(); any other program
   * has its turn after the loop, so awaiting one inside it would wait for ever.
   */
  async *steps(fn: () => unknown): AsyncGenerator<Step> {
    if (this.scopeProgram) throw new UsageError("steps: a scope is open. Call steps() outside of scope().");
    const { program } = this.recordScope(fn);
    yield* this.runner.steps(seal(program, this.recordCount));
  }

  /** Elements [begin, end) of a tensor; runs the program that computes them if need be. */
  async read(tensor: Tensor, begin = 0, end = tensor.size): Promise<HostArray> {
    const { storage } = tensor;
    checkRange("read", tensor, begin, end);
    if (storage.hostCopy !== null) return storage.hostCopy.slice(begin, end);
    if (storage.state !== "live") {
      const why = storage.state === "spent" ? "is gone" : "was never computed";
      throw new UsageError(
        `data: the value of ${storage.label} ${why} (x [${tensor.shape.join(",")}]). Await it, or call keep(), before its program runs.`,
      );
    }
    const program = storage.program?.root();
    if (program?.open) {
      if (program === this.scopeProgram) {
        throw new UsageError(
          `data: the scope is still recording (${storage.label}). Return the tensor from the scope and await it there.`,
        );
      }
      return this.readAfter(program, tensor, begin, end);
    }
    return this.runner.read(storage, begin, end);
  }

  /** A value of a program that is still open: runs it. */
  private async readAfter(program: Program, tensor: Tensor, begin: number, end: number): Promise<HostArray> {
    const { storage } = tensor;
    const delivered = new Promise<HostArray>((deliver, fail) => {
      program.reads.push({ storage, begin, length: end - begin, deliver, fail });
    });
    this.retainTape(tensor, program);
    // Others may await a value of the same program in the same breath: let them register first.
    await null;
    const root = program.root();
    // Whoever awaits is told of a failure through `fail`.
    if (root.open) this.flush(root).catch(() => {});
    const values = await delivered;
    if (storage.lifetime === "kept") return values;
    if (end - begin === tensor.size) storage.hostCopy = values;
    return values.slice();
  }

  /** Overwrites a parameter's elements from `begin` on, in its turn. */
  async write(target: Tensor, data: HostArray, begin: number): Promise<void> {
    checkRange("write", target, begin, begin + data.length);
    await this.scope(() => {
      const staging = this.tensor(data, [data.length]);
      this.withOp("write", "update", () =>
        this.record("copy", { length: data.length, xBegin: 0, yBegin: begin }, { x: staging, y: target }),
      );
    });
  }

  /**
   * Overwrites all of a kept tensor with what `source` gives, in its turn. An initialiser that waits for somebody to need its value
   * never runs. A tensor without a value has one afterwards, and not before: nothing is recorded on it that would run although the
   * source failed.
   */
  async writeFrom({ storage, shape }: StateTensor, source: ByteSource): Promise<void> {
    if (this.scopeProgram) {
      throw new UsageError(
        `writeFrom: a scope is open (${storage.label} ${formatShape(shape)}). Call it outside of scope().`,
      );
    }
    for (let program = storage.program?.root(); program?.open; program = storage.program?.root()) {
      if (!program.writesOnly(storage)) {
        await this.flush(program);
        continue;
      }
      program.discard();
      storage.program = null;
      storage.queuedVersion = storage.version;
      if (storage.memory.buffer === null) storage.state = "empty";
    }
    storage.version++;
    storage.queuedVersion++;
    storage.lastUse = ++this.recordCount;
    await this.runner.writeFrom(storage, source);
    storage.state = "live";
  }

  private async flush(program: Program): Promise<void> {
    await this.runner.run(seal(program, this.recordCount));
  }

  // ---- lifetimes -----------------------------------------------------------------------------------------------

  /** An awaited loss may still be differentiated: what its tape saved survives, until the next such loss. */
  private retainTape(tensor: Tensor, program: Program): void {
    const root = tensor.node;
    if (tensor.size !== 1 || root === null || root.used) return;
    const old = new Set(this.liveTape?.storages);
    const storages = new Set<Storage>();
    for (const node of reachableNodes(root)) {
      for (const { storage } of node.saved) {
        if (storage.state !== "live") continue;
        // The newest loss may share what it needs with the one before, or be the same.
        if (old.delete(storage)) storages.add(storage);
        if (storage.lifetime === "kept") continue;
        this.retain(storage);
        storages.add(storage);
      }
    }
    program.releases.push(...old);
    this.liveTape = { root, storages: [...storages] };
  }

  /** backward() was recorded in `program`: what the awaited tape kept ends with it. */
  consumeTape(root: TapeNode, program: Program): void {
    const tape = this.liveTape;
    if (tape?.root !== root) return;
    const count = program.releases.length;
    program.releases.push(...tape.storages);
    this.liveTape = null;
    this.onUndo(() => {
      program.releases.length = count;
      this.liveTape = tape;
    });
  }

  /** Tensor memory in use. */
  memory(): MemoryUse {
    return this.backend.memory();
  }

  get threads(): number {
    return this.backend.threads;
  }

  /** Which build of the kernels runs: createEngine's `tier`; null on the reference backend. */
  get tier(): Tier | null {
    return this.backend.tier;
  }

  /** Ends the workers once all that was asked for has run. Not needed before a process ends. */
  async close(): Promise<void> {
    await this.runner.close();
  }
}

function refusePromise(name: string, result: unknown): void {
  if (isThenable(result)) {
    if (result instanceof Promise) result.catch(() => {});
    throw new UsageError(
      `${name}: the function is asynchronous. Record synchronously; await the results outside of ${name}().`,
    );
  }
}

function checkRange(name: string, tensor: Tensor, begin: number, end: number): void {
  if (Number.isInteger(begin) && Number.isInteger(end) && 0 <= begin && begin <= end && end <= tensor.size) return;
  throw new UsageError(
    `${name}: elements ${begin} to ${end} are not a part of the tensor (${tensor.storage.label} [${tensor.shape.join(",")}]). ` +
      `Stay within 0 to ${tensor.size}.`,
  );
}

function isThenable(value: unknown): boolean {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

function tensorsIn(result: unknown): Tensor[] {
  if (result instanceof Tensor) return [result];
  if (result === null || typeof result !== "object") return [];
  return Object.values(result).filter((value): value is Tensor => value instanceof Tensor);
}
