/** Bilinear resampling. */
import type { UpsampleShape } from "../../backend.js";
import { UPSAMPLE_ARGUMENTS } from "../arguments.js";
import { type Launch, type Lowerings, launch, NONE } from "./launch.js";

/** Values of the larger side that a grain goes over, more or less: some ten microseconds. */
const GRAIN_VALUES = 8192;

function upsampleLaunch(kernel: string, s: UpsampleShape, x: number, y: number, rows: number): Launch {
  const { planes, inH, inW, outH, outW, shift } = s;
  const values = Math.max(inH * inW, outH * outW);
  const block = Math.min(rows, Math.max(1, Math.ceil((GRAIN_VALUES * rows) / values)));
  const blocks = Math.ceil(rows / block);
  // A step in float32 would be wrong by some 1e-7 times the place, so its rounding error comes along.
  const [stepH, stepW] = [Math.fround(s.stepH), Math.fround(s.stepW)];
  const steps = { stepH, stepHRest: s.stepH - stepH, stepW, stepWRest: s.stepW - stepW, shift };
  const fields = { planes, inH, inW, outH, outW, ...steps, x, y, block, blocks };
  // The tables of rows and columns; then a row of sums in double precision, on 8 bytes.
  return launch(kernel, UPSAMPLE_ARGUMENTS, fields, planes * blocks, (outH + outW) * 8 + outW * 8);
}

export const UPSAMPLE_LOWERINGS = {
  upsampleForward: {
    scratchBytes: NONE,
    launches: (s, { x, y }) => [upsampleLaunch("upsampleForward", s, x, y, s.outH)],
  },

  upsampleBackward: {
    scratchBytes: NONE,
    launches: (s, { dy, dx }) => [upsampleLaunch("upsampleBackward", s, dx, dy, s.inH)],
  },
} satisfies Lowerings;
