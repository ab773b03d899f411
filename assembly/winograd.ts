// Winograd's F(2×2, 3×3) (Lavin and Gray 2015): 3×3 convolution with stride 1, 16 products for 4 outputs instead of 36.
//
//   A tile is 4×4 inputs d and 2×2 outputs; tiles lie 2 apart:   U = G·g·Gᵀ    V = Bᵀ·d·B    Y = Aᵀ·(Σ_c U∘V)·A
//
//        | 1   0   0 |        | 1  0 −1  0 |        | 1  1  1  0 |
//   G =  | ½   ½   ½ |   Bᵀ = | 0  1  1  0 |   Aᵀ = | 0  1 −1 −1 |
//        | ½  −½   ½ |        | 0 −1  1  0 |
//        | 0   0   1 |        | 0  1  0 −1 |
//
// For each of the 16 places of a tile the sum over channels is a matrix product: M[outC × tiles] = U[outC × inC] · V[inC × tiles].
// The input gradient is the same convolution of dy with flipped, transposed weights.
// Its rounding error is no larger than im2col's here: sums are nine times shorter (4e-7 against 8e-7 of the largest value,
// test/ops/fixtures.test.ts).
//
//   callScratch   U: 16 planes of [outC × inC], made once per call
//   worker        V: 16 planes of packed panels, (inC × tBlock floats) + 64 bytes each, so that one transform's 16 stores
//                    do not fall into one cache set
//                 M: 16 planes of [SUB_ROWS × tBlock]
//                 offset table: 16 rows of tBlock offsets, then one byte per 4 tiles
// Next layer down: gemm.ts.
import { gemmBlock, KC, NR, PANEL_ROW_BYTES } from "./gemm";
import { floorOf, keepPositive, maskRow } from "./rectify";

/** Rows of M that are computed and transformed back while they are in the first-level cache. */
const SUB_ROWS: i32 = 32;

/** Argument record of the Winograd kernels. */
@unmanaged
export class WinogradArgs {
  x: usize;
  weight: usize;
  /** [outC], or 0. */
  bias: usize;
  y: usize;
  /** Like y, which is 0 where it is not above 0; or 0. */
  mask: usize;
  callScratch: usize;
  batch: i32;
  inC: i32;
  inH: i32;
  inW: i32;
  outC: i32;
  outH: i32;
  outW: i32;
  padH: i32;
  padW: i32;
  /** Floats from one output channel's filter to the next in weight, and from one input channel's. */
  outStride: i32;
  inStride: i32;
  /** 1: filters are turned by 180 degrees. */
  flip: i32;
  /** 1: y is max(y, 0). */
  relu: i32;
  /** Output channels of one grain, and how many such blocks. */
  mBlock: i32;
  mBlocks: i32;
  /** Tiles of one grain, a multiple of 8, and how many such blocks. */
  tBlock: i32;
  tBlocks: i32;
}

/** callScratch = U. Grain g: output channels [4·g, 4·g + 4). */
export function winogradTransformWeight(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<WinogradArgs>(args);
  const planeBytes = (<usize>s.outC * s.inC) << 2;
  const end = min(s.outC, grainEnd * 4);
  for (let o = grainBegin * 4; o < end; o++) {
    const row = s.weight + ((<usize>o * s.outStride) << 2);
    const to = s.callScratch + ((<usize>o * s.inC) << 2);
    let c = 0;
    for (; c + 4 <= s.inC; c += 4) transformFilters4(s, row, to + ((<usize>c) << 2), planeBytes, c);
    for (; c < s.inC; c++) transformFilter(s, row, to + ((<usize>c) << 2), planeBytes, c);
  }
}

/** Address of tap t of the filter of input channel c. */
function tapAddress(s: WinogradArgs, row: usize, c: i32, t: i32): usize {
  return row + ((<usize>(c * s.inStride + (s.flip ? 8 - t : t))) << 2);
}

/** Tap t of the filters of four input channels. */
function taps4(s: WinogradArgs, row: usize, c: i32, t: i32): v128 {
  let v = v128.load32_zero(tapAddress(s, row, c, t));
  v = v128.load32_lane(tapAddress(s, row, c + 1, t), v, 1);
  v = v128.load32_lane(tapAddress(s, row, c + 2, t), v, 2);
  return v128.load32_lane(tapAddress(s, row, c + 3, t), v, 3);
}

/** U of four neighbouring input channels: columns first (three at a time), then rows. */
function transformFilters4(s: WinogradArgs, row: usize, to: usize, planeBytes: usize, c: i32): void {
  const half = f32x4.splat(0.5);
  let sums: v128, ends: v128;
  const g00 = taps4(s, row, c, 0);
  const g01 = taps4(s, row, c, 1);
  const g02 = taps4(s, row, c, 2);
  const g10 = taps4(s, row, c, 3);
  const g11 = taps4(s, row, c, 4);
  const g12 = taps4(s, row, c, 5);
  const g20 = taps4(s, row, c, 6);
  const g21 = taps4(s, row, c, 7);
  const g22 = taps4(s, row, c, 8);
  storeFilterRow4(to, planeBytes, g00, g01, g02);
  ends = f32x4.add(g00, g20);
  const p0 = f32x4.mul(half, f32x4.add(ends, g10));
  const q0 = f32x4.mul(half, f32x4.sub(ends, g10));
  sums = f32x4.add(g01, g21);
  const p1 = f32x4.mul(half, f32x4.add(sums, g11));
  const q1 = f32x4.mul(half, f32x4.sub(sums, g11));
  ends = f32x4.add(g02, g22);
  const p2 = f32x4.mul(half, f32x4.add(ends, g12));
  const q2 = f32x4.mul(half, f32x4.sub(ends, g12));
  storeFilterRow4(to + planeBytes * 4, planeBytes, p0, p1, p2);
  storeFilterRow4(to + planeBytes * 8, planeBytes, q0, q1, q2);
  storeFilterRow4(to + planeBytes * 12, planeBytes, g20, g21, g22);
}

/** One row (r0, r1, r2) of G·g times Gᵀ: four places of U. */
function storeFilterRow4(to: usize, planeBytes: usize, r0: v128, r1: v128, r2: v128): void {
  const half = f32x4.splat(0.5);
  const ends = f32x4.add(r0, r2);
  v128.store(to, r0);
  v128.store(to + planeBytes, f32x4.mul(half, f32x4.add(ends, r1)));
  v128.store(to + planeBytes * 2, f32x4.mul(half, f32x4.sub(ends, r1)));
  v128.store(to + planeBytes * 3, r2);
}

/** The same for one input channel. */
function transformFilter(s: WinogradArgs, row: usize, to: usize, planeBytes: usize, c: i32): void {
  for (let i = 0; i < 4; i++) {
    const r0 = filterColumn(s, row, c, i, 0);
    const r1 = filterColumn(s, row, c, i, 1);
    const r2 = filterColumn(s, row, c, i, 2);
    const at = to + planeBytes * (4 * i);
    store<f32>(at, r0);
    store<f32>(at + planeBytes, <f32>0.5 * (r0 + r2 + r1));
    store<f32>(at + planeBytes * 2, <f32>0.5 * (r0 + r2 - r1));
    store<f32>(at + planeBytes * 3, r2);
  }
}

/** Element (i, column) of G·g. */
function filterColumn(s: WinogradArgs, row: usize, c: i32, i: i32, column: i32): f32 {
  const g0 = load<f32>(tapAddress(s, row, c, column));
  const g1 = load<f32>(tapAddress(s, row, c, 3 + column));
  const g2 = load<f32>(tapAddress(s, row, c, 6 + column));
  if (i == 0) return g0;
  if (i == 3) return g2;
  return <f32>0.5 * (i == 1 ? g0 + g2 + g1 : g0 + g2 - g1);
}

/** y = the convolution. Grain g: output channels block g % mBlocks, tiles block g / mBlocks. After winogradTransformWeight. */
export function winogradConv2d(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<WinogradArgs>(args);
  const tilesW = (s.outW + 1) / 2;
  const tiles = s.batch * ((s.outH + 1) / 2) * tilesW;
  const rowBytes = (<usize>s.tBlock) << 2;
  const inputPlaneBytes = <usize>s.inC * rowBytes + 64;
  const outputs = scratch + inputPlaneBytes * 16;
  const outputPlaneBytes = <usize>SUB_ROWS * rowBytes;
  const table = outputs + outputPlaneBytes * 16;
  const weightPlaneBytes = (<usize>s.outC * s.inC) << 2;
  const weightRowBytes = (<usize>s.inC) << 2;
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const m0 = (grain % s.mBlocks) * s.mBlock;
    const mEnd = min(s.outC, m0 + s.mBlock);
    const t0 = (grain / s.mBlocks) * s.tBlock;
    const n = min(s.tBlock, tiles - t0);
    const panels = (n + NR - 1) / NR;
    makeTileTable(table, s, t0, n, panels);
    transformInput(scratch, inputPlaneBytes, table, s, panels);
    for (let m = m0; m < mEnd; m += SUB_ROWS) {
      const rows = min(SUB_ROWS, mEnd - m);
      for (let place = 0; place < 16; place++) {
        const a = s.callScratch + <usize>place * weightPlaneBytes + <usize>m * weightRowBytes;
        const v = scratch + <usize>place * inputPlaneBytes;
        const c = outputs + <usize>place * outputPlaneBytes;
        for (let k0 = 0; k0 < s.inC; k0 += KC) {
          const k = min(KC, s.inC - k0);
          // V is packed K block by K block: all panels of the first, then of the second, …
          const b = v + <usize>k0 * panels * PANEL_ROW_BYTES;
          gemmBlock(a + ((<usize>k0) << 2), weightRowBytes, b, c, rowBytes, rows, panels, k, k0 > 0);
        }
      }
      transformOutput(s, outputs, outputPlaneBytes, rowBytes, m, rows, t0, n);
    }
  }
}

/**
 * Where the 16 inputs of each tile are (floats from x + c·inH·inW, −1 in the padding), row of the table by place; and for
 * each group of 4 tiles whether they are neighbours inside the picture, so that whole vectors can be loaded.
 */
function makeTileTable(table: usize, s: WinogradArgs, t0: i32, n: i32, panels: i32): void {
  const tilesW = (s.outW + 1) / 2;
  const tilesPerImage = ((s.outH + 1) / 2) * tilesW;
  const rowBytes = <usize>panels * PANEL_ROW_BYTES;
  const flags = table + rowBytes * 16;
  for (let j = 0; j < panels * NR; j++) {
    const tile = t0 + j;
    const image = tile / tilesPerImage;
    const top = ((tile % tilesPerImage) / tilesW) * 2 - s.padH;
    const left = ((tile % tilesPerImage) % tilesW) * 2 - s.padW;
    const base = image * s.inC * s.inH * s.inW;
    for (let i = 0; i < 4; i++) {
      for (let k = 0; k < 4; k++) {
        const h = top + i;
        const w = left + k;
        const inside = j < n && h >= 0 && h < s.inH && w >= 0 && w < s.inW;
        store<i32>(table + <usize>(4 * i + k) * rowBytes + ((<usize>j) << 2), inside ? base + h * s.inW + w : -1);
      }
    }
  }
  for (let group = 0; group < panels * 2; group++) {
    const first = table + ((<usize>group) << 4);
    // All corners inside, and the fourth tile's last column 9 places after the first tile's first: one row of tiles.
    const topLeft = load<i32>(first);
    const whole =
      topLeft >= 0 &&
      load<i32>(first + rowBytes * 3 + 12) == topLeft + 9 &&
      load<i32>(first + rowBytes * 12) == topLeft + 3 * s.inW &&
      load<i32>(first + rowBytes * 15 + 12) == topLeft + 3 * s.inW + 9;
    store<u8>(flags + group, whole ? 1 : 0);
  }
}

/** V for all channels and tiles of the block, packed as panels of 8 tiles, K block after K block. */
function transformInput(v: usize, planeBytes: usize, table: usize, s: WinogradArgs, panels: i32): void {
  const rowBytes = <usize>panels * PANEL_ROW_BYTES;
  const flags = table + rowBytes * 16;
  const channelBytes = (<usize>s.inH * s.inW) << 2;
  const inRowBytes = (<usize>s.inW) << 2;
  for (let k0 = 0; k0 < s.inC; k0 += KC) {
    const k = min(KC, s.inC - k0);
    for (let panel = 0; panel < panels; panel++) {
      let to = v + (<usize>k0 * panels + <usize>panel * k) * PANEL_ROW_BYTES;
      let channel = s.x + <usize>k0 * channelBytes;
      const group0 = table + ((<usize>panel) << 5);
      const group1 = group0 + 16;
      const whole0 = load<u8>(flags + panel * 2);
      const whole1 = load<u8>(flags + panel * 2 + 1);
      for (let c = 0; c < k; c++) {
        if (whole0) transformRows(to, planeBytes, channel + ((<usize>load<i32>(group0)) << 2), inRowBytes);
        else transformGathered(to, planeBytes, group0, rowBytes, channel);
        if (whole1) transformRows(to + 16, planeBytes, channel + ((<usize>load<i32>(group1)) << 2), inRowBytes);
        else transformGathered(to + 16, planeBytes, group1, rowBytes, channel);
        to += PANEL_ROW_BYTES;
        channel += channelBytes;
      }
    }
  }
}

/** Four neighbouring tiles: their columns k are every second float of a row, from k on. */
function transformRows(to: usize, planeBytes: usize, from: usize, rowBytes: usize): void {
  const r1 = from + rowBytes;
  const r2 = r1 + rowBytes;
  const r3 = r2 + rowBytes;
  // Rows of Bᵀ·d, ten floats each, as four vectors of the floats 0–3, 4–7, 2–5, 6–9.
  storeInputRow(
    to,
    planeBytes,
    f32x4.sub(v128.load(from), v128.load(r2)),
    f32x4.sub(v128.load(from, 16), v128.load(r2, 16)),
    f32x4.sub(v128.load(from, 8), v128.load(r2, 8)),
    f32x4.sub(v128.load(from, 24), v128.load(r2, 24)),
  );
  storeInputRow(
    to + planeBytes * 4,
    planeBytes,
    f32x4.add(v128.load(r1), v128.load(r2)),
    f32x4.add(v128.load(r1, 16), v128.load(r2, 16)),
    f32x4.add(v128.load(r1, 8), v128.load(r2, 8)),
    f32x4.add(v128.load(r1, 24), v128.load(r2, 24)),
  );
  storeInputRow(
    to + planeBytes * 8,
    planeBytes,
    f32x4.sub(v128.load(r2), v128.load(r1)),
    f32x4.sub(v128.load(r2, 16), v128.load(r1, 16)),
    f32x4.sub(v128.load(r2, 8), v128.load(r1, 8)),
    f32x4.sub(v128.load(r2, 24), v128.load(r1, 24)),
  );
  storeInputRow(
    to + planeBytes * 12,
    planeBytes,
    f32x4.sub(v128.load(r1), v128.load(r3)),
    f32x4.sub(v128.load(r1, 16), v128.load(r3, 16)),
    f32x4.sub(v128.load(r1, 8), v128.load(r3, 8)),
    f32x4.sub(v128.load(r1, 24), v128.load(r3, 24)),
  );
}

/** One row of Bᵀ·d, times B: evens and odds of the floats are the tiles' columns. */
function storeInputRow(to: usize, planeBytes: usize, f0: v128, f4: v128, f2: v128, f6: v128): void {
  const d0 = v128.shuffle<f32>(f0, f4, 0, 2, 4, 6);
  const d1 = v128.shuffle<f32>(f0, f4, 1, 3, 5, 7);
  const d2 = v128.shuffle<f32>(f2, f6, 0, 2, 4, 6);
  const d3 = v128.shuffle<f32>(f2, f6, 1, 3, 5, 7);
  storeInputPlaces(to, planeBytes, d0, d1, d2, d3);
}

function storeInputPlaces(to: usize, planeBytes: usize, d0: v128, d1: v128, d2: v128, d3: v128): void {
  v128.store(to, f32x4.sub(d0, d2));
  v128.store(to + planeBytes, f32x4.add(d1, d2));
  v128.store(to + planeBytes * 2, f32x4.sub(d2, d1));
  v128.store(to + planeBytes * 3, f32x4.sub(d1, d3));
}

/** Four tiles anywhere, also across the border: each input by its table entry. */
function transformGathered(to: usize, planeBytes: usize, entry: usize, rowBytes: usize, channel: usize): void {
  for (let i = 0; i < 4; i++) {
    // Rows p ± q of Bᵀ·d: 0 − 2, 1 + 2, 2 − 1, 1 − 3.
    const p = entry + rowBytes * (i == 0 ? 0 : i == 2 ? 8 : 4);
    const q = entry + rowBytes * (i == 3 ? 12 : i == 2 ? 4 : 8);
    const plus = i == 1;
    storeInputPlaces(
      to + planeBytes * (4 * i),
      planeBytes,
      combine4(p, q, plus, channel),
      combine4(p + rowBytes, q + rowBytes, plus, channel),
      combine4(p + rowBytes * 2, q + rowBytes * 2, plus, channel),
      combine4(p + rowBytes * 3, q + rowBytes * 3, plus, channel),
    );
  }
}

function combine4(p: usize, q: usize, plus: bool, channel: usize): v128 {
  const a = gathered4(p, channel);
  const b = gathered4(q, channel);
  return plus ? f32x4.add(a, b) : f32x4.sub(a, b);
}

function gathered4(entry: usize, channel: usize): v128 {
  let v = f32x4.splat(gathered(entry, channel));
  v = f32x4.replace_lane(v, 1, gathered(entry + 4, channel));
  v = f32x4.replace_lane(v, 2, gathered(entry + 8, channel));
  return f32x4.replace_lane(v, 3, gathered(entry + 12, channel));
}

function gathered(entry: usize, channel: usize): f32 {
  const offset = load<i32>(entry);
  return offset < 0 ? <f32>0 : load<f32>(channel + ((<usize>offset) << 2));
}

/** Y = Aᵀ·M·A for `rows` output channels from m0 on and the block's n tiles, plus bias, rectified or masked, into y. */
function transformOutput(
  s: WinogradArgs,
  from: usize,
  planeBytes: usize,
  rowBytes: usize,
  m0: i32,
  rows: i32,
  t0: i32,
  n: i32,
): void {
  const tilesW = (s.outW + 1) / 2;
  const tilesH = (s.outH + 1) / 2;
  const plane = s.outH * s.outW;
  const floor = f32x4.splat(floorOf(s.relu));
  for (let row = 0; row < rows; row++) {
    const channel = m0 + row;
    const bias = f32x4.splat(s.bias ? load<f32>(s.bias + ((<usize>channel) << 2)) : <f32>0);
    let image = t0 / (tilesH * tilesW);
    let th = (t0 / tilesW) % tilesH;
    let tw = t0 % tilesW;
    for (let j = 0; j < n; j += 4) {
      const at = from + <usize>row * rowBytes + ((<usize>j) << 2);
      // Aᵀ·M: upper = rows 0 + 1 + 2, lower = rows 1 − 2 − 3; per column of the tile.
      const upper0 = upperRow(at, planeBytes);
      const upper1 = upperRow(at + planeBytes, planeBytes);
      const upper2 = upperRow(at + planeBytes * 2, planeBytes);
      const upper3 = upperRow(at + planeBytes * 3, planeBytes);
      const lower0 = lowerRow(at, planeBytes);
      const lower1 = lowerRow(at + planeBytes, planeBytes);
      const lower2 = lowerRow(at + planeBytes * 2, planeBytes);
      const lower3 = lowerRow(at + planeBytes * 3, planeBytes);
      const y00 = f32x4.max(f32x4.add(f32x4.add(f32x4.add(upper0, upper1), upper2), bias), floor);
      const y01 = f32x4.max(f32x4.add(f32x4.sub(f32x4.sub(upper1, upper2), upper3), bias), floor);
      const y10 = f32x4.max(f32x4.add(f32x4.add(f32x4.add(lower0, lower1), lower2), bias), floor);
      const y11 = f32x4.max(f32x4.add(f32x4.sub(f32x4.sub(lower1, lower2), lower3), bias), floor);
      const to = s.y + (((<usize>image * s.outC + channel) * plane + th * 2 * s.outW + tw * 2) << 2);
      if (j + 4 <= n && tw * 2 + 8 <= s.outW && th * 2 + 2 <= s.outH) {
        storeMasked(s, to, v128.shuffle<f32>(y00, y01, 0, 4, 1, 5));
        storeMasked(s, to + 16, v128.shuffle<f32>(y00, y01, 2, 6, 3, 7));
        const below = to + ((<usize>s.outW) << 2);
        storeMasked(s, below, v128.shuffle<f32>(y10, y11, 0, 4, 1, 5));
        storeMasked(s, below + 16, v128.shuffle<f32>(y10, y11, 2, 6, 3, 7));
        tw += 4;
        if (tw == tilesW) {
          tw = 0;
          if (++th == tilesH) {
            th = 0;
            image++;
          }
        }
      } else {
        // One tile at a time, through the memory that the 16 products no longer need.
        v128.store(at, y00);
        v128.store(at + planeBytes, y01);
        v128.store(at + planeBytes * 2, y10);
        v128.store(at + planeBytes * 3, y11);
        const count = min(4, n - j);
        for (let lane = 0; lane < count; lane++) {
          const value = at + ((<usize>lane) << 2);
          const corner = s.y + (((<usize>image * s.outC + channel) * plane + th * 2 * s.outW + tw * 2) << 2);
          const right = tw * 2 + 1 < s.outW;
          store<f32>(corner, load<f32>(value));
          if (right) store<f32>(corner + 4, load<f32>(value + planeBytes));
          if (s.mask) maskRow(corner, corner - s.y + s.mask, right ? 2 : 1);
          if (th * 2 + 1 < s.outH) {
            const below = corner + ((<usize>s.outW) << 2);
            store<f32>(below, load<f32>(value + planeBytes * 2));
            if (right) store<f32>(below + 4, load<f32>(value + planeBytes * 3));
            if (s.mask) maskRow(below, below - s.y + s.mask, right ? 2 : 1);
          }
          if (++tw == tilesW) {
            tw = 0;
            if (++th == tilesH) {
              th = 0;
              image++;
            }
          }
        }
      }
    }
  }
}

function storeMasked(s: WinogradArgs, to: usize, values: v128): void {
  v128.store(to, s.mask ? keepPositive(values, to - s.y + s.mask) : values);
}

function upperRow(at: usize, planeBytes: usize): v128 {
  return f32x4.add(f32x4.add(v128.load(at), v128.load(at + planeBytes * 4)), v128.load(at + planeBytes * 8));
}

function lowerRow(at: usize, planeBytes: usize): v128 {
  const first = v128.load(at + planeBytes * 4);
  return f32x4.sub(f32x4.sub(first, v128.load(at + planeBytes * 8)), v128.load(at + planeBytes * 12));
}
