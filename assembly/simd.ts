// SIMD helpers. Everything here is inlined; four float32 lanes a vector. Function decorators stand here and in Winograd's transforms alone.

/** Import of every module: 1 in the turbo tier (src/backend/wasm/tiers.ts), else 0. */
// @ts-ignore: decorator
@external("env", "wide")
declare const wide: i32;

/** Whether V8 joins pairs of neighbouring vectors into 256 bits, so that tiles of 16 columns pay. It changes no bits. */
// @ts-ignore: decorator
@inline
export function isWide(): bool {
  return wide != 0;
}

/**
 * acc + a * b in every lane. In the plain build two rounded operations, the same bits on every machine; in the relaxed build
 * one fused operation where the machine has it (fewer instructions, one rounding), else two.
 */
// @ts-ignore: decorator
@inline
export function madd(acc: v128, a: v128, b: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, acc);
  return f32x4.add(acc, f32x4.mul(a, b));
}

/** Four elements of sgd (optimizer.ts) with momentum in PyTorch's form: reads and writes param and velocity. */
// @ts-ignore: decorator
@inline
export function sgdVector(param: usize, velocity: usize, grad: v128, lr: v128, momentum: v128, weightDecay: v128): void {
  const value = v128.load(param);
  const decayed = f32x4.add(grad, f32x4.mul(weightDecay, value));
  const step = f32x4.add(f32x4.mul(momentum, v128.load(velocity)), decayed);
  v128.store(velocity, step);
  v128.store(param, f32x4.sub(value, f32x4.mul(lr, step)));
}

/** Sum of the four lanes, in the fixed order (0 + 1) + (2 + 3). */
// @ts-ignore: decorator
@inline
export function sumLanes(v: v128): f32 {
  return (
    f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
  );
}

/** Rotates every 32-bit lane left by `bits`. */
// @ts-ignore: decorator
@inline
export function rotateLanes(v: v128, bits: i32): v128 {
  return v128.or(i32x4.shl(v, bits), i32x4.shr_u(v, 32 - bits));
}

/**
 * The upper 16 bits of eight halves as float32, each times 2^-112: sign, three zeros, a half's exponent, seven bits of mantissa. Exact; but a
 * subnormal half becomes a subnormal float32, which is slow on some machines, and infinities and NaN become finite.
 */
// @ts-ignore: decorator
@inline
export function halfTops(halves: v128): v128 {
  return v128.and(i16x8.shr_s(halves, 3), i16x8.splat(<i16>0x8fff));
}

/** The lower 16 bits: the last three of mantissa. */
// @ts-ignore: decorator
@inline
export function halfBottoms(halves: v128): v128 {
  return i16x8.shl(halves, 13);
}

/** The first four float32 of such upper and lower bits. */
// @ts-ignore: decorator
@inline
export function joinLow(tops: v128, bottoms: v128): v128 {
  return v128.shuffle<i16>(bottoms, tops, 0, 8, 1, 9, 2, 10, 3, 11);
}

/** The last four. */
// @ts-ignore: decorator
@inline
export function joinHigh(tops: v128, bottoms: v128): v128 {
  return v128.shuffle<i16>(bottoms, tops, 4, 12, 5, 13, 6, 14, 7, 15);
}
