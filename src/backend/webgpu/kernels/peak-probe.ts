/** The probe of what the device multiplies at best: a grain is the work of eight threads. */
import { PEAK_PROBE_TILE } from "../../backend.js";
import { float, grid, type Lowerings, whole } from "../dispatch.js";
import source from "./peak-probe.wgsl.js";

const { rows, columns, terms } = PEAK_PROBE_TILE;
/** Grains of a workgroup of 64 threads. */
const GRAINS = 8;
/** Factors whose product is 1 / terms. */
const A = float(1 / 16);
const B = float(16 / terms);

export const PEAK_PROBE_LOWERINGS = {
  peakProbe: {
    dispatches: ({ grains, products }, { y }, c) => [
      {
        name: "peakProbe",
        source,
        constants: { GRAINS: grains, TERMS: terms, ELEMENTS: float(rows * columns) },
        tensors: { y: whole(y) },
        writes: ["y"],
        uniforms: { products, a0: A, a1: A, a2: A, a3: A, b0: B, b1: B, b2: B, b3: B },
        workgroups: grid(Math.ceil(grains / GRAINS), c),
      },
    ],
  },
} satisfies Lowerings;
