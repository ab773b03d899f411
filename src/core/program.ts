/**
 * A program: kernel calls recorded in order and run later, all at once. It also holds what belongs to the recording:
 * uploads, values that somebody awaits, and how to undo it.
 *
 * Outside a scope, a call joins the open program that makes its inputs, so independent computations stay apart even
 * across an `await`; a scope has a program of its own. A program that another needs is adopted: it runs first.
 * Next layers: memory-plan.ts decides memory, engine.ts runs.
 */
import { type HostArray, KERNEL_WRITES, type KernelName, type ShapeOf } from "../backend/backend.js";
import { UsageError } from "./errors.js";
import type { Storage } from "./storage.js";
import type { Tensor } from "./tensor.js";

/** Which part of a training step a call belongs to. */
export type Phase = "forward" | "backward" | "update";

/** One recorded kernel call, with what the step-through shows of it. */
export interface RecordedCall {
  readonly kernel: KernelName;
  readonly shape: ShapeOf<KernelName>;
  /** By role; null where an optional tensor is missing. */
  readonly tensors: Readonly<Record<string, Tensor | null>>;
  readonly op: string;
  /** Path of the module, as in state dictionaries: `features.3`; empty outside modules. */
  readonly module: string;
  readonly phase: Phase;
  /** Versions of the kept storages that it reads, at the time of recording. */
  readonly versions: ReadonlyMap<Storage, number>;
}

/** `conv2d (features.3)` */
export function callLabel(call: { readonly op: string; readonly module: string }): string {
  return call.module ? `${call.op} (${call.module})` : call.op;
}

export function isWritten(kernel: KernelName, role: string): boolean {
  const writes: readonly string[] = KERNEL_WRITES[kernel];
  return writes.includes(role);
}

/** A value that somebody awaits: read when the program has run. */
export interface PendingRead {
  readonly storage: Storage;
  readonly begin: number;
  readonly length: number;
  deliver(values: HostArray): void;
  fail(error: unknown): void;
}

export class Program {
  readonly calls: RecordedCall[] = [];
  readonly uploads: { readonly storage: Storage; readonly data: HostArray }[] = [];
  readonly reads: PendingRead[] = [];
  /** Storages whose value nobody can ask for once the program has run. */
  readonly releases: Storage[] = [];
  /** Programs that run before this one's own calls. */
  readonly adopted: Program[] = [];
  /** Steps back, newest last: a throw in mid-recording leaves no trace. */
  readonly undo: (() => void)[] = [];
  open = true;
  private adopter: Program | null = null;

  /** The program that will run these calls. */
  root(): Program {
    let root: Program = this;
    while (root.adopter !== null) root = root.adopter;
    return root;
  }

  /** Makes `other`'s calls run right before this program's own. */
  adopt(other: Program): void {
    other.adopter = this;
    this.adopted.push(other);
    this.undo.push(() => {
      other.adopter = null;
      this.adopted.splice(this.adopted.indexOf(other), 1);
    });
  }

  /** Itself and all adopted programs, in the order in which they run. A loop that awaits nothing nests them deeply. */
  parts(): Program[] {
    const backwards: Program[] = [];
    const stack: Program[] = [this];
    for (let program = stack.pop(); program !== undefined; program = stack.pop()) {
      backwards.push(program);
      stack.push(...program.adopted);
    }
    return backwards.reverse();
  }

  /** A point to truncate to. */
  mark(): number {
    return this.undo.length;
  }

  /** Undoes all recording since the mark. */
  truncate(mark: number): void {
    while (this.undo.length > mark) this.undo.pop()?.();
  }

  pushCall(call: RecordedCall): void {
    this.calls.push(call);
    this.undo.push(() => {
      this.calls.pop();
    });
  }

  pushUpload(storage: Storage, data: HostArray): void {
    this.uploads.push({ storage, data });
    this.undo.push(() => {
      this.uploads.pop();
    });
  }
}

/**
 * Refuses a program in which a kept value changed between the recording of a call that reads it and its turn to run.
 * `calls` are in running order; uploads come before all of them. Returns the version of each kept storage after the program.
 */
export function checkVersions(calls: readonly RecordedCall[], uploaded: readonly Storage[]): Map<Storage, number> {
  const current = new Map<Storage, number>();
  for (const storage of uploaded) if (storage.lifetime === "kept") current.set(storage, storage.queuedVersion + 1);
  for (const call of calls) {
    for (const [storage, recorded] of call.versions) {
      const version = current.get(storage) ?? storage.queuedVersion;
      if (version !== recorded) {
        throw new UsageError(
          `${callLabel(call)}: a value changed after this was recorded (${storage.label} version ${recorded}, now ${version}). ` +
            "Await the result before you change its inputs, or record both in one scope.",
        );
      }
    }
    for (const [role, tensor] of Object.entries(call.tensors)) {
      if (tensor === null || tensor.storage.lifetime !== "kept" || !isWritten(call.kernel, role)) continue;
      const { storage } = tensor;
      current.set(storage, (current.get(storage) ?? storage.queuedVersion) + 1);
    }
  }
  return current;
}
