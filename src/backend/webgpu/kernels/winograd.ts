/**
 * Winograd's F(2x2, 3x3) and F(4x4, 3x3) in all three directions: transform, multiply each place of the tiles (gemm.ts), transform back, a
 * block of tiles after the other in the same scratch memory. The cuts are made by winograd-plan.ts; the matrices are in winograd-lines.wgsl.
 */
import { BackendError } from "../../../core/errors.js";
import type { Conv2dShape, Derived, Place } from "../../backend.js";
import {
  type CallContext,
  type Dispatch,
  float,
  grid,
  type LoweringContext,
  optional,
  type Window,
  whole,
} from "../dispatch.js";
import { gemm, gemmTile } from "./gemm.js";
import filterSource from "./winograd-filter.wgsl.js";
import inputSource from "./winograd-input.wgsl.js";
import inverseSource from "./winograd-inverse.wgsl.js";
import lines from "./winograd-lines.wgsl.js";
import outputSource from "./winograd-output.wgsl.js";
import {
  blocksOf,
  convolved,
  cutGradient,
  cutTiles,
  type Direction,
  filtersLength,
  HALF_SCALE,
  layOut,
  placesOf,
  roundUp,
  type Span,
  spanOf,
  type WinogradBlock,
  type WinogradCut,
  type WinogradLayout,
  type WinogradShape,
  type WinogradTile,
  winogradInHalf,
} from "./winograd-plan.js";
import productLoads from "./winograd-product.wgsl.js";

export { type Direction, type WinogradTile, winogradTiles, winogradWorth } from "./winograd-plan.js";

export function winogradScratchBytes(
  s: Conv2dShape,
  direction: Direction,
  tile: WinogradTile,
  c: LoweringContext,
): number {
  return layOut(convolved(s, direction), direction, tile, c).length * 4;
}

/** The transformed weight of the first two directions. */
export function winogradDerived(
  s: Conv2dShape,
  direction: Direction,
  tile: WinogradTile,
  c: LoweringContext,
): Derived | null {
  if (direction === "backwardWeight") return null;
  const sizeBytes = filtersLength(convolved(s, direction), tile, c) * 4;
  return { key: `winograd${tile} ${direction}`, sizeBytes, partBytes: sizeBytes };
}

/** What differs between conv2dForward, conv2dMaxPool2dForward, conv2dBackwardInput and conv2dBackwardWeight. */
export interface WinogradCall {
  readonly direction: Direction;
  readonly tile: WinogradTile;
  /** x and weight, dy and weight, or x and dy. */
  readonly inputs: readonly [Place, Place];
  /** y, dx or dWeight. */
  readonly output: Place;
  readonly bias?: Place | null;
  readonly mask?: Place | null;
  readonly relu?: boolean;
  /** Write the maxima of windows of 2x2 alone. */
  readonly pool?: boolean;
  readonly accumulate?: boolean;
}

/** What the dispatches of a call share; `c.f16` is decided for the call. */
interface Plan {
  readonly s: WinogradShape;
  readonly call: WinogradCall;
  readonly c: CallContext;
  readonly cut: WinogradCut;
  readonly layout: WinogradLayout;
  readonly scratch: Place;
}

/** Threads of a workgroup that transforms. */
const THREADS = 128;
/** Filters of a workgroup of winograd-filter.wgsl, along both channels. */
const FILTERS = 16;

/** The dispatches of a convolution, by one of {@link winogradTiles}. */
export function winograd(shape: Conv2dShape, call: WinogradCall, context: CallContext): Dispatch[] {
  const c = { ...context, f16: winogradInHalf(call.tile, context.f16) };
  const s = convolved(shape, call.direction);
  const { scratch, derived } = c;
  if (scratch === null) throw new BackendError("webgpu: a plan has no place for transformed tiles. Report this.");
  const plan: Plan = {
    s,
    call,
    c,
    cut: cutTiles(s, call.tile, c),
    layout: layOut(s, call.direction, call.tile, c),
    scratch,
  };
  const blocks = blocksOf(s, plan.cut);
  if (call.direction === "backwardWeight") {
    const sums = blocks.flatMap((block, i) => [
      transformInput(plan, block),
      transformGradient(plan, block),
      gradientProduct(plan, block, i > 0),
    ]);
    return [...sums, transformInverse(plan)];
  }
  if (derived === null) throw new BackendError("webgpu: a plan has no place for transformed filters. Report this.");
  const convolution = blocks.flatMap((block) => [
    transformInput(plan, block),
    product(plan, block, derived.place),
    transformOutput(plan, block),
  ]);
  return derived.fresh ? convolution : [transformWeight(plan, derived.place), ...convolution];
}

/** Constants of all sources. */
function tileConstants({ call: { tile } }: Plan): Dispatch["constants"] {
  return { tile4: tile === 4, ALPHA: tile + 2, PLACES: placesOf(tile), THREADS };
}

/** Products in half precision of what the forward pass transforms are scaled; gradients, which are small, are not. */
function scaling({ call, c }: Plan): Dispatch["constants"] {
  return c.f16 && call.direction === "forward" ? { scaled: true, SCALE: float(HALF_SCALE) } : {};
}

/** The result is transformed, to be multiplied. */
function spreading({ c }: Plan): Dispatch["constants"] {
  return { spread: true, ...(c.f16 ? { f16: true } : {}) };
}

/** Elements of transformed tensors where they are written, and, in fours, where they are multiplied. */
function factor({ c }: Plan): string {
  return c.f16 ? "f16" : "f32";
}

function factors({ c }: Plan): string {
  return c.f16 ? "vec4<f16>" : VECTORS;
}

/** Where transformed tiles of `channels` channels lie, and which tiles of an image they are. */
function planesConstants({ cut }: Plan, channels: number): Dispatch["constants"] {
  return {
    CHANNELS: channels,
    PLANE: channels * cut.stride,
    STRIDE: cut.stride,
    TILES_H: cut.tilesH,
    TILES_W: cut.tilesW,
  };
}

/** Changes from block to block. */
function blockUniforms({ first, tiles }: WinogradBlock, { begin, cut }: Span): Dispatch["uniforms"] {
  return { first, tiles, columns: roundUp(tiles, 4), begin, cut };
}

function region({ scratch }: Plan, { begin, length }: WinogradLayout["planes"], element?: string): Window {
  return { place: scratch, begin, length, ...(element === undefined ? {} : { element }) };
}

/** The images of a block. */
function imagesOf(place: Place, image: number, { image: first, images }: WinogradBlock, c: CallContext): Span {
  return spanOf(place, first * image, images * image, c);
}

function transformWeight(plan: Plan, filters: Place): Dispatch {
  const { s, call } = plan;
  const padded = roundUp(s.outC, 4);
  const forward = call.direction === "forward";
  return {
    name: "winogradTransformWeight",
    source: `${lines}\n${filterSource}`,
    constants: {
      ...tileConstants(plan),
      ...spreading(plan),
      PLANE: s.inC * padded,
      M: s.outC,
      M_PADDED: padded,
      K: s.inC,
      M_STEP: forward ? s.inC * 9 : 9,
      K_STEP: forward ? 9 : s.outC * 9,
      flip: !forward,
    },
    tensors: { weight: whole(call.inputs[1]), planes: { ...whole(filters), element: factor(plan) } },
    writes: ["planes"],
    uniforms: {},
    workgroups: [Math.ceil(padded / FILTERS), Math.ceil(s.inC / FILTERS), 1],
  };
}

function transformInput(plan: Plan, block: WinogradBlock): Dispatch {
  const { s, call, c, cut, layout } = plan;
  const span = imagesOf(call.inputs[0], s.inC * s.inH * s.inW, block, c);
  return {
    name: "winogradTransformInput",
    source: `${lines}\n${inputSource}`,
    constants: {
      ...tileConstants(plan),
      ...planesConstants(plan, s.inC),
      ...scaling(plan),
      ...spreading(plan),
      OUTPUTS: call.tile,
      HEIGHT: s.inH,
      WIDTH: s.inW,
      PAD_H: s.padH,
      PAD_W: s.padW,
    },
    tensors: { x: span.window, x_next: span.next, planes: region(plan, layout.planes, factor(plan)) },
    writes: ["planes"],
    uniforms: blockUniforms(block, span),
    workgroups: grid(Math.ceil((s.inC * cut.stride) / THREADS), c),
  };
}

function transformGradient(plan: Plan, block: WinogradBlock): Dispatch {
  const { s, call, c, cut, layout } = plan;
  const span = imagesOf(call.inputs[1], s.outC * s.outH * s.outW, block, c);
  return {
    name: "winogradTransformGradient",
    source: `${lines}\n${inputSource}`,
    constants: {
      ...tileConstants(plan),
      ...planesConstants(plan, s.outC),
      ...spreading(plan),
      gradient: true,
      OUTPUTS: call.tile,
      HEIGHT: s.outH,
      WIDTH: s.outW,
      PAD_H: 0,
      PAD_W: 0,
    },
    tensors: { x: span.window, x_next: span.next, planes: region(plan, layout.others, factor(plan)) },
    writes: ["planes"],
    uniforms: blockUniforms(block, span),
    workgroups: grid(Math.ceil((s.outC * cut.stride) / THREADS), c),
  };
}

const VECTORS = "vec4<f32>";

function product(plan: Plan, { tiles }: WinogradBlock, filters: Place): Dispatch {
  const { s, call, c, cut, layout } = plan;
  const z = placesOf(call.tile);
  const columns = roundUp(tiles, 4);
  return gemm(
    {
      name: "winogradProduct",
      m: s.outC,
      n: columns,
      z,
      loads: productLoads,
      aAlongK: false,
      bAlongK: false,
      constants: {},
      tensors: {
        filters: { ...whole(filters), element: factors(plan) },
        planes: region(plan, layout.planes, factors(plan)),
        products: region(plan, layout.others, VECTORS),
      },
      writes: ["products"],
      uniforms: { m: s.outC, m_padded: roundUp(s.outC, 4), k: s.inC, stride: cut.stride, columns },
      tile: gemmTile(s.outC, columns, z),
    },
    c,
  );
}

function gradientProduct(plan: Plan, { tiles }: WinogradBlock, later: boolean): Dispatch {
  const { s, call, c, cut, layout } = plan;
  const { chunk, parts } = cutGradient(s, call.tile, cut);
  const z = placesOf(call.tile) * parts;
  return gemm(
    {
      name: "winogradGradientProduct",
      m: s.outC,
      n: s.inC,
      z,
      loads: productLoads,
      aAlongK: true,
      bAlongK: true,
      constants: { gradient: true, PLACES: placesOf(call.tile) },
      tensors: {
        planes: region(plan, layout.planes, factors(plan)),
        gradients: region(plan, layout.others, factors(plan)),
        totals: region(plan, layout.totals, VECTORS),
      },
      writes: ["totals"],
      uniforms: {
        m: s.outC,
        n: s.inC,
        n_padded: roundUp(s.inC, 4),
        stride: cut.stride,
        chunk,
        columns: roundUp(tiles, 4),
        later: later ? 1 : 0,
      },
      tile: gemmTile(s.outC, s.inC, z),
    },
    c,
  );
}

function transformOutput(plan: Plan, block: WinogradBlock): Dispatch {
  const { s, call, c, cut, layout } = plan;
  const { tile, output, bias = null, mask = null, relu = false, pool = false } = call;
  const shrink = pool ? 2 : 1;
  const [side, height, width] = [tile / shrink, s.outH / shrink, s.outW / shrink];
  const aligned = side > 1 && width % side === 0;
  const image = s.outC * height * width;
  const span = imagesOf(output, image, block, c);
  const masks = mask && imagesOf(mask, image, block, c);
  const seen = (window: Window | null | undefined): Window | null =>
    window ? { ...window, ...(aligned ? { element: `vec${side}<f32>` } : {}) } : null;
  return {
    name: "winogradTransformOutput",
    source: `${lines}\n${outputSource}`,
    constants: {
      ...tileConstants(plan),
      ...planesConstants(plan, s.outC),
      ...scaling(plan),
      HEIGHT: height,
      WIDTH: width,
      SIDE: side,
      aligned4: aligned && side === 4,
      aligned2: aligned && side === 2,
      relu,
      pool,
    },
    tensors: {
      planes: region(plan, layout.others),
      bias: optional(bias),
      mask: seen(masks?.window),
      mask_next: seen(masks?.next),
      y: seen(span.window),
      y_next: seen(span.next),
    },
    writes: ["y", "y_next"],
    uniforms: blockUniforms(block, span),
    workgroups: grid(Math.ceil((s.outC * cut.stride) / THREADS), c),
  };
}

function transformInverse(plan: Plan): Dispatch {
  const { s, call, c, cut, layout } = plan;
  const padded = roundUp(s.inC, 4);
  return {
    name: "winogradTransformInverse",
    source: `${lines}\n${inverseSource}`,
    constants: {
      ...tileConstants(plan),
      PLANE: s.outC * padded,
      PARTS: cutGradient(s, call.tile, cut).parts,
      M: s.outC,
      N: s.inC,
      N_PADDED: padded,
      accumulate: call.accumulate ?? false,
    },
    tensors: { planes: region(plan, layout.totals), dWeight: whole(call.output) },
    writes: ["dWeight"],
    uniforms: {},
    workgroups: grid(Math.ceil((s.outC * padded) / THREADS), c),
  };
}
