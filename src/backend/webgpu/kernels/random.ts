/** Not there yet. */
import type { Lowerings } from "../dispatch.js";
import { missing } from "./missing.js";

export const RANDOM_LOWERINGS = {
  dropout: missing("dropout"),
  fillUniform: missing("fillUniform"),
  fillNormal: missing("fillNormal"),
} satisfies Lowerings;
