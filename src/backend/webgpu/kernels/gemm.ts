/** The matrix product behind convolutions and linear layers: gemm.wgsl, with the loads and stores of whoever uses it. */
import { type CallContext, type Dispatch, grid } from "../dispatch.js";
import source from "./gemm.wgsl.js";

/**
 * What a workgroup computes of the result, what a thread of that, and how many terms at a time. All are multiples of 4; the threads of a
 * column and of a row (tileM / regM, tileN / regN) powers of two, at most 256 in all; tileK · (tileM + tileN) at most 4096 numbers.
 */
export interface GemmTile {
  readonly tileM: number;
  readonly tileN: number;
  readonly tileK: number;
  readonly regM: number;
  readonly regN: number;
}

/** Tiles by name, from large to small. */
export const GEMM_TILES = {
  "128x128": { tileM: 128, tileN: 128, tileK: 16, regM: 8, regN: 8 },
  "128x64": { tileM: 128, tileN: 64, tileK: 16, regM: 8, regN: 8 },
  "64x128": { tileM: 64, tileN: 128, tileK: 16, regM: 8, regN: 8 },
  "64x64": { tileM: 64, tileN: 64, tileK: 16, regM: 8, regN: 4 },
  "32x128": { tileM: 32, tileN: 128, tileK: 16, regM: 4, regN: 8 },
  "64x32": { tileM: 64, tileN: 32, tileK: 16, regM: 4, regN: 4 },
  "32x64": { tileM: 32, tileN: 64, tileK: 16, regM: 4, regN: 4 },
  "32x32": { tileM: 32, tileN: 32, tileK: 16, regM: 4, regN: 4 },
  "16x64": { tileM: 16, tileN: 64, tileK: 16, regM: 4, regN: 4 },
} as const satisfies Readonly<Record<string, GemmTile>>;

export type GemmTileName = keyof typeof GEMM_TILES;

/** A product: C[m, n] = sum over k of A[m, k] · B[n, k], `z` times. */
export interface Gemm {
  /** For profiles: `conv2dForwardGemm`. */
  readonly name: string;
  readonly m: number;
  readonly n: number;
  /** Terms of the longest sum. Long ones are made of partial sums; without it they are not. */
  readonly k?: number;
  /** Products at once: the source has the index of each as z. */
  readonly z?: number;
  /** WGSL with the functions that gemm.wgsl asks for. */
  readonly loads: string;
  /** Do four loaded elements run along k? Else along m, or n. */
  readonly aAlongK: boolean;
  readonly bAlongK: boolean;
  readonly constants: Dispatch["constants"];
  readonly tensors: Dispatch["tensors"];
  readonly writes: readonly string[];
  readonly uniforms?: Dispatch["uniforms"];
  readonly tile: GemmTile;
}

/** Above it, sums of 1024 terms are added up, which takes as many registers again. */
const LONG_SUM = 8192;

/** The dispatch of a product. */
export function gemm(
  { name, m, n, k = 0, z = 1, loads, aAlongK, bAlongK, tile, uniforms, ...rest }: Gemm,
  c: CallContext,
): Dispatch {
  const { tileM, tileN, tileK, regM, regN } = tile;
  const [tilesM, tilesN] = [Math.ceil(m / tileM), Math.ceil(n / tileN)];
  return {
    name,
    source: `${loads}\n${source}`,
    ...rest,
    constants: {
      ...rest.constants,
      ...(c.f16 ? { f16: true } : {}),
      A_ALONG_K: aAlongK,
      B_ALONG_K: bAlongK,
      LONG_SUM: k > LONG_SUM,
      TILE_M: tileM,
      TILE_N: tileN,
      TILE_K: tileK,
      REG_M: regM,
      REG_N: regN,
      RA: regM / 4,
      RB: regN / 4,
    },
    // Not constants: Winograd's products have one pipeline for all layers.
    uniforms: { ...uniforms, tiles_m: tilesM, tiles_n: tilesN, products: z },
    workgroups: grid(tilesM * tilesN * z, c),
  };
}

/** Workgroups that occupy a large GPU. */
export const ENOUGH_GROUPS = 128;

/**
 * How fast a tile is in the inner loop, where it is filled: products for each number that is read from workgroup memory, in the range of what
 * such kernels reach of a GPU's peak.
 */
function speedOf({ tileM, tileN, regM, regN }: GemmTile): number {
  const inner = (regM * regN) / (regM + regN);
  const outer = (tileM * tileN) / (tileM + tileN);
  return (inner / (inner + 1)) * (outer / (outer + 8));
}

/** What share of a GPU's speed a tile makes use of: its own speed, what of its products counts, how much of the GPU has work. */
export function tileScore(tile: GemmTile, m: number, n: number, z = 1): number {
  const [tilesM, tilesN] = [Math.ceil(m / tile.tileM), Math.ceil(n / tile.tileN)];
  const filled = (m * n) / (tilesM * tile.tileM * tilesN * tile.tileN);
  return speedOf(tile) * filled * Math.min(1, (tilesM * tilesN * z) / ENOUGH_GROUPS);
}

/** All tiles' names, the best first. */
export function gemmTileNames(m: number, n: number, z = 1): GemmTileName[] {
  const names = Object.keys(GEMM_TILES) as GemmTileName[];
  const score = (name: GemmTileName): number => tileScore(GEMM_TILES[name], m, n, z);
  return names.sort((a, b) => score(b) - score(a));
}

/** The tile that makes the most of a GPU. */
export function gemmTile(m: number, n: number, z = 1): GemmTile {
  return GEMM_TILES[gemmTileNames(m, n, z)[0]];
}
