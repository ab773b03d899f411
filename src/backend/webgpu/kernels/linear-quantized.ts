/** Linear layers whose weights are halves or int8 with a scale for each row: linear-forward.ts, on rounded images for int8. */
import type { QuantizedLinearShape } from "../../backend.js";
import { type Dispatch, type LoweringContext, type Lowerings, WINDOW_UNIT, type Window, whole } from "../dispatch.js";
import { forwardPartsBytes, linearForward } from "./linear-forward.js";
import { inFours, isWide } from "./linear-pieces.js";
import round from "./linear-quantized-round.wgsl.js";

/** Scratch memory in front of the parts of sums, in elements: rounded images, and the step of each. */
function layoutOf({ batch, inFeatures, weightType }: QuantizedLinearShape): { steps: number; parts: number } {
  if (weightType !== "int8") return { steps: 0, parts: 0 };
  const whole = (length: number): number => Math.ceil(length / WINDOW_UNIT) * WINDOW_UNIT;
  const steps = whole(batch * inFeatures);
  return { steps, parts: steps + whole(batch) };
}

function partsLength(s: QuantizedLinearShape, c: LoweringContext): number {
  return forwardPartsBytes(s, s.weightType, c) / 4;
}

export const QUANTIZED_LINEAR_LOWERINGS = {
  linearQuantizedForward: {
    scratchBytes: (s, c) => (layoutOf(s).parts + partsLength(s, c)) * 4,
    dispatches(shape, { x, weight, scale, bias, y }, c) {
      const { batch, inFeatures, weightType } = shape;
      const at = layoutOf(shape);
      const scratch = (begin: number, length: number): Window | null =>
        c.scratch && length > 0 ? { place: c.scratch, begin, length } : null;
      const parts = scratch(at.parts, partsLength(shape, c));
      const call = { name: "linearQuantizedForward", shape, weightType, weight, scale, bias, y, parts };
      const rounded = at.parts > 0 ? scratch(0, batch * inFeatures) : null;
      if (rounded === null) return linearForward({ ...call, x: whole(x), steps: null }, c);
      const steps = scratch(at.steps, batch);
      const wide = isWide(inFeatures);
      const rounding: Dispatch = {
        name: "linearQuantizedRound",
        source: round,
        constants: { IN: inFeatures, wide },
        tensors: { x: inFours(x, wide), rounded: wide ? { ...rounded, element: "vec4<f32>" } : rounded, steps },
        writes: ["rounded", "steps"],
        uniforms: {},
        workgroups: [1, batch, 1],
      };
      return [rounding, ...linearForward({ ...call, x: rounded, steps }, c)];
    },
  },
} satisfies Lowerings;
