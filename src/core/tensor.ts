/**
 * Tensors: a shape over a storage. Operations (src/ops) return new ones; nothing is computed until somebody awaits a
 * value or the scope ends. Values that nobody awaited or kept end with their program: there is nothing to dispose.
 */
import type { ByteSource, DataType, HostArray } from "../backend/backend.js";
import type { TapeNode } from "./autograd.js";
import type { Engine } from "./engine.js";
import { UsageError } from "./errors.js";
import { formatShape, type Shape, sizeOf } from "./shape.js";
import type { Storage } from "./storage.js";

/** Values of one shape in one engine: perhaps not computed yet, perhaps gone again unless kept or awaited. */
export class Tensor {
  readonly size: number;
  /** Does a gradient flow into or through it? */
  requiresGrad = false;
  /** How it was computed, while a gradient may still be asked for. */
  node: TapeNode | null = null;

  constructor(
    readonly engine: Engine,
    readonly shape: Shape,
    readonly storage: Storage,
  ) {
    this.size = sizeOf(shape);
  }

  get dtype(): DataType {
    return this.storage.dtype;
  }

  /** All values, row-major, as float32 (int32 and uint8 tensors are converted). Runs the program that computes them. */
  async data(): Promise<Float32Array> {
    const values = await this.engine.read(this);
    return values instanceof Float32Array ? values : Float32Array.from(values);
  }

  /** All values in the precision they have: float64 on the reference backend in float64. */
  async values(): Promise<Float64Array> {
    return Float64Array.from(await this.engine.read(this));
  }

  /** The value of a tensor of one element. */
  async item(): Promise<number> {
    if (this.size !== 1) {
      throw new UsageError(
        `item: the tensor has ${this.size} elements (x ${formatShape(this.shape)}). Use data(), or reduce it first.`,
      );
    }
    return (await this.engine.read(this))[0];
  }

  /** The values if they are in host memory: given, or awaited before. For checks; not to be changed. */
  hostValues(): HostArray | null {
    const { storage } = this;
    return storage.hostCopy ?? storage.program?.uploads.find((upload) => upload.storage === storage)?.data ?? null;
  }

  /** Keeps the value past its program, for as long as this object is reachable. Returns the tensor. */
  keep(): this {
    this.engine.keep(this);
    return this;
  }

  /** Computes the gradients of this scalar with respect to all parameters it depends on; they add to `Parameter.grad`. */
  backward(): void {
    this.engine.backward(this);
  }

  /** The same values under another shape of the same size; shares the storage. No gradient flows: see ops/reshape. */
  viewAs(shape: Shape): Tensor {
    return new Tensor(this.engine, shape, this.storage);
  }
}

/** A number that changes as a module or an optimiser works and that a checkpoint must hold: how often it ran. */
export interface Counter {
  value: number;
}

/**
 * A kept tensor with a name: what state dictionaries and checkpoints hold. Parameters, buffers (the running statistics of
 * batch normalisation) and the state of optimisers.
 */
export class StateTensor extends Tensor {
  /** Set by the module that owns it: `features.0.weight`. */
  name = "state";

  /** Copies elements [begin, end) out: large tensors can be read in pieces. */
  async read(begin = 0, end = this.size): Promise<Float32Array> {
    const values = await this.engine.read(this, begin, end);
    return values instanceof Float32Array ? values : Float32Array.from(values);
  }

  /**
   * Overwrites all elements with what `source` puts into the bytes that it is given: little-endian values of the tensor's type. The bytes
   * are the tensor's memory itself where that can be reached, and belong to `source` until its promise ends. Takes its turn as write() does.
   * @throws UsageError inside of a scope; whatever `source` throws, which leaves the values undefined.
   */
  async writeFrom(source: ByteSource): Promise<void> {
    await this.engine.writeFrom(this, source);
  }

  /** Overwrites the elements from `begin` on; takes its turn after all that was recorded before. */
  async write(data: HostArray, begin = 0): Promise<void> {
    await this.engine.write(this, data, begin);
  }
}

/** A trainable tensor: kept, with a gradient that backward() adds to. */
export class Parameter extends StateTensor {
  private gradTensor: StateTensor | null = null;
  /** False after zeroGrad(): the next gradient overwrites. */
  hasGrad = false;

  constructor(engine: Engine, shape: Shape, storage: Storage) {
    super(engine, shape, storage);
    this.requiresGrad = true;
  }

  /** The gradient, [same shape]; null before the first backward(), after zeroGrad(), and if its program could not run. */
  get grad(): StateTensor | null {
    return this.hasGrad && this.gradTensor?.storage.state === "live" ? this.gradTensor : null;
  }

  /** The tensor that gradients are written to. Made at first use. */
  gradTarget(): StateTensor {
    this.gradTensor ??= this.engine.stateTensor(this.shape, `${this.name}.grad`);
    return this.gradTensor;
  }

  /**
   * Forgets the gradient; the next backward() starts anew. Where the program that computes it has not run yet, the gradient is gone when
   * it has: in the order backward(), step(), zeroGrad() it needs no memory between two steps.
   */
  zeroGrad(): void {
    if (this.grad) this.engine.forget(this.grad);
    this.setHasGrad(false);
  }

  /** Says whether there is a gradient; undone with the scope that it happens in. */
  setHasGrad(hasGrad: boolean): void {
    const before = this.hasGrad;
    this.hasGrad = hasGrad;
    this.engine.onScopeUndo(() => {
      this.hasGrad = before;
    });
  }
}
