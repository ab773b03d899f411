/** Not there yet. */
import type { Lowerings } from "../dispatch.js";
import { missing } from "./missing.js";

export const PEAK_PROBE_LOWERINGS = {
  peakProbe: missing("peakProbe"),
} satisfies Lowerings;
