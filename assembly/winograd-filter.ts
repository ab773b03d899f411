// Winograd's transforms of filters: U = G·g·Gᵀ of nine taps, and its transpose, which gives a filter's gradient. Four filters at a
// time, one in each lane.
import { filterLine, inverseLine, ROW_BYTES } from "./winograd-lines";

/** to = U of the nine taps: α² places, `placeBytes` apart. work: WORK_BYTES. */
export function transformFilter(m: i32, taps: usize, work: usize, to: usize, placeBytes: usize): void {
  if (m == 4) filter(4, taps, work, to, placeBytes);
  else if (m == 6) filter(6, taps, work, to, placeBytes);
  else filter(2, taps, work, to, placeBytes);
}

// @ts-ignore: decorator
@inline
function filter(m: i32, taps: usize, work: usize, to: usize, placeBytes: usize): void {
  filterLine(m, work, ROW_BYTES, v128.load(taps), v128.load(taps, 48), v128.load(taps, 96));
  filterLine(m, work + 16, ROW_BYTES, v128.load(taps, 16), v128.load(taps, 64), v128.load(taps, 112));
  filterLine(m, work + 32, ROW_BYTES, v128.load(taps, 32), v128.load(taps, 80), v128.load(taps, 128));
  const rowBytes = placeBytes * (m + 2);
  const end = work + ROW_BYTES * (m + 2);
  for (; work < end; work += ROW_BYTES) {
    filterLine(m, to, placeBytes, v128.load(work), v128.load(work, 16), v128.load(work, 32));
    to += rowBytes;
  }
}

/** taps = Gᵀ·dU·G, nine vectors, of the α² places at `from`, `placeBytes` apart. work: WORK_BYTES. */
export function transformInverse(m: i32, from: usize, placeBytes: usize, work: usize, taps: usize): void {
  if (m == 4) inverse(4, from, placeBytes, work, taps);
  else if (m == 6) inverse(6, from, placeBytes, work, taps);
  else inverse(2, from, placeBytes, work, taps);
}

// @ts-ignore: decorator
@inline
function inverse(m: i32, from: usize, placeBytes: usize, work: usize, taps: usize): void {
  const stride = placeBytes * (m + 2);
  for (let j = 0; j < m + 2; j++) {
    let at = from;
    const u0 = v128.load(at);
    at += stride;
    const u1 = v128.load(at);
    at += stride;
    const u2 = v128.load(at);
    at += stride;
    const u3 = v128.load(at);
    let u4 = u0;
    let u5 = u0;
    let u6 = u0;
    let u7 = u0;
    if (m > 2) {
      at += stride;
      u4 = v128.load(at);
      at += stride;
      u5 = v128.load(at);
    }
    if (m > 4) {
      at += stride;
      u6 = v128.load(at);
      u7 = v128.load(at + stride);
    }
    inverseLine(m, work + ((<usize>j) << 4), ROW_BYTES, u0, u1, u2, u3, u4, u5, u6, u7);
    from += placeBytes;
  }
  for (let i = 0; i < 3; i++) {
    const u0 = v128.load(work);
    const u4 = m > 2 ? v128.load(work, 64) : u0;
    const u5 = m > 2 ? v128.load(work, 80) : u0;
    const u6 = m > 4 ? v128.load(work, 96) : u0;
    const u7 = m > 4 ? v128.load(work, 112) : u0;
    inverseLine(m, taps, 16, u0, v128.load(work, 16), v128.load(work, 32), v128.load(work, 48), u4, u5, u6, u7);
    work += ROW_BYTES;
    taps += 48;
  }
}
