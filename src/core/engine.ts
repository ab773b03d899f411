/**
 * The engine: records operations into programs and runs the programs, one after the other, on its backend.
 *
 * Recording is synchronous; the fields that say where recording stands (scope, operation, module path, noGrad) never
 * outlive a synchronous call. Running is a first-in first-out queue: all allocation, upload and read-back happen there,
 * between programs, so nobody touches tensor memory while kernels run.
 */
import type {
  Backend,
  DataType,
  HostArray,
  KernelName,
  LoadedPlan,
  MemoryUse,
  ShapeOf,
  TensorsOf,
} from "../backend/backend.js";
import { backward, reachableNodes, type TapeNode } from "./autograd.js";
import { BackendError, UsageError } from "./errors.js";
import { buildPlan, type BuiltPlan } from "./plan.js";
import {
  callLabel,
  checkVersions,
  isWritten,
  type PendingRead,
  type Phase,
  Program,
  type RecordedCall,
} from "./program.js";
import { type Shape, sizeOf } from "./shape.js";
import { Storage } from "./storage.js";
import { Parameter, Tensor } from "./tensor.js";

export class Engine {
  private scopeProgram: Program | null = null;
  private opName = "";
  private phase: Phase = "forward";
  private readonly modules: string[] = [];
  private noGradDepth = 0;
  private tail: Promise<void> = Promise.resolve();
  private closed = false;
  /** Calls recorded so far. */
  private recordCount = 0;
  /** Set when kernels stopped half-way: tensor memory can no longer be trusted. */
  private lost: Error | null = null;
  /** The newest awaited loss whose backward pass has not been asked for: what it saved stays. */
  private liveTape: { readonly root: TapeNode; readonly storages: Storage[] } | null = null;
  private readonly finalizer: FinalizationRegistry<Storage["memory"]>;

  constructor(readonly backend: Backend) {
    this.finalizer = new FinalizationRegistry((memory) => this.releaseMemory(memory));
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

  /** Kept memory without values: gradients, optimiser state. */
  keptTensor(shape: Shape, label: string): Tensor {
    return new Tensor(this, shape, this.keptStorage(shape, label));
  }

  parameter(shape: Shape, label: string): Parameter {
    const parameter = new Parameter(this, shape, this.keptStorage(shape, label));
    parameter.name = label;
    return parameter;
  }

  private keptStorage(shape: Shape, label: string): Storage {
    const storage = new Storage(sizeOf(shape), "float32", "kept", label);
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
    for (const [role, tensor] of Object.entries(byRole)) {
      if (tensor !== null && isWritten(kernel, role)) this.markWritten(tensor.storage, program, label);
    }
  }

  /** Records the backward pass of a scalar: see autograd.ts. */
  backward(loss: Tensor): void {
    backward(loss);
  }

  /** Registers what a throw in the current scope must undo. */
  onUndo(undo: () => void): void {
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
      if (storage.lifetime === "kept") kept.push(other);
      else if (program === null) program = other;
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
    // An awaited value is in host memory for good.
    if (storage.lifetime === "kept" || storage.hostCopy !== null) return;
    if (storage.state === "spent") {
      throw new UsageError(
        `keep: the value is gone (${storage.label} [${tensor.shape.join(",")}]). Call keep() before its program runs.`,
      );
    }
    this.retain(storage);
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
    const { program, result } = this.recordScope(() => {
      const value = fn();
      for (const tensor of tensorsIn(value)) this.keep(tensor);
      return value;
    });
    if (program !== this.scopeProgram) await this.flush(program);
    return result;
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
   * Leaving the loop early runs the rest.
   */
  async *steps(fn: () => unknown): AsyncGenerator<Step> {
    if (this.scopeProgram) throw new UsageError("steps: a scope is open. Call steps() outside of scope().");
    const { program } = this.recordScope(fn);
    const sealed = this.seal(program);
    const { calls, reads } = sealed;
    const endTurn = await this.takeTurn().catch((error) => failReads(reads, error));
    try {
      const { built, loaded } = await this.load(sealed, { reuse: false });
      let next = 0;
      let ended = false;
      const read = async (tensor: Tensor): Promise<Float32Array> => {
        if (ended) {
          throw new UsageError(
            `steps: the loop has ended (${tensor.storage.label} [${tensor.shape.join(",")}]). Read values inside the loop.`,
          );
        }
        return this.readPlace(built, tensor);
      };
      try {
        while (next < calls.length) {
          const index = next++;
          await this.guard(loaded.run(index, next));
          yield { ...calls[index], index, count: calls.length, read };
        }
      } finally {
        ended = true;
        if (this.lost === null) {
          await this.guard(loaded.run(next, calls.length));
          await this.afterRun(sealed, built);
        }
      }
    } catch (error) {
      failReads(reads, error);
    } finally {
      endTurn();
    }
  }

  private async readPlace(built: BuiltPlan, tensor: Tensor): Promise<Float32Array> {
    const values = await this.backend.read(built.placeOf(tensor.storage), 0, tensor.size);
    return values instanceof Float32Array ? values : Float32Array.from(values);
  }

  /** Elements [begin, end) of a tensor; runs the program that computes them if need be. */
  async read(tensor: Tensor, begin = 0, end = tensor.size): Promise<HostArray> {
    const { storage } = tensor;
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
    return this.enqueue(() => {
      const { buffer } = storage.memory;
      if (buffer === null)
        throw new BackendError(`data: the program that computes ${storage.label} failed. See its error.`);
      return this.backend.read({ buffer, length: storage.length, dtype: storage.dtype }, begin, end - begin);
    });
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
    if (root.open) this.flush(root).catch(() => {});
    const values = await delivered;
    if (storage.lifetime === "kept") return values;
    if (end - begin === tensor.size) storage.hostCopy = values;
    return values.slice();
  }

  /** Overwrites a parameter's elements from `begin` on, in its turn. */
  async write(target: Tensor, data: HostArray, begin: number): Promise<void> {
    if (begin < 0 || begin + data.length > target.size) {
      throw new UsageError(
        `write: ${data.length} values from ${begin} on do not fit (${target.storage.label} [${target.shape.join(",")}]). Give at most ${target.size}.`,
      );
    }
    await this.scope(() => {
      const staging = this.tensor(data, [data.length]);
      this.withOp("write", "update", () =>
        this.record("copy", { length: data.length, xBegin: 0, yBegin: begin }, { x: staging, y: target }),
      );
    });
  }

  /** Closes the program for recording and settles what survives it. */
  private seal(program: Program): SealedProgram {
    const parts = program.parts();
    const calls = parts.flatMap((part) => part.calls);
    const uploads = parts.flatMap((part) => part.uploads);
    const reads = parts.flatMap((part) => part.reads);
    let versions: Map<Storage, number>;
    try {
      versions = checkVersions(parts);
    } catch (error) {
      failReads(reads, error);
    }
    const released = parts.flatMap((part) => part.releases);
    const touched = new Set([...uploads.map((upload) => upload.storage), ...storagesOf(calls), ...released]);
    // What other programs in the queue have settled is theirs to restore.
    const before = [...touched].flatMap((storage) => {
      const { state, queuedVersion, program: writer } = storage;
      return writer || released.includes(storage)
        ? [{ storage, values: { state, queuedVersion, program: writer } }]
        : [];
    });
    for (const [storage, version] of versions) storage.queuedVersion = version;
    // Uploaded values are in host memory anyway: such a tensor can be used again in another program.
    for (const { storage, data } of uploads) if (storage.lifetime === "program") storage.hostCopy ??= data;
    for (const storage of touched) {
      storage.program = null;
      if (storage.lifetime === "program" || released.includes(storage)) storage.state = "spent";
    }
    const closedBefore = program.closedBefore();
    for (const part of parts) part.open = false;
    const sealedAt = this.recordCount;
    return {
      parts,
      calls,
      reads,
      closedBefore,
      isUsed: () => [...versions.keys()].some((storage) => storage.lastUse > sealedAt),
      reopen() {
        for (const { storage, values } of before) Object.assign(storage, values);
        for (const part of parts) {
          part.open = true;
          part.reads.length = 0;
        }
        program.truncate(0);
      },
    };
  }

  /**
   * Gives a program its memory. If there is not enough, it is as if the program had not been recorded (those that it
   * adopted were, and run later): the next, smaller one finds parameters, optimiser and counters as they were.
   */
  private async load(
    sealed: SealedProgram,
    { reuse }: { reuse: boolean },
  ): Promise<{ built: BuiltPlan; loaded: LoadedPlan }> {
    const { parts, calls } = sealed;
    let built: BuiltPlan | null = null;
    try {
      if (!sealed.closedBefore.every((program) => program.ran)) {
        throw new BackendError("engine: a program that this one builds on could not run. See its error.");
      }
      built = buildPlan(this.backend, parts, calls, { reuse });
      const loaded = await this.backend.load(built.plan);
      for (const part of parts) part.settle();
      return { built, loaded };
    } catch (error) {
      built?.giveBack();
      if (sealed.isUsed()) {
        this.lost = new BackendError(
          `engine: a program failed after others were recorded on its results (${error instanceof Error ? error.message : String(error)}). ` +
            "Create a new engine, and await each program before you record the next.",
        );
      } else {
        sealed.reopen();
      }
      throw error;
    }
  }

  private async flush(program: Program): Promise<void> {
    const sealed = this.seal(program);
    try {
      await this.enqueue(async () => {
        const { built, loaded } = await this.load(sealed, { reuse: true });
        await this.guard(loaded.run(0, sealed.calls.length));
        await this.afterRun(sealed, built);
      });
    } catch (error) {
      failReads(sealed.reads, error);
    }
  }

  /** Delivers what was awaited and releases what nobody can ask for any more. */
  private async afterRun({ parts, reads }: SealedProgram, built: BuiltPlan): Promise<void> {
    for (const { storage, begin, length, deliver } of reads) {
      deliver(await this.backend.read(built.placeOf(storage), begin, length));
    }
    for (const part of parts) for (const storage of part.releases) this.releaseMemory(storage.memory);
  }

  /** Waits until all that was queued before has run; then it is the caller's turn until the returned function is called. */
  private async takeTurn(): Promise<() => void> {
    const before = this.tail;
    let endTurn: () => void = () => {};
    this.tail = new Promise<void>((resolve) => {
      endTurn = resolve;
    });
    await before;
    const refusal = this.closed
      ? new UsageError("engine: it is closed. Create another with createEngine().")
      : this.lost;
    if (refusal === null) return endTurn;
    endTurn();
    throw refusal;
  }

  /** Runs a job in its turn. */
  private async enqueue<T>(job: () => T | Promise<T>): Promise<T> {
    const endTurn = await this.takeTurn();
    try {
      return await job();
    } finally {
      endTurn();
    }
  }

  /** A failure while kernels run leaves tensors half written: from then on the engine only repeats the error. */
  private async guard(run: Promise<void>): Promise<void> {
    try {
      await run;
    } catch (error) {
      const reason = error instanceof Error ? error : new Error(String(error));
      this.lost = reason;
      throw reason;
    }
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

  private releaseMemory(memory: Storage["memory"]): void {
    if (memory.buffer === null) return;
    this.backend.release(memory.buffer);
    memory.buffer = null;
  }

  /** Tensor memory in use. */
  memory(): MemoryUse {
    return this.backend.memory();
  }

  get threads(): number {
    return this.backend.threads;
  }

  /** Ends the workers once all that was asked for has run. Not needed before a process ends. */
  async close(): Promise<void> {
    await this.tail;
    if (this.closed) return;
    this.closed = true;
    await this.backend.close();
  }
}

/** A program that waits for its turn. */
interface SealedProgram {
  /** The program and those that run before it, in running order. */
  readonly parts: readonly Program[];
  /** In running order. */
  readonly calls: readonly RecordedCall[];
  /** Values that somebody awaits. */
  readonly reads: readonly PendingRead[];
  /** Other programs that it builds on; their turn is before. */
  readonly closedBefore: readonly Program[];
  /** Was anything recorded since on values that the program writes and that survive it? */
  isUsed(): boolean;
  /** Undoes sealing and recording; the programs that it adopted are open again. */
  reopen(): void;
}

/** One call of a program run step by step. */
export interface Step extends RecordedCall {
  readonly index: number;
  readonly count: number;
  /** The values of one of the call's tensors, as they are now. */
  read(tensor: Tensor): Promise<Float32Array>;
}

/** Tells all who await a value of a program that it failed. */
function failReads(reads: readonly PendingRead[], error: unknown): never {
  for (const { fail } of reads) fail(error);
  throw error;
}

function refusePromise(name: string, result: unknown): void {
  if (result instanceof Promise) {
    result.catch(() => {});
    throw new UsageError(
      `${name}: the function is asynchronous. Record synchronously; await the results outside of ${name}().`,
    );
  }
}

function storagesOf(calls: readonly RecordedCall[]): Storage[] {
  return calls.flatMap((call) => Object.values(call.tensors).flatMap((tensor) => tensor?.storage ?? []));
}

function tensorsIn(result: unknown): Tensor[] {
  if (result instanceof Tensor) return [result];
  if (result === null || typeof result !== "object") return [];
  return Object.values(result).filter((value): value is Tensor => value instanceof Tensor);
}
