// SIMD helpers: the only file with function decorators. Everything here is inlined; four float32 lanes a vector.

/** acc + a * b in every lane, as two rounded operations (plain SIMD: the same bits on every machine). */
// @ts-ignore: decorator
@inline
export function madd(acc: v128, a: v128, b: v128): v128 {
  return f32x4.add(acc, f32x4.mul(a, b));
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
