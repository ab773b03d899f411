// The register tiles of the matrix product. Exported from index.ts too, so that Binaryen does not inline them into
// their callers (there V8 would run out of its 15 vector registers).
//
//            b0      b1         8 columns of B: one row of a packed panel
//   a0 ×  | c00 c01 |
//   a1 ×  | c10 c11 |           4×8 floats of C live in 8 registers for the whole loop over k;
//   a2 ×  | c20 c21 |           with b0, b1, one splat of A and a product that makes 12 of 15
//   a3 ×  | c30 c31 |
//
// Multiply, then add, each rounded: no fused operation, so the bits are the same on every machine.
// Measured (one core, Node 20, packed panels in cache): 38.6 GFLOP/s for rows of A used in place, 39.2 for packed
// A, 40 when unrolled: the simplest form is within 4 % of all others, so it is the one that stands here.
import { madd } from "./simd";

/**
 * C[4×8] = (accumulate ? C : 0) + A[4×k] · B[k×8].
 * A: four rows `aRowBytes` apart, k contiguous floats each. B: k rows of 8 floats, contiguous. C: rows `cRowBytes` apart.
 * No alignment needed. 64·k FLOPs.
 */
export function gemmMicro4x8(
  a: usize,
  aRowBytes: usize,
  b: usize,
  c: usize,
  cRowBytes: usize,
  k: i32,
  accumulate: bool,
): void {
  let a0 = a;
  let a1 = a0 + aRowBytes;
  let a2 = a1 + aRowBytes;
  let a3 = a2 + aRowBytes;
  let c00 = f32x4.splat(0);
  let c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0);
  let c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0);
  let c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0);
  let c31 = f32x4.splat(0);
  for (; k > 0; k--) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let splat = v128.load32_splat(a0);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    splat = v128.load32_splat(a1);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    splat = v128.load32_splat(a2);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    splat = v128.load32_splat(a3);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    b += 32;
    a0 += 4;
    a1 += 4;
    a2 += 4;
    a3 += 4;
  }
  const row1 = c + cRowBytes;
  const row2 = row1 + cRowBytes;
  const row3 = row2 + cRowBytes;
  if (accumulate) {
    c00 = f32x4.add(v128.load(c), c00);
    c01 = f32x4.add(v128.load(c, 16), c01);
    c10 = f32x4.add(v128.load(row1), c10);
    c11 = f32x4.add(v128.load(row1, 16), c11);
    c20 = f32x4.add(v128.load(row2), c20);
    c21 = f32x4.add(v128.load(row2, 16), c21);
    c30 = f32x4.add(v128.load(row3), c30);
    c31 = f32x4.add(v128.load(row3, 16), c31);
  }
  v128.store(c, c00);
  v128.store(c, c01, 16);
  v128.store(row1, c10);
  v128.store(row1, c11, 16);
  v128.store(row2, c20);
  v128.store(row2, c21, 16);
  v128.store(row3, c30);
  v128.store(row3, c31, 16);
}

/** One row of the above, for the rows that four do not divide: the same sums in the same order. */
export function gemmMicro1x8(a: usize, b: usize, c: usize, k: i32, accumulate: bool): void {
  let c0 = f32x4.splat(0);
  let c1 = f32x4.splat(0);
  for (; k > 0; k--) {
    const splat = v128.load32_splat(a);
    c0 = madd(c0, splat, v128.load(b));
    c1 = madd(c1, splat, v128.load(b, 16));
    b += 32;
    a += 4;
  }
  if (accumulate) {
    c0 = f32x4.add(v128.load(c), c0);
    c1 = f32x4.add(v128.load(c, 16), c1);
  }
  v128.store(c, c0);
  v128.store(c, c1, 16);
}

/** C[4×16] from the panels b and nextB, for 256-bit registers: the same sums in the same order as two tiles of 4×8. */
export function gemmMicro4x16(
  a: usize,
  aRowBytes: usize,
  b: usize,
  nextB: usize,
  c: usize,
  cRowBytes: usize,
  k: i32,
  accumulate: bool,
): void {
  let a0 = a;
  let a1 = a0 + aRowBytes;
  let a2 = a1 + aRowBytes;
  let a3 = a2 + aRowBytes;
  let c00 = f32x4.splat(0);
  let c01 = f32x4.splat(0);
  let c02 = f32x4.splat(0);
  let c03 = f32x4.splat(0);
  let c10 = f32x4.splat(0);
  let c11 = f32x4.splat(0);
  let c12 = f32x4.splat(0);
  let c13 = f32x4.splat(0);
  let c20 = f32x4.splat(0);
  let c21 = f32x4.splat(0);
  let c22 = f32x4.splat(0);
  let c23 = f32x4.splat(0);
  let c30 = f32x4.splat(0);
  let c31 = f32x4.splat(0);
  let c32 = f32x4.splat(0);
  let c33 = f32x4.splat(0);
  for (; k > 0; k--) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(nextB);
    const b3 = v128.load(nextB, 16);
    let splat = v128.load32_splat(a0);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    c02 = madd(c02, splat, b2);
    c03 = madd(c03, splat, b3);
    splat = v128.load32_splat(a1);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    c12 = madd(c12, splat, b2);
    c13 = madd(c13, splat, b3);
    splat = v128.load32_splat(a2);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    c22 = madd(c22, splat, b2);
    c23 = madd(c23, splat, b3);
    splat = v128.load32_splat(a3);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    c32 = madd(c32, splat, b2);
    c33 = madd(c33, splat, b3);
    b += 32;
    nextB += 32;
    a0 += 4;
    a1 += 4;
    a2 += 4;
    a3 += 4;
  }
  const row1 = c + cRowBytes;
  const row2 = row1 + cRowBytes;
  const row3 = row2 + cRowBytes;
  if (accumulate) {
    c00 = f32x4.add(v128.load(c), c00);
    c01 = f32x4.add(v128.load(c, 16), c01);
    c02 = f32x4.add(v128.load(c, 32), c02);
    c03 = f32x4.add(v128.load(c, 48), c03);
    c10 = f32x4.add(v128.load(row1), c10);
    c11 = f32x4.add(v128.load(row1, 16), c11);
    c12 = f32x4.add(v128.load(row1, 32), c12);
    c13 = f32x4.add(v128.load(row1, 48), c13);
    c20 = f32x4.add(v128.load(row2), c20);
    c21 = f32x4.add(v128.load(row2, 16), c21);
    c22 = f32x4.add(v128.load(row2, 32), c22);
    c23 = f32x4.add(v128.load(row2, 48), c23);
    c30 = f32x4.add(v128.load(row3), c30);
    c31 = f32x4.add(v128.load(row3, 16), c31);
    c32 = f32x4.add(v128.load(row3, 32), c32);
    c33 = f32x4.add(v128.load(row3, 48), c33);
  }
  v128.store(c, c00);
  v128.store(c, c01, 16);
  v128.store(c, c02, 32);
  v128.store(c, c03, 48);
  v128.store(row1, c10);
  v128.store(row1, c11, 16);
  v128.store(row1, c12, 32);
  v128.store(row1, c13, 48);
  v128.store(row2, c20);
  v128.store(row2, c21, 16);
  v128.store(row2, c22, 32);
  v128.store(row2, c23, 48);
  v128.store(row3, c30);
  v128.store(row3, c31, 16);
  v128.store(row3, c32, 32);
  v128.store(row3, c33, 48);
}
