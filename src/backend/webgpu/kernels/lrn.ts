/** Local response normalisation. Powers of -3/4, AlexNet's and the paper's, and -1/2 are roots. */
import type { LrnShape, Place } from "../../backend.js";
import { type Dispatch, float, grid, type LoweringContext, type Lowerings, whole } from "../dispatch.js";
import windows from "./lrn.wgsl.js";
import math from "./math.wgsl.js";

const source = `${math}\n${windows}`;

const THREADS = 64;

function lrn(
  name: "lrnForward" | "lrnBackward",
  { batch, channels, plane, size, alpha, beta, k }: LrnShape,
  tensors: Readonly<Record<string, Place>>,
  c: LoweringContext,
): Dispatch {
  const count = batch * channels * plane;
  const forward = name === "lrnForward";
  return {
    name,
    source,
    constants: {
      forward,
      three_quarters: beta === 0.75,
      half: beta === 0.5,
      general: beta !== 0.75 && beta !== 0.5,
      COUNT: count,
      CHANNELS: channels,
      PLANE: plane,
      BEFORE: Math.floor(size / 2),
      AFTER: Math.floor((size - 1) / 2),
      BETA: float(beta),
      K: float(k),
      ALPHA_SHARE: float(alpha / size),
      SLOPE: float((2 * alpha * beta) / size),
    },
    tensors: Object.fromEntries(Object.entries(tensors).map(([role, place]) => [role, whole(place)])),
    writes: forward ? ["y", "scale"] : ["dx"],
    uniforms: {},
    workgroups: grid(Math.ceil(count / THREADS), c),
  };
}

export const LRN_LOWERINGS = {
  lrnForward: { dispatches: (s, t, c) => [lrn("lrnForward", s, t, c)] },
  lrnBackward: { dispatches: (s, t, c) => [lrn("lrnBackward", s, t, c)] },
} satisfies Lowerings;
