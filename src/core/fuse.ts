/**
 * Fusions: rewrites of a sealed program's list of calls that save passes over memory and change no bit. A layer's kernel does
 * the work of the ReLU after it, or of the optimiser, where nobody else sees the value between them: it is not kept (returned by a
 * scope, saved by a tape that lives on, a gradient without zeroGrad() behind it), not awaited, and no other call touches it. The
 * fused call runs where the layer's own stood.
 *
 *   conv2dForward → reluForward             conv2dForward with relu            (linearForward, linearQuantizedForward alike)
 *   conv2dForward with relu → maxPool2dForward   conv2dMaxPool2dForward: 2x2 windows of even maps, where nobody needs the winners
 *   conv2dBackwardInput → reluBackward      conv2dBackwardInput with a mask    (linearBackwardInput alike)
 *   linearBackwardWeight → sgd              linearUpdateWeight: runs in the place of the sgd, and the gradient is never stored
 *
 * Pure functions; plan.ts applies them, but not for the step-through. What the fused kernels do: backend/backend.ts.
 */
import type { KernelName } from "../backend/backend.js";
import { isWritten, type RecordedCall } from "./program.js";
import type { Storage } from "./storage.js";
import type { Tensor } from "./tensor.js";

/** Kernels that take `relu` in their shape, and those that take a `mask` and write `dx`. */
const RECTIFY: ReadonlySet<KernelName> = new Set(["conv2dForward", "linearForward", "linearQuantizedForward"]);
const MASK: ReadonlySet<KernelName> = new Set(["conv2dBackwardInput", "linearBackwardInput"]);

/** The calls with what can be fused fused. `isObserved` tells of which values somebody outside of the list knows. */
export function fuse(calls: readonly RecordedCall[], isObserved: (storage: Storage) => boolean): RecordedCall[] {
  const rewriting = new Rewriting(calls, isObserved);
  calls.forEach((call, index) => {
    const { kernel } = call;
    const { x, dy, y, dx, grad } = call.tensors;
    if (kernel === "reluForward" && x && y) fuseForward(rewriting, index, x, y);
    if (kernel === "maxPool2dForward" && x && y) fusePool(rewriting, index, call, x, y);
    if (kernel === "reluBackward" && dy && y && dx) fuseBackward(rewriting, index, dy, y, dx);
    if (kernel === "sgd" && grad) fuseUpdate(rewriting, index, call, grad);
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

/** y = the maxima of x into the convolution that makes x, rectified. (Without: the sign of a zero could be another.) */
function fusePool(rewriting: Rewriting, pool: number, call: RecordedCall, x: Tensor, y: Tensor): void {
  const layer = rewriting.onlyWriter(x.storage, pool);
  if (layer?.call.kernel !== "conv2dForward" || !rewriting.isFirstWrite(y.storage, pool)) return;
  const { shape, tensors } = layer.call;
  if (!("relu" in shape && shape.relu && "inC" in shape) || call.tensors.winners || !isHalving(call.shape)) return;
  const { relu, ...conv } = shape;
  rewriting.merge(layer.index, pool, {
    ...layer.call,
    kernel: "conv2dMaxPool2dForward",
    shape: conv,
    tensors: { ...tensors, y },
  });
}

/** Do windows of 2x2 cover the map without a rest? */
function isHalving(s: RecordedCall["shape"]): boolean {
  if (!("strideH" in s && "channels" in s)) return false;
  const windows = [s.kH, s.kW, s.strideH, s.strideW].every((size) => size === 2) && s.padH === 0 && s.padW === 0;
  return windows && s.inH === 2 * s.outH && s.inW === 2 * s.outW;
}

/** dx = dy where y > 0, into the layer that makes dy; y, the mask, must be there when that runs. */
function fuseBackward(rewriting: Rewriting, relu: number, dy: Tensor, y: Tensor, dx: Tensor): void {
  const layer = rewriting.onlyWriter(dy.storage, relu);
  if (layer === null || !MASK.has(layer.call.kernel) || !rewriting.isFirstWrite(dx.storage, relu)) return;
  const { tensors } = layer.call;
  if (tensors.mask || rewriting.isWrittenBetween(y.storage, layer.index, relu)) return;
  rewriting.merge(layer.index, relu, { ...layer.call, tensors: { ...tensors, mask: y, dx } });
}

/** The update of a linear layer's weight and the gradient for it, whose inputs must still be there. */
function fuseUpdate(rewriting: Rewriting, sgd: number, update: RecordedCall, grad: Tensor): void {
  const layer = rewriting.onlyWriter(grad.storage, sgd);
  if (layer?.call.kernel !== "linearBackwardWeight") return;
  const { shape } = layer.call;
  const { x, dy } = layer.call.tensors;
  const { param, velocity } = update.tensors;
  if (!("inFeatures" in shape && "form" in update.shape) || ("accumulate" in shape && shape.accumulate)) return;
  const inputs = [x?.storage, dy?.storage];
  if (inputs.some((input) => input && rewriting.isWrittenBetween(input, layer.index, sgd))) return;
  if (inputs.includes(param?.storage)) return;
  const { batch, inFeatures, outFeatures } = shape;
  const { lr, momentum, weightDecay, form } = update.shape;
  rewriting.merge(
    layer.index,
    sgd,
    {
      ...update,
      kernel: "linearUpdateWeight",
      shape: { batch, inFeatures, outFeatures, lr, momentum, weightDecay, form },
      tensors: { x, dy, param, velocity },
      module: layer.call.module,
    },
    sgd,
  );
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

  /** Puts `fused`, which does the work of both calls, in the place of one of them, at first the first, and removes the other. */
  merge(first: number, second: number, fused: RecordedCall, at = first): void {
    const [before, after] = [this.calls[first], this.calls[second]];
    if (before === null || after === null) return;
    const versions = new Map([...before.versions, ...after.versions]);
    const [gone, index] = at === first ? [after, second] : [before, first];
    this.calls[index] = null;
    this.calls[at] = { ...fused, op: `${before.op} + ${after.op}`, versions };
    for (const tensor of Object.values(gone.tensors)) {
      for (const use of tensor ? this.usesOf(tensor.storage) : []) if (use.index === index) use.index = at;
    }
  }

  result(): RecordedCall[] {
    return this.calls.filter((call) => call !== null);
  }

  private usesOf(storage: Storage): readonly Use[] {
    return this.uses.get(storage) ?? [];
  }
}
