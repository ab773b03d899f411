/** The probe of what the machine multiplies at best. */
import { PEAK_PROBE_ARGUMENTS } from "../arguments.js";
import { type Lowerings, launch, NONE } from "./launch.js";

/** A, B and C of assembly/peak-probe.ts. */
const WORKER_BYTES = 8 * 1024 + 16 * 1024 + 512;

export const PEAK_PROBE_LOWERINGS = {
  peakProbe: {
    scratchBytes: NONE,
    launches: ({ grains, products }, { y }) => [
      launch("peakProbe", PEAK_PROBE_ARGUMENTS, { y, products }, grains, WORKER_BYTES),
    ],
  },
} satisfies Lowerings;
