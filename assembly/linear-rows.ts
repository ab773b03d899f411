// The input gradient of fully connected layers for few images: dx[batch × inF] = dy[batch × outF] · weight[outF × inF]. With
// few rows of dy packing the weights would cost as much as the product, so they are read in place, ROWS of them at a time, and
// each is a stream. Sums are those of gemm.ts: a chain for each KC outputs, here kept in memory between the ROWS, and the
// chains added in order. Record: linear.ts.
import { storeRow } from "./conv2d";
import { KC } from "./gemm";
import { LinearArgs } from "./linear";
import { maskRow } from "./rectify";
import { isWide, madd } from "./simd";

/** Rows of weight at a time. Fc6, 8 images, one core of a Zen 4, relaxed: 16 rows 68 ms, 32 63, 64 51, 256 60. */
const ROWS: i32 = 64;

/**
 * dx columns [g · block, …) = dy · weight, 0 where the mask, if there is one, is not above 0; overwrites.
 * Worker scratch: chains (batch × block).
 */
export function linearBackwardInputRows(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<LinearArgs>(args);
  const rowBytes = (<usize>s.inFeatures) << 2;
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const i0 = grain * s.block;
    const n = min(s.block, s.inFeatures - i0);
    const begin = (<usize>i0) << 2;
    productInPlace(s.dx + begin, s.dy, s.weight + begin, scratch, s.batch, n, s.outFeatures, rowBytes);
    if (!s.mask) continue;
    for (let image = 0; image < s.batch; image++) {
      const at = begin + <usize>image * rowBytes;
      maskRow(s.dx + at, s.mask + at, n);
    }
  }
}

/** dx[m × n] = dy · weight. Rows of dx are xRowBytes apart, as weight's; `chains` has room for m × n floats. */
function productInPlace(
  dx: usize,
  dy: usize,
  weight: usize,
  chains: usize,
  m: i32,
  n: i32,
  outFeatures: i32,
  xRowBytes: usize,
): void {
  const dyRowBytes = (<usize>outFeatures) << 2;
  const chainBytes = (<usize>n) << 2;
  for (let o0 = 0; o0 < outFeatures; o0 += KC) {
    const oEnd = min(outFeatures, o0 + KC);
    for (let o = o0; o < oEnd; o += ROWS) {
      const k = min(ROWS, oEnd - o);
      const rows = weight + <usize>o * xRowBytes;
      const a = dy + ((<usize>o) << 2);
      let column = 0;
      // Fc6, turbo: 8 images 44 to 36 ms, 16 93 to 55; but 4, which leave no time in which the next lines could come, 32 to 64.
      if (isWide() && m > 4) {
        for (; column + 16 <= n; column += 16) {
          const at = (<usize>column) << 2;
          let row = 0;
          for (; row + 4 <= m; row += 4) {
            const c = chains + at + <usize>row * chainBytes;
            gemmMicroApart4x16(a + <usize>row * dyRowBytes, dyRowBytes, rows + at, xRowBytes, c, chainBytes, k, o > o0);
          }
          for (; row < m; row++) {
            const c = chains + at + <usize>row * chainBytes;
            gemmMicroApart1x8(a + <usize>row * dyRowBytes, rows + at, xRowBytes, c, k, o > o0);
            gemmMicroApart1x8(a + <usize>row * dyRowBytes, rows + at + 32, xRowBytes, c + 32, k, o > o0);
          }
        }
      }
      for (; column + 8 <= n; column += 8) {
        const at = (<usize>column) << 2;
        let row = 0;
        for (; row + 4 <= m; row += 4) {
          gemmMicroApart4x8(
            a + <usize>row * dyRowBytes,
            dyRowBytes,
            rows + at,
            xRowBytes,
            chains + at + <usize>row * chainBytes,
            chainBytes,
            k,
            o > o0,
          );
        }
        for (; row < m; row++) {
          gemmMicroApart1x8(
            a + <usize>row * dyRowBytes,
            rows + at,
            xRowBytes,
            chains + at + <usize>row * chainBytes,
            k,
            o > o0,
          );
        }
      }
      for (; column < n; column++) {
        const at = (<usize>column) << 2;
        for (let row = 0; row < m; row++) {
          const chain = chains + at + <usize>row * chainBytes;
          const dyRow = a + <usize>row * dyRowBytes;
          let sum: f32 = o > o0 ? load<f32>(chain) : 0;
          for (let i = 0; i < k; i++)
            sum += load<f32>(dyRow + ((<usize>i) << 2)) * load<f32>(rows + at + <usize>i * xRowBytes);
          store<f32>(chain, sum);
        }
      }
    }
    for (let row = 0; row < m; row++) {
      storeRow(dx + <usize>row * xRowBytes, chains + <usize>row * chainBytes, n, o0 > 0);
    }
  }
}

/** C[4×8] = (go ? C : 0) + A[4×k] · B[k×8] like gemmMicro4x8, but rows of B are apart and chains go on from C. */
export function gemmMicroApart4x8(
  a: usize,
  aRowBytes: usize,
  b: usize,
  bRowBytes: usize,
  c: usize,
  cRowBytes: usize,
  k: i32,
  go: bool,
): void {
  let a0 = a;
  let a1 = a0 + aRowBytes;
  let a2 = a1 + aRowBytes;
  let a3 = a2 + aRowBytes;
  const row1 = c + cRowBytes;
  const row2 = row1 + cRowBytes;
  const row3 = row2 + cRowBytes;
  let c00 = f32x4.splat(0);
  let c01 = c00;
  let c10 = c00;
  let c11 = c00;
  let c20 = c00;
  let c21 = c00;
  let c30 = c00;
  let c31 = c00;
  if (go) {
    c00 = v128.load(c);
    c01 = v128.load(c, 16);
    c10 = v128.load(row1);
    c11 = v128.load(row1, 16);
    c20 = v128.load(row2);
    c21 = v128.load(row2, 16);
    c30 = v128.load(row3);
    c31 = v128.load(row3, 16);
  }
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
    b += bRowBytes;
    a0 += 4;
    a1 += 4;
    a2 += 4;
    a3 += 4;
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

/** One row of the above. */
export function gemmMicroApart1x8(a: usize, b: usize, bRowBytes: usize, c: usize, k: i32, go: bool): void {
  let c0 = go ? v128.load(c) : f32x4.splat(0);
  let c1 = go ? v128.load(c, 16) : f32x4.splat(0);
  for (; k > 0; k--) {
    const splat = v128.load32_splat(a);
    c0 = madd(c0, splat, v128.load(b));
    c1 = madd(c1, splat, v128.load(b, 16));
    b += bRowBytes;
    a += 4;
  }
  v128.store(c, c0);
  v128.store(c, c1, 16);
}

/** C[4×16], for 256-bit registers: the same sums. A row of B is a whole cache line. */
export function gemmMicroApart4x16(
  a: usize,
  aRowBytes: usize,
  b: usize,
  bRowBytes: usize,
  c: usize,
  cRowBytes: usize,
  k: i32,
  go: bool,
): void {
  let a0 = a;
  let a1 = a0 + aRowBytes;
  let a2 = a1 + aRowBytes;
  let a3 = a2 + aRowBytes;
  const row1 = c + cRowBytes;
  const row2 = row1 + cRowBytes;
  const row3 = row2 + cRowBytes;
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
  if (go) {
    c00 = v128.load(c);
    c01 = v128.load(c, 16);
    c02 = v128.load(c, 32);
    c03 = v128.load(c, 48);
    c10 = v128.load(row1);
    c11 = v128.load(row1, 16);
    c12 = v128.load(row1, 32);
    c13 = v128.load(row1, 48);
    c20 = v128.load(row2);
    c21 = v128.load(row2, 16);
    c22 = v128.load(row2, 32);
    c23 = v128.load(row2, 48);
    c30 = v128.load(row3);
    c31 = v128.load(row3, 16);
    c32 = v128.load(row3, 32);
    c33 = v128.load(row3, 48);
  }
  for (; k > 0; k--) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
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
    b += bRowBytes;
    a0 += 4;
    a1 += 4;
    a2 += 4;
    a3 += 4;
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
