// Weight gradient by Winograd's F(m×m, 3×3): for each of the α² places of a tile dU[outC × inC] = Zᵀ · V, summed over the tiles
// of all images, where V = Bᵀ·d·B are the input's tiles and Z = A·dy·Aᵀ those of dy; dWeight = Gᵀ·dU·G once at the end.
// Tiles are taken in chunks, given by the shape (src/backend/wasm/winograd-plan.ts), so that V and Z stay in a large cache:
//
//   winogradGradientTiles     v: α² planes of panels of input channels, a row per tile           + 64 bytes a plane
//                             z: α² planes of groups of 4 output channels, form Columns          + 64 bytes a plane
//   winogradGradientProduct   du (+)= Zᵀ·V: α² planes of [outC4 × inC16]                         + 64 bytes a plane
//     … both once for each chunk, then
//   winogradGradientWeight    dWeight (+)= Gᵀ·du·G
//
// Next layers down: winograd-read.ts, winograd-filter.ts, gemm-packed.ts.
import { gemmPackedColumns, packedColumns, packedRowBytes } from "./gemm-packed";
import { transformInverse } from "./winograd-filter";
import { outputsOf, WORK_BYTES } from "./winograd-lines";
import { transformGradientTile, transformInputTile } from "./winograd-read";

/** Tiles and channels of one grain of the transforms. */
const TILE_BLOCK: i32 = 32;
const CHANNEL_BLOCK: i32 = 64;
/** Output channels of one grain of the product. */
const ROW_BLOCK: i32 = 128;

/** Argument record of Winograd's weight gradient. */
@unmanaged
export class WinogradGradientArgs {
  x: usize;
  dy: usize;
  dWeight: usize;
  v: usize;
  z: usize;
  du: usize;
  batch: i32;
  inC: i32;
  inH: i32;
  inW: i32;
  outC: i32;
  outH: i32;
  outW: i32;
  padH: i32;
  padW: i32;
  /** α: 4, 6 or 8, or 3 for maps of 2×2 (winograd-lines.ts). */
  alpha: i32;
  /** The chunk's first tile and the number of its tiles. */
  tileBegin: i32;
  tileCount: i32;
  /** Tiles that v and z have room for: a multiple of 4. */
  chunk: i32;
  /** winogradGradientProduct: 1 adds to du; winogradGradientWeight: 1 adds to dWeight. */
  accumulate: i32;
}

function inputPlaneBytes(s: WinogradGradientArgs): usize {
  return <usize>s.chunk * productRowBytes(s) + 64;
}

function gradientPlaneBytes(s: WinogradGradientArgs): usize {
  return ((<usize>((s.outC + 3) >> 2) * <usize>s.chunk) << 4) + 64;
}

function productRowBytes(s: WinogradGradientArgs): usize {
  return (<usize>((s.inC + 15) & ~15)) << 2;
}

function productPlaneBytes(s: WinogradGradientArgs): usize {
  return <usize>((s.outC + 3) & ~3) * productRowBytes(s) + 64;
}

/**
 * v and z of the chunk. Grain g: tiles block g / blocks (TILE_BLOCK of them) of channels block g % blocks (CHANNEL_BLOCK of
 * them): those of the input first, then those of dy. The tiles that fill the last four up are 0.
 * Worker scratch: WORK_BYTES.
 */
export function winogradGradientTiles(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<WinogradGradientArgs>(args);
  const inBlocks = (s.inC + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK;
  const blocks = inBlocks + (s.outC + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK;
  const paddedCount = (s.tileCount + 3) & ~3;
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const t0 = (grain / blocks) * TILE_BLOCK;
    const tEnd = min(paddedCount, t0 + TILE_BLOCK);
    const block = grain % blocks;
    if (block < inBlocks) {
      const c0 = block * CHANNEL_BLOCK;
      transformInputs(s, scratch, t0, tEnd, c0, min(s.inC, c0 + CHANNEL_BLOCK));
    } else {
      const o0 = (block - inBlocks) * CHANNEL_BLOCK;
      transformGradients(s, scratch, t0, tEnd, o0, min(s.outC, o0 + CHANNEL_BLOCK));
    }
  }
}

function transformInputs(s: WinogradGradientArgs, work: usize, t0: i32, tEnd: i32, c0: i32, cEnd: i32): void {
  const tile = outputsOf(s.alpha);
  const tilesW = (s.outW + tile - 1) / tile;
  const tilesH = (s.outH + tile - 1) / tile;
  const channelBytes = (<usize>s.inH * s.inW) << 2;
  const planeBytes = inputPlaneBytes(s);
  const panelBytes = <usize>s.chunk * packedRowBytes();
  const columns = packedColumns();
  for (let panel = c0; panel < cEnd; panel += columns) {
    for (let t = t0; t < tEnd; t++) {
      const row = (s.tileBegin + t) / tilesW;
      const image = row / tilesH;
      // A tile beyond the last one lies below the plane: all zeros.
      const top = t < s.tileCount ? (row - image * tilesH) * tile - s.padH : s.inH;
      const left = (s.tileBegin + t - row * tilesW) * tile - s.padW;
      const planes = s.x + <usize>image * s.inC * channelBytes;
      for (let c = panel; c < min(cEnd, panel + columns); c += 4) {
        const to = s.v + <usize>(c / columns) * panelBytes + <usize>t * packedRowBytes() + ((<usize>(c - panel)) << 2);
        transformInputTile(s.alpha, work, planes, channelBytes, c, s.inC, s.inH, s.inW, top, left, to, planeBytes);
      }
    }
  }
}

function transformGradients(s: WinogradGradientArgs, work: usize, t0: i32, tEnd: i32, o0: i32, oEnd: i32): void {
  const tile = outputsOf(s.alpha);
  const tilesW = (s.outW + tile - 1) / tile;
  const tilesH = (s.outH + tile - 1) / tile;
  const channelBytes = (<usize>s.outH * s.outW) << 2;
  const planeBytes = gradientPlaneBytes(s);
  const groupBytes = (<usize>s.chunk) << 4;
  for (let o = o0; o < oEnd; o += 4) {
    for (let t = t0; t < tEnd; t++) {
      const row = (s.tileBegin + t) / tilesW;
      const image = row / tilesH;
      const top = t < s.tileCount ? (row - image * tilesH) * tile : s.outH;
      const left = (s.tileBegin + t - row * tilesW) * tile;
      const planes = s.dy + <usize>image * s.outC * channelBytes;
      const to = s.z + <usize>(o >> 2) * groupBytes + ((<usize>t) << 4);
      transformGradientTile(s.alpha, work, planes, channelBytes, o, s.outC, s.outH, s.outW, top, left, to, planeBytes);
    }
  }
}

/** du (+)= Zᵀ·V of the chunk. Grain g: output channels block g / α² (ROW_BLOCK of them) of place g % α². */
export function winogradGradientProduct(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<WinogradGradientArgs>(args);
  const places = s.alpha * s.alpha;
  const panelBytes = <usize>s.chunk * packedRowBytes();
  const columns = packedColumns();
  const panels = (s.inC + columns - 1) / columns;
  const groupBytes = (<usize>s.chunk) << 4;
  const rowBytes = productRowBytes(s);
  const count = (s.tileCount + 3) & ~3;
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const place = grain % places;
    const o0 = (grain / places) * ROW_BLOCK;
    const groups = (min(ROW_BLOCK, s.outC - o0) + 3) >> 2;
    const a = s.z + <usize>place * gradientPlaneBytes(s) + <usize>(o0 >> 2) * groupBytes;
    const b = s.v + <usize>place * inputPlaneBytes(s);
    const c = s.du + <usize>place * productPlaneBytes(s) + <usize>o0 * rowBytes;
    gemmPackedColumns(a, groupBytes, b, panelBytes, c, rowBytes, groups, panels, count, s.accumulate != 0);
  }
}

/** dWeight (+)= Gᵀ·du·G. Grain g: output channel g. Worker scratch: 2 · WORK_BYTES. */
export function winogradGradientWeight(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<WinogradGradientArgs>(args);
  const rowBytes = productRowBytes(s);
  const planeBytes = productPlaneBytes(s);
  const taps = scratch + WORK_BYTES;
  for (let o = grainBegin; o < grainEnd; o++) {
    for (let c = 0; c < s.inC; c += 4) {
      const from = s.du + <usize>o * rowBytes + ((<usize>c) << 2);
      transformInverse(s.alpha, from, planeBytes, scratch, taps);
      const to = s.dWeight + ((<usize>((o * s.inC + c) * 9)) << 2);
      writeTaps(taps, to, min(4, s.inC - c), s.accumulate != 0);
    }
  }
}

/** Writes the nine taps of `count` filters, one in each lane, one filter after the other. */
function writeTaps(taps: usize, to: usize, count: i32, accumulate: bool): void {
  for (let half = 0; half < 2; half++) {
    const a = v128.load(taps);
    const b = v128.load(taps, 16);
    const c = v128.load(taps, 32);
    const d = v128.load(taps, 48);
    const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
    const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
    const abHigh = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
    const cdHigh = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
    const at = to + ((<usize>half) << 4);
    writeFour(at, v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), accumulate);
    if (count > 1) writeFour(at + 36, v128.shuffle<f32>(ab, cd, 2, 3, 6, 7), accumulate);
    if (count > 2) writeFour(at + 72, v128.shuffle<f32>(abHigh, cdHigh, 0, 1, 4, 5), accumulate);
    if (count > 3) writeFour(at + 108, v128.shuffle<f32>(abHigh, cdHigh, 2, 3, 6, 7), accumulate);
    taps += 64;
  }
  for (let lane = 0; lane < count; lane++) {
    const value = load<f32>(taps + ((<usize>lane) << 2));
    const at = to + <usize>lane * 36 + 32;
    store<f32>(at, accumulate ? load<f32>(at) + value : value);
  }
}

function writeFour(to: usize, values: v128, accumulate: bool): void {
  v128.store(to, accumulate ? f32x4.add(v128.load(to), values) : values);
}
