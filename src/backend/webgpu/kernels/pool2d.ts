/** Poolings. The maxima of VGG's windows, 2x2 side by side, have their own shader: max-pool2x2.wgsl. */
import type { AdaptivePool2dShape, AvgPool2dShape, KernelName, Place, Pool2dShape } from "../../backend.js";
import { grid, type Lowering, type Lowerings, whole } from "../dispatch.js";
import pairsSource from "./max-pool2x2.wgsl.js";
import source from "./pool2d.wgsl.js";

const THREADS = 64;

type PoolKernel = Extract<
  KernelName,
  `${"" | "adaptive"}${"max" | "avg" | "Max" | "Avg"}Pool2d${"Forward" | "Backward"}`
>;
type AnyPoolShape = Pool2dShape | AvgPool2dShape | AdaptivePool2dShape;

/** A thread an output, or in backward passes an element of dx. `inPairs`: by the shader for windows of 2x2, a thread a window. */
function pool<K extends PoolKernel>(kernel: K, inPairs: (s: AnyPoolShape) => boolean = () => false): Lowering<K> {
  const forward = kernel.endsWith("Forward");
  return {
    dispatches(s, t, c) {
      const { batch, channels, inH, inW, outH, outW }: AnyPoolShape = s;
      const pairs = inPairs(s);
      const threads = batch * channels * (forward || pairs ? outH * outW : inH * inW);
      const elements: Record<string, string> = { winners: "u32", ...(pairs ? { x: "vec2f", dx: "vec2f" } : {}) };
      const windows = Object.entries<Place | null>(t).map(([role, place]) => [
        role,
        place && { ...whole(place), ...(elements[role] ? { element: elements[role] } : {}) },
      ]);
      return [
        {
          name: kernel,
          source: pairs ? pairsSource : source,
          constants: {
            forward,
            largest: kernel.includes("axPool"),
            adaptive: kernel.startsWith("adaptive"),
            COUNT: threads,
            IN_H: inH,
            IN_W: inW,
            OUT_H: outH,
            OUT_W: outW,
            ...("kH" in s && !pairs ? windowConstants(s) : {}),
          },
          tensors: Object.fromEntries(windows),
          writes: ["y", "winners", "dx"].filter((role) => role !== "winners" || forward),
          uniforms: {},
          workgroups: grid(Math.ceil(threads / THREADS), c),
        },
      ];
    },
  };
}

function windowConstants(s: Pool2dShape | AvgPool2dShape): Readonly<Record<string, number | boolean>> {
  return {
    K_H: s.kH,
    K_W: s.kW,
    STRIDE_H: s.strideH,
    STRIDE_W: s.strideW,
    PAD_H: s.padH,
    PAD_W: s.padW,
    COUNT_PAD: "countIncludePad" in s && s.countIncludePad,
  };
}

/** Are the windows 2x2 side by side, in rows of pairs? Rows below the last windows may be in none. */
function inPairs(s: AnyPoolShape): boolean {
  if (!("kH" in s) || s.padH + s.padW > 0 || s.inW !== 2 * s.outW || s.inH < 2 * s.outH) return false;
  return [s.kH, s.kW, s.strideH, s.strideW].every((size) => size === 2);
}

export const POOL2D_LOWERINGS = {
  maxPool2dForward: pool("maxPool2dForward", inPairs),
  // An element in no window gets 0: the other shader's work.
  maxPool2dBackward: pool("maxPool2dBackward", (s) => inPairs(s) && s.inH === 2 * s.outH),
  avgPool2dForward: pool("avgPool2dForward"),
  avgPool2dBackward: pool("avgPool2dBackward"),
  adaptiveAvgPool2dForward: pool("adaptiveAvgPool2dForward"),
  adaptiveAvgPool2dBackward: pool("adaptiveAvgPool2dBackward"),
  adaptiveMaxPool2dForward: pool("adaptiveMaxPool2dForward"),
  adaptiveMaxPool2dBackward: pool("adaptiveMaxPool2dBackward"),
} satisfies Lowerings;
