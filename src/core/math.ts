/**
 * exp, log, sin, cos and pow from plain float64 arithmetic, for every number that reaches data, weights or schedules.
 *
 * JavaScript leaves the last bits of `Math.exp` and its kin to the engine, and engines (and versions of one engine) differ.
 * Here only + - * / and bit moves are used, which IEEE 754 fixes: the same bits on every machine. The price is a few
 * nanoseconds and the last digit or two; each function states its error. Method: argument reduction as in fdlibm
 * (Sun Microsystems, 1993), then a Taylor or atanh series on the short interval that is left.
 */

/** ln 2 in two parts: the first has 21 trailing zero bits, so its product with an exponent is exact. */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** π/2 in two parts: the first has 33 significant bits, so its product with a count below 2^20 is exact. */
const HALF_PI_HIGH = 1.5707963267341256;
const HALF_PI_LOW = 6.077100506506192e-11;
const TWO_OVER_PI = 0.6366197723675814;

/** Above it exp overflows, below -UNDERFLOW it is 0. */
const EXP_OVERFLOW = 709.782712893384;
const EXP_UNDERFLOW = 745.1332191019412;

/** Integer exponents up to here are multiplied out (error |y| · 1.1e-16); larger ones go through exp and log. */
const POW_BY_PRODUCT = 1024;

/** 1/n! for n = 0..18, by division, so that no digits are typed by hand. */
const INVERSE_FACTORIAL = inverseFactorials(18);

/** 1/(2k + 1) for k = 0..11. */
const INVERSE_ODD = Float64Array.from({ length: 12 }, (_, k) => 1 / (2 * k + 1));

const bits = new DataView(new ArrayBuffer(8));

function inverseFactorials(count: number): Float64Array {
  const table = new Float64Array(count + 1);
  let factorial = 1;
  for (let n = 0; n <= count; n++) {
    if (n > 1) factorial *= n;
    table[n] = 1 / factorial;
  }
  return table;
}

/** 2^exponent, exact, for -1022 ≤ exponent ≤ 1023. */
function powerOfTwo(exponent: number): number {
  bits.setUint32(0, (exponent + 1023) << 20);
  bits.setUint32(4, 0);
  return bits.getFloat64(0);
}

/**
 * e^x. Relative error below 1e-15 where the result is a normal number; denormal results are rounded twice.
 * @returns Infinity above 709.78, 0 below -745.13, NaN for NaN.
 */
export function exp(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (x > EXP_OVERFLOW) return Infinity;
  if (x < -EXP_UNDERFLOW) return 0;
  // x = k ln 2 + r with |r| <= ln 2 / 2, so e^x = 2^k e^r.
  const k = Math.floor(x * Math.LOG2E + 0.5);
  const r = x - k * LN2_HIGH - k * LN2_LOW;
  let sum = INVERSE_FACTORIAL[14];
  for (let n = 13; n >= 0; n--) sum = sum * r + INVERSE_FACTORIAL[n];
  // Two factors, because 2^1024 and 2^-1074 are not normal numbers.
  const half = Math.floor(k / 2);
  return sum * powerOfTwo(half) * powerOfTwo(k - half);
}

/**
 * Natural logarithm. Relative error below 1e-15 (near 1 as well: the series is in x - 1).
 * @returns -Infinity for 0, NaN below 0 and for NaN, Infinity for Infinity.
 */
export function log(x: number): number {
  if (Number.isNaN(x) || x < 0) return NaN;
  if (x === 0) return -Infinity;
  if (x === Infinity) return Infinity;
  let exponent = 0;
  let mantissa = x;
  if (mantissa < 2.2250738585072014e-308) {
    mantissa *= 18014398509481984; // 2^54: makes a denormal normal
    exponent = -54;
  }
  bits.setFloat64(0, mantissa);
  const high = bits.getUint32(0);
  exponent += (high >>> 20) - 1023;
  bits.setUint32(0, (high & 0x000fffff) | 0x3ff00000);
  mantissa = bits.getFloat64(0);
  if (mantissa > Math.SQRT2) {
    mantissa /= 2;
    exponent += 1;
  }
  // ln m = 2 atanh(s), s = (m - 1) / (m + 1), |s| <= 0.1716: the term s^25 / 25 is below 1e-20.
  const s = (mantissa - 1) / (mantissa + 1);
  const s2 = s * s;
  let sum = 0;
  for (let k = 11; k >= 1; k--) sum = sum * s2 + INVERSE_ODD[k];
  return exponent * LN2_HIGH + (2 * s + (2 * s * s2 * sum + exponent * LN2_LOW));
}

/** sin of |r| <= π/4 by Taylor's series to r^17. */
function sinSeries(r: number): number {
  const r2 = r * r;
  let sum = INVERSE_FACTORIAL[17];
  for (let n = 15; n >= 3; n -= 2) sum = INVERSE_FACTORIAL[n] - sum * r2;
  return r - r * r2 * sum;
}

/** cos of |r| <= π/4 by Taylor's series to r^18. */
function cosSeries(r: number): number {
  const r2 = r * r;
  let sum = INVERSE_FACTORIAL[18];
  for (let n = 16; n >= 2; n -= 2) sum = INVERSE_FACTORIAL[n] - sum * r2;
  return 1 - r2 * sum;
}

/** sin(x + quarterTurns · π/2): x = n π/2 + r, and the quadrant picks series and sign. */
function sinQuarter(x: number, quarterTurns: number): number {
  if (!(Math.abs(x) < Infinity)) return NaN;
  const n = Math.floor(x * TWO_OVER_PI + 0.5);
  const r = x - n * HALF_PI_HIGH - n * HALF_PI_LOW;
  const turns = n + quarterTurns;
  const quadrant = turns - 4 * Math.floor(turns / 4);
  const value = quadrant === 1 || quadrant === 3 ? cosSeries(r) : sinSeries(r);
  return quadrant >= 2 ? -value : value;
}

/** Sine of x radians. Absolute error below 1e-15 for |x| <= 100 and below 1e-12 for |x| <= 1e6; grows with |x| beyond. NaN for ±Infinity. */
export function sin(x: number): number {
  return sinQuarter(x, 0);
}

/** Cosine of x radians. Same error as {@link sin}. */
export function cos(x: number): number {
  return sinQuarter(x, 1);
}

/**
 * x^y. Relative error below 1e-12: integer |y| <= 1024 by repeated squaring (small cases such as 2^10 are exact), others as e^(y ln x).
 * @returns 1 for y = 0; NaN for x < 0 with a fractional y, and for NaN.
 */
export function pow(x: number, y: number): number {
  if (y === 0) return 1;
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;
  const whole = Math.floor(y) === y;
  if (whole && Math.abs(y) <= POW_BY_PRODUCT) return powInteger(x, y);
  if (x < 0 && !whole && y !== Infinity && y !== -Infinity) return NaN;
  const size = Math.abs(x);
  if (size === 1) return x === 1 || y % 2 === 0 ? 1 : -1;
  const value = exp(y * log(size));
  return x < 0 && whole && Math.abs(y % 2) === 1 ? -value : value;
}

function powInteger(x: number, y: number): number {
  // A negative power divides once at the end, unless the positive one overflows where the result is still a number.
  let base = x;
  let product = 1;
  for (let n = Math.abs(y); n > 0; n = Math.floor(n / 2)) {
    if (n % 2 === 1) product *= base;
    if (n > 1) base *= base;
  }
  if (y > 0) return product;
  if (product === Infinity || product === -Infinity) return powInteger(1 / x, -y);
  return 1 / product;
}
