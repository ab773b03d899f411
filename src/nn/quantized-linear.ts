/**
 * Fully connected layers whose weights are kept as float16 or int8, for inference: a half or a quarter of the memory, and of the time where
 * reading the weights is all there is, which is so at batch 1. Names and shapes are those of Linear, so whatever fills one fills
 * the other. The numbers are made in core/quantize.ts; next layer down: ops/linear-quantized.ts.
 */
import type { ByteSource, HostArray, QuantizedType } from "../backend/backend.js";
import type { Engine } from "../core/engine.js";
import { ShapeError, UsageError } from "../core/errors.js";
import { encodeF16, liftHalfRows, type QuantizedRows, quantizeRows } from "../core/quantize.js";
import { formatShape } from "../core/shape.js";
import { type Parameter, StateTensor, type Tensor } from "../core/tensor.js";
import { linearQuantized } from "../ops/linear-quantized.js";
import { Module } from "./module.js";

/** Gives elements [begin, end) of a float32 tensor. */
export type FloatSource = (begin: number, end: number) => Promise<Float32Array>;

/** Elements that a weight takes from a {@link FloatSource} at once: 4 MiB, or a row. */
const PIECE_ELEMENTS = 1 << 20;

/**
 * A weight [rows, columns] in fewer bits, with a scale for each row. It reads and writes as float32: what is written is rounded, what is read
 * is exactly what the layer multiplies by. Its memory may also be filled with halves or int8 as files have them.
 */
export class QuantizedWeight extends StateTensor {
  /**
   * [rows]: what the stored values must be multiplied by. With int8 a part of the weight. With float16 powers of two, by which the rows in
   * memory differ from the halves of files so that none is subnormal.
   */
  readonly scale: StateTensor;

  constructor(
    engine: Engine,
    rows: number,
    private readonly columns: number,
    readonly type: QuantizedType,
  ) {
    const shape = [rows, columns];
    super(engine, shape, engine.keptStorage(shape, "weight", type));
    this.name = "weight";
    this.scale = engine.stateTensor([rows], "weight_scale");
  }

  override async read(begin = 0, end = this.size): Promise<Float32Array> {
    const values = await super.read(begin, end);
    const scales = await this.scale.read();
    for (let i = 0; i < values.length; i++) values[i] *= scales[Math.floor((begin + i) / this.columns)];
    return values;
  }

  /** Rows [begin, end) of an int8 weight as they are. */
  async readRows(begin: number, end: number): Promise<QuantizedRows> {
    const q = await super.read(begin * this.columns, end * this.columns);
    return { q: Int8Array.from(q), scales: await this.scale.read(begin, end) };
  }

  /** Rounds float32 values. @throws UsageError unless they are all of the weight; WeightsError for one that cannot be stored. */
  override async write(data: HostArray, begin = 0): Promise<void> {
    if (begin !== 0 || data.length !== this.size) {
      throw new UsageError(
        `write: a weight as ${this.type} is written as a whole (${this.name} ${formatShape(this.shape)}, elements ${begin} to ${begin + data.length}). ` +
          "Give all values, or use fill().",
      );
    }
    await this.fill(async (from, to) => Float32Array.from(data.subarray(from, to)));
  }

  /**
   * Fills the memory with little-endian halves or int8, by the weight's type. Of int8 it leaves the scales as they are: write them too.
   * @throws WeightsError for halves that are not finite.
   */
  override async writeFrom(source: ByteSource): Promise<void> {
    let scales: Float32Array | null = null;
    await super.writeFrom(async (bytes) => {
      await source(bytes);
      if (this.type === "float16") scales = liftHalfRows(halvesOf(bytes), this.columns);
    });
    if (scales !== null) await this.scale.write(scales);
  }

  /**
   * Rounds float32 values that come in pieces of whole rows, so that there need be no second copy of a large weight. The source has the engine's
   * turn: it must not await values of the same engine, which would wait for ever.
   * @throws WeightsError for a value that cannot be stored.
   */
  async fill(source: FloatSource): Promise<void> {
    const { columns, size, type } = this;
    const scales = new Float32Array(this.scale.size);
    const piece = Math.max(1, Math.floor(PIECE_ELEMENTS / columns)) * columns;
    await super.writeFrom(async (bytes) => {
      for (let begin = 0; begin < size; begin += piece) {
        const end = Math.min(size, begin + piece);
        const values = await source(begin, end);
        const part = type === "int8" ? intsOf(bytes).subarray(begin, end) : halvesOf(bytes).subarray(begin, end);
        scales.set(storeRows(values, columns, part), begin / columns);
      }
    });
    await this.scale.write(scales);
  }
}

function halvesOf(bytes: Uint8Array): Uint16Array {
  return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
}

function intsOf(bytes: Uint8Array): Int8Array {
  return new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Stores rows. Returns their scales. */
function storeRows(values: Float32Array, columns: number, stored: Uint16Array | Int8Array): Float32Array {
  if (stored instanceof Int8Array) return quantizeRows(values, columns, stored).scales;
  return liftHalfRows(encodeF16(values, stored), columns);
}

/** Sizes of a {@link QuantizedLinear}. */
export interface QuantizedLinearLayerOptions {
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly weightType: QuantizedType;
  /** Default true. */
  readonly bias?: boolean;
}

/**
 * {@link Linear} for inference: x [batch, inFeatures] -> [batch, outFeatures]. It has no weights until some are written or loaded, and no
 * gradient. See ops/linear-quantized.
 */
export class QuantizedLinear extends Module {
  readonly weight: QuantizedWeight;
  readonly bias: Parameter | null;

  /** @throws ShapeError for a size out of range. */
  constructor(
    engine: Engine,
    readonly options: QuantizedLinearLayerOptions,
  ) {
    super();
    const { inFeatures, outFeatures, weightType, bias = true } = options;
    for (const [name, size] of Object.entries({ inFeatures, outFeatures })) {
      if (Number.isInteger(size) && size >= 1) continue;
      throw new ShapeError(
        `QuantizedLinear: ${name} must be an integer of at least 1 (${name} ${size}). Change ${name}.`,
      );
    }
    this.weight = new QuantizedWeight(engine, outFeatures, inFeatures, weightType);
    this.bias = bias ? engine.parameter([outFeatures], "bias") : null;
  }

  override forward(x: Tensor): Tensor {
    return linearQuantized(x, this.weight, this.weight.scale, this.bias);
  }

  protected override ownBuffers(): ReadonlyMap<string, StateTensor> {
    const own = new Map<string, StateTensor>([["weight", this.weight]]);
    if (this.bias) own.set("bias", this.bias);
    return own;
  }
}
