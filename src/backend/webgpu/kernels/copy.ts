/** Copies of ranges, which are cut where they cross from one piece of a tensor to the next; and copies between layouts. */
import type { Place } from "../../backend.js";
import { type Dispatch, grid, type Lowerings, pieceLength, WINDOW_UNIT, type Window, whole } from "../dispatch.js";
import source from "./copy.wgsl.js";
import stridedSource from "./strided-copy.wgsl.js";

const THREADS = 64;

/** Elements from `begin` on as a window that begins on a whole unit, and where they are in it. */
function windowAt(place: Place, begin: number, length: number): { window: Window; offset: number } {
  const from = Math.floor(begin / WINDOW_UNIT) * WINDOW_UNIT;
  return { window: { place, begin: from, length: begin + length - from, element: "u32" }, offset: begin - from };
}

export const COPY_LOWERINGS = {
  copy: {
    dispatches({ length, xBegin, yBegin }, { x, y }, c) {
      const dispatches: Dispatch[] = [];
      for (let i = 0; i < length; ) {
        const untilCut = ([place, at]: readonly [Place, number]): number => {
          const size = pieceLength(place, c);
          return size - (at % size);
        };
        const part = Math.min(length - i, untilCut([x, xBegin + i]), untilCut([y, yBegin + i]));
        const [from, to] = [windowAt(x, xBegin + i, part), windowAt(y, yBegin + i, part)];
        dispatches.push({
          name: "copy",
          source,
          constants: { X_BEGIN: from.offset, Y_BEGIN: to.offset, LENGTH: part },
          tensors: { x: from.window, y: to.window },
          writes: ["y"],
          uniforms: {},
          workgroups: grid(Math.ceil(part / THREADS), c),
        });
        i += part;
      }
      return dispatches;
    },
  },
  stridedCopy: {
    dispatches({ size0, size1, size2, x: from, y: to }, { x, y }, c) {
      const count = size0 * size1 * size2;
      return [
        {
          name: "stridedCopy",
          source: stridedSource,
          constants: {
            COUNT: count,
            SIZE1: size1,
            SIZE2: size2,
            X_BEGIN: from.begin,
            X_STRIDE0: from.stride0,
            X_STRIDE1: from.stride1,
            X_STRIDE2: from.stride2,
            Y_BEGIN: to.begin,
            Y_STRIDE0: to.stride0,
            Y_STRIDE1: to.stride1,
            Y_STRIDE2: to.stride2,
          },
          tensors: { x: { ...whole(x), element: "u32" }, y: { ...whole(y), element: "u32" } },
          writes: ["y"],
          uniforms: {},
          workgroups: grid(Math.ceil(count / THREADS), c),
        },
      ];
    },
  },
} satisfies Lowerings;
