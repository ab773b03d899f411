/** Not there yet. */
import type { Lowerings } from "../dispatch.js";
import { missing } from "./missing.js";

export const QUANTIZED_LINEAR_LOWERINGS = {
  linearQuantizedForward: missing("linearQuantizedForward"),
} satisfies Lowerings;
