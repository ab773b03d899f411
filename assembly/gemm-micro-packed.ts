// The register tiles of Winograd's matrix products, whose A is packed: one pointer walks it, so that four steps over k fit into
// a loop of few registers. Exported from index.ts for the same reason as gemm-micro.ts. Two forms of A (4 rows each) and two widths:
//
//   Rows     | a0 k0 k1 k2 k3 | a1 k0 … k3 | a2 … | a3 … | a0 k4 …    four neighbours of k together: what a transform of 4 channels stores
//   Columns  | a0 a1 a2 a3 of k0 | a0 a1 a2 a3 of k1 | …               four rows together
//
// B is one panel (k rows of 8 floats) or, for 256-bit registers, two: V8 fuses neighbouring pairs of 128-bit operations there.
// `break` between the steps keeps V8 from hoisting all loads and running out of registers (it counts where k is no multiple of 4).
// Measured, operands in cache, one core of a Zen 4, GFLOP/s (gemm-micro.ts's rows in place: 38.7 / 54.3 / -):
//   4x8 46.7 plain (Node 20), 54 relaxed; 4x16 106 relaxed with 256-bit registers (Node 24)
import { madd } from "./simd";

/** C[4×8] = (accumulate ? C : 0) + A[4×k] · B[k×8], A in the form Rows. k ≥ 1. No alignment needed. 64·k FLOPs. */
export function gemmMicroRows4x8(a: usize, b: usize, c: usize, cRowBytes: usize, k: i32, accumulate: bool): void {
  let c00 = f32x4.splat(0);
  let c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0);
  let c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0);
  let c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0);
  let c31 = f32x4.splat(0);
  for (;;) {
    let b0 = v128.load(b);
    let b1 = v128.load(b, 16);
    let splat = v128.load32_splat(a);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    splat = v128.load32_splat(a, 16);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    splat = v128.load32_splat(a, 32);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    splat = v128.load32_splat(a, 48);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    if (k == 1) break;
    b0 = v128.load(b, 32);
    b1 = v128.load(b, 48);
    splat = v128.load32_splat(a, 4);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    splat = v128.load32_splat(a, 20);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    splat = v128.load32_splat(a, 36);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    splat = v128.load32_splat(a, 52);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    if (k == 2) break;
    b0 = v128.load(b, 64);
    b1 = v128.load(b, 80);
    splat = v128.load32_splat(a, 8);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    splat = v128.load32_splat(a, 24);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    splat = v128.load32_splat(a, 40);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    splat = v128.load32_splat(a, 56);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    if (k == 3) break;
    b0 = v128.load(b, 96);
    b1 = v128.load(b, 112);
    splat = v128.load32_splat(a, 12);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    splat = v128.load32_splat(a, 28);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    splat = v128.load32_splat(a, 44);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    splat = v128.load32_splat(a, 60);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    k -= 4;
    if (k <= 0) break;
    a += 64;
    b += 128;
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

/** The same with A in the form Columns. */
export function gemmMicroColumns4x8(a: usize, b: usize, c: usize, cRowBytes: usize, k: i32, accumulate: bool): void {
  let c00 = f32x4.splat(0);
  let c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0);
  let c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0);
  let c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0);
  let c31 = f32x4.splat(0);
  for (;;) {
    let b0 = v128.load(b);
    let b1 = v128.load(b, 16);
    let splat = v128.load32_splat(a);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    splat = v128.load32_splat(a, 4);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    splat = v128.load32_splat(a, 8);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    splat = v128.load32_splat(a, 12);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    if (k == 1) break;
    b0 = v128.load(b, 32);
    b1 = v128.load(b, 48);
    splat = v128.load32_splat(a, 16);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    splat = v128.load32_splat(a, 20);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    splat = v128.load32_splat(a, 24);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    splat = v128.load32_splat(a, 28);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    if (k == 2) break;
    b0 = v128.load(b, 64);
    b1 = v128.load(b, 80);
    splat = v128.load32_splat(a, 32);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    splat = v128.load32_splat(a, 36);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    splat = v128.load32_splat(a, 40);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    splat = v128.load32_splat(a, 44);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    if (k == 3) break;
    b0 = v128.load(b, 96);
    b1 = v128.load(b, 112);
    splat = v128.load32_splat(a, 48);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    splat = v128.load32_splat(a, 52);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    splat = v128.load32_splat(a, 56);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    splat = v128.load32_splat(a, 60);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    k -= 4;
    if (k <= 0) break;
    a += 64;
    b += 128;
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

/** C[4×16] from the panels b and nextB: the same sums in the same order as two tiles of 4×8. */
export function gemmMicroRows4x16(
  a: usize,
  b: usize,
  nextB: usize,
  c: usize,
  cRowBytes: usize,
  k: i32,
  accumulate: bool,
): void {
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
  for (;;) {
    let b0 = v128.load(b);
    let b1 = v128.load(b, 16);
    let b2 = v128.load(nextB);
    let b3 = v128.load(nextB, 16);
    let splat = v128.load32_splat(a);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    c02 = madd(c02, splat, b2);
    c03 = madd(c03, splat, b3);
    splat = v128.load32_splat(a, 16);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    c12 = madd(c12, splat, b2);
    c13 = madd(c13, splat, b3);
    splat = v128.load32_splat(a, 32);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    c22 = madd(c22, splat, b2);
    c23 = madd(c23, splat, b3);
    splat = v128.load32_splat(a, 48);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    c32 = madd(c32, splat, b2);
    c33 = madd(c33, splat, b3);
    if (k == 1) break;
    b0 = v128.load(b, 32);
    b1 = v128.load(b, 48);
    b2 = v128.load(nextB, 32);
    b3 = v128.load(nextB, 48);
    splat = v128.load32_splat(a, 4);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    c02 = madd(c02, splat, b2);
    c03 = madd(c03, splat, b3);
    splat = v128.load32_splat(a, 20);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    c12 = madd(c12, splat, b2);
    c13 = madd(c13, splat, b3);
    splat = v128.load32_splat(a, 36);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    c22 = madd(c22, splat, b2);
    c23 = madd(c23, splat, b3);
    splat = v128.load32_splat(a, 52);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    c32 = madd(c32, splat, b2);
    c33 = madd(c33, splat, b3);
    if (k == 2) break;
    b0 = v128.load(b, 64);
    b1 = v128.load(b, 80);
    b2 = v128.load(nextB, 64);
    b3 = v128.load(nextB, 80);
    splat = v128.load32_splat(a, 8);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    c02 = madd(c02, splat, b2);
    c03 = madd(c03, splat, b3);
    splat = v128.load32_splat(a, 24);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    c12 = madd(c12, splat, b2);
    c13 = madd(c13, splat, b3);
    splat = v128.load32_splat(a, 40);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    c22 = madd(c22, splat, b2);
    c23 = madd(c23, splat, b3);
    splat = v128.load32_splat(a, 56);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    c32 = madd(c32, splat, b2);
    c33 = madd(c33, splat, b3);
    if (k == 3) break;
    b0 = v128.load(b, 96);
    b1 = v128.load(b, 112);
    b2 = v128.load(nextB, 96);
    b3 = v128.load(nextB, 112);
    splat = v128.load32_splat(a, 12);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    c02 = madd(c02, splat, b2);
    c03 = madd(c03, splat, b3);
    splat = v128.load32_splat(a, 28);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    c12 = madd(c12, splat, b2);
    c13 = madd(c13, splat, b3);
    splat = v128.load32_splat(a, 44);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    c22 = madd(c22, splat, b2);
    c23 = madd(c23, splat, b3);
    splat = v128.load32_splat(a, 60);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    c32 = madd(c32, splat, b2);
    c33 = madd(c33, splat, b3);
    k -= 4;
    if (k <= 0) break;
    a += 64;
    b += 128;
    nextB += 128;
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

/** The same with A in the form Columns. */
export function gemmMicroColumns4x16(
  a: usize,
  b: usize,
  nextB: usize,
  c: usize,
  cRowBytes: usize,
  k: i32,
  accumulate: bool,
): void {
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
  for (;;) {
    let b0 = v128.load(b);
    let b1 = v128.load(b, 16);
    let b2 = v128.load(nextB);
    let b3 = v128.load(nextB, 16);
    let splat = v128.load32_splat(a);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    c02 = madd(c02, splat, b2);
    c03 = madd(c03, splat, b3);
    splat = v128.load32_splat(a, 4);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    c12 = madd(c12, splat, b2);
    c13 = madd(c13, splat, b3);
    splat = v128.load32_splat(a, 8);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    c22 = madd(c22, splat, b2);
    c23 = madd(c23, splat, b3);
    splat = v128.load32_splat(a, 12);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    c32 = madd(c32, splat, b2);
    c33 = madd(c33, splat, b3);
    if (k == 1) break;
    b0 = v128.load(b, 32);
    b1 = v128.load(b, 48);
    b2 = v128.load(nextB, 32);
    b3 = v128.load(nextB, 48);
    splat = v128.load32_splat(a, 16);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    c02 = madd(c02, splat, b2);
    c03 = madd(c03, splat, b3);
    splat = v128.load32_splat(a, 20);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    c12 = madd(c12, splat, b2);
    c13 = madd(c13, splat, b3);
    splat = v128.load32_splat(a, 24);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    c22 = madd(c22, splat, b2);
    c23 = madd(c23, splat, b3);
    splat = v128.load32_splat(a, 28);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    c32 = madd(c32, splat, b2);
    c33 = madd(c33, splat, b3);
    if (k == 2) break;
    b0 = v128.load(b, 64);
    b1 = v128.load(b, 80);
    b2 = v128.load(nextB, 64);
    b3 = v128.load(nextB, 80);
    splat = v128.load32_splat(a, 32);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    c02 = madd(c02, splat, b2);
    c03 = madd(c03, splat, b3);
    splat = v128.load32_splat(a, 36);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    c12 = madd(c12, splat, b2);
    c13 = madd(c13, splat, b3);
    splat = v128.load32_splat(a, 40);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    c22 = madd(c22, splat, b2);
    c23 = madd(c23, splat, b3);
    splat = v128.load32_splat(a, 44);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    c32 = madd(c32, splat, b2);
    c33 = madd(c33, splat, b3);
    if (k == 3) break;
    b0 = v128.load(b, 96);
    b1 = v128.load(b, 112);
    b2 = v128.load(nextB, 96);
    b3 = v128.load(nextB, 112);
    splat = v128.load32_splat(a, 48);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    c02 = madd(c02, splat, b2);
    c03 = madd(c03, splat, b3);
    splat = v128.load32_splat(a, 52);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    c12 = madd(c12, splat, b2);
    c13 = madd(c13, splat, b3);
    splat = v128.load32_splat(a, 56);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    c22 = madd(c22, splat, b2);
    c23 = madd(c23, splat, b3);
    splat = v128.load32_splat(a, 60);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    c32 = madd(c32, splat, b2);
    c33 = madd(c33, splat, b3);
    k -= 4;
    if (k <= 0) break;
    a += 64;
    b += 128;
    nextB += 128;
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
