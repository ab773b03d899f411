// Winograd's transform of the products, Y = Aᵀ·M·A, into NCHW planes, four channels at a time: the reverse of winograd-read.ts.
// What is outside the plane is skipped.
import { outputLine, outputsOf, ROW_BYTES } from "./winograd-lines";

/** patch = Y, m × m vectors, of the α² places at `from`, `placeBytes` apart. work: WORK_BYTES. */
export function transformOutputTile(alpha: i32, from: usize, placeBytes: usize, work: usize, patch: usize): void {
  if (alpha == 6) transformOutput(6, from, placeBytes, work, patch);
  else if (alpha == 8) transformOutput(8, from, placeBytes, work, patch);
  else if (alpha == 4) transformOutput(4, from, placeBytes, work, patch);
  else transformOutput(3, from, placeBytes, work, patch);
}

// @ts-ignore: decorator
@inline
function transformOutput(alpha: i32, from: usize, placeBytes: usize, work: usize, patch: usize): void {
  const stride = placeBytes * alpha;
  for (let j = 0; j < alpha; j++) {
    let at = from;
    const m0 = v128.load(at);
    at += stride;
    const m1 = v128.load(at);
    at += stride;
    const m2 = v128.load(at);
    let m3 = m0;
    if (alpha > 3) {
      at += stride;
      m3 = v128.load(at);
    }
    let m4 = m0;
    let m5 = m0;
    let m6 = m0;
    let m7 = m0;
    if (alpha > 4) {
      at += stride;
      m4 = v128.load(at);
      at += stride;
      m5 = v128.load(at);
    }
    if (alpha > 6) {
      at += stride;
      m6 = v128.load(at);
      m7 = v128.load(at + stride);
    }
    outputLine(alpha, work + ((<usize>j) << 4), ROW_BYTES, m0, m1, m2, m3, m4, m5, m6, m7);
    from += placeBytes;
  }
  for (let i = 0; i < outputsOf(alpha); i++) {
    const m0 = v128.load(work);
    const m3 = alpha > 3 ? v128.load(work, 48) : m0;
    const m4 = alpha > 4 ? v128.load(work, 64) : m0;
    const m5 = alpha > 4 ? v128.load(work, 80) : m0;
    const m6 = alpha > 6 ? v128.load(work, 96) : m0;
    const m7 = alpha > 6 ? v128.load(work, 112) : m0;
    outputLine(alpha, patch, 16, m0, v128.load(work, 16), v128.load(work, 32), m3, m4, m5, m6, m7);
    work += ROW_BYTES;
    patch += (<usize>outputsOf(alpha)) << 4;
  }
}

/** The patch's m/2 × m/2 maxima of 2×2 vectors, in the place of its first ones. */
export function poolPatch(m: i32, patch: usize): void {
  const rowBytes = (<usize>m) << 4;
  let to = patch;
  for (let i = 0; i < m; i += 2) {
    const end = patch + rowBytes;
    for (; patch < end; patch += 32) {
      const upper = f32x4.max(v128.load(patch), v128.load(patch, 16));
      const next = patch + rowBytes;
      v128.store(to, f32x4.max(upper, f32x4.max(v128.load(next), v128.load(next, 16))));
      to += 16;
    }
    patch += rowBytes;
  }
}

/**
 * Writes a patch of m × m vectors to up to four channels: (patch + bias), its negative values 0 if `relu`. y: the first channel's
 * plane, `planeBytes` apart; `channels` of them exist. mask (0: none): values are 0 where the mask, laid out as y, is not above 0.
 */
export function writePatch(
  m: i32,
  patch: usize,
  y: usize,
  mask: usize,
  planeBytes: usize,
  channels: i32,
  height: i32,
  width: i32,
  top: i32,
  left: i32,
  bias: v128,
  relu: bool,
): void {
  const rows = min(m, height - top);
  const columns = min(m, width - left);
  const floor = f32x4.splat(relu ? <f32>0 : -Infinity);
  const offset = (<usize>(top * width + left)) << 2;
  const rowBytes = (<usize>width) << 2;
  const patchRowBytes = (<usize>m) << 4;
  y += offset;
  if (mask) mask += offset;
  for (let i = 0; i < rows; i++) {
    if (channels >= 4) {
      let from = patch;
      let to = y;
      let by = mask;
      if (columns >= 4) {
        writeColumns(4, from, to, by, planeBytes, bias, floor);
        from += 64;
        to += 16;
        if (mask) by += 16;
      }
      if (columns & 2) {
        writeColumns(2, from, to, by, planeBytes, bias, floor);
        from += 32;
        to += 8;
        if (mask) by += 8;
      }
      if (columns & 1) writeColumns(1, from, to, by, planeBytes, bias, floor);
    } else {
      for (let j = 0; j < columns; j++) {
        const place = f32x4.max(f32x4.add(v128.load(patch + ((<usize>j) << 4)), bias), floor);
        const at = (<usize>j) << 2;
        writeLane(y + at, mask, at, f32x4.extract_lane(place, 0));
        if (channels > 1) writeLane(y + planeBytes + at, mask, planeBytes + at, f32x4.extract_lane(place, 1));
        if (channels > 2) writeLane(y + planeBytes * 2 + at, mask, planeBytes * 2 + at, f32x4.extract_lane(place, 2));
      }
    }
    patch += patchRowBytes;
    y += rowBytes;
    if (mask) mask += rowBytes;
  }
}

function writeLane(to: usize, mask: usize, offset: usize, value: f32): void {
  store<f32>(to, mask && !(load<f32>(mask + offset) > 0) ? <f32>0 : value);
}

/** `count` (4, 2 or 1) columns of one row of four channels. */
// @ts-ignore: decorator
@inline
function writeColumns(
  count: i32,
  from: usize,
  to: usize,
  mask: usize,
  planeBytes: usize,
  bias: v128,
  floor: v128,
): void {
  const a = f32x4.max(f32x4.add(v128.load(from), bias), floor);
  const b = count > 1 ? f32x4.max(f32x4.add(v128.load(from, 16), bias), floor) : a;
  const c = count > 2 ? f32x4.max(f32x4.add(v128.load(from, 32), bias), floor) : a;
  const d = count > 2 ? f32x4.max(f32x4.add(v128.load(from, 48), bias), floor) : b;
  let ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  let cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  let y0 = v128.shuffle<f32>(ab, cd, 0, 1, 4, 5);
  let y1 = v128.shuffle<f32>(ab, cd, 2, 3, 6, 7);
  ab = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  cd = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  let y2 = v128.shuffle<f32>(ab, cd, 0, 1, 4, 5);
  let y3 = v128.shuffle<f32>(ab, cd, 2, 3, 6, 7);
  if (mask) {
    const zero = f32x4.splat(0);
    y0 = v128.and(y0, f32x4.gt(loadColumns(count, mask), zero));
    mask += planeBytes;
    y1 = v128.and(y1, f32x4.gt(loadColumns(count, mask), zero));
    mask += planeBytes;
    y2 = v128.and(y2, f32x4.gt(loadColumns(count, mask), zero));
    y3 = v128.and(y3, f32x4.gt(loadColumns(count, mask + planeBytes), zero));
  }
  storeColumns(count, to, y0);
  to += planeBytes;
  storeColumns(count, to, y1);
  to += planeBytes;
  storeColumns(count, to, y2);
  storeColumns(count, to + planeBytes, y3);
}

// @ts-ignore: decorator
@inline
function loadColumns(count: i32, from: usize): v128 {
  return count == 4 ? v128.load(from) : count == 2 ? v128.load64_zero(from) : v128.load32_zero(from);
}

// @ts-ignore: decorator
@inline
function storeColumns(count: i32, to: usize, row: v128): void {
  if (count == 4) v128.store(to, row);
  else if (count == 2) v128.store64_lane(to, row, 0);
  else v128.store32_lane(to, row, 0);
}
