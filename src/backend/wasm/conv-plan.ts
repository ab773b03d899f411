/**
 * How convolutions and matrix products are cut into grains: pure functions of the shape, never of the number of threads.
 * The cuts decide who computes what, not in which order numbers are added, except for `chunk` of the weight gradient:
 * it is part of the result.
 *
 * The numbers keep one grain's packed panels, tile and offset table inside a second-level cache of 512 KB.
 */
import type { Conv2dShape, LinearShape } from "../backend.js";
import type { Alpha } from "./winograd-plan.js";

/** Must equal KC of assembly/gemm.ts. */
export const KC = 256;

/** Columns of a tile: 96 x 256 floats of packed panels are 98 KB. */
const MAX_COLUMNS = 96;
/** Rows of a tile: 256 x 96 floats are 98 KB. */
const MAX_ROWS = 256;
/** As many grains as keep 16 threads busy to the end, where the shape has them. */
export const WANTED_GRAINS = 32;
/** Partial sums of a weight gradient may take this much shared scratch memory. */
const MAX_PARTIAL_BYTES = 16 << 20;

export interface Cut {
  /** Groups of one grain, which share its offset table. */
  readonly groupBlock: number;
  readonly groupBlocks: number;
  readonly mBlock: number;
  readonly mBlocks: number;
  readonly nBlock: number;
  readonly nBlocks: number;
  readonly chunk: number;
  readonly chunks: number;
}

/** Cuts `total` into equal blocks of at most `most`, each a multiple of `unit` (but for the last). */
export function blocks(total: number, most: number, unit: number): { block: number; count: number } {
  const block = Math.ceil(Math.ceil(total / Math.ceil(total / most)) / unit) * unit;
  return { block, count: Math.ceil(total / block) };
}

/** Halves the rows of a tile until there are enough grains; each halving prepares the other side once more. */
export function rowBlocks(
  rows: number,
  most: number,
  least: number,
  others: number,
  unit = 4,
): { block: number; count: number } {
  let limit = most;
  while (limit > least && Math.ceil(rows / limit) * others < WANTED_GRAINS) limit /= 2;
  return blocks(rows, Math.max(limit, least), unit);
}

/** Halves the groups of a grain, at first `most`, until there are enough grains. */
function cutGroups(groups: number, most: number, others: number): { groupBlock: number; groupBlocks: number } {
  let limit = Math.min(groups, Math.max(1, most));
  while (limit > 1 && Math.ceil(groups / limit) * others < WANTED_GRAINS) limit = Math.ceil(limit / 2);
  const { block, count } = blocks(groups, limit, 1);
  return { groupBlock: block, groupBlocks: count };
}

/** y: rows are a group's output channels, columns are pixels of all images. */
export function cutConv2dForward(s: Conv2dShape): Cut {
  const n = blocks(s.batch * s.outH * s.outW, MAX_COLUMNS, 8);
  const m = rowBlocks(s.outC / s.groups, MAX_ROWS, 32, n.count * s.groups);
  const groups = cutGroups(s.groups, s.groups, n.count * m.count);
  return { ...groups, mBlock: m.block, mBlocks: m.count, nBlock: n.block, nBlocks: n.count, chunk: 0, chunks: 1 };
}

/** dx: `mBlock` channels of a group, of `chunk` images; tiles have mBlock·kH·kW rows. */
export function cutConv2dBackwardInput(s: Conv2dShape): Cut {
  const taps = s.kH * s.kW;
  const plane = s.outH * s.outW;
  const chunk = Math.min(s.batch, Math.max(1, Math.floor(MAX_COLUMNS / plane)));
  const chunks = Math.ceil(s.batch / chunk);
  const nBlock = blocks(chunk * plane, MAX_COLUMNS, 8).block;
  const inC = s.inC / s.groups;
  const others = chunks * s.groups;
  let channels = Math.max(1, Math.floor(MAX_ROWS / taps));
  while (channels > 4 && Math.ceil(inC / channels) * others < WANTED_GRAINS) channels = Math.ceil(channels / 2);
  const m = blocks(inC, channels, 1);
  const groups = cutGroups(s.groups, s.groups, chunks * m.count);
  return { ...groups, mBlock: m.block, mBlocks: m.count, nBlock, nBlocks: 1, chunk, chunks };
}

/** dWeight: rows are a group's output channels, columns its (c, kh, kw), the sum runs over `chunks` chunks of pixels. */
export function cutConv2dBackwardWeight(s: Conv2dShape): Cut {
  const columns = (s.inC / s.groups) * s.kH * s.kW;
  const pixelBlocks = Math.ceil((s.batch * s.outH * s.outW) / KC);
  const m = blocks(s.outC / s.groups, MAX_ROWS, 4);
  const n = blocks(columns, MAX_COLUMNS, 8);
  const mostChunks = Math.min(pixelBlocks, Math.floor(MAX_PARTIAL_BYTES / (s.outC * columns * 4)));
  // Chunks first: another block of groups makes the offset tables once more. All tiles of a grain fit where one large one does.
  const tiles = Math.floor((MAX_ROWS * MAX_COLUMNS) / (m.block * n.block));
  const groups = cutGroups(s.groups, tiles, m.count * n.count * Math.max(1, mostChunks));
  const most = Math.min(Math.ceil(WANTED_GRAINS / (m.count * n.count * groups.groupBlocks)), mostChunks);
  const perChunk = Math.ceil(pixelBlocks / Math.max(1, most));
  return {
    ...groups,
    mBlock: m.block,
    mBlocks: m.count,
    nBlock: n.block,
    nBlocks: n.count,
    chunk: perChunk * KC,
    chunks: Math.ceil(pixelBlocks / perChunk),
  };
}

/** Rows of weight in one grain of linear's forward pass and weight gradient. */
export function cutLinearRows(s: LinearShape): { block: number; count: number } {
  return blocks(s.outFeatures, Math.min(64, Math.max(4, Math.ceil(s.outFeatures / WANTED_GRAINS))), 4);
}

/** 128 KB of packed panels in linear's weight gradient. */
const LINEAR_PACKED_FLOATS = 32 << 10;

/**
 * Up to so many images linear's input gradient reads weights in place, without packing. Fc6, one core of a Zen 4, relaxed, in place and packed:
 * 8 images 51 and 90 ms, 32 183 and 207.
 */
export const LINEAR_IN_PLACE_BATCH = 32;

/** Columns that linear's weight gradient works on at a time: pieces of rows as long as leave the packed panels in cache. */
export function linearTileColumns(s: LinearShape): number {
  const most = Math.floor(LINEAR_PACKED_FLOATS / s.batch / 8) * 8;
  return Math.min(4096, Math.max(64, most));
}

/** Columns of dx in one grain of linear's input gradient where weights are read in place: long pieces of rows, for the prefetcher. */
export function cutLinearColumnsInPlace(s: LinearShape): { block: number; count: number } {
  return blocks(s.inFeatures, Math.min(1024, Math.max(256, Math.ceil(s.inFeatures / WANTED_GRAINS))), 8);
}

/** Columns of dx in one grain of linear's input gradient. */
export function cutLinearColumns(s: LinearShape): { block: number; count: number } {
  return blocks(s.inFeatures, Math.min(MAX_COLUMNS, Math.max(8, Math.ceil(s.inFeatures / WANTED_GRAINS))), 8);
}

/**
 * How to convolve: `im2col` for any shape; `winograd2`, `winograd4`, `winograd6` (F(2x2), F(4x4), F(6x6), 3x3) for 3x3 with stride 1,
 * one group, no dilation; `winograd2map` for maps of 2x2 with padding 1 alone: 9 products, where F(2x2) takes 16 for a
 * tile with a border of zeros.
 */
export type ConvAlgorithm = "im2col" | "winograd2" | "winograd2map" | "winograd4" | "winograd6";

/** Which of a convolution's three kernels. */
export type ConvDirection = "forward" | "backwardInput" | "backwardWeight";

/**
 * What an engine may be told: `auto` chooses by shape what is fastest; `exact` only among those with the smallest rounding errors
 * (im2col and F(2x2)); an algorithm's name forces it wherever it is possible.
 */
export type ConvAlgorithmOption = Exclude<ConvAlgorithm, "winograd2map"> | "auto" | "exact";

/**
 * Below this many channels on either side the transforms cost more than the products they save. At 112x112 Winograd's gain, forward and
 * input gradient: 8 channels 0.79 and 1.11 times, 12 0.98 and 1.31, 16 1.15 and 1.46 (npm run bench -- --filter conv-plan).
 */
const WINOGRAD_MIN_CHANNELS = 16;
/**
 * Below this many tiles of 2x2 transforming the weights costs more. With 512 channels the gain is 0.65 and 1.13 times at 9 tiles, 1.00 and
 * 1.43 at 16; at 25, which fill blocks of 8 badly, 0.89 and 1.08; at 49 1.27 and 1.34 (the same bench).
 */
const WINOGRAD_MIN_TILES = 16;

/**
 * From this size of map on F(6x6) is chosen: smaller ones fill its tiles badly. At 112x112 with 128 channels and batch 4 it takes, of F(4x4)'s
 * time, 0.89 forward, 0.97 input gradient, 0.86 weight gradient (plain; turbo 0.98, 1.01, 1.05); at 56x56 with 256 1.0, 0.9 and 0.9, but turbo 1.08,
 * 1.24 and 0.98.
 */
const WINOGRAD6_MIN_SIZE = 96;

/** The algorithm of one of a convolution's kernels. */
export function conv2dAlgorithm(
  s: Conv2dShape,
  option: ConvAlgorithmOption = "auto",
  direction: ConvDirection = "forward",
): ConvAlgorithm {
  const plain = s.strideH === 1 && s.strideW === 1 && s.dilationH === 1 && s.dilationW === 1 && s.groups === 1;
  const possible = plain && s.kH === 3 && s.kW === 3 && s.padH <= 2 && s.padW <= 2;
  if (!possible) return "im2col";
  const map2 = [s.inH, s.inW, s.outH, s.outW].every((size) => size === 2) && s.padH === 1 && s.padW === 1;
  if (option !== "auto" && option !== "exact") return option;
  const tiles = s.batch * Math.ceil(s.outH / 2) * Math.ceil(s.outW / 2);
  const channels = Math.min(s.inC, s.outC);
  if (channels < WINOGRAD_MIN_CHANNELS || tiles < WINOGRAD_MIN_TILES) return "im2col";
  if (map2 && option === "auto") return "winograd2map";
  if (option === "exact") return direction === "backwardWeight" ? "im2col" : "winograd2";
  const size = Math.min(s.outH, s.outW);
  // A tile of 4x4 for two rows or columns would make 36 products for 4 outputs, as many as im2col.
  if (size <= 2) return "winograd2";
  return size < WINOGRAD6_MIN_SIZE ? "winograd4" : "winograd6";
}

/** Places a side of Winograd's tiles, or null for an algorithm without. */
export function winogradAlphaOf(algorithm: ConvAlgorithm): Alpha | null {
  switch (algorithm) {
    case "winograd2map":
      return 3;
    case "winograd2":
      return 4;
    case "winograd4":
      return 6;
    case "winograd6":
      return 8;
    default:
      return null;
  }
}
