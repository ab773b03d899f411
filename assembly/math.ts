// exp, log, sin and cos in float64 from + − × ÷ alone: no tables (a module on shared memory must have no data
// segments) and the same bits on every machine. Relative error below 1e-15 in the ranges that kernels use.

const LN2_HIGH: f64 = 0.6931471803691238;
const LN2_LOW: f64 = 1.9082149292705877e-10;

/** e^x: x = k·ln 2 + r, |r| ≤ 0.35, Taylor's series for e^r, times 2^k. NaN gives NaN; below −708 gives 0. */
export function exp(x: f64): f64 {
  if (x != x) return x;
  if (x < -708) return 0;
  if (x > 709) return Infinity;
  const k = nearest(x * 1.4426950408889634);
  const r = x - k * LN2_HIGH - k * LN2_LOW;
  let sum: f64 = 1;
  for (let i = 14; i > 0; i--) sum = 1 + (r / <f64>i) * sum;
  return sum * reinterpret<f64>((<i64>k + 1023) << 52);
}

/**
 * e^x of two values at most 0, −∞ included; below −700 e^−700, which no float32 tells from 0. NaN stays NaN. Relative error
 * below 1e-11, far below float32's: Taylor's series to r^10 / 10!.
 */
export function expOfNegative2(x: v128): v128 {
  // Not max: pmax is one instruction, and NaN, which is not below anything, stays.
  const least = f64x2.pmax(x, f64x2.splat(-700));
  const k = f64x2.nearest(f64x2.mul(least, f64x2.splat(1.4426950408889634)));
  const r = f64x2.sub(f64x2.sub(least, f64x2.mul(k, f64x2.splat(LN2_HIGH))), f64x2.mul(k, f64x2.splat(LN2_LOW)));
  let sum = f64x2.splat(1 / 3628800.0);
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1 / 362880.0));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1 / 40320.0));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1 / 5040.0));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1 / 720.0));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1 / 120.0));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1 / 24.0));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1 / 6.0));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(0.5));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1));
  // Numbers near 1.5 · 2^52 are whole: k + 1023 is in the last bits and, shifted up, the exponent of 2^k.
  const exponents = f64x2.add(k, f64x2.splat(6755399441055744.0 + 1023.0));
  return f64x2.mul(sum, i64x2.shl(exponents, 52));
}

/** Natural logarithm of a normal positive x: x = 2^k·m, m in [√½, √2), log m = 2·atanh((m − 1)/(m + 1)). NaN and ∞ stay. */
export function log(x: f64): f64 {
  if (!(x < Infinity)) return x;
  const bits = reinterpret<u64>(x);
  let k = <i32>(bits >> 52) - 1023;
  let m = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    k++;
  }
  const t = (m - 1) / (m + 1);
  const t2 = t * t;
  let sum: f64 = 0;
  for (let i = 21; i > 0; i -= 2) sum = sum * t2 + 1 / <f64>i;
  return <f64>k * LN2_HIGH + (2 * t * sum + <f64>k * LN2_LOW);
}

/** sin(2π·turns) for turns in [0, 1). */
export function sinTurns(turns: f64): f64 {
  const quarter = nearest(turns * 4);
  const r = (turns - quarter * 0.25) * 6.283185307179586;
  const q = <i32>quarter & 3;
  const value = q & 1 ? cosSeries(r) : sinSeries(r);
  return q & 2 ? -value : value;
}

/** cos(2π·turns) for turns in [0, 1). */
export function cosTurns(turns: f64): f64 {
  const quarter = nearest(turns * 4);
  const r = (turns - quarter * 0.25) * 6.283185307179586;
  const q = <i32>quarter & 3;
  const value = q & 1 ? -sinSeries(r) : cosSeries(r);
  return q & 2 ? -value : value;
}

function sinSeries(r: f64): f64 {
  const r2 = r * r;
  let sum: f64 = 1;
  for (let i = 16; i > 0; i -= 2) sum = 1 - (r2 / <f64>(i * (i + 1))) * sum;
  return r * sum;
}

function cosSeries(r: f64): f64 {
  const r2 = r * r;
  let sum: f64 = 1;
  for (let i = 16; i > 0; i -= 2) sum = 1 - (r2 / <f64>(i * (i - 1))) * sum;
  return sum;
}
