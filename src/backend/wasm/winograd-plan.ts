/**
 * How Winograd's convolutions are cut into grains and how much memory they need: pure functions of the shape. The forward pass and
 * the input gradient are one kernel (assembly/winograd.ts), the weight gradient another (assembly/winograd-weight.ts).
 * The cuts decide who computes what; only `chunk` of the weight gradient is part of the result.
 */
import { blocks, rowBlocks } from "./conv-plan.js";

/** Places a side of a tile: two more than outputs, and 3 for maps of 2x2 (assembly/winograd-lines.ts). */
export type Alpha = 3 | 4 | 6 | 8;

/** A 3x3 stride-1 convolution as Winograd's kernels see it; the input gradient is one too, with in and out exchanged. */
export interface WinogradShape {
  readonly batch: number;
  readonly inC: number;
  readonly inH: number;
  readonly inW: number;
  readonly outC: number;
  readonly outH: number;
  readonly outW: number;
  readonly padH: number;
  readonly padW: number;
}

export interface WinogradCut {
  readonly mBlock: number;
  readonly mBlocks: number;
  readonly tBlock: number;
  readonly tBlocks: number;
  /** One launch transforms the input of all tiles first; else each grain that of its own tiles. */
  readonly inputFirst: boolean;
}

/** COLUMNS of assembly/winograd.ts. */
const COLUMNS = 64;
/** CHANNEL_BLOCK of assembly/winograd.ts and winograd-weight.ts. */
export const CHANNEL_BLOCK = 64;
/** TILE_BLOCK of assembly/winograd-weight.ts. */
export const TILE_BLOCK = 32;
/** ROW_BLOCK of assembly/winograd-weight.ts. */
export const ROW_BLOCK = 128;

/** What a grain transforms and multiplies at a time is kept within this: a second-level cache. */
const BLOCK_BYTES = 3 << 18;
const MAX_TILES = 64;
const MIN_TILES = 16;
/**
 * Above this all input is transformed first, so that the filters are not read again for each small block of tiles. At 56x56 with 256 channels,
 * 9.4 MB of filters: 25.3 ms instead of 30.2 (plain, one core).
 */
const MAX_FILTER_BYTES = 17 << 18;
/** Filters that are not kept are transformed in parts of as many output channels as fit into this: there again a third-level cache. */
const PART_BYTES = 10 << 20;
/** How much longer than even shares the busiest thread may work before tiles are cut another way. */
const MOST_UNEVEN = 1.08;

function padded(channels: number, unit: number): number {
  return Math.ceil(channels / unit) * unit;
}

/** Places of a transformed tile. */
function placesOf(alpha: Alpha): number {
  return alpha ** 2;
}

function tilesOf({ batch, outH, outW }: WinogradShape, alpha: Alpha): number {
  const outputs = alpha === 3 ? 2 : alpha - 2;
  return batch * Math.ceil(outH / outputs) * Math.ceil(outW / outputs);
}

/** Grains of the convolution: `tBlock` tiles by `mBlock` output channels. */
export function cutWinograd(s: WinogradShape, alpha: Alpha, threads: number): WinogradCut {
  const tiles = tilesOf(s, alpha);
  const tileBytes = placesOf(alpha) * 4 * (padded(s.inC, 4) + COLUMNS);
  const most = Math.min(MAX_TILES, Math.max(MIN_TILES, Math.floor(BLOCK_BYTES / tileBytes / 4) * 4));
  const own = evenBlocks(tiles, most, threads);
  const busiest = Math.ceil(own.count / threads) * own.block;
  if (winogradWeightBytes(s, alpha) <= MAX_FILTER_BYTES && busiest * threads <= tiles * MOST_UNEVEN) {
    return { mBlock: s.outC, mBlocks: 1, tBlock: own.block, tBlocks: own.count, inputFirst: false };
  }
  const { block, count } = blocks(tiles, MAX_TILES, 4);
  return { ...cutChannels(s.outC, count), tBlock: block, tBlocks: count, inputFirst: true };
}

/** Grains of output channels, beside `tBlocks` blocks of tiles. */
export function cutChannels(outC: number, tBlocks: number): Pick<WinogradCut, "mBlock" | "mBlocks"> {
  const { block, count } = rowBlocks(outC, outC, 32, tBlocks, 16);
  return { mBlock: block, mBlocks: count };
}

/** Blocks of at most `most` tiles, of which the busiest of `threads` threads gets as few tiles as can be. */
function evenBlocks(tiles: number, most: number, threads: number): { block: number; count: number } {
  let best = blocks(tiles, most, 4);
  for (let limit = most - 4; limit >= MIN_TILES; limit -= 4) {
    const other = blocks(tiles, limit, 4);
    const busiest = (cut: typeof other) => Math.ceil(cut.count / threads) * cut.block;
    if (busiest(other) < busiest(best)) best = other;
  }
  return best;
}

/** Bytes of the transformed filters; channels fill the widest tier's panels (packedColumns in assembly/gemm-packed.ts). */
export function winogradWeightBytes(s: WinogradShape, alpha: Alpha): number {
  return placesOf(alpha) * (padded(s.outC, 16) * padded(s.inC, 4) * 4 + 64);
}

/** Output channels of a part of filters that are not kept; all of them where no launch transforms the input first, once for all parts. */
export function partChannels(s: WinogradShape, alpha: Alpha, { inputFirst }: WinogradCut): number {
  const channelBytes = placesOf(alpha) * padded(s.inC, 4) * 4;
  return inputFirst ? Math.min(s.outC, Math.max(64, Math.floor(PART_BYTES / channelBytes / 16) * 16)) : s.outC;
}

/** Bytes of the transformed input of one block of tiles. */
function blockBytes(s: WinogradShape, alpha: Alpha, { tBlock }: WinogradCut): number {
  return placesOf(alpha) * (tBlock * padded(s.inC, 4) * 4 + 64);
}

/** Bytes of the transformed input of all tiles, where it is made first. */
export function winogradInputBytes(s: WinogradShape, alpha: Alpha, cut: WinogradCut): number {
  return cut.inputFirst ? cut.tBlocks * blockBytes(s, alpha, cut) : 0;
}

/** Memory that each worker needs for the convolution itself. */
export function winogradWorkerBytes(s: WinogradShape, alpha: Alpha, cut: WinogradCut): number {
  const products = placesOf(alpha) * (cut.tBlock * COLUMNS * 4 + 64);
  return (cut.inputFirst ? 0 : blockBytes(s, alpha, cut)) + products + TRANSFORM_BYTES;
}

/** Memory that each worker needs for a transform: twice WORK_BYTES of assembly/winograd-lines.ts. */
export const TRANSFORM_BYTES = 2048;

/** Memory that each worker needs to transform filters. */
export function winogradFilterBytes(alpha: Alpha): number {
  return TRANSFORM_BYTES + placesOf(alpha) * (CHANNEL_BLOCK * 64 + 64);
}

/** Transformed tiles of one chunk of the weight gradient are kept within this: a third-level cache, where the sum allows it. */
const CHUNK_BYTES = 8 << 20;
/** They take no more shared scratch memory than this. */
const MAX_CHUNK_BYTES = 64 << 20;

export interface WinogradGradientCut {
  /** Tiles of a chunk, a multiple of 4, and the number of chunks. */
  readonly chunk: number;
  readonly chunks: number;
  readonly tiles: number;
  /** Bytes of the chunk's transformed input, of its transformed gradients, and of the sum of products. */
  readonly inputBytes: number;
  readonly gradientBytes: number;
  readonly productBytes: number;
}

/**
 * Chunks of the weight gradient's sum over tiles. Each chunk reads and writes the sum of products once, so it has at least twice
 * as many tiles as make that traffic equal to the tiles' own.
 */
export function cutWinogradGradient(s: WinogradShape, alpha: Alpha): WinogradGradientCut {
  const places = placesOf(alpha);
  const tiles = tilesOf(s, alpha);
  const inC = padded(s.inC, 16);
  const outC = padded(s.outC, 4);
  const cached = Math.floor(CHUNK_BYTES / (places * 4 * (inC + outC)));
  const balanced = Math.ceil((2 * inC * outC) / (inC + outC));
  const fitting = Math.floor(MAX_CHUNK_BYTES / (places * 16 * (inC + outC))) * 4;
  const { block, count } = blocks(tiles, Math.max(4, Math.min(fitting, Math.max(cached, balanced))), 4);
  return {
    chunk: block,
    chunks: count,
    tiles,
    inputBytes: places * (inC * block * 4 + 64),
    gradientBytes: places * (outC * block * 4 + 64),
    productBytes: places * (outC * inC * 4 + 64),
  };
}
