/** The probe of what the machine multiplies at best. See kernels.ts. */
import { PEAK_PROBE_TILE } from "../backend.js";
import type { ReferenceKernels } from "./kernel.js";

export const PEAK_PROBE_KERNELS = {
  peakProbe({ grains, products }, { y }) {
    const { rows, columns, terms } = PEAK_PROBE_TILE;
    for (let grain = 0; grain < grains; grain++) {
      const tile = new Float64Array(rows * columns);
      for (let product = 0; product < products; product++) {
        for (let element = 0; element < tile.length; element++) {
          for (let term = 0; term < terms; term++) tile[element] += 1 / terms;
        }
      }
      y[grain] = tile[0];
    }
  },
} satisfies ReferenceKernels;
