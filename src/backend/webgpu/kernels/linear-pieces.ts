/**
 * What the products of linear layers have in common: weights that lie in several pieces, which take dispatches of their own, and long sums
 * that are split among workgroups. Pure functions of sizes.
 */
import type { DataType, LinearShape, Place } from "../../backend.js";
import { type DeviceFacts, type Dispatch, grid, pieceLength, type Window, whole } from "../dispatch.js";
import { GEMM_TILES, type GemmTile, gemmTile } from "./gemm.js";
import sums from "./linear-sums.wgsl.js";

/** A weight's elements from `begin` to `end`, and the rows that they touch. A piece may begin and end in the middle of a row. */
export interface RowPiece {
  readonly begin: number;
  readonly end: number;
  readonly row: number;
  readonly rowEnd: number;
  readonly first: boolean;
  readonly last: boolean;
}

/** @param unit rows begin on multiples of it. */
export function rowPieces(s: LinearShape, dtype: DataType, facts: DeviceFacts, unit = 1): RowPiece[] {
  const { inFeatures, outFeatures } = s;
  const length = inFeatures * outFeatures;
  const size = pieceLength({ dtype }, facts);
  return Array.from({ length: Math.ceil(length / size) }, (_, i) => {
    const [begin, end] = [i * size, Math.min(length, (i + 1) * size)];
    const row = Math.floor(begin / inFeatures / unit) * unit;
    return { begin, end, row, rowEnd: Math.ceil(end / inFeatures), first: i === 0, last: end === length };
  });
}

/** What the shaders know of sizes. */
export function uniformsOf(s: LinearShape, { begin, end, row, rowEnd }: RowPiece): Record<string, number> {
  const { batch, inFeatures: inputs, outFeatures: outputs } = s;
  return { batch, inputs, outputs, begin, end, row, rowEnd };
}

/** A piece as a window on a tensor, whose elements come in fours where rows allow: `wide`. */
export function windowOf(place: Place, { begin, end }: RowPiece, wide: boolean): Window {
  const window = { place, begin, length: end - begin };
  return wide ? { ...window, element: FOUR[place.dtype] ?? "vec4<f32>" } : window;
}

/** What four elements are seen as. */
const FOUR: { readonly [T in DataType]?: string } = { float16: "vec2<u32>", int8: "u32" };

/** A whole tensor in fours. */
export function inFours(place: Place, wide: boolean): Window {
  return wide ? { ...whole(place), element: "vec4<f32>" } : whole(place);
}

/** Four elements in a row, if all rows are whole fours. */
export function isWide(size: number): boolean {
  return size % 4 === 0;
}

/** Images that are few: reading or writing the weight takes longer than all else. */
export const FEW_IMAGES = 8;

/** A sum in parts, which other workgroups compute: their terms, and how many there are. */
export interface Split {
  readonly terms: number;
  readonly parts: number;
}

/** A product whose sums may be split. */
export interface SplitProduct extends Split {
  readonly tile: GemmTile;
}

/** Float32 sums of more terms lose digits. */
const MOST_TERMS = 4096;
/** Fewer are not worth another pass over the result. */
const LEAST_TERMS = 256;
/** All tiles' `tileK` divide it. */
const TERMS_UNIT = 64;
/** Workgroups that keep a large GPU busy. */
const ENOUGH_GROUPS = 256;

/**
 * How sums of k terms are split, of which `groups` workgroups compute all.
 * @param mostParts that there is memory for.
 */
export function splitSums(k: number, groups: number, mostParts: number, leastTerms: number): Split {
  const wanted = Math.max(Math.ceil(k / MOST_TERMS), Math.ceil(ENOUGH_GROUPS / groups));
  const most = Math.max(1, Math.min(Math.floor(k / leastTerms), Math.floor(mostParts)));
  const terms = Math.ceil(k / Math.min(most, wanted) / TERMS_UNIT) * TERMS_UNIT;
  return { terms, parts: Math.ceil(k / terms) };
}

/**
 * How a product of m x n, over k terms, is done: with large tiles, and parts of sums in place of more tiles.
 * @param roomBytes that the parts may take.
 */
export function splitProduct(m: number, n: number, k: number, roomBytes: number): SplitProduct {
  const mostParts = roomBytes / (m * n * 4);
  const tile = m <= 16 ? GEMM_TILES["16x64"] : gemmTile(m, n, Math.ceil(k / LEAST_TERMS));
  const groups = Math.ceil(m / tile.tileM) * Math.ceil(n / tile.tileN);
  return { tile, ...splitSums(k, groups, mostParts, LEAST_TERMS) };
}

/** Scratch memory of a split product. */
export function partsBytes(m: number, n: number, { parts }: Split): number {
  return parts > 1 ? parts * m * n * 4 : 0;
}

/**
 * What adds the parts up, after a product that stored them.
 * @param product its dispatch, whose tensors and sizes are those that `finish` works on.
 */
export function addParts(product: Dispatch, finish: string, count: number, facts: DeviceFacts): Dispatch {
  const { x, dy, weight, ...tensors } = product.tensors;
  return {
    ...product,
    name: `${product.name}Sums`,
    source: `${finish}\n${sums}`,
    constants: Object.fromEntries(Object.entries(product.constants).filter(([, value]) => typeof value === "boolean")),
    tensors,
    workgroups: grid(Math.ceil(count / 64), facts),
  };
}
