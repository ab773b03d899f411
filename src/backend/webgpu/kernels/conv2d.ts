/** Not there yet. */
import type { Lowerings } from "../dispatch.js";
import { missing } from "./missing.js";

export const CONV2D_LOWERINGS = {
  conv2dForward: missing("conv2dForward"),
  conv2dMaxPool2dForward: missing("conv2dMaxPool2dForward"),
  conv2dBackwardInput: missing("conv2dBackwardInput"),
  conv2dBackwardWeight: missing("conv2dBackwardWeight"),
  conv2dBackwardBias: missing("conv2dBackwardBias"),
} satisfies Lowerings;
