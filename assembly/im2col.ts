// im2col in blocks: never the whole matrix. Conv2d seen as a matrix product has
//
//   row r = (c, kh, kw)   of inC·kH·kW      column p = (image, oh, ow)   of batch·outH·outW
//   im2col[r][p] = x[image, c, oh·strideH + kh·dilationH − padH, ow·strideW + kw·dilationW − padW], or 0 in the padding
//
// With groups c counts a group's channels, and x and dx are the addresses of the group's first one in image 0.
//
// A block covers columns [p0, p0 + n). Where each of its columns reads from depends on the tap (kh, kw) but not on c,
// so a table is made once per block and then used for every channel of every group:
//
//   tap 0: n offsets (i32, in floats from x + c·inH·inW; −1 in the padding), padded to whole panels
//   tap 1: …
//   then one byte per (tap, panel): 1 where the panel's 8 columns are 8 neighbours in memory, so that two vector
//   loads do; that is nearly always so for wide maps with stride 1, and nearly never for 2×2 maps.
//
// Next layer up: conv2d.ts.
import { Conv2dArgs } from "./conv2d-args";
import { NR, PANEL_ROW_BYTES, transposeStoreVectors } from "./gemm";

/**
 * Fills the table for columns [p0, p0 + n) of the im2col matrix and `count` taps from `firstTap` on (behind the last tap comes
 * the first): the taps of the rows that the caller will pack.
 * Room: kH·kW + 3 entries of whole panels (the last three are work space) and one byte per tap and panel.
 */
export function makeOffsetTable(table: usize, s: Conv2dArgs, p0: i32, n: i32, firstTap: i32, count: i32): void {
  const panels = (n + NR - 1) / NR;
  const taps = s.kH * s.kW;
  const tapBytes = <usize>panels * PANEL_ROW_BYTES;
  const flags = table + <usize>taps * tapBytes;
  // Per column: its window's top row and left column in the input (may be negative), and the offset of that corner.
  const tops = flags + ((<usize>taps * panels + 15) & ~15);
  const lefts = tops + tapBytes;
  const corners = lefts + tapBytes;
  fillCorners(tops, lefts, corners, s, p0, n, panels * NR);

  const height = i32x4.splat(s.inH);
  const width = i32x4.splat(s.inW);
  for (let i = 0; i < count; i++) {
    const tap = (firstTap + i) % taps;
    const down = (tap / s.kW) * s.dilationH;
    const right = (tap % s.kW) * s.dilationW;
    const entries = table + <usize>tap * tapBytes;
    const step = i32x4.splat(down * s.inW + right);
    for (let panel = 0; panel < panels; panel++) {
      const at = <usize>panel * PANEL_ROW_BYTES;
      const low = columnOffsets(tops + at, lefts + at, corners + at, down, right, step, height, width);
      const high = columnOffsets(tops + at + 16, lefts + at + 16, corners + at + 16, down, right, step, height, width);
      v128.store(entries + at, low);
      v128.store(entries + at, high, 16);
      const first = i32x4.splat(i32x4.extract_lane(low, 0));
      const run = v128.and(
        i32x4.eq(low, i32x4.add(first, i32x4(0, 1, 2, 3))),
        i32x4.eq(high, i32x4.add(first, i32x4(4, 5, 6, 7))),
      );
      // A column in the padding is −1, which cannot continue a run; nor can a run start with it.
      store<u8>(flags + tap * panels + panel, i32x4.all_true(run) && i32x4.extract_lane(low, 0) >= 0 ? 1 : 0);
    }
  }
}

/** Walks over the columns; those beyond n get a corner outside of the input. */
function fillCorners(tops: usize, lefts: usize, corners: usize, s: Conv2dArgs, p0: i32, n: i32, padded: i32): void {
  const plane = s.outH * s.outW;
  const imageFloats = s.inC * s.inH * s.inW;
  let image = p0 / plane;
  let oh = (p0 % plane) / s.outW;
  let ow = (p0 % plane) % s.outW;
  for (let j = 0; j < padded; j++) {
    const at = (<usize>j) << 2;
    const top = oh * s.strideH - s.padH;
    const left = ow * s.strideW - s.padW;
    store<i32>(tops + at, j < n ? top : s.inH);
    store<i32>(lefts + at, left);
    store<i32>(corners + at, image * imageFloats + top * s.inW + left);
    if (++ow == s.outW) {
      ow = 0;
      if (++oh == s.outH) {
        oh = 0;
        image++;
      }
    }
  }
}

/** Offsets of four columns under one tap; −1 where row or column lies outside of the input. */
function columnOffsets(
  top: usize,
  left: usize,
  corner: usize,
  down: i32,
  right: i32,
  step: v128,
  height: v128,
  width: v128,
): v128 {
  // As unsigned numbers negative places are large: one comparison checks both ends.
  const inside = v128.and(
    i32x4.lt_u(i32x4.add(v128.load(top), i32x4.splat(down)), height),
    i32x4.lt_u(i32x4.add(v128.load(left), i32x4.splat(right)), width),
  );
  return v128.or(v128.and(i32x4.add(v128.load(corner), step), inside), v128.not(inside));
}

/**
 * Packs rows [r0, r0 + k) of the block's columns as panels of B: panel j, row r, 8 columns.
 */
export function im2colPackColumns(packed: usize, table: usize, s: Conv2dArgs, x: usize, r0: i32, k: i32, n: i32): void {
  const panels = (n + NR - 1) / NR;
  const taps = s.kH * s.kW;
  const flags = table + <usize>taps * panels * PANEL_ROW_BYTES;
  const channelBytes = (<usize>s.inH * s.inW) << 2;
  for (let panel = 0; panel < panels; panel++) {
    let tap = r0 % taps;
    let channel = x + <usize>(r0 / taps) * channelBytes;
    for (let r = 0; r < k; r++) {
      const index = tap * panels + panel;
      const entry = table + <usize>index * PANEL_ROW_BYTES;
      if (load<u8>(flags + index)) {
        const from = channel + ((<usize>load<i32>(entry)) << 2);
        v128.store(packed, v128.load(from));
        v128.store(packed, v128.load(from, 16), 16);
      } else {
        gather4(packed, entry, channel);
        gather4(packed + 16, entry + 16, channel);
      }
      packed += PANEL_ROW_BYTES;
      if (++tap == taps) {
        tap = 0;
        channel += channelBytes;
      }
    }
  }
}

/**
 * Packs the transpose: the block's columns p are the rows of B here (the sum runs over them), and im2col rows
 * [r0, r0 + rows) are the columns of its panels: panel q, row p, 8 im2col rows.
 */
export function im2colPackRows(packed: usize, table: usize, s: Conv2dArgs, x: usize, r0: i32, rows: i32, n: i32): void {
  const panels = (n + NR - 1) / NR;
  const taps = s.kH * s.kW;
  for (let r = 0; r < rows; r += NR) {
    const count = min(NR, rows - r);
    for (let lane = 0; lane < NR; lane += 4) {
      packRows4(packed + ((<usize>lane) << 2), table, s, x, r0 + r + lane, count - lane, n, panels, taps);
    }
    packed += <usize>n * PANEL_ROW_BYTES;
  }
}

/** Four neighbouring columns of one panel of im2colPackRows; columns from `count` on become 0. */
function packRows4(
  to: usize,
  table: usize,
  s: Conv2dArgs,
  x: usize,
  r: i32,
  count: i32,
  n: i32,
  panels: i32,
  taps: i32,
): void {
  const channelBytes = (<usize>s.inH * s.inW) << 2;
  const flags = table + <usize>taps * panels * PANEL_ROW_BYTES;
  if (count >= 4) {
    const tap0 = r % taps;
    const tap1 = (r + 1) % taps;
    const tap2 = (r + 2) % taps;
    const tap3 = (r + 3) % taps;
    const channel0 = x + <usize>(r / taps) * channelBytes;
    const channel1 = x + <usize>((r + 1) / taps) * channelBytes;
    const channel2 = x + <usize>((r + 2) / taps) * channelBytes;
    const channel3 = x + <usize>((r + 3) / taps) * channelBytes;
    let p = 0;
    for (; p + 4 <= n; p += 4) {
      transposeStoreVectors(
        to + <usize>p * PANEL_ROW_BYTES,
        fetch4(table, flags, tap0 * panels, p, channel0),
        fetch4(table, flags, tap1 * panels, p, channel1),
        fetch4(table, flags, tap2 * panels, p, channel2),
        fetch4(table, flags, tap3 * panels, p, channel3),
      );
    }
    for (; p < n; p++) {
      const row = to + <usize>p * PANEL_ROW_BYTES;
      store<f32>(row, fetch1(table, tap0 * panels, p, channel0));
      store<f32>(row + 4, fetch1(table, tap1 * panels, p, channel1));
      store<f32>(row + 8, fetch1(table, tap2 * panels, p, channel2));
      store<f32>(row + 12, fetch1(table, tap3 * panels, p, channel3));
    }
    return;
  }
  for (let lane = 0; lane < 4; lane++) {
    const tap = (r + lane) % taps;
    const channel = x + <usize>((r + lane) / taps) * channelBytes;
    for (let p = 0; p < n; p++) {
      const value = lane < count ? fetch1(table, tap * panels, p, channel) : <f32>0;
      store<f32>(to + <usize>p * PANEL_ROW_BYTES + ((<usize>lane) << 2), value);
    }
  }
}

/** Four consecutive columns p..p+3 (p a multiple of 4) of one im2col row. */
function fetch4(table: usize, flags: usize, firstPanel: i32, p: i32, channel: usize): v128 {
  const index = firstPanel + (p >> 3);
  const entry = table + <usize>index * PANEL_ROW_BYTES + ((<usize>(p & 4)) << 2);
  if (load<u8>(flags + index)) return v128.load(channel + ((<usize>load<i32>(entry)) << 2));
  let v = f32x4.splat(valueAt(entry, channel));
  v = f32x4.replace_lane(v, 1, valueAt(entry + 4, channel));
  v = f32x4.replace_lane(v, 2, valueAt(entry + 8, channel));
  return f32x4.replace_lane(v, 3, valueAt(entry + 12, channel));
}

function fetch1(table: usize, firstPanel: i32, p: i32, channel: usize): f32 {
  return valueAt(table + <usize>(firstPanel + (p >> 3)) * PANEL_ROW_BYTES + ((<usize>(p & 7)) << 2), channel);
}

/** The input value behind one table entry: 0 in the padding. */
function valueAt(entry: usize, channel: usize): f32 {
  const offset = load<i32>(entry);
  return offset < 0 ? <f32>0 : load<f32>(channel + ((<usize>offset) << 2));
}

function gather4(to: usize, entry: usize, channel: usize): void {
  store<f32>(to, valueAt(entry, channel));
  store<f32>(to + 4, valueAt(entry + 4, channel));
  store<f32>(to + 8, valueAt(entry + 8, channel));
  store<f32>(to + 12, valueAt(entry + 12, channel));
}

/**
 * col2im, the transpose of im2col: adds a tile of rows (c, kh, kw), c in [0, channels), by the block's n columns into dx.
 * `dx` is the address of the first of those channels in image 0; the tile's rows are `rowBytes` apart.
 */
export function col2imAdd(
  dx: usize,
  table: usize,
  s: Conv2dArgs,
  tile: usize,
  rowBytes: usize,
  channels: i32,
  n: i32,
): void {
  const panels = (n + NR - 1) / NR;
  const taps = s.kH * s.kW;
  const flags = table + <usize>taps * panels * PANEL_ROW_BYTES;
  const channelBytes = (<usize>s.inH * s.inW) << 2;
  for (let c = 0; c < channels; c++) {
    for (let tap = 0; tap < taps; tap++) {
      for (let panel = 0; panel < panels; panel++) {
        const index = tap * panels + panel;
        const entry = table + <usize>index * PANEL_ROW_BYTES;
        const from = tile + <usize>panel * PANEL_ROW_BYTES;
        if (load<u8>(flags + index)) {
          const to = dx + ((<usize>load<i32>(entry)) << 2);
          v128.store(to, f32x4.add(v128.load(to), v128.load(from)));
          v128.store(to, f32x4.add(v128.load(to, 16), v128.load(from, 16)), 16);
        } else {
          for (let lane = 0; lane < NR; lane++) {
            const offset = load<i32>(entry + ((<usize>lane) << 2));
            if (offset < 0) continue;
            const to = dx + ((<usize>offset) << 2);
            store<f32>(to, load<f32>(to) + load<f32>(from + ((<usize>lane) << 2)));
          }
        }
      }
      tile += rowBytes;
    }
    dx += channelBytes;
  }
}
