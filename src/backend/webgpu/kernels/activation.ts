/** Not there yet. */
import type { Lowerings } from "../dispatch.js";
import { missing } from "./missing.js";

export const ACTIVATION_LOWERINGS = {
  leakyReluForward: missing("leakyReluForward"),
  leakyReluBackward: missing("leakyReluBackward"),
  tanhForward: missing("tanhForward"),
  tanhBackward: missing("tanhBackward"),
  sigmoidForward: missing("sigmoidForward"),
  sigmoidBackward: missing("sigmoidBackward"),
} satisfies Lowerings;
