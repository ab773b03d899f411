// Winograd's one-dimensional transforms (Lavin and Gray 2015) for tiles of m = 2, 4 and 6 outputs and a filter of 3 taps; a tile
// reads α = m + 2 inputs and takes α products. α = 3 stands for a line of two inputs between zeros and its two outputs: a whole
// map of 2×2. Arguments are the elements of one line, four channels in each vector (those beyond the line's length are
// not looked at); results are stored `stride` bytes apart, the address stepping along: V8 makes one addition of that and no
// multiplications. Everything is inlined, and with a constant α only that α's code remains.
//
//   inputLine     Bᵀ   α → α     V = Bᵀ·d·B                filterLine    G    3 → α     U = G·g·Gᵀ
//   outputLine    Aᵀ   α → m     Y = Aᵀ·(U∘V summed)·A     and for the weight gradient, the transposes of the last two:
//   gradientLine  A    m → α     Z = A·dy·Aᵀ               inverseLine   Gᵀ   α → 3     dg = Gᵀ·(Z∘V summed)·G
//
//   α = 3  Bᵀ  1 1     Aᵀ  1 1 0     G  0  1 0      the filter's middle tap times both inputs, and what the outer taps differ from it:
//              0 1         1 0 1        0 −1 1      F(2, 2) with filter and input exchanged
//              1 0                      1 −1 0
//
//   F(2)  Bᵀ  1  0 −1  0     Aᵀ  1  1  1  0     G  1   0   0        points 0, 1, −1, ∞
//             0  1  1  0         0  1 −1 −1        ½   ½   ½
//             0 −1  1  0                           ½  −½   ½
//             0  1  0 −1                           0   0   1
//
//   F(4)  Bᵀ  4  0 −5  0 1 0     Aᵀ  1  1  1  1  1  0     G   1/4     0    0       points 0, ±1, ±2, ∞
//             0 −4 −4  1 1 0         0  1 −1  2 −2  0        −1/6  −1/6 −1/6
//             0  4 −4 −1 1 0         0  1  1  4  4  0        −1/6   1/6 −1/6
//             0 −2 −1  2 1 0         0  1 −1  8 −8  1        1/24  1/12  1/6
//             0  2 −1 −2 1 0                                 1/24 −1/12  1/6
//             0  4  0 −5 0 1                                    0     0    1
//
//   F(6)  Bᵀ  1   0   −21/4    0    21/4     0   −1  0     G    1      0     0     points 0, ±1, ±2, ±½, ∞
//             0   1     1   −17/4  −17/4     1    1  0        −2/9  −2/9  −2/9     Aᵀ: powers of the points, as in F(4)
//             0  −1     1    17/4  −17/4    −1    1  0        −2/9   2/9  −2/9
//             0  1/2   1/4   −5/2   −5/4     2    1  0        1/90  1/45  2/45
//             0 −1/2   1/4    5/2   −5/4    −2    1  0        1/90 −1/45  2/45
//             0   2     4    −5/2    −5     1/2   1  0       32/45 16/45  8/45
//             0  −2     4     5/2    −5    −1/2   1  0       32/45 −16/45 8/45
//             0  −1     0    21/4     0   −21/4   0  1          0     0     1
import { madd } from "./simd";

/** Bytes from one row of a tile under way to the next. */
export const ROW_BYTES: usize = 128;
/** A tile under way: up to eight rows of eight vectors. */
export const WORK_BYTES: usize = 1024;

/** m: rows and columns of outputs of a tile. */
// @ts-ignore: decorator
@inline
export function outputsOf(alpha: i32): i32 {
  return alpha == 3 ? 2 : alpha - 2;
}

/** Rows and columns of inputs of a tile. */
// @ts-ignore: decorator
@inline
export function inputsOf(alpha: i32): i32 {
  return alpha == 3 ? 2 : alpha;
}

// @ts-ignore: decorator
@inline
export function inputLine(
  alpha: i32,
  to: usize,
  stride: usize,
  d0: v128,
  d1: v128,
  d2: v128,
  d3: v128,
  d4: v128,
  d5: v128,
  d6: v128,
  d7: v128,
): void {
  if (alpha == 3) {
    v128.store(to, f32x4.add(d0, d1));
    to += stride;
    v128.store(to, d1);
    v128.store(to + stride, d0);
  } else if (alpha == 4) {
    v128.store(to, f32x4.sub(d0, d2));
    to += stride;
    v128.store(to, f32x4.add(d1, d2));
    to += stride;
    v128.store(to, f32x4.sub(d2, d1));
    v128.store(to + stride, f32x4.sub(d1, d3));
  } else if (alpha == 6) {
    v128.store(to, madd(madd(d4, d2, f32x4.splat(-5)), d0, f32x4.splat(4)));
    let even = madd(d4, d2, f32x4.splat(-4));
    let odd = madd(d3, d1, f32x4.splat(-4));
    to += stride;
    v128.store(to, f32x4.add(even, odd));
    to += stride;
    v128.store(to, f32x4.sub(even, odd));
    even = f32x4.sub(d4, d2);
    odd = f32x4.sub(d3, d1);
    odd = f32x4.add(odd, odd);
    to += stride;
    v128.store(to, f32x4.add(even, odd));
    to += stride;
    v128.store(to, f32x4.sub(even, odd));
    v128.store(to + stride, madd(madd(d5, d3, f32x4.splat(-5)), d1, f32x4.splat(4)));
  } else {
    v128.store(to, madd(f32x4.sub(d0, d6), f32x4.sub(d4, d2), f32x4.splat(5.25)));
    let even = madd(f32x4.add(d2, d6), d4, f32x4.splat(-4.25));
    let odd = madd(f32x4.add(d1, d5), d3, f32x4.splat(-4.25));
    to += stride;
    v128.store(to, f32x4.add(even, odd));
    to += stride;
    v128.store(to, f32x4.sub(even, odd));
    even = madd(madd(d6, d2, f32x4.splat(0.25)), d4, f32x4.splat(-1.25));
    odd = madd(madd(f32x4.mul(d1, f32x4.splat(0.5)), d3, f32x4.splat(-2.5)), d5, f32x4.splat(2));
    to += stride;
    v128.store(to, f32x4.add(even, odd));
    to += stride;
    v128.store(to, f32x4.sub(even, odd));
    even = madd(madd(d6, d2, f32x4.splat(4)), d4, f32x4.splat(-5));
    odd = madd(madd(f32x4.mul(d5, f32x4.splat(0.5)), d3, f32x4.splat(-2.5)), d1, f32x4.splat(2));
    to += stride;
    v128.store(to, f32x4.add(even, odd));
    to += stride;
    v128.store(to, f32x4.sub(even, odd));
    v128.store(to + stride, madd(f32x4.sub(d7, d1), f32x4.sub(d3, d5), f32x4.splat(5.25)));
  }
}

// @ts-ignore: decorator
@inline
export function outputLine(
  alpha: i32,
  to: usize,
  stride: usize,
  m0: v128,
  m1: v128,
  m2: v128,
  m3: v128,
  m4: v128,
  m5: v128,
  m6: v128,
  m7: v128,
): void {
  if (alpha == 3) {
    v128.store(to, f32x4.add(m0, m1));
    v128.store(to + stride, f32x4.add(m0, m2));
    return;
  }
  const sum1 = f32x4.add(m1, m2);
  const difference1 = f32x4.sub(m1, m2);
  if (alpha == 4) {
    v128.store(to, f32x4.add(m0, sum1));
    v128.store(to + stride, f32x4.sub(difference1, m3));
    return;
  }
  const sum2 = f32x4.add(m3, m4);
  const difference2 = f32x4.sub(m3, m4);
  if (alpha == 6) {
    v128.store(to, f32x4.add(f32x4.add(m0, sum1), sum2));
    to += stride;
    v128.store(to, madd(difference1, difference2, f32x4.splat(2)));
    to += stride;
    v128.store(to, madd(sum1, sum2, f32x4.splat(4)));
    v128.store(to + stride, f32x4.add(madd(difference1, difference2, f32x4.splat(8)), m5));
    return;
  }
  const sum3 = f32x4.add(m5, m6);
  const difference3 = f32x4.sub(m5, m6);
  v128.store(to, f32x4.add(f32x4.add(m0, sum1), f32x4.add(sum2, sum3)));
  to += stride;
  v128.store(to, madd(madd(difference1, difference2, f32x4.splat(2)), difference3, f32x4.splat(0.5)));
  to += stride;
  v128.store(to, madd(madd(sum1, sum2, f32x4.splat(4)), sum3, f32x4.splat(0.25)));
  to += stride;
  v128.store(to, madd(madd(difference1, difference2, f32x4.splat(8)), difference3, f32x4.splat(0.125)));
  to += stride;
  v128.store(to, madd(madd(sum1, sum2, f32x4.splat(16)), sum3, f32x4.splat(0.0625)));
  const last = madd(madd(difference1, difference2, f32x4.splat(32)), difference3, f32x4.splat(0.03125));
  v128.store(to + stride, f32x4.add(last, m7));
}

// @ts-ignore: decorator
@inline
export function gradientLine(
  alpha: i32,
  to: usize,
  stride: usize,
  y0: v128,
  y1: v128,
  y2: v128,
  y3: v128,
  y4: v128,
  y5: v128,
): void {
  if (alpha == 3) {
    v128.store(to, f32x4.add(y0, y1));
    to += stride;
    v128.store(to, y0);
    v128.store(to + stride, y1);
    return;
  }
  v128.store(to, y0);
  to += stride;
  if (alpha == 4) {
    v128.store(to, f32x4.add(y0, y1));
    to += stride;
    v128.store(to, f32x4.sub(y0, y1));
    v128.store(to + stride, f32x4.neg(y1));
    return;
  }
  let even = f32x4.add(y0, y2);
  let odd = f32x4.add(y1, y3);
  if (alpha == 8) {
    even = f32x4.add(even, y4);
    odd = f32x4.add(odd, y5);
  }
  v128.store(to, f32x4.add(even, odd));
  to += stride;
  v128.store(to, f32x4.sub(even, odd));
  to += stride;
  even = madd(y0, y2, f32x4.splat(4));
  odd = madd(f32x4.add(y1, y1), y3, f32x4.splat(8));
  if (alpha == 8) {
    even = madd(even, y4, f32x4.splat(16));
    odd = madd(odd, y5, f32x4.splat(32));
  }
  v128.store(to, f32x4.add(even, odd));
  to += stride;
  v128.store(to, f32x4.sub(even, odd));
  to += stride;
  if (alpha == 6) {
    v128.store(to, y3);
    return;
  }
  even = madd(madd(y0, y2, f32x4.splat(0.25)), y4, f32x4.splat(0.0625));
  odd = madd(madd(f32x4.mul(y1, f32x4.splat(0.5)), y3, f32x4.splat(0.125)), y5, f32x4.splat(0.03125));
  v128.store(to, f32x4.add(even, odd));
  to += stride;
  v128.store(to, f32x4.sub(even, odd));
  v128.store(to + stride, y5);
}

// @ts-ignore: decorator
@inline
export function filterLine(alpha: i32, to: usize, stride: usize, g0: v128, g1: v128, g2: v128): void {
  if (alpha == 3) {
    v128.store(to, g1);
    to += stride;
    v128.store(to, f32x4.sub(g2, g1));
    v128.store(to + stride, f32x4.sub(g0, g1));
    return;
  }
  const ends = f32x4.add(g0, g2);
  if (alpha == 4) {
    const half = f32x4.splat(0.5);
    v128.store(to, g0);
    to += stride;
    v128.store(to, f32x4.mul(f32x4.add(ends, g1), half));
    to += stride;
    v128.store(to, f32x4.mul(f32x4.sub(ends, g1), half));
    v128.store(to + stride, g2);
    return;
  }
  const factor1 = f32x4.splat(alpha == 6 ? <f32>(-1.0 / 6.0) : <f32>(-2.0 / 9.0));
  v128.store(to, alpha == 6 ? f32x4.mul(g0, f32x4.splat(0.25)) : g0);
  to += stride;
  v128.store(to, f32x4.mul(f32x4.add(ends, g1), factor1));
  to += stride;
  v128.store(to, f32x4.mul(f32x4.sub(ends, g1), factor1));
  to += stride;
  // 1/24 or 1/90 · (g0 + 4·g2 ± 2·g1)
  const odd = f32x4.add(g1, g1);
  let even = madd(g0, g2, f32x4.splat(4));
  const factor2 = f32x4.splat(alpha == 6 ? <f32>(1.0 / 24.0) : <f32>(1.0 / 90.0));
  v128.store(to, f32x4.mul(f32x4.add(even, odd), factor2));
  to += stride;
  v128.store(to, f32x4.mul(f32x4.sub(even, odd), factor2));
  to += stride;
  if (alpha == 8) {
    // 8/45 · (4·g0 + g2 ± 2·g1)
    even = madd(g2, g0, f32x4.splat(4));
    const factor3 = f32x4.splat(<f32>(8.0 / 45.0));
    v128.store(to, f32x4.mul(f32x4.add(even, odd), factor3));
    to += stride;
    v128.store(to, f32x4.mul(f32x4.sub(even, odd), factor3));
    to += stride;
  }
  v128.store(to, g2);
}

// @ts-ignore: decorator
@inline
export function inverseLine(
  alpha: i32,
  to: usize,
  stride: usize,
  u0: v128,
  u1: v128,
  u2: v128,
  u3: v128,
  u4: v128,
  u5: v128,
  u6: v128,
  u7: v128,
): void {
  const sum1 = f32x4.add(u1, u2);
  if (alpha == 3) {
    v128.store(to, u2);
    v128.store(to + stride, f32x4.sub(u0, sum1));
    v128.store(to + stride * 2, u1);
    return;
  }
  const difference1 = f32x4.sub(u1, u2);
  if (alpha == 4) {
    const half = f32x4.splat(0.5);
    v128.store(to, madd(u0, sum1, half));
    v128.store(to + stride, f32x4.mul(difference1, half));
    v128.store(to + stride * 2, madd(u3, sum1, half));
    return;
  }
  const sum2 = f32x4.add(u3, u4);
  const difference2 = f32x4.sub(u3, u4);
  if (alpha == 6) {
    const sixth = f32x4.splat(<f32>(-1.0 / 6.0));
    const first = madd(f32x4.mul(u0, f32x4.splat(0.25)), sum1, sixth);
    v128.store(to, madd(first, sum2, f32x4.splat(<f32>(1.0 / 24.0))));
    const second = f32x4.mul(difference1, sixth);
    v128.store(to + stride, madd(second, difference2, f32x4.splat(<f32>(1.0 / 12.0))));
    v128.store(to + stride * 2, madd(u5, f32x4.sub(sum1, sum2), sixth));
    return;
  }
  const sum3 = f32x4.add(u5, u6);
  const difference3 = f32x4.sub(u5, u6);
  const ninth = f32x4.splat(<f32>(-2.0 / 9.0));
  let tap = madd(madd(u0, sum1, ninth), sum2, f32x4.splat(<f32>(1.0 / 90.0)));
  v128.store(to, madd(tap, sum3, f32x4.splat(<f32>(32.0 / 45.0))));
  tap = madd(f32x4.mul(difference1, ninth), difference2, f32x4.splat(<f32>(1.0 / 45.0)));
  v128.store(to + stride, madd(tap, difference3, f32x4.splat(<f32>(16.0 / 45.0))));
  tap = madd(madd(u7, sum1, ninth), sum2, f32x4.splat(<f32>(2.0 / 45.0)));
  v128.store(to + stride * 2, madd(tap, sum3, f32x4.splat(<f32>(8.0 / 45.0))));
}
