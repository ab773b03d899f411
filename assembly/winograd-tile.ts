// Winograd's one-dimensional transforms (Lavin and Gray 2015) for tiles of m = 2, 4 and 6 outputs and a filter of 3 taps; a tile
// reads α = m + 2 inputs. In two dimensions each is applied to all columns and then to all rows. Four channels at a time: a
// vector holds one place of four channels. All functions transform `count` lines:
//
//   element e of line l is read at from + l·fromNext + e·fromStride and written at to + l·toNext + e·toStride (bytes)
//
//   input      Bᵀ   α → α     V = Bᵀ·d·B                filter     G    3 → α     U = G·g·Gᵀ
//   output     Aᵀ   α → m     Y = Aᵀ·(U∘V summed)·A     and for the weight gradient, the transposes of the last two:
//   gradient   A    m → α     Z = A·dy·Aᵀ               inverse    Gᵀ   α → 3     dg = Gᵀ·(Z∘V summed)·G
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

/** to = V of the patch of α × α vectors, which is followed by room for another: α² places, `planeBytes` apart. */
export function transformInputTile(m: i32, patch: usize, to: usize, planeBytes: usize): void {
  const alpha = m + 2;
  const rowBytes = (<usize>alpha) << 4;
  const rows = patch + rowBytes * alpha;
  inputLines(m, patch, rowBytes, 16, rows, rowBytes, 16, alpha);
  inputLines(m, rows, 16, rowBytes, to, planeBytes, planeBytes * alpha, alpha);
}

/** Y of the products at `from`, α² places `planeBytes` apart. Returns where in `work` (2·α² vectors) its m × m vectors are. */
export function transformOutputTile(m: i32, from: usize, planeBytes: usize, work: usize): usize {
  const alpha = m + 2;
  const rowBytes = (<usize>alpha) << 4;
  const patch = work + rowBytes * alpha;
  outputLines(m, from, planeBytes * alpha, planeBytes, work, rowBytes, 16, alpha);
  outputLines(m, work, 16, rowBytes, patch, 16, (<usize>m) << 4, m);
  return patch;
}

/** to = U of the nine taps, which are followed by room for 3·α vectors: α² places, `planeBytes` apart. */
export function transformFilter(m: i32, taps: usize, to: usize, planeBytes: usize): void {
  const alpha = m + 2;
  const columns = taps + 9 * 16;
  filterLines(m, taps, 48, 16, columns, 48, 16, 3);
  filterLines(m, columns, 16, 48, to, planeBytes, planeBytes * alpha, alpha);
}

/** to = Z of the patch of m × m vectors in 2·α² vectors of work: α² places, `planeBytes` apart. */
export function transformGradientTile(m: i32, patch: usize, to: usize, planeBytes: usize): void {
  const alpha = m + 2;
  const rowBytes = (<usize>m) << 4;
  const rows = patch + ((<usize>(alpha * alpha)) << 4);
  gradientLines(m, patch, rowBytes, 16, rows, rowBytes, 16, m);
  gradientLines(m, rows, 16, rowBytes, to, planeBytes, planeBytes * alpha, alpha);
}

/** The nine taps of dU at `from`, α² places `planeBytes` apart. Returns where in `work` (3·α + 9 vectors) they are. */
export function transformInverse(m: i32, from: usize, planeBytes: usize, work: usize): usize {
  const alpha = m + 2;
  const columnBytes = (<usize>alpha) << 4;
  const taps = work + columnBytes * 3;
  inverseLines(m, from, planeBytes * alpha, planeBytes, work, columnBytes, 16, alpha);
  inverseLines(m, work, 16, columnBytes, taps, 16, 48, 3);
  return taps;
}

/** Bᵀ on `count` lines. */
function inputLines(
  m: i32,
  from: usize,
  fromStride: usize,
  fromNext: usize,
  to: usize,
  toStride: usize,
  toNext: usize,
  count: i32,
): void {
  if (m == 4) inputLines4(from, fromStride, fromNext, to, toStride, toNext, count);
  else if (m == 6) inputLines6(from, fromStride, fromNext, to, toStride, toNext, count);
  else inputLines2(from, fromStride, fromNext, to, toStride, toNext, count);
}

function inputLines2(
  from: usize,
  fromStride: usize,
  fromNext: usize,
  to: usize,
  toStride: usize,
  toNext: usize,
  count: i32,
): void {
  for (; count > 0; count--) {
    const d0 = v128.load(from);
    const d1 = v128.load(from + fromStride);
    const d2 = v128.load(from + fromStride * 2);
    const d3 = v128.load(from + fromStride * 3);
    v128.store(to, f32x4.sub(d0, d2));
    v128.store(to + toStride, f32x4.add(d1, d2));
    v128.store(to + toStride * 2, f32x4.sub(d2, d1));
    v128.store(to + toStride * 3, f32x4.sub(d1, d3));
    from += fromNext;
    to += toNext;
  }
}

function inputLines4(
  from: usize,
  fromStride: usize,
  fromNext: usize,
  to: usize,
  toStride: usize,
  toNext: usize,
  count: i32,
): void {
  const minus4 = f32x4.splat(-4);
  const minus5 = f32x4.splat(-5);
  const four = f32x4.splat(4);
  for (; count > 0; count--) {
    const d1 = v128.load(from + fromStride);
    const d2 = v128.load(from + fromStride * 2);
    const d3 = v128.load(from + fromStride * 3);
    const d4 = v128.load(from + fromStride * 4);
    v128.store(to, madd(madd(d4, d2, minus5), v128.load(from), four));
    let even = madd(d4, d2, minus4);
    let odd = madd(d3, d1, minus4);
    v128.store(to + toStride, f32x4.add(even, odd));
    v128.store(to + toStride * 2, f32x4.sub(even, odd));
    even = f32x4.sub(d4, d2);
    odd = f32x4.sub(d3, d1);
    odd = f32x4.add(odd, odd);
    v128.store(to + toStride * 3, f32x4.add(even, odd));
    v128.store(to + toStride * 4, f32x4.sub(even, odd));
    v128.store(to + toStride * 5, madd(madd(v128.load(from + fromStride * 5), d3, minus5), d1, four));
    from += fromNext;
    to += toNext;
  }
}

function inputLines6(
  from: usize,
  fromStride: usize,
  fromNext: usize,
  to: usize,
  toStride: usize,
  toNext: usize,
  count: i32,
): void {
  for (; count > 0; count--) {
    const d0 = v128.load(from);
    const d1 = v128.load(from + fromStride);
    const d2 = v128.load(from + fromStride * 2);
    const d3 = v128.load(from + fromStride * 3);
    const d4 = v128.load(from + fromStride * 4);
    const d5 = v128.load(from + fromStride * 5);
    const d6 = v128.load(from + fromStride * 6);
    const d7 = v128.load(from + fromStride * 7);
    v128.store(to, madd(f32x4.sub(d0, d6), f32x4.sub(d4, d2), f32x4.splat(5.25)));
    let even = madd(f32x4.add(d2, d6), d4, f32x4.splat(-4.25));
    let odd = madd(f32x4.add(d1, d5), d3, f32x4.splat(-4.25));
    v128.store(to + toStride, f32x4.add(even, odd));
    v128.store(to + toStride * 2, f32x4.sub(even, odd));
    even = madd(madd(d6, d2, f32x4.splat(0.25)), d4, f32x4.splat(-1.25));
    odd = madd(madd(f32x4.mul(d1, f32x4.splat(0.5)), d3, f32x4.splat(-2.5)), d5, f32x4.splat(2));
    v128.store(to + toStride * 3, f32x4.add(even, odd));
    v128.store(to + toStride * 4, f32x4.sub(even, odd));
    even = madd(madd(d6, d2, f32x4.splat(4)), d4, f32x4.splat(-5));
    odd = madd(madd(f32x4.mul(d5, f32x4.splat(0.5)), d3, f32x4.splat(-2.5)), d1, f32x4.splat(2));
    v128.store(to + toStride * 5, f32x4.add(even, odd));
    v128.store(to + toStride * 6, f32x4.sub(even, odd));
    v128.store(to + toStride * 7, madd(f32x4.sub(d7, d1), f32x4.sub(d3, d5), f32x4.splat(5.25)));
    from += fromNext;
    to += toNext;
  }
}

/** Aᵀ on `count` lines. */
function outputLines(
  m: i32,
  from: usize,
  fromStride: usize,
  fromNext: usize,
  to: usize,
  toStride: usize,
  toNext: usize,
  count: i32,
): void {
  for (; count > 0; count--) {
    const m0 = v128.load(from);
    const m1 = v128.load(from + fromStride);
    const m2 = v128.load(from + fromStride * 2);
    const m3 = v128.load(from + fromStride * 3);
    const sum1 = f32x4.add(m1, m2);
    const difference1 = f32x4.sub(m1, m2);
    if (m == 2) {
      v128.store(to, f32x4.add(m0, sum1));
      v128.store(to + toStride, f32x4.sub(difference1, m3));
    } else {
      const m4 = v128.load(from + fromStride * 4);
      const m5 = v128.load(from + fromStride * 5);
      const sum2 = f32x4.add(m3, m4);
      const difference2 = f32x4.sub(m3, m4);
      if (m == 4) {
        v128.store(to, f32x4.add(f32x4.add(m0, sum1), sum2));
        v128.store(to + toStride, madd(difference1, difference2, f32x4.splat(2)));
        v128.store(to + toStride * 2, madd(sum1, sum2, f32x4.splat(4)));
        v128.store(to + toStride * 3, f32x4.add(madd(difference1, difference2, f32x4.splat(8)), m5));
      } else {
        const m6 = v128.load(from + fromStride * 6);
        const m7 = v128.load(from + fromStride * 7);
        const sum3 = f32x4.add(m5, m6);
        const difference3 = f32x4.sub(m5, m6);
        v128.store(to, f32x4.add(f32x4.add(m0, sum1), f32x4.add(sum2, sum3)));
        const y1 = madd(difference1, difference2, f32x4.splat(2));
        v128.store(to + toStride, madd(y1, difference3, f32x4.splat(0.5)));
        const y2 = madd(sum1, sum2, f32x4.splat(4));
        v128.store(to + toStride * 2, madd(y2, sum3, f32x4.splat(0.25)));
        const y3 = madd(difference1, difference2, f32x4.splat(8));
        v128.store(to + toStride * 3, madd(y3, difference3, f32x4.splat(0.125)));
        const y4 = madd(sum1, sum2, f32x4.splat(16));
        v128.store(to + toStride * 4, madd(y4, sum3, f32x4.splat(0.0625)));
        const y5 = madd(difference1, difference2, f32x4.splat(32));
        v128.store(to + toStride * 5, f32x4.add(madd(y5, difference3, f32x4.splat(0.03125)), m7));
      }
    }
    from += fromNext;
    to += toNext;
  }
}

/** G on `count` lines of three taps. */
function filterLines(
  m: i32,
  from: usize,
  fromStride: usize,
  fromNext: usize,
  to: usize,
  toStride: usize,
  toNext: usize,
  count: i32,
): void {
  for (; count > 0; count--) {
    const g0 = v128.load(from);
    const g1 = v128.load(from + fromStride);
    const g2 = v128.load(from + fromStride * 2);
    const ends = f32x4.add(g0, g2);
    if (m == 2) {
      const half = f32x4.splat(0.5);
      v128.store(to, g0);
      v128.store(to + toStride, f32x4.mul(f32x4.add(ends, g1), half));
      v128.store(to + toStride * 2, f32x4.mul(f32x4.sub(ends, g1), half));
      v128.store(to + toStride * 3, g2);
    } else if (m == 4) {
      const sixth = f32x4.splat(<f32>(-1.0 / 6.0));
      v128.store(to, f32x4.mul(g0, f32x4.splat(0.25)));
      v128.store(to + toStride, f32x4.mul(f32x4.add(ends, g1), sixth));
      v128.store(to + toStride * 2, f32x4.mul(f32x4.sub(ends, g1), sixth));
      // 1/24 · (g0 + 4·g2 ± 2·g1)
      const even = madd(g0, g2, f32x4.splat(4));
      const odd = f32x4.add(g1, g1);
      const part = f32x4.splat(<f32>(1.0 / 24.0));
      v128.store(to + toStride * 3, f32x4.mul(f32x4.add(even, odd), part));
      v128.store(to + toStride * 4, f32x4.mul(f32x4.sub(even, odd), part));
      v128.store(to + toStride * 5, g2);
    } else {
      const ninth = f32x4.splat(<f32>(-2.0 / 9.0));
      v128.store(to, g0);
      v128.store(to + toStride, f32x4.mul(f32x4.add(ends, g1), ninth));
      v128.store(to + toStride * 2, f32x4.mul(f32x4.sub(ends, g1), ninth));
      // 1/90 · (g0 + 4·g2 ± 2·g1) and 8/45 · (4·g0 + g2 ± 2·g1)
      const odd = f32x4.add(g1, g1);
      let even = madd(g0, g2, f32x4.splat(4));
      let part = f32x4.splat(<f32>(1.0 / 90.0));
      v128.store(to + toStride * 3, f32x4.mul(f32x4.add(even, odd), part));
      v128.store(to + toStride * 4, f32x4.mul(f32x4.sub(even, odd), part));
      even = madd(g2, g0, f32x4.splat(4));
      part = f32x4.splat(<f32>(8.0 / 45.0));
      v128.store(to + toStride * 5, f32x4.mul(f32x4.add(even, odd), part));
      v128.store(to + toStride * 6, f32x4.mul(f32x4.sub(even, odd), part));
      v128.store(to + toStride * 7, g2);
    }
    from += fromNext;
    to += toNext;
  }
}

/** A on `count` lines of m gradients. */
function gradientLines(
  m: i32,
  from: usize,
  fromStride: usize,
  fromNext: usize,
  to: usize,
  toStride: usize,
  toNext: usize,
  count: i32,
): void {
  for (; count > 0; count--) {
    const y0 = v128.load(from);
    const y1 = v128.load(from + fromStride);
    v128.store(to, y0);
    if (m == 2) {
      v128.store(to + toStride, f32x4.add(y0, y1));
      v128.store(to + toStride * 2, f32x4.sub(y0, y1));
      v128.store(to + toStride * 3, f32x4.neg(y1));
    } else {
      const y2 = v128.load(from + fromStride * 2);
      const y3 = v128.load(from + fromStride * 3);
      const y4 = m == 6 ? v128.load(from + fromStride * 4) : f32x4.splat(0);
      const y5 = m == 6 ? v128.load(from + fromStride * 5) : f32x4.splat(0);
      let even = f32x4.add(f32x4.add(y0, y2), y4);
      let odd = f32x4.add(f32x4.add(y1, y3), y5);
      v128.store(to + toStride, f32x4.add(even, odd));
      v128.store(to + toStride * 2, f32x4.sub(even, odd));
      even = madd(madd(y0, y2, f32x4.splat(4)), y4, f32x4.splat(16));
      odd = madd(madd(f32x4.add(y1, y1), y3, f32x4.splat(8)), y5, f32x4.splat(32));
      v128.store(to + toStride * 3, f32x4.add(even, odd));
      v128.store(to + toStride * 4, f32x4.sub(even, odd));
      if (m == 4) {
        v128.store(to + toStride * 5, y3);
      } else {
        even = madd(madd(y0, y2, f32x4.splat(0.25)), y4, f32x4.splat(0.0625));
        odd = madd(madd(f32x4.mul(y1, f32x4.splat(0.5)), y3, f32x4.splat(0.125)), y5, f32x4.splat(0.03125));
        v128.store(to + toStride * 5, f32x4.add(even, odd));
        v128.store(to + toStride * 6, f32x4.sub(even, odd));
        v128.store(to + toStride * 7, y5);
      }
    }
    from += fromNext;
    to += toNext;
  }
}

/** Gᵀ on `count` lines: three taps. */
function inverseLines(
  m: i32,
  from: usize,
  fromStride: usize,
  fromNext: usize,
  to: usize,
  toStride: usize,
  toNext: usize,
  count: i32,
): void {
  for (; count > 0; count--) {
    const u0 = v128.load(from);
    const u1 = v128.load(from + fromStride);
    const u2 = v128.load(from + fromStride * 2);
    const u3 = v128.load(from + fromStride * 3);
    const sum1 = f32x4.add(u1, u2);
    const difference1 = f32x4.sub(u1, u2);
    if (m == 2) {
      const half = f32x4.splat(0.5);
      v128.store(to, madd(u0, sum1, half));
      v128.store(to + toStride, f32x4.mul(difference1, half));
      v128.store(to + toStride * 2, madd(u3, sum1, half));
    } else {
      const u4 = v128.load(from + fromStride * 4);
      const u5 = v128.load(from + fromStride * 5);
      const sum2 = f32x4.add(u3, u4);
      const difference2 = f32x4.sub(u3, u4);
      if (m == 4) {
        const sixth = f32x4.splat(<f32>(-1.0 / 6.0));
        const first = madd(f32x4.mul(u0, f32x4.splat(0.25)), sum1, sixth);
        v128.store(to, madd(first, sum2, f32x4.splat(<f32>(1.0 / 24.0))));
        const second = f32x4.mul(difference1, sixth);
        v128.store(to + toStride, madd(second, difference2, f32x4.splat(<f32>(1.0 / 12.0))));
        v128.store(to + toStride * 2, madd(u5, f32x4.sub(sum1, sum2), sixth));
      } else {
        const u6 = v128.load(from + fromStride * 6);
        const u7 = v128.load(from + fromStride * 7);
        const sum3 = f32x4.add(u5, u6);
        const difference3 = f32x4.sub(u5, u6);
        const ninth = f32x4.splat(<f32>(-2.0 / 9.0));
        let tap = madd(madd(u0, sum1, ninth), sum2, f32x4.splat(<f32>(1.0 / 90.0)));
        v128.store(to, madd(tap, sum3, f32x4.splat(<f32>(32.0 / 45.0))));
        tap = madd(f32x4.mul(difference1, ninth), difference2, f32x4.splat(<f32>(1.0 / 45.0)));
        v128.store(to + toStride, madd(tap, difference3, f32x4.splat(<f32>(16.0 / 45.0))));
        tap = madd(madd(u7, sum1, ninth), sum2, f32x4.splat(<f32>(2.0 / 45.0)));
        v128.store(to + toStride * 2, madd(tap, sum3, f32x4.splat(<f32>(8.0 / 45.0))));
      }
    }
    from += fromNext;
    to += toNext;
  }
}
