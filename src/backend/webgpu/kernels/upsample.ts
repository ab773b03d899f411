/** Not there yet. */
import type { Lowerings } from "../dispatch.js";
import { missing } from "./missing.js";

export const UPSAMPLE_LOWERINGS = {
  upsampleForward: missing("upsampleForward"),
  upsampleBackward: missing("upsampleBackward"),
} satisfies Lowerings;
