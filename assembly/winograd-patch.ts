// How Winograd's kernels read and write NCHW planes: a square patch of four channels as vectors of one place of four channels
// each, transposed in registers. Patches may hang over the borders of the plane: outside is 0 when read and skipped when written.
//
//   channel 0  a0 a1 a2 a3 …                     patch   a0 b0 c0 d0 | a1 b1 c1 d1 | a2 … | a3 …     row 0
//   channel 1  b0 b1 b2 b3 …      transposed               …                                        row 1
//   channel 2  c0 c1 c2 c3 …      ───────────>
//   channel 3  d0 d1 d2 d3 …
//
// Reading looks up to 32 bytes before and behind a row and masks what is not the row's: the arena keeps that much clear at the
// end of memory (src/backend/wasm/memory.ts).

/** Lanes of columns [column, column + 4) that are inside [0, width): all bits set. */
function insideMask(column: i32, width: i32): v128 {
  const columns = i32x4.add(i32x4.splat(column), i32x4(0, 1, 2, 3));
  return v128.andnot(i32x4.lt_s(columns, i32x4.splat(width)), i32x4.lt_s(columns, i32x4.splat(0)));
}

/**
 * to = the patch of size x size places whose corner is (top, left) in channels [channel, channel + 4) of an image's planes,
 * `size` vectors a row. Channels beyond the last of `channels` repeat it. size is 2, 4, 6 or 8.
 */
export function readPatch(
  to: usize,
  planes: usize,
  planeBytes: usize,
  channel: i32,
  channels: i32,
  height: i32,
  width: i32,
  top: i32,
  left: i32,
  size: i32,
): void {
  const last = planes + <usize>(channels - 1) * planeBytes;
  const c0 = planes + <usize>channel * planeBytes;
  const c1 = min(last, c0 + planeBytes);
  const c2 = min(last, c1 + planeBytes);
  const c3 = min(last, c2 + planeBytes);
  const whole = left >= 0 && left + size <= width;
  const mask0 = insideMask(left, width);
  const mask1 = insideMask(left + 4, width);
  const patchRowBytes = (<usize>size) << 4;
  for (let i = 0; i < size; i++) {
    const row = top + i;
    if (row < 0 || row >= height) {
      const zero = f32x4.splat(0);
      for (let j: usize = 0; j < patchRowBytes; j += 16) v128.store(to + j, zero);
    } else {
      const offset = (<usize>(row * width + left)) << 2;
      let columns = size;
      if (columns >= 4) {
        if (whole) {
          transposeTo(
            to,
            v128.load(c0 + offset),
            v128.load(c1 + offset),
            v128.load(c2 + offset),
            v128.load(c3 + offset),
          );
        } else {
          transposeTo(
            to,
            v128.and(v128.load(c0 + offset), mask0),
            v128.and(v128.load(c1 + offset), mask0),
            v128.and(v128.load(c2 + offset), mask0),
            v128.and(v128.load(c3 + offset), mask0),
          );
        }
        columns -= 4;
        if (columns == 2) {
          const a = v128.load64_zero(c0 + offset, 16);
          const b = v128.load64_zero(c1 + offset, 16);
          const c = v128.load64_zero(c2 + offset, 16);
          const d = v128.load64_zero(c3 + offset, 16);
          if (whole) transposePairsTo(to + 64, a, b, c, d);
          else
            transposePairsTo(to + 64, v128.and(a, mask1), v128.and(b, mask1), v128.and(c, mask1), v128.and(d, mask1));
        } else if (columns == 4) {
          const a = v128.load(c0 + offset, 16);
          const b = v128.load(c1 + offset, 16);
          const c = v128.load(c2 + offset, 16);
          const d = v128.load(c3 + offset, 16);
          if (whole) transposeTo(to + 64, a, b, c, d);
          else transposeTo(to + 64, v128.and(a, mask1), v128.and(b, mask1), v128.and(c, mask1), v128.and(d, mask1));
        }
      } else {
        transposePairsTo(
          to,
          v128.and(v128.load64_zero(c0 + offset), mask0),
          v128.and(v128.load64_zero(c1 + offset), mask0),
          v128.and(v128.load64_zero(c2 + offset), mask0),
          v128.and(v128.load64_zero(c3 + offset), mask0),
        );
      }
    }
    to += patchRowBytes;
  }
}

/** Stores the four columns of the rows a, b, c, d. */
function transposeTo(to: usize, a: v128, b: v128, c: v128, d: v128): void {
  const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  v128.store(to, v128.shuffle<f32>(ab, cd, 0, 1, 4, 5));
  v128.store(to, v128.shuffle<f32>(ab, cd, 2, 3, 6, 7), 16);
  const abHigh = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cdHigh = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f32>(abHigh, cdHigh, 0, 1, 4, 5), 32);
  v128.store(to, v128.shuffle<f32>(abHigh, cdHigh, 2, 3, 6, 7), 48);
}

/** Stores the first two columns. */
function transposePairsTo(to: usize, a: v128, b: v128, c: v128, d: v128): void {
  const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  v128.store(to, v128.shuffle<f32>(ab, cd, 0, 1, 4, 5));
  v128.store(to, v128.shuffle<f32>(ab, cd, 2, 3, 6, 7), 16);
}

/**
 * Writes a patch of size x size vectors to up to four channels: (patch + bias), its negative values 0 if `relu`; what is outside
 * the plane is skipped. y: the first channel's plane, `planeBytes` apart; `channels` of them exist. mask (0: none): values are 0
 * where the mask, laid out as y, is not above 0.
 */
export function writePatch(
  patch: usize,
  y: usize,
  mask: usize,
  planeBytes: usize,
  channels: i32,
  height: i32,
  width: i32,
  top: i32,
  left: i32,
  size: i32,
  bias: v128,
  relu: bool,
): void {
  const rows = min(size, height - top);
  const columns = min(size, width - left);
  const floor = f32x4.splat(relu ? <f32>0 : -Infinity);
  const zero = f32x4.splat(0);
  let offset = (<usize>(top * width + left)) << 2;
  for (let i = 0; i < rows; i++) {
    let from = patch;
    let at = offset;
    let rest = columns;
    for (; rest >= 4 && channels >= 4; rest -= 4) {
      const a = f32x4.max(f32x4.add(v128.load(from), bias), floor);
      const b = f32x4.max(f32x4.add(v128.load(from, 16), bias), floor);
      const c = f32x4.max(f32x4.add(v128.load(from, 32), bias), floor);
      const d = f32x4.max(f32x4.add(v128.load(from, 48), bias), floor);
      const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
      const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
      const abHigh = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
      const cdHigh = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
      let y0 = v128.shuffle<f32>(ab, cd, 0, 1, 4, 5);
      let y1 = v128.shuffle<f32>(ab, cd, 2, 3, 6, 7);
      let y2 = v128.shuffle<f32>(abHigh, cdHigh, 0, 1, 4, 5);
      let y3 = v128.shuffle<f32>(abHigh, cdHigh, 2, 3, 6, 7);
      if (mask) {
        const m = mask + at;
        y0 = v128.and(y0, f32x4.gt(v128.load(m), zero));
        y1 = v128.and(y1, f32x4.gt(v128.load(m + planeBytes), zero));
        y2 = v128.and(y2, f32x4.gt(v128.load(m + planeBytes * 2), zero));
        y3 = v128.and(y3, f32x4.gt(v128.load(m + planeBytes * 3), zero));
      }
      const to = y + at;
      v128.store(to, y0);
      v128.store(to + planeBytes, y1);
      v128.store(to + planeBytes * 2, y2);
      v128.store(to + planeBytes * 3, y3);
      from += 64;
      at += 16;
    }
    for (; rest > 0; rest--) {
      const place = f32x4.max(f32x4.add(v128.load(from), bias), floor);
      const to = y + at;
      const m = mask ? mask + at : 0;
      writeLane(to, m, f32x4.extract_lane(place, 0));
      if (channels > 1) writeLane(to + planeBytes, m ? m + planeBytes : 0, f32x4.extract_lane(place, 1));
      if (channels > 2) writeLane(to + planeBytes * 2, m ? m + planeBytes * 2 : 0, f32x4.extract_lane(place, 2));
      if (channels > 3) writeLane(to + planeBytes * 3, m ? m + planeBytes * 3 : 0, f32x4.extract_lane(place, 3));
      from += 16;
      at += 4;
    }
    patch += (<usize>size) << 4;
    offset += (<usize>width) << 2;
  }
}

function writeLane(to: usize, mask: usize, value: f32): void {
  store<f32>(to, mask && !(load<f32>(mask) > 0) ? <f32>0 : value);
}
