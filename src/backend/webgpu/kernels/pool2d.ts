/** Not there yet. */
import type { Lowerings } from "../dispatch.js";
import { missing } from "./missing.js";

export const POOL2D_LOWERINGS = {
  maxPool2dForward: missing("maxPool2dForward"),
  maxPool2dBackward: missing("maxPool2dBackward"),
  avgPool2dForward: missing("avgPool2dForward"),
  avgPool2dBackward: missing("avgPool2dBackward"),
  adaptiveAvgPool2dForward: missing("adaptiveAvgPool2dForward"),
  adaptiveAvgPool2dBackward: missing("adaptiveAvgPool2dBackward"),
  adaptiveMaxPool2dForward: missing("adaptiveMaxPool2dForward"),
  adaptiveMaxPool2dBackward: missing("adaptiveMaxPool2dBackward"),
} satisfies Lowerings;
