/**
 * A program: kernel calls recorded in order and run later, all at once. It also holds what belongs to the recording:
 * uploads, values that somebody awaits, and how to undo it.
 *
 * Outside a scope, a call joins the open program that makes its inputs, so independent computations stay apart even
 * across an `await`; a scope has a program of its own. Two programs whose values meet in one call become one: the second is
 * adopted by the first. Kept values (parameters) may be read by many programs: the one that writes them is needed by each,
 * takes no more calls, and runs with the first of them that runs.
 * Next layers: seal.ts closes programs, plan.ts gives them memory, runner.ts runs them.
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
  /** Programs that run before this one's own calls: adopted, or needed by this one and maybe others. */
  private readonly earlier: Program[] = [];
  /** Gradients that end with this program, unless something wrote them since: parameters whose zeroGrad() came after their backward(). */
  readonly forgotten = new Set<Storage>();
  /** Steps back, newest last: a throw in mid-recording leaves no trace. */
  readonly undo: (() => void)[] = [];
  open = true;
  /** Another program needs it: its calls are settled. */
  frozen = false;
  /** It had its turn and memory for it. */
  ran = false;
  private adopter: Program | null = null;

  /** The program that will run these calls. */
  root(): Program {
    let root: Program = this;
    while (root.adopter !== null) root = root.adopter;
    return root;
  }

  /** Makes `other`'s calls run right before this program's own, and its values part of this program. */
  adopt(other: Program): void {
    other.adopter = this;
    this.runAfter(other);
    this.undo.push(() => {
      other.adopter = null;
    });
  }

  /** Makes `other` run before this program, unless it runs with another that needs it before. */
  need(other: Program): void {
    if (this.earlier.includes(other)) return;
    const { frozen } = other;
    other.frozen = true;
    this.runAfter(other);
    this.undo.push(() => {
      other.frozen = frozen;
    });
  }

  private runAfter(other: Program): void {
    this.earlier.push(other);
    this.undo.push(() => {
      this.earlier.pop();
    });
  }

  /**
   * Itself and all open programs that run before it, in running order. No recursion: a loop that awaits nothing makes a
   * chain of thousands.
   */
  parts(): Program[] {
    const entered = new Set<Program>();
    const finished = new Set<Program>();
    const stack: Program[] = [this];
    for (let program = stack.at(-1); program !== undefined; program = stack.at(-1)) {
      if (entered.has(program)) {
        finished.add(program);
        stack.pop();
        continue;
      }
      entered.add(program);
      for (const other of program.earlier.toReversed()) if (other.open && !entered.has(other)) stack.push(other);
    }
    return [...finished];
  }

  /** Is all that it does to write one storage, and nobody waits for that? */
  writesOnly(storage: Storage): boolean {
    const { calls, uploads, reads, releases, earlier } = this;
    const alone = !this.frozen && [uploads, reads, releases, earlier].every(({ length }) => length === 0);
    return alone && calls.every(({ tensors }) => Object.values(tensors).every((tensor) => tensor?.storage === storage));
  }

  /** Programs that must have run before this one's turn, and were closed before it. */
  closedBefore(): Program[] {
    return this.parts().flatMap((part) => part.earlier.filter((program) => !program.open));
  }

  /** It runs now: there is no way back. */
  settle(): void {
    this.ran = true;
    this.undo.length = 0;
    this.earlier.length = 0;
  }

  /** It never runs, since nobody needs what it computes; but it was recorded: nothing is undone. */
  discard(): void {
    this.open = false;
    this.calls.length = 0;
    this.settle();
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
 * Refuses a program in which a kept value changed between the recording of a call that reads it and its turn to run; what
 * builds on that call is undone, or no later program could use the parameters that it was to update. `parts` are in running
 * order; uploads come before all calls. Returns the version of each kept storage after the program.
 */
export function checkVersions(parts: readonly Program[]): Map<Storage, number> {
  const current = new Map<Storage, number>();
  const versionOf = (storage: Storage): number => current.get(storage) ?? storage.queuedVersion;
  for (const { uploads } of parts) {
    for (const { storage } of uploads) if (storage.lifetime === "kept") current.set(storage, storage.queuedVersion + 1);
  }
  for (const part of parts) {
    for (const call of part.calls) {
      for (const [storage, recorded] of call.versions) {
        const version = versionOf(storage);
        if (version === recorded) continue;
        for (const other of parts.toReversed()) if (other.parts().includes(part)) other.truncate(0);
        throw new UsageError(
          `${callLabel(call)}: a value changed after this was recorded (${storage.label} version ${recorded}, now ${version}). ` +
            "Await the result before you change its inputs, or record both in one scope.",
        );
      }
      for (const [role, tensor] of Object.entries(call.tensors)) {
        if (tensor === null || tensor.storage.lifetime !== "kept" || !isWritten(call.kernel, role)) continue;
        current.set(tensor.storage, versionOf(tensor.storage) + 1);
      }
    }
  }
  return current;
}
