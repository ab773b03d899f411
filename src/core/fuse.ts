/**
 * Fusions: rewrites of a sealed program's list of calls that save passes over memory and change no bit. A layer's kernel does
 * the work of the ReLU after it, where nobody else sees the value between them: it is not kept (returned by a scope, saved by a
 * tape that lives on), not awaited, and no other call touches it. The fused call runs where the layer's own stood.
 *
 *   conv2dForward → reluForward             conv2dForward with relu            (linearForward alike)
 *   conv2dBackwardInput → reluBackward      conv2dBackwardInput with a mask    (linearBackwardInput alike)
 *
 * Pure functions; plan.ts applies them, but not for the step-through. What the fused kernels do: backend/backend.ts.
 */
import type { KernelName } from "../backend/backend.js";
import { isWritten, type RecordedCall } from "./program.js";
import type { Storage } from "./storage.js";
import type { Tensor } from "./tensor.js";

/** Kernels that take `relu` in their shape, and those that take a `mask` and write `dx`. */
const RECTIFY: ReadonlySet<KernelName> = new Set(["conv2dForward", "linearForward"]);
const MASK: ReadonlySet<KernelName> = new Set(["conv2dBackwardInput", "linearBackwardInput"]);

/** The calls with what can be fused fused. `isObserved` tells of which values somebody outside of the list knows. */
export function fuse(calls: readonly RecordedCall[], isObserved: (storage: Storage) => boolean): RecordedCall[] {
  const rewriting = new Rewriting(calls, isObserved);
  calls.forEach(({ kernel, tensors: { x, dy, y, dx } }, index) => {
    if (kernel === "reluForward" && x && y) fuseForward(rewriting, index, x, y);
    if (kernel === "reluBackward" && dy && y && dx) fuseBackward(rewriting, index, dy, y, dx);
  });
  return rewriting.result();
}

/** y = relu(x) into the layer that makes x. */
function fuseForward(rewriting: Rewriting, relu: number, x: Tensor, y: Tensor): void {
  const layer = rewriting.onlyWriter(x.storage, relu);
  if (layer === null || !RECTIFY.has(layer.call.kernel) || !rewriting.isFirstWrite(y.storage, relu)) return;
  const { shape, tensors } = layer.call;
  if ("relu" in shape && shape.relu) return;
  rewriting.merge(layer.index, relu, { ...layer.call, shape: { ...shape, relu: true }, tensors: { ...tensors, y } });
}

/** dx = dy where y > 0, into the layer that makes dy; y, the mask, must be there when that runs. */
function fuseBackward(rewriting: Rewriting, relu: number, dy: Tensor, y: Tensor, dx: Tensor): void {
  const layer = rewriting.onlyWriter(dy.storage, relu);
  if (layer === null || !MASK.has(layer.call.kernel) || !rewriting.isFirstWrite(dx.storage, relu)) return;
  const { tensors } = layer.call;
  if (tensors.mask || rewriting.isWrittenBetween(y.storage, layer.index, relu)) return;
  rewriting.merge(layer.index, relu, { ...layer.call, tensors: { ...tensors, mask: y, dx } });
}

/** One tensor of one call. */
interface Use {
  index: number;
  readonly written: boolean;
}

/** A list of calls on the way to another, and who uses what in it. */
class Rewriting {
  private readonly calls: (RecordedCall | null)[];
  private readonly uses = new Map<Storage, Use[]>();

  constructor(
    calls: readonly RecordedCall[],
    private readonly isObserved: (storage: Storage) => boolean,
  ) {
    this.calls = [...calls];
    calls.forEach(({ kernel, tensors }, index) => {
      for (const [role, tensor] of Object.entries(tensors)) {
        if (tensor === null) continue;
        const uses = this.uses.get(tensor.storage) ?? [];
        uses.push({ index, written: isWritten(kernel, role) });
        this.uses.set(tensor.storage, uses);
      }
    });
  }

  /** The call that makes a value which nobody but `reader`, once, ever looks at; null where it is not so. */
  onlyWriter(value: Storage, reader: number): { readonly index: number; readonly call: RecordedCall } | null {
    const uses = this.usesOf(value);
    const write = uses.find((use) => use.written);
    const read = uses.find((use) => !use.written);
    if (uses.length !== 2 || write === undefined || read?.index !== reader || write.index >= reader) return null;
    const call = this.calls[write.index];
    return call === null || this.isObserved(value) ? null : { index: write.index, call };
  }

  /** Does nothing before the call at `index` touch the value, which that call only writes? Then it may be there earlier. */
  isFirstWrite(value: Storage, index: number): boolean {
    return this.usesOf(value).every((use) => use.index > index || (use.index === index && use.written));
  }

  isWrittenBetween(value: Storage, begin: number, end: number): boolean {
    return this.usesOf(value).some((use) => use.written && use.index >= begin && use.index < end);
  }

  /** Puts `fused`, which does the work of both calls, in the place of the first, and removes the second. */
  merge(first: number, second: number, fused: RecordedCall): void {
    const [before, after] = [this.calls[first], this.calls[second]];
    if (before === null || after === null) return;
    const versions = new Map([...before.versions, ...after.versions]);
    this.calls[first] = { ...fused, op: `${before.op} + ${after.op}`, versions };
    this.calls[second] = null;
    for (const tensor of Object.values(after.tensors)) {
      for (const use of tensor ? this.usesOf(tensor.storage) : []) if (use.index === second) use.index = first;
    }
  }

  result(): RecordedCall[] {
    return this.calls.filter((call) => call !== null);
  }

  private usesOf(storage: Storage): readonly Use[] {
    return this.uses.get(storage) ?? [];
  }
}
