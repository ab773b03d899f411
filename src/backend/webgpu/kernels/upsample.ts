/** Bilinear resampling. Gradients gather along rows into scratch memory, then along columns. */
import { BackendError } from "../../../core/errors.js";
import type { Place, UpsampleShape } from "../../backend.js";
import { type CallContext, type Dispatch, type Float, float, grid, type Lowerings, whole } from "../dispatch.js";
import source from "./upsample.wgsl.js";

const THREADS = 64;
const WORD = 2 ** 32;

type Constants = Readonly<Record<string, number | boolean | Float>>;

/** A step, or half of one where the shift is a half, in words: whole, and two of the fraction. */
function words(step: number, shift: number): [number, number, number] {
  const value = shift === 0 ? step : step / 2;
  const whole = Math.floor(value);
  const upper = (value - whole) * WORD;
  const high = Math.floor(upper);
  return [whole, high, Math.floor((upper - high) * WORD)];
}

function dispatch(name: string, constants: Constants, from: Place, to: Place, count: number, c: CallContext): Dispatch {
  const forward = name === "upsampleForward";
  const [reads, writes] = forward ? ["x", "y"] : ["dy", "dx"];
  return {
    name,
    source,
    constants: { forward, COUNT: count, ...constants },
    tensors: { [reads]: whole(from), [writes]: whole(to) },
    writes: [writes],
    uniforms: {},
    workgroups: grid(Math.ceil(count / THREADS), c),
  };
}

/** The gradient along one axis: [outer, outputs, inner] to [outer, inputs, inner]. */
function backwardConstants(inputs: number, outputs: number, inner: number, step: number, shift: number): Constants {
  const [STEP0, STEP1, STEP2] = words(step, shift);
  return {
    half: shift !== 0,
    SHIFT: float(shift),
    IN: inputs,
    OUT: outputs,
    INNER: inner,
    STEP0,
    STEP1,
    STEP2,
    // Without a step there is one output or one input: all are looked at anyway.
    OUTPUTS_EACH: float(step === 0 ? 0 : 1 / step),
  };
}

/** dx between the two passes, [planes, outH, inW]. */
function betweenLength({ planes, outH, inW }: UpsampleShape): number {
  return planes * outH * inW;
}

export const UPSAMPLE_LOWERINGS = {
  upsampleForward: {
    dispatches(s, { x, y }, c) {
      const [STEP_H0, STEP_H1, STEP_H2] = words(s.stepH, s.shift);
      const [STEP_W0, STEP_W1, STEP_W2] = words(s.stepW, s.shift);
      const sizes = { IN_H: s.inH, IN_W: s.inW, OUT_H: s.outH, OUT_W: s.outW };
      const steps = { half: s.shift !== 0, STEP_H0, STEP_H1, STEP_H2, STEP_W0, STEP_W1, STEP_W2 };
      return [dispatch("upsampleForward", { ...sizes, ...steps }, x, y, s.planes * s.outH * s.outW, c)];
    },
  },
  upsampleBackward: {
    scratchBytes: (s) => betweenLength(s) * 4,
    dispatches(s, { dy, dx }, c) {
      if (c.scratch === null)
        throw new BackendError("webgpu: a plan has no place for an upsampling's rows. Report this.");
      const rows = backwardConstants(s.inW, s.outW, 1, s.stepW, s.shift);
      const columns = backwardConstants(s.inH, s.outH, s.inW, s.stepH, s.shift);
      return [
        dispatch("upsampleBackwardRows", rows, dy, c.scratch, betweenLength(s), c),
        dispatch("upsampleBackwardColumns", columns, c.scratch, dx, s.planes * s.inH * s.inW, c),
      ];
    },
  },
} satisfies Lowerings;
