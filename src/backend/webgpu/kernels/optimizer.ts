/** Not there yet. */
import type { Lowerings } from "../dispatch.js";
import { missing } from "./missing.js";

export const OPTIMIZER_LOWERINGS = {
  sgd: missing("sgd"),
  adam: missing("adam"),
} satisfies Lowerings;
