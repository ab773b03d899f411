/**
 * Weights in fewer bits than float32: IEEE halves, bfloat16, and int8 with a scale for each row. Pure functions on arrays, all by tricks
 * on bits or by table, since not every host has a Float16Array. Whose weights are kept so in memory: nn/quantized-linear.ts.
 *
 * ```text
 * float16   sign | 5 bits of exponent | 10 of mantissa        exact as float32; largest 65504, least 2^-24
 * bfloat16  the upper half of a float32
 * int8      weight = q · scale, q from -127 to 127, scale of the row = its largest weight / 127
 * ```
 */
import { WeightsError } from "./errors.js";

/** Where float32 magnitudes, as bits, begin to round to an infinite half: 65520. Infinities and NaN are above. */
const F16_OVERFLOW = 0x477ff000;
/** The least normal half, 2^-14, as a float32's bits. */
const F16_NORMAL = 0x38800000;
/** What float32's exponents are larger by than a half's. */
const F16_REBIAS = 0x38000000;
/** Added and subtracted, it rounds a float64 to the nearest whole number, ties to even. */
const ROUND = 1.5 * 2 ** 52;
/** The largest int8 in use: its negative is one too. */
const INT8_MAX = 127;

/** A matrix as int8 with a scale a row. */
export interface QuantizedRows {
  readonly q: Int8Array;
  readonly scales: Float32Array;
}

/**
 * Float32 values as halves, to the nearest, ties to even.
 * @param bits where to put them; as long as values.
 * @throws WeightsError for a value that is not finite or would become infinite: from 65520 on.
 */
export function encodeF16(values: Float32Array, bits: Uint16Array = new Uint16Array(values.length)): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    const magnitude = word & 0x7fffffff;
    const sign = (word >>> 16) & 0x8000;
    if (magnitude >= F16_OVERFLOW) {
      throw new WeightsError(
        `encodeF16: the value has no float16 (element ${i}, value ${values[i]}). Keep the tensor as float32; finite values below 65520 fit.`,
      );
    }
    bits[i] = sign | (magnitude >= F16_NORMAL ? normalHalf(magnitude) : smallHalf(magnitude));
  }
  return bits;
}

function normalHalf(magnitude: number): number {
  return (magnitude - F16_REBIAS + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
}

/** In units of 2^-24: the mantissa with its leading one, moved down. */
function smallHalf(magnitude: number): number {
  const shift = 126 - (magnitude >>> 23);
  if (shift > 24) return 0;
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const whole = mantissa >>> shift;
  const rest = mantissa - (whole << shift);
  const tie = 1 << (shift - 1);
  return rest > tie || (rest === tie && whole & 1) ? whole + 1 : whole;
}

let halves: Uint32Array | undefined;

/** The float32 bits of every half. */
function halfTable(): Uint32Array {
  halves ??= Uint32Array.from({ length: 1 << 16 }, (_, half) => {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >>> 10) & 31;
    const mantissa = half & 0x3ff;
    if (exponent === 31) return sign | 0x7f800000 | (mantissa << 13);
    if (exponent > 0) return sign | (((half & 0x7fff) << 13) + F16_REBIAS);
    if (mantissa === 0) return sign;
    const shift = Math.clz32(mantissa) - 21;
    return sign | ((113 - shift) << 23) | (((mantissa << shift) & 0x3ff) << 13);
  });
  return halves;
}

/**
 * Halves as float32, all of them exactly: subnormal ones, infinities and NaN, payloads included.
 * @param values where to put them; as long as bits.
 */
export function decodeF16(bits: Uint16Array, values: Float32Array = new Float32Array(bits.length)): Float32Array {
  const table = halfTable();
  const words = new Uint32Array(values.buffer, values.byteOffset, bits.length);
  for (let i = 0; i < words.length; i++) words[i] = table[bits[i]];
  return values;
}

/** Multiplied by this, the least half is a normal one. */
const SUBNORMAL_BITS = 10;

/**
 * Multiplies rows of `columns` halves by powers of two, in place and exactly, so that none of them is subnormal, which kernels are slow on: possible
 * where the row's largest is below 64.
 * @returns what each row must be multiplied by to be what it was.
 * @throws WeightsError for an infinity or NaN.
 */
export function liftHalfRows(bits: Uint16Array, columns: number): Float32Array {
  const scales = new Float32Array(bits.length / columns);
  for (let row = 0; row < scales.length; row++) {
    const begin = row * columns;
    const steps = Math.min(30 - (largestHalf(bits, begin, begin + columns) >>> 10), SUBNORMAL_BITS);
    scales[row] = 2 ** -steps;
    for (let i = begin; i < begin + columns; i++) {
      const half = bits[i];
      bits[i] = half & 0x7c00 ? half + (steps << 10) : (half & 0x8000) | liftSubnormal(half & 0x3ff, steps);
    }
  }
  return scales;
}

/** The bits of a subnormal half's magnitude, or of 0, times 2^steps. */
function liftSubnormal(mantissa: number, steps: number): number {
  if (mantissa << steps < 0x400) return mantissa << steps;
  const shift = Math.clz32(mantissa) - 21;
  return ((steps + 1 - shift) << 10) | ((mantissa << shift) & 0x3ff);
}

function largestHalf(bits: Uint16Array, begin: number, end: number): number {
  let largest = 0;
  for (let i = begin; i < end; i++) {
    const magnitude = bits[i] & 0x7fff;
    if (magnitude > largest) largest = magnitude;
    if (magnitude >= 0x7c00) {
      throw new WeightsError(
        `liftHalfRows: a float16 is not finite (element ${i}, bits 0x${bits[i].toString(16)}). Mend the weights.`,
      );
    }
  }
  return largest;
}

/**
 * Bfloat16 values as float32, all of them exactly.
 * @param values where to put them; as long as bits.
 */
export function decodeBf16(bits: Uint16Array, values: Float32Array = new Float32Array(bits.length)): Float32Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, bits.length);
  for (let i = 0; i < words.length; i++) words[i] = bits[i] << 16;
  return values;
}

/**
 * Rows of `columns` float32 values as int8, to the nearest, ties to even. Errors are at most half a scale, which is a row's largest magnitude / 127.
 * A row of zeros has the scale 0.
 * @param q where to put them; as long as values.
 * @throws WeightsError for a value that is not finite.
 */
export function quantizeRows(
  values: Float32Array,
  columns: number,
  q: Int8Array = new Int8Array(values.length),
): QuantizedRows {
  const scales = new Float32Array(values.length / columns);
  for (let row = 0; row < scales.length; row++) {
    const begin = row * columns;
    const scale = Math.fround(largestMagnitude(values, begin, begin + columns) / INT8_MAX);
    scales[row] = scale;
    const divisor = scale || Number.POSITIVE_INFINITY;
    for (let i = begin; i < begin + columns; i++) {
      const whole = values[i] / divisor + ROUND - ROUND;
      // Beyond only where the scale itself had to be rounded much: below float32's normal numbers.
      q[i] = whole > INT8_MAX ? INT8_MAX : whole < -INT8_MAX ? -INT8_MAX : whole;
    }
  }
  return { q, scales };
}

function largestMagnitude(values: Float32Array, begin: number, end: number): number {
  let largest = 0;
  for (let i = begin; i < end; i++) {
    const magnitude = Math.abs(values[i]);
    if (!(magnitude <= largest)) largest = magnitude;
    if (!(magnitude < Number.POSITIVE_INFINITY)) {
      throw new WeightsError(
        `quantizeRows: a value is not finite (element ${i}, value ${values[i]}). Keep the tensor as float32, or mend it.`,
      );
    }
  }
  return largest;
}

/**
 * What {@link quantizeRows} made, as float32: q · scale, rounded once.
 * @param values where to put it; as long as q.
 */
export function dequantizeRows(
  { q, scales }: QuantizedRows,
  values: Float32Array = new Float32Array(q.length),
): Float32Array {
  const columns = q.length / scales.length;
  for (let row = 0; row < scales.length; row++) {
    const scale = scales[row];
    for (let i = row * columns; i < (row + 1) * columns; i++) values[i] = q[i] * scale;
  }
  return values;
}
