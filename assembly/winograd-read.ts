// Winograd's transforms of what is read from NCHW planes: tiles of the input (V = Bᵀ·d·B) and of the output's gradient
// (Z = A·dy·Aᵀ), for four channels at a time: rows are turned in registers into one vector for each column, and transformed as they
// are read; then columns are.
//
//   channel 0  a0 a1 a2 a3 …                  row   a0 b0 c0 d0 | a1 b1 c1 d1 | a2 … | a3 …
//   channel 1  b0 b1 b2 b3 …      turned
//   channel 2  c0 c1 c2 c3 …      ──────>
//   channel 3  d0 d1 d2 d3 …
//
// Tiles may hang over the borders of the plane, where all is 0. Reading looks up to 32 bytes before and behind a row and masks what
// is not the row's: the arena keeps that much clear at the end of memory (src/backend/wasm/memory.ts).
import { gradientLine, inputLine, inputsOf, outputsOf, ROW_BYTES } from "./winograd-lines";

type Kind = i32;
const INPUT: Kind = 0;
const GRADIENT: Kind = 1;

/**
 * to = V of the tile of α × α inputs with its corner at (top, left), channels [channel, channel + 4) of an image's planes: α² places,
 * `placeBytes` apart. Channels beyond the last of `channels` repeat it. work: WORK_BYTES.
 */
export function transformInputTile(
  alpha: i32,
  work: usize,
  planes: usize,
  planeBytes: usize,
  channel: i32,
  channels: i32,
  height: i32,
  width: i32,
  top: i32,
  left: i32,
  to: usize,
  placeBytes: usize,
): void {
  if (alpha == 6) {
    transformTile(INPUT, 6, work, planes, planeBytes, channel, channels, height, width, top, left, to, placeBytes);
  } else if (alpha == 8) {
    transformTile(INPUT, 8, work, planes, planeBytes, channel, channels, height, width, top, left, to, placeBytes);
  } else if (alpha == 4) {
    transformTile(INPUT, 4, work, planes, planeBytes, channel, channels, height, width, top, left, to, placeBytes);
  } else {
    transformTile(INPUT, 3, work, planes, planeBytes, channel, channels, height, width, top, left, to, placeBytes);
  }
}

/** to = Z of the tile's gradients, the same otherwise. */
export function transformGradientTile(
  alpha: i32,
  work: usize,
  planes: usize,
  planeBytes: usize,
  channel: i32,
  channels: i32,
  height: i32,
  width: i32,
  top: i32,
  left: i32,
  to: usize,
  placeBytes: usize,
): void {
  if (alpha == 6) {
    transformTile(GRADIENT, 6, work, planes, planeBytes, channel, channels, height, width, top, left, to, placeBytes);
  } else if (alpha == 8) {
    transformTile(GRADIENT, 8, work, planes, planeBytes, channel, channels, height, width, top, left, to, placeBytes);
  } else if (alpha == 4) {
    transformTile(GRADIENT, 4, work, planes, planeBytes, channel, channels, height, width, top, left, to, placeBytes);
  } else {
    transformTile(GRADIENT, 3, work, planes, planeBytes, channel, channels, height, width, top, left, to, placeBytes);
  }
}

// @ts-ignore: decorator
@inline
function transformTile(
  kind: Kind,
  alpha: i32,
  work: usize,
  planes: usize,
  planeBytes: usize,
  channel: i32,
  channels: i32,
  height: i32,
  width: i32,
  top: i32,
  left: i32,
  to: usize,
  placeBytes: usize,
): void {
  const size = kind == INPUT ? inputsOf(alpha) : outputsOf(alpha);
  if (kind == INPUT && alpha == 3) {
    // The zeros around the map are left out.
    top++;
    left++;
  }
  const last = planes + <usize>(channels - 1) * planeBytes;
  const c0 = planes + <usize>channel * planeBytes;
  const c1 = min(last, c0 + planeBytes);
  const c2 = min(last, c0 + planeBytes * 2);
  const c3 = min(last, c0 + planeBytes * 3);
  if (left >= 0 && left + size <= width) transformRows(kind, alpha, false, work, c0, c1, c2, c3, height, width, top, left);
  else transformRows(kind, alpha, true, work, c0, c1, c2, c3, height, width, top, left);
  transformColumns(kind, alpha, work, to, placeBytes);
}

/** Lanes of columns [column, column + 4) that are inside [0, width): all bits set. */
function insideMask(column: i32, width: i32): v128 {
  const columns = i32x4.add(i32x4.splat(column), i32x4(0, 1, 2, 3));
  return v128.andnot(i32x4.lt_s(columns, i32x4.splat(width)), i32x4.lt_s(columns, i32x4.splat(0)));
}

/** Rows of a tile, read and transformed: one ROW_BYTES apart. masked: columns may be outside the plane. */
// @ts-ignore: decorator
@inline
function transformRows(
  kind: Kind,
  alpha: i32,
  masked: bool,
  to: usize,
  c0: usize,
  c1: usize,
  c2: usize,
  c3: usize,
  height: i32,
  width: i32,
  top: i32,
  left: i32,
): void {
  const size = kind == INPUT ? inputsOf(alpha) : outputsOf(alpha);
  const mask0 = masked ? insideMask(left, width) : f32x4.splat(0);
  const mask1 = masked && size > 4 ? insideMask(left + 4, width) : f32x4.splat(0);
  const offset = (<usize>(top * width + left)) << 2;
  const widthBytes = (<usize>width) << 2;
  c0 += offset;
  c1 += offset;
  c2 += offset;
  c3 += offset;
  const end = top + size;
  for (let row = top; row < end; row++) {
    if (<u32>row < <u32>height) {
      let a = size == 2 ? v128.load64_zero(c0) : v128.load(c0);
      let b = size == 2 ? v128.load64_zero(c1) : v128.load(c1);
      let c = size == 2 ? v128.load64_zero(c2) : v128.load(c2);
      let d = size == 2 ? v128.load64_zero(c3) : v128.load(c3);
      if (masked) {
        a = v128.and(a, mask0);
        b = v128.and(b, mask0);
        c = v128.and(c, mask0);
        d = v128.and(d, mask0);
      }
      let ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
      let cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
      const d0 = v128.shuffle<f32>(ab, cd, 0, 1, 4, 5);
      const d1 = v128.shuffle<f32>(ab, cd, 2, 3, 6, 7);
      ab = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
      cd = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
      const d2 = v128.shuffle<f32>(ab, cd, 0, 1, 4, 5);
      const d3 = v128.shuffle<f32>(ab, cd, 2, 3, 6, 7);
      let d4 = d0;
      let d5 = d0;
      let d6 = d0;
      let d7 = d0;
      if (size > 4) {
        a = size == 6 ? v128.load64_zero(c0, 16) : v128.load(c0, 16);
        b = size == 6 ? v128.load64_zero(c1, 16) : v128.load(c1, 16);
        c = size == 6 ? v128.load64_zero(c2, 16) : v128.load(c2, 16);
        d = size == 6 ? v128.load64_zero(c3, 16) : v128.load(c3, 16);
        if (masked) {
          a = v128.and(a, mask1);
          b = v128.and(b, mask1);
          c = v128.and(c, mask1);
          d = v128.and(d, mask1);
        }
        ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
        cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
        d4 = v128.shuffle<f32>(ab, cd, 0, 1, 4, 5);
        d5 = v128.shuffle<f32>(ab, cd, 2, 3, 6, 7);
        ab = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
        cd = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
        d6 = v128.shuffle<f32>(ab, cd, 0, 1, 4, 5);
        d7 = v128.shuffle<f32>(ab, cd, 2, 3, 6, 7);
      }
      if (kind == INPUT) inputLine(alpha, to, 16, d0, d1, d2, d3, d4, d5, d6, d7);
      else gradientLine(alpha, to, 16, d0, d1, d2, d3, d4, d5);
    } else {
      const zero = f32x4.splat(0);
      const rowEnd = to + ((<usize>alpha) << 4);
      for (let at = to; at < rowEnd; at += 16) v128.store(at, zero);
    }
    c0 += widthBytes;
    c1 += widthBytes;
    c2 += widthBytes;
    c3 += widthBytes;
    to += ROW_BYTES;
  }
}

/** Columns of the transformed rows: place (i, j) goes to `to` + (i·α + j) · placeBytes. */
// @ts-ignore: decorator
@inline
function transformColumns(kind: Kind, alpha: i32, from: usize, to: usize, placeBytes: usize): void {
  const size = kind == INPUT ? inputsOf(alpha) : outputsOf(alpha);
  const stride = placeBytes * alpha;
  const end = from + ((<usize>alpha) << 4);
  for (; from < end; from += 16) {
    const d0 = v128.load(from);
    const d1 = v128.load(from, ROW_BYTES);
    const d2 = size > 2 ? v128.load(from, ROW_BYTES * 2) : d0;
    const d3 = size > 2 ? v128.load(from, ROW_BYTES * 3) : d0;
    const d4 = size > 4 ? v128.load(from, ROW_BYTES * 4) : d0;
    const d5 = size > 4 ? v128.load(from, ROW_BYTES * 5) : d0;
    if (kind == GRADIENT) {
      gradientLine(alpha, to, stride, d0, d1, d2, d3, d4, d5);
    } else {
      const d6 = size > 6 ? v128.load(from, ROW_BYTES * 6) : d0;
      const d7 = size > 6 ? v128.load(from, ROW_BYTES * 7) : d0;
      inputLine(alpha, to, stride, d0, d1, d2, d3, d4, d5, d6, d7);
    }
    to += placeBytes;
  }
}
