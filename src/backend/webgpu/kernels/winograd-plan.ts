/**
 * How Winograd's convolutions are cut into blocks of tiles, how much memory these take, and where they are worth it: pure functions of the
 * shape. The dispatches are made by winograd.ts.
 */
import type { Conv2dShape, Place } from "../../backend.js";
import { type DeviceFacts, type LoweringContext, pieceLength, WINDOW_UNIT, type Window } from "../dispatch.js";

export type Direction = "forward" | "backwardInput" | "backwardWeight";

/** Outputs of a tile along one side. */
export type WinogradTile = 2 | 4;

/** What the kernels look at of a convolution's shape. */
export type WinogradShape = Pick<
  Conv2dShape,
  "batch" | "inC" | "inH" | "inW" | "outC" | "outH" | "outW" | "padH" | "padW"
>;

/** Can a convolution be computed so? 3x3, stride 1, neither dilated nor grouped. */
export function canWinograd(s: Conv2dShape): boolean {
  const { kH, kW, strideH, strideW, dilationH, dilationW, groups } = s;
  return kH === 3 && kW === 3 && strideH === 1 && strideW === 1 && dilationH === 1 && dilationW === 1 && groups === 1;
}

/** The convolution that a direction is: that of the input gradient is one of dy with turned filters. */
export function convolved(s: WinogradShape, direction: Direction): WinogradShape {
  if (direction !== "backwardInput") return s;
  const { batch, inC, inH, inW, outC, outH, outW, padH, padW } = s;
  return {
    batch,
    inC: outC,
    inH: outH,
    inW: outW,
    outC: inC,
    outH: inH,
    outW: inW,
    padH: 2 - padH,
    padW: 2 - padW,
  };
}

/** Places of a transformed tile, and products of it. */
export function placesOf(tile: WinogradTile): number {
  return (tile + 2) ** 2;
}

export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** Transformed tiles are kept within this: large enough to occupy a GPU, a small part of its memory. */
const TILES_BYTES = 96 << 20;

/** Tiles that are transformed and multiplied at once: of several whole images, or some of one. */
export interface WinogradCut {
  /** Tiles of an image. */
  readonly tilesH: number;
  readonly tilesW: number;
  /** Images of a block. */
  readonly images: number;
  /** Most tiles of a block. */
  readonly tiles: number;
  /** The same in whole vectors of four: elements of a row of planes. */
  readonly stride: number;
}

/** What the cuts depend on beside the shape; in half precision what is multiplied is stored in that. */
export type WinogradFacts = Pick<LoweringContext, "pieceBytes" | "f16">;

/** One block. */
export interface WinogradBlock {
  readonly image: number;
  readonly images: number;
  /** Number of its first tile among those of `image`. */
  readonly first: number;
  readonly tiles: number;
}

/** Blocks are as even as can be, see tensors in at most two pieces each, and share one layout of scratch memory. */
export function cutTiles(s: WinogradShape, tile: WinogradTile, facts: WinogradFacts): WinogradCut {
  const [tilesH, tilesW] = [Math.ceil(s.outH / tile), Math.ceil(s.outW / tile)];
  const perImage = tilesH * tilesW;
  const tileBytes = placesOf(tile) * 4 * (s.inC + s.outC);
  const most = Math.max(4, Math.floor(Math.min(TILES_BYTES, facts.pieceBytes) / tileBytes / 4) * 4);
  if (perImage > most) {
    const tiles = roundUp(Math.ceil(perImage / Math.ceil(perImage / most)), 4);
    return { tilesH, tilesW, images: 1, tiles, stride: tiles };
  }
  const seen = Math.floor(facts.pieceBytes / (4 * largestImage(s)));
  const fitting = Math.max(1, Math.min(s.batch, Math.floor(most / perImage), seen));
  const images = Math.ceil(s.batch / Math.ceil(s.batch / fitting));
  return { tilesH, tilesW, images, tiles: images * perImage, stride: roundUp(images * perImage, 4) };
}

function largestImage({ inC, inH, inW, outC, outH, outW }: WinogradShape): number {
  return Math.max(inC * inH * inW, outC * outH * outW);
}

/** The blocks of a cut, in order. */
export function blocksOf({ batch }: WinogradShape, { tilesH, tilesW, images, tiles }: WinogradCut): WinogradBlock[] {
  const perImage = tilesH * tilesW;
  const blocks: WinogradBlock[] = [];
  for (let image = 0; image < batch; image += images) {
    const count = Math.min(images, batch - image);
    for (let first = 0; first < count * perImage; first += tiles) {
      blocks.push({ image, images: count, first, tiles: Math.min(tiles, count * perImage - first) });
    }
  }
  return blocks;
}

/** Workgroups that occupy a large GPU, if each computes 64 x 64 sums. */
const ENOUGH_GROUPS = 512;
/** Terms that are added up one after the other in float32. */
const MAX_TERMS = 2048;
/** Terms that make a part worth its place in memory. */
const MIN_TERMS = 64;
/** No product takes more terms at a time (tileK of gemm.ts); parts are multiples of it. */
const TERMS_UNIT = 16;

/** The weight gradient's sum over a block's tiles in parts: tiles of a part, and parts. */
export function cutGradient(
  { inC, outC }: WinogradShape,
  tile: WinogradTile,
  { stride }: WinogradCut,
): { readonly chunk: number; readonly parts: number } {
  const groups = placesOf(tile) * Math.ceil(inC / 64) * Math.ceil(outC / 64);
  const wanted = Math.min(Math.ceil(ENOUGH_GROUPS / groups), Math.floor(stride / MIN_TERMS));
  const parts = Math.max(1, wanted, Math.ceil(stride / MAX_TERMS));
  const chunk = roundUp(Math.ceil(stride / parts), TERMS_UNIT);
  return { chunk, parts: Math.ceil(stride / chunk) };
}

/** A call's scratch memory: where each of its regions begins, none of them across two pieces; in elements. */
export interface WinogradLayout {
  /** Transformed input: x, or dy of the input gradient. */
  readonly planes: Region;
  /** Products; of the weight gradient transformed dy. */
  readonly others: Region;
  /** The weight gradient's sums. */
  readonly totals: Region;
  readonly length: number;
}

interface Region {
  readonly begin: number;
  readonly length: number;
}

export function layOut(
  s: WinogradShape,
  direction: Direction,
  tile: WinogradTile,
  facts: WinogradFacts,
): WinogradLayout {
  const places = placesOf(tile);
  const cut = cutTiles(s, tile, facts);
  const parts = direction === "backwardWeight" ? cutGradient(s, tile, cut).parts : 0;
  const piece = Math.floor(facts.pieceBytes / 4);
  let end = 0;
  const next = (length: number): Region => {
    const last = Math.floor((end + length - 1) / piece);
    const begin = length > 0 && last > Math.floor(end / piece) ? last * piece : end;
    end = roundUp(begin + length, WINDOW_UNIT);
    return { begin, length };
  };
  const planes = next(factorsLength(places * s.inC * cut.stride, tile, facts));
  const outputs = places * s.outC * cut.stride;
  const others = next(direction === "backwardWeight" ? factorsLength(outputs, tile, facts) : outputs);
  const totals = next(parts * places * s.outC * roundUp(s.inC, 4));
  return { planes, others, totals, length: end };
}

/** Of numbers that are multiplied, a multiple of 4, in elements of 4 bytes. */
function factorsLength(count: number, tile: WinogradTile, { f16 }: WinogradFacts): number {
  return winogradInHalf(tile, f16) ? count / 2 : count;
}

/** The transformed filters, in elements of 4 bytes. */
export function filtersLength({ inC, outC }: WinogradShape, tile: WinogradTile, facts: WinogradFacts): number {
  return factorsLength(placesOf(tile) * inC * roundUp(outC, 4), tile, facts);
}

/** The tiles by which a convolution can be computed. */
export function winogradTiles(s: Conv2dShape, direction: Direction, facts: WinogradFacts): readonly WinogradTile[] {
  return ([2, 4] as const).filter((tile) => canWinograd(s) && fits(s, direction, tile, facts));
}

/** Do an image, the transformed filters and some tiles each lie in memory that a kernel can see? Else another algorithm has to do it. */
function fits(s: WinogradShape, direction: Direction, tile: WinogradTile, facts: WinogradFacts): boolean {
  const c = convolved(s, direction);
  const { planes, others, totals } = layOut(c, direction, tile, facts);
  const largest = Math.max(
    largestImage(c),
    9 * c.inC * c.outC,
    planes.length,
    others.length,
    direction === "backwardWeight" ? totals.length : filtersLength(c, tile, facts),
  );
  return largest * 4 <= facts.pieceBytes;
}

/**
 * Are a tile's products computed in half precision, where that is asked for? F(2x2)'s alone. F(4x4)'s input transform makes values up to 100
 * times as large, most of which cancel again: in 11 bits that leaves an error of some percent, and 700 is beyond 65504 already. It stays in
 * float32, to which its gain is worth as much. F(2x2)'s factor of 4 is taken out before rounding (HALF_SCALE).
 */
export function winogradInHalf(tile: WinogradTile, f16: boolean): boolean {
  return f16 && tile === 2;
}

/** What the inputs of products in half precision are multiplied by, so that their transform is not larger than they are. */
export const HALF_SCALE = 0.25;

/**
 * Arithmetic that a GPU's product does while a byte goes to or from its memory, in float32: half of what it could at most over its bandwidth,
 * from the makers' figures. H100 33 TFLOP/s by 3.3 TB/s: 10; RTX 4070 15 by 0.5: 30; Apple M2 1.8 by 0.1: 18; Iris Xe 1 by 0.06: 17.
 */
const FLOPS_PER_BYTE = 18;
/** A dispatch more, about 5 us of a GPU of 4 TFLOP/s. */
const DISPATCH_FLOPS = 20e6;
/** A product is computed in whole tiles: the smallest of gemm.ts for few rows, and half of its usual columns. */
const ROWS = 16;
const COLUMNS = 32;
const TERMS = 8;
/** Less gain than this is not worth rounding errors. */
const WORTH = 0.9;

function productFlops(m: number, n: number, k: number): number {
  return 2 * roundUp(m, ROWS) * roundUp(n, COLUMNS) * roundUp(k, TERMS);
}

/**
 * The tile by which a convolution takes less time than by one product of as many terms as there are, as far as arithmetic and memory traffic
 * tell; null where none does. Half precision saves traffic, not arithmetic (gemm.wgsl). Not measured: a device that can measure decides itself.
 */
export function winogradWorth(s: Conv2dShape, direction: Direction, facts: WinogradFacts): WinogradTile | null {
  const { batch, inC, inH, inW, outC, outH, outW } = convolved(s, direction);
  const activations = batch * (inC * inH * inW + outC * outH * outW);
  const sums = direction === "backwardWeight";
  const pixels = batch * outH * outW;
  const product = sums ? productFlops(outC, 9 * inC, pixels) : productFlops(outC, pixels, 9 * inC);
  const direct = cost(product, activations + 9 * inC * outC, 1);
  let best: { tile: WinogradTile; cost: number } | null = null;
  for (const tile of winogradTiles(s, direction, facts)) {
    const places = placesOf(tile);
    const tiles = batch * Math.ceil(outH / tile) * Math.ceil(outW / tile);
    const flops = places * (sums ? productFlops(outC, inC, tiles) : productFlops(outC, tiles, inC));
    // Planes are written and read; the filters' are read, and made once or in each step. What is multiplied is stored as such.
    const factors = inC + (sums ? outC : 0) + (inC * outC) / tiles;
    const others = sums ? 0 : outC;
    const planes = places * tiles * (winogradInHalf(tile, facts.f16) ? factors / 2 + others : factors + others);
    const own = cost(flops, activations + 2 * planes, 4);
    if (best === null || own < best.cost) best = { tile, cost: own };
  }
  return best !== null && best.cost <= WORTH * direct ? best.tile : null;
}

function cost(flops: number, elements: number, dispatches: number): number {
  return flops + elements * 4 * FLOPS_PER_BYTE + dispatches * DISPATCH_FLOPS;
}

/** A range of a tensor as a shader sees it: in one piece, or in two. */
export interface Span {
  readonly window: Window;
  /** What of it lies in the next piece. */
  readonly next: Window | null;
  /** Where the range begins in the window, and from where on it is in the next one. */
  readonly begin: number;
  readonly cut: number;
}

export function spanOf(place: Place, begin: number, length: number, facts: DeviceFacts): Span {
  const size = pieceLength(place, facts);
  const from = Math.floor(begin / WINDOW_UNIT) * WINDOW_UNIT;
  const end = begin + length;
  const cut = Math.min(end, (Math.floor(from / size) + 1) * size);
  return {
    window: { place, begin: from, length: cut - from },
    next: cut < end ? { place, begin: cut, length: end - cut } : null,
    begin: begin - from,
    cut: cut - from,
  };
}
