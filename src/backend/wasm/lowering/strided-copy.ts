/** Copies between layouts. */
import { STRIDED_COPY_ARGUMENTS } from "../arguments.js";
import { GRAIN_FLOATS } from "./elementwise.js";
import { type Lowerings, launch, NONE } from "./launch.js";

/** Address of an element. */
function at(address: number, element: number): number {
  return address + element * 4;
}

export const STRIDED_COPY_LOWERINGS = {
  stridedCopy: {
    scratchBytes: NONE,
    launches({ size0, size1, size2, x: from, y: to }, { x, y }) {
      const rows = Math.max(1, Math.floor(GRAIN_FLOATS / size2));
      const values = {
        x: at(x, from.begin),
        y: at(y, to.begin),
        size0,
        size1,
        size2,
        xStride0: from.stride0,
        xStride1: from.stride1,
        xStride2: from.stride2,
        yStride0: to.stride0,
        yStride1: to.stride1,
        yStride2: to.stride2,
        rows,
      };
      return [launch("stridedCopy", STRIDED_COPY_ARGUMENTS, values, Math.ceil((size0 * size1) / rows))];
    },
  },
} satisfies Lowerings;
