/** Whatever draws random numbers: a function of key, counter and place, so of nobody's order. */
import type { KernelName, Place, RandomFillShape, RandomStream } from "../../backend.js";
import { type CallContext, type Dispatch, type Float, float, type Lowerings } from "../dispatch.js";
import { dispatchPieces } from "./elementwise.js";
import math from "./math.wgsl.js";
import random from "./random.wgsl.js";

const source = `${math}\n${random}`;

function draws(
  kernel: KernelName,
  { key0, key1, counter }: RandomStream,
  tensors: Readonly<Record<string, Place>>,
  more: Readonly<Record<string, number | Float>>,
  c: CallContext,
): Dispatch[] {
  // As unsigned words, whatever their sign is.
  const uniforms = { key0: key0 >>> 0, key1: key1 >>> 0, counter: counter >>> 0, ...more };
  return dispatchPieces(kernel, source, tensors, { output: "y", uniforms }, c).map((dispatch) => ({
    ...dispatch,
    // Two elements a block; pieces begin on even elements.
    constants: { ...dispatch.constants, BLOCK: (dispatch.tensors.y?.begin ?? 0) / 2 },
  }));
}

function fills(kernel: "fillUniform" | "fillNormal") {
  return {
    dispatches: (s: RandomFillShape, { y }: { readonly y: Place }, c: CallContext) =>
      draws(kernel, s, { y }, { scale: float(s.scale) }, c),
  };
}

export const RANDOM_LOWERINGS = {
  dropout: {
    dispatches: (s, t, c) =>
      draws("dropout", s, { ...t }, { threshold: Math.floor(s.p * 2 ** 32), scale: float(1 / (1 - s.p)) }, c),
  },
  fillUniform: fills("fillUniform"),
  fillNormal: fills("fillNormal"),
} satisfies Lowerings;
