/**
 * How a convolution is computed on a GPU: by which algorithm, in which tiles, in how many chunks. Pure functions of the shape and of what
 * the device is; conv2d.ts makes dispatches of the answers.
 */
import type { Conv2dShape } from "../../backend.js";
import type { Candidates, LoweringContext } from "../dispatch.js";
import { ENOUGH_GROUPS, GEMM_TILES, type GemmTile, type GemmTileName, gemmTileNames, tileScore } from "./gemm.js";
import { type Direction, type WinogradTile, winogradTiles, winogradWorth } from "./winograd.js";

export type ConvAlgorithm = `winograd${WinogradTile}` | `gemm ${GemmTileName}`;

/** A convolution as a matrix product: rows, columns, terms of a sum, and how many products. */
export interface Product {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly z: number;
}

/** The product of a direction. Strided input gradients have one for each class of pixels (conv2d.wgsl). */
export function productOf(s: Conv2dShape, direction: Direction): Product {
  const [groupIn, groupOut, places] = [s.inC / s.groups, s.outC / s.groups, s.kH * s.kW];
  const outputs = s.batch * s.outH * s.outW;
  if (direction === "forward") return { m: groupOut, n: outputs, k: groupIn * places, z: s.groups };
  if (direction === "backwardWeight") return { m: groupOut, n: groupIn * places, k: outputs, z: s.groups };
  const [h, w] = sidesOf(s);
  const n = s.batch * Math.ceil(s.inH / s.strideH) * Math.ceil(s.inW / s.strideW);
  return { m: groupIn, n, k: groupOut * h.places * w.places, z: s.groups * s.strideH * s.strideW };
}

/** Which places of a kernel see a pixel of x along one side: place · dilation ≡ pixel + pad, modulo the stride. */
export interface Side {
  /** The greatest common divisor of stride and dilation: pixel + pad must be a multiple of it. */
  readonly common: number;
  /** The first place is (pixel + pad) % stride / common · inverse % every, and each `every`th one follows. */
  readonly inverse: number;
  readonly every: number;
  /** How many there are, at most. */
  readonly places: number;
}

/** Along the height and along the width. */
export function sidesOf(s: Conv2dShape): [Side, Side] {
  return [sideOf(s.kH, s.strideH, s.dilationH), sideOf(s.kW, s.strideW, s.dilationW)];
}

function sideOf(kernel: number, stride: number, dilation: number): Side {
  let [common, rest] = [stride, dilation];
  while (rest > 0) [common, rest] = [rest, common % rest];
  const every = stride / common;
  let inverse = 1;
  while (every > 1 && ((dilation / common) * inverse) % every !== 1) inverse++;
  return { common, inverse, every, places: Math.ceil(kernel / every) };
}

/** The pixels that a weight gradient sums, in chunks of `chunk`. */
export interface Chunks {
  readonly chunk: number;
  readonly chunks: number;
}

/** Terms of a float32 sum that are few enough to be added one after the other. */
const CHAIN = 4096;
/** For the parts of weight gradients, all chunks together. */
const MAX_PARTS_BYTES = 64 << 20;
/** Chunks are whole steps of every tile, and long enough to be worth a workgroup. */
const CHUNK_UNIT = 256;

/** Enough chunks that all of a GPU has work and no sum is long, as far as there is memory for their parts. */
export function chunksOf(s: Conv2dShape, tile: GemmTile, { pieceBytes }: LoweringContext): Chunks {
  const { m, n, k, z } = productOf(s, "backwardWeight");
  const groups = Math.ceil(m / tile.tileM) * Math.ceil(n / tile.tileN) * z;
  const wanted = Math.max(Math.ceil(k / CHAIN), Math.ceil((4 * ENOUGH_GROUPS) / groups));
  const most = Math.min(Math.ceil(k / CHUNK_UNIT), Math.floor(Math.min(MAX_PARTS_BYTES, pieceBytes) / (m * n * z * 4)));
  const count = Math.max(1, Math.min(wanted, most));
  const chunk = Math.ceil(k / count / CHUNK_UNIT) * CHUNK_UNIT;
  return { chunk, chunks: Math.ceil(k / chunk) };
}

/** Is the max-pooling that follows part of it? Its tiles are the same, but not what is fastest. */
export interface ConvWork {
  readonly direction: Direction;
  readonly pool?: boolean;
}

/**
 * How to compute one of a convolution's kernels. `auto`: what the device was measured to be fastest by, else Winograd's where arithmetic and
 * memory traffic say that it pays (winograd-plan.ts). Names of Winograd's tiles force them where they are possible; F(6x6) is there on wasm
 * alone. `im2col` and `exact` are the product.
 */
export function conv2dAlgorithm(s: Conv2dShape, work: ConvWork, c: LoweringContext): ConvAlgorithm {
  const { direction } = work;
  const [tile] = gemmTileNames(...resultOf(s, direction));
  const product = `gemm ${tile}` as const;
  const tiles = winogradTiles(s, direction, c);
  switch (c.convAlgorithm) {
    case "auto": {
      const { key, names } = conv2dCandidates(s, work, c);
      const tuned = c.tuned(key);
      const worth = winogradWorth(s, direction, c);
      return names.find((name) => name === tuned) ?? (worth === null ? product : `winograd${worth}`);
    }
    case "winograd2":
      return tiles.includes(2) ? "winograd2" : product;
    case "winograd4":
    case "winograd6":
      return tiles.includes(4) ? "winograd4" : product;
    default:
      return product;
  }
}

/** The tile of a product; null for Winograd's algorithms. */
export function tileOf(algorithm: ConvAlgorithm): GemmTile | null {
  const [word, name] = algorithm.split(" ");
  return word === "gemm" ? GEMM_TILES[name as GemmTileName] : null;
}

/** What a tile computes all at once of a direction. Weight gradients are cut into as many chunks as a GPU needs. */
function resultOf(s: Conv2dShape, direction: Direction): readonly [m: number, n: number, z: number] {
  const { m, n, k, z } = productOf(s, direction);
  return [m, n, direction === "backwardWeight" ? z * Math.ceil(k / CHUNK_UNIT) : z];
}

/** Tiles that are worth a measurement: no worse than this share of the best one's score. */
const CANDIDATE_SCORE = 0.6;
const MAX_TILES = 4;

export interface ConvCandidates extends Candidates {
  readonly names: readonly ConvAlgorithm[];
}

/** All that may be fastest for a shape. Batches that differ by less than twice are alike. */
export function conv2dCandidates(
  s: Conv2dShape,
  { direction, pool = false }: ConvWork,
  c: LoweringContext,
): ConvCandidates {
  const result = resultOf(s, direction);
  const names = gemmTileNames(...result);
  const score = (name: GemmTileName): number => tileScore(GEMM_TILES[name], ...result);
  const good = names.filter((name) => score(name) >= CANDIDATE_SCORE * score(names[0])).slice(0, MAX_TILES);
  const batch = 2 ** Math.ceil(Math.log2(s.batch));
  const { inC, inH, inW, outC, outH, outW, kH, kW, strideH, strideW, padH, padW, dilationH, dilationW, groups } = s;
  const facts = [inC, inH, inW, outC, outH, outW, kH, kW, strideH, strideW, padH, padW, dilationH, dilationW, groups];
  return {
    key: `conv2d ${direction}${pool ? " pool" : ""}${c.f16 ? " f16" : ""} ${batch} ${facts.join(" ")}`,
    names: [
      ...good.map((name) => `gemm ${name}` as const),
      ...winogradTiles(s, direction, c).map((tile) => `winograd${tile}` as const),
    ],
  };
}
