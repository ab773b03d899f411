/** Copies of ranges. What crosses from one piece of a tensor to the next is cut there. */
import type { Place } from "../../backend.js";
import { type Dispatch, grid, type Lowerings, pieceLength, WINDOW_UNIT, type Window } from "../dispatch.js";
import source from "./copy.wgsl.js";
import { missing } from "./missing.js";

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
  stridedCopy: missing("stridedCopy"),
} satisfies Lowerings;
