/** Not there yet. */
import type { Lowerings } from "../dispatch.js";
import { missing } from "./missing.js";

export const LRN_LOWERINGS = {
  lrnForward: missing("lrnForward"),
  lrnBackward: missing("lrnBackward"),
} satisfies Lowerings;
