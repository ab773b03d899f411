// Winograd's F(m×m, 3×3), m = 2, 4 or 6 (Lavin and Gray 2015): 3×3 convolution with stride 1; (m + 2)² products for m² outputs
// instead of 9·m². Tiles of α × α inputs, α = m + 2, lie m apart. For each of the α² places of a tile the sum over channels is a
// matrix product, M[tiles × outC] = V[tiles × inC] · U[inC × outC]; the transforms stand in winograd-lines.ts.
// The input gradient is the same convolution of dy with turned filters, input and output channels exchanged; the weight
// gradient is in winograd-weight.ts.
//
//   winogradTransformWeight   u: α² planes of panels of output channels (gemm-packed.ts), inC4 rows each, + 64 bytes a plane
//   winogradTransformInput    v: α² planes of groups of 4 tiles, form Rows of gemm-micro-packed.ts, + 64 bytes a plane: one block
//                             of planes for every tBlock tiles. Where blocks are many, winogradConv2d transforms its own instead
//   winogradConv2d            M: α² planes of [tBlock × COLUMNS], transformed back and stored while they are in cache
//
// Numbers of channels are rounded up (inC4, outC16) with zeros in u. The 64 bytes keep one transform's α² stores from falling
// into one cache set. Rounding errors grow with m: 4e-7, 5e-6, 1e-5 of the largest value (test/system/conv-accuracy.test.ts).
// Next layers down: winograd-read.ts, winograd-write.ts, winograd-filter.ts, gemm-packed.ts.
import { gemmPackedRows, packedColumns, packedRowBytes } from "./gemm-packed";
import { transformFilter } from "./winograd-filter";
import { outputsOf, WORK_BYTES } from "./winograd-lines";
import { transformInputTile } from "./winograd-read";
import { poolPatch, transformOutputTile, writePatch } from "./winograd-write";

/** Output channels whose products are made and transformed back at a time. */
const COLUMNS: i32 = 64;
/** Channels of one grain of the transforms. */
const CHANNEL_BLOCK: i32 = 64;

/** Argument record of the Winograd kernels of the forward pass and the input gradient. */
@unmanaged
export class WinogradArgs {
  x: usize;
  weight: usize;
  /** [outC], or 0. */
  bias: usize;
  y: usize;
  /** Like y, which is 0 where it is not above 0; or 0. */
  mask: usize;
  /** Transformed filters. */
  u: usize;
  /** Transformed input of all tiles, or 0: each grain transforms its own. */
  v: usize;
  batch: i32;
  inC: i32;
  inH: i32;
  inW: i32;
  /** Output channels: those of y, or some of them, from where weight, bias, y and mask point. */
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
  /** All channels of y. */
  yC: i32;
  /** 1: y is max(y, 0). */
  relu: i32;
  /** 1: y is the maxima of windows of 2×2. */
  pool: i32;
  /** α: 4, 6 or 8, or 3 for maps of 2×2 (winograd-lines.ts). */
  alpha: i32;
  /** Output channels of one grain, a multiple of 16, and how many such blocks. */
  mBlock: i32;
  mBlocks: i32;
  /** Tiles of one grain, a multiple of 4, and how many such blocks. */
  tBlock: i32;
  tBlocks: i32;
}

/** Channels rounded up to whole vectors. */
function padded4(channels: i32): i32 {
  return (channels + 3) & ~3;
}

function weightPlaneBytes(s: WinogradArgs): usize {
  return ((<usize>((s.outC + 15) & ~15) * <usize>padded4(s.inC)) << 2) + 64;
}

function inputPlaneBytes(s: WinogradArgs): usize {
  return ((<usize>s.tBlock * padded4(s.inC)) << 2) + 64;
}

/**
 * u = U. Grain g: input channels block g % blocks (CHANNEL_BLOCK of them) of output channels block g / blocks (16 of them). What a
 * grain makes is gathered in scratch memory first: α² planes, of which each then goes to its place in one piece.
 * Worker scratch: 2 · WORK_BYTES; α² · (CHANNEL_BLOCK · 64 + 64) bytes.
 */
export function winogradTransformWeight(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<WinogradArgs>(args);
  const inC = padded4(s.inC);
  const blocks = (inC + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK;
  const planeBytes = weightPlaneBytes(s);
  const columns = packedColumns();
  const rowBytes = packedRowBytes();
  const taps = scratch + WORK_BYTES;
  const gathered = taps + WORK_BYTES;
  const gatheredBytes: usize = <usize>CHANNEL_BLOCK * 64 + 64;
  const places = s.alpha * s.alpha;
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const o0 = (grain / blocks) * 16;
    const c0 = (grain % blocks) * CHANNEL_BLOCK;
    const count = min(inC - c0, CHANNEL_BLOCK);
    const panelBytes = <usize>count * rowBytes;
    for (let o = 0; o < 16; o += 4) {
      const panel = o / columns;
      let to = gathered + <usize>panel * panelBytes + ((<usize>(o - panel * columns)) << 2);
      for (let c = 0; c < count; c++) {
        readFilters(s, taps, o0 + o, c0 + c);
        transformFilter(s.alpha, taps, scratch, to, gatheredBytes);
        to += rowBytes;
      }
    }
    for (let panel = 0; panel < 16 / columns; panel++) {
      let from = gathered + <usize>panel * panelBytes;
      let to = s.u + (<usize>(o0 / columns + panel) * inC + c0) * rowBytes;
      for (let place = 0; place < places; place++) {
        memory.copy(to, from, panelBytes);
        from += gatheredBytes;
        to += planeBytes;
      }
    }
  }
}

/** to = the nine taps of the filters of output channels [o, o + 4) and input channel c, a vector each; 0 beyond the last channel. */
function readFilters(s: WinogradArgs, to: usize, o: i32, c: i32): void {
  const count = c < s.inC ? s.outC - o : 0;
  const stride = (<usize>s.outStride) << 2;
  const f0 = s.weight + ((<usize>(o * s.outStride + c * s.inStride)) << 2);
  const f1 = f0 + stride;
  const f2 = f1 + stride;
  const f3 = f2 + stride;
  for (let t = 0; t < 9; t++) {
    const at = (<usize>(s.flip ? 8 - t : t)) << 2;
    let v = f32x4.splat(0);
    if (count > 0) v = v128.load32_lane(f0 + at, v, 0);
    if (count > 1) v = v128.load32_lane(f1 + at, v, 1);
    if (count > 2) v = v128.load32_lane(f2 + at, v, 2);
    if (count > 3) v = v128.load32_lane(f3 + at, v, 3);
    v128.store(to, v);
    to += 16;
  }
}

/**
 * v = V of all tiles. Grain g: channels block g % blocks (CHANNEL_BLOCK of them) of tiles block g / blocks.
 * Worker scratch: WORK_BYTES.
 */
export function winogradTransformInput(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<WinogradArgs>(args);
  const alpha = s.alpha;
  const blocks = (s.inC + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK;
  const blockBytes = inputPlaneBytes(s) * (alpha * alpha);
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const block = grain / blocks;
    const c0 = (grain % blocks) * CHANNEL_BLOCK;
    transformInput(s, s.v + <usize>block * blockBytes, scratch, block * s.tBlock, c0, min(s.inC, c0 + CHANNEL_BLOCK));
  }
}

/**
 * V of the block of tiles from t0 on, channels [c0, cEnd), into the block's planes at v. Four tiles at a time, so that the cache
 * lines of V, which four tiles share, are filled while they are in the first-level cache.
 */
function transformInput(s: WinogradArgs, v: usize, work: usize, t0: i32, c0: i32, cEnd: i32): void {
  const tile = outputsOf(s.alpha);
  const tilesW = (s.outW + tile - 1) / tile;
  const tilesH = (s.outH + tile - 1) / tile;
  const n = min(s.tBlock, s.batch * tilesH * tilesW - t0);
  const channelBytes = (<usize>s.inH * s.inW) << 2;
  const groupBytes = (<usize>padded4(s.inC)) << 4;
  const planeBytes = inputPlaneBytes(s);
  for (let group = 0; group < n; group += 4) {
    const count = min(4, n - group);
    for (let c = c0; c < cEnd; c += 4) {
      for (let t = 0; t < count; t++) {
        const index = t0 + group + t;
        const row = index / tilesW;
        const image = row / tilesH;
        transformInputTile(
          s.alpha,
          work,
          s.x + <usize>image * s.inC * channelBytes,
          channelBytes,
          c,
          s.inC,
          s.inH,
          s.inW,
          (row - image * tilesH) * tile - s.padH,
          (index - row * tilesW) * tile - s.padW,
          v + <usize>(group >> 2) * groupBytes + ((<usize>c) << 4) + ((<usize>t) << 4),
          planeBytes,
        );
      }
    }
  }
}

/**
 * y = the convolution. Grain g: output channels block g % mBlocks, tiles block g / mBlocks. After winogradTransformWeight, and
 * winogradTransformInput unless v is 0.
 * Worker scratch: V of a block unless v is given; M: α² · (tBlock · COLUMNS floats + 64 bytes); 2 · WORK_BYTES.
 */
export function winogradConv2d(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<WinogradArgs>(args);
  const alpha = s.alpha;
  const places = alpha * alpha;
  const tile = outputsOf(alpha);
  const tiles = s.batch * ((s.outH + tile - 1) / tile) * ((s.outW + tile - 1) / tile);
  const inC = padded4(s.inC);
  const vPlaneBytes = inputPlaneBytes(s);
  const blockBytes = vPlaneBytes * places;
  const uPlaneBytes = weightPlaneBytes(s);
  const panelBytes = <usize>inC * packedRowBytes();
  const panelColumns = packedColumns();
  const groupBytes = (<usize>inC) << 4;
  const rowBytes = (<usize>COLUMNS) << 2;
  const mPlaneBytes = <usize>s.tBlock * rowBytes + 64;
  const products = s.v ? scratch : scratch + blockBytes;
  const work = products + mPlaneBytes * places;
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const m0 = (grain % s.mBlocks) * s.mBlock;
    const mEnd = min(s.outC, m0 + s.mBlock);
    const block = grain / s.mBlocks;
    const t0 = block * s.tBlock;
    const n = min(s.tBlock, tiles - t0);
    const v = s.v ? s.v + <usize>block * blockBytes : scratch;
    if (!s.v) transformInput(s, scratch, work, t0, 0, s.inC);
    for (let m = m0; m < mEnd; m += COLUMNS) {
      const columns = min(COLUMNS, mEnd - m);
      const panels = (columns + panelColumns - 1) / panelColumns;
      for (let place = 0; place < places; place++) {
        const a = v + <usize>place * vPlaneBytes;
        const b = s.u + <usize>place * uPlaneBytes + <usize>(m / panelColumns) * panelBytes;
        const c = products + <usize>place * mPlaneBytes;
        gemmPackedRows(a, groupBytes, b, panelBytes, c, rowBytes, (n + 3) >> 2, panels, inC);
      }
      transformOutput(s, products, mPlaneBytes, work, m, columns, t0, n);
    }
  }
}

/** Y = Aᵀ·M·A for output channels [m0, m0 + columns) and the block's n tiles, plus bias, rectified or masked, or its maxima, into y. */
function transformOutput(
  s: WinogradArgs,
  products: usize,
  planeBytes: usize,
  work: usize,
  m0: i32,
  columns: i32,
  t0: i32,
  n: i32,
): void {
  const tile = outputsOf(s.alpha);
  const tilesW = (s.outW + tile - 1) / tile;
  const tilesH = (s.outH + tile - 1) / tile;
  const shrink = s.pool ? 1 : 0;
  const size = tile >> shrink;
  const height = s.outH >> shrink;
  const width = s.outW >> shrink;
  const channelBytes = (<usize>height * width) << 2;
  const rowBytes = (<usize>COLUMNS) << 2;
  const patch = work + WORK_BYTES;
  let tw = t0 % tilesW;
  let th = (t0 / tilesW) % tilesH;
  let image = t0 / (tilesH * tilesW);
  for (let t = 0; t < n; t++) {
    for (let o = 0; o < columns; o += 4) {
      const from = products + <usize>t * rowBytes + ((<usize>o) << 2);
      transformOutputTile(s.alpha, from, planeBytes, work, patch);
      if (s.pool) poolPatch(tile, patch);
      const channel = m0 + o;
      const plane = <usize>(image * s.yC + channel) * channelBytes;
      writePatch(
        size,
        patch,
        s.y + plane,
        s.mask ? s.mask + plane : 0,
        channelBytes,
        s.outC - channel,
        height,
        width,
        th * size,
        tw * size,
        s.bias ? v128.load(s.bias + ((<usize>channel) << 2)) : f32x4.splat(0),
        s.relu != 0,
      );
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
