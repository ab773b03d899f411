// Winograd's transforms of filters: U = G·g·Gᵀ of nine taps, and its transpose, which gives a filter's gradient. Four filters at a
// time, one in each lane.
import { filterLine, inverseLine, ROW_BYTES } from "./winograd-lines";

/** to = U of the nine taps: α² places, `placeBytes` apart. work: WORK_BYTES. */
export function transformFilter(alpha: i32, taps: usize, work: usize, to: usize, placeBytes: usize): void {
  if (alpha == 6) filter(6, taps, work, to, placeBytes);
  else if (alpha == 8) filter(8, taps, work, to, placeBytes);
  else if (alpha == 4) filter(4, taps, work, to, placeBytes);
  else filter(3, taps, work, to, placeBytes);
}

// @ts-ignore: decorator
@inline
function filter(alpha: i32, taps: usize, work: usize, to: usize, placeBytes: usize): void {
  filterLine(alpha, work, ROW_BYTES, v128.load(taps), v128.load(taps, 48), v128.load(taps, 96));
  filterLine(alpha, work + 16, ROW_BYTES, v128.load(taps, 16), v128.load(taps, 64), v128.load(taps, 112));
  filterLine(alpha, work + 32, ROW_BYTES, v128.load(taps, 32), v128.load(taps, 80), v128.load(taps, 128));
  const rowBytes = placeBytes * alpha;
  const end = work + ROW_BYTES * alpha;
  for (; work < end; work += ROW_BYTES) {
    filterLine(alpha, to, placeBytes, v128.load(work), v128.load(work, 16), v128.load(work, 32));
    to += rowBytes;
  }
}

/** taps = Gᵀ·dU·G, nine vectors, of the α² places at `from`, `placeBytes` apart. work: WORK_BYTES. */
export function transformInverse(alpha: i32, from: usize, placeBytes: usize, work: usize, taps: usize): void {
  if (alpha == 6) inverse(6, from, placeBytes, work, taps);
  else if (alpha == 8) inverse(8, from, placeBytes, work, taps);
  else if (alpha == 4) inverse(4, from, placeBytes, work, taps);
  else inverse(3, from, placeBytes, work, taps);
}

// @ts-ignore: decorator
@inline
function inverse(alpha: i32, from: usize, placeBytes: usize, work: usize, taps: usize): void {
  const stride = placeBytes * alpha;
  for (let j = 0; j < alpha; j++) {
    let at = from;
    const u0 = v128.load(at);
    at += stride;
    const u1 = v128.load(at);
    at += stride;
    const u2 = v128.load(at);
    let u3 = u0;
    if (alpha > 3) {
      at += stride;
      u3 = v128.load(at);
    }
    let u4 = u0;
    let u5 = u0;
    let u6 = u0;
    let u7 = u0;
    if (alpha > 4) {
      at += stride;
      u4 = v128.load(at);
      at += stride;
      u5 = v128.load(at);
    }
    if (alpha > 6) {
      at += stride;
      u6 = v128.load(at);
      u7 = v128.load(at + stride);
    }
    inverseLine(alpha, work + ((<usize>j) << 4), ROW_BYTES, u0, u1, u2, u3, u4, u5, u6, u7);
    from += placeBytes;
  }
  for (let i = 0; i < 3; i++) {
    const u0 = v128.load(work);
    const u3 = alpha > 3 ? v128.load(work, 48) : u0;
    const u4 = alpha > 4 ? v128.load(work, 64) : u0;
    const u5 = alpha > 4 ? v128.load(work, 80) : u0;
    const u6 = alpha > 6 ? v128.load(work, 96) : u0;
    const u7 = alpha > 6 ? v128.load(work, 112) : u0;
    inverseLine(alpha, taps, 16, u0, v128.load(work, 16), v128.load(work, 32), u3, u4, u5, u6, u7);
    work += ROW_BYTES;
    taps += 48;
  }
}
