/** The matrix product behind convolutions and linear layers: gemm.wgsl, with the loads and stores of whoever uses it. */
import type { CallContext, Dispatch } from "../dispatch.js";
import source from "./gemm.wgsl.js";

/** What a workgroup computes of the result, what a thread of that, and how many terms at a time. All are multiples of 4. */
export interface GemmTile {
  readonly tileM: number;
  readonly tileN: number;
  readonly tileK: number;
  readonly regM: number;
  readonly regN: number;
}

/** Tiles by name, from large to small; each needs (tileM / regM) · (tileN / regN) threads, at most 256. */
export const GEMM_TILES = {
  "128x128": { tileM: 128, tileN: 128, tileK: 8, regM: 8, regN: 8 },
  "128x64": { tileM: 128, tileN: 64, tileK: 8, regM: 8, regN: 4 },
  "64x64": { tileM: 64, tileN: 64, tileK: 16, regM: 4, regN: 4 },
  "32x64": { tileM: 32, tileN: 64, tileK: 16, regM: 4, regN: 4 },
  "32x32": { tileM: 32, tileN: 32, tileK: 16, regM: 4, regN: 4 },
  "16x64": { tileM: 16, tileN: 64, tileK: 16, regM: 4, regN: 4 },
} as const satisfies Readonly<Record<string, GemmTile>>;

/** A product: C[m, n] = sum over k of A[m, k] · B[n, k], `z` times. */
export interface Gemm {
  /** For profiles: `conv2dForwardGemm`. */
  readonly name: string;
  readonly m: number;
  readonly n: number;
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

/** The dispatch of a product. */
export function gemm({ name, m, n, z = 1, loads, aAlongK, bAlongK, tile, ...rest }: Gemm, c: CallContext): Dispatch {
  const { tileM, tileN, tileK, regM, regN } = tile;
  return {
    name,
    source: `${loads}\n${source}`,
    uniforms: {},
    ...rest,
    constants: {
      ...rest.constants,
      ...(c.f16 ? { f16: true } : {}),
      A_ALONG_K: aAlongK,
      B_ALONG_K: bAlongK,
      TILE_M: tileM,
      TILE_N: tileN,
      TILE_K: tileK,
      REG_M: regM,
      REG_N: regN,
    },
    workgroups: [Math.ceil(n / tileN), Math.ceil(m / tileM), z],
  };
}

/** The largest tile of which there are enough to keep a GPU busy, and that does not reach far beyond the result. */
export function gemmTile(m: number, n: number, z = 1): GemmTile {
  const fits = Object.values(GEMM_TILES).find(({ tileM, tileN }) => {
    const groups = Math.ceil(m / tileM) * Math.ceil(n / tileN) * z;
    return groups >= ENOUGH_GROUPS && m >= tileM / 2 && n >= tileN / 2;
  });
  return fits ?? (m <= 16 ? GEMM_TILES["16x64"] : GEMM_TILES["32x32"]);
}

/** Workgroups that occupy a large GPU. */
const ENOUGH_GROUPS = 128;
