/** Element-wise kernels and the sum of all elements. */
import type { KernelName, ShapeOf } from "../../backend.js";
import { ELEMENTWISE_ARGUMENTS } from "../arguments.js";
import { type Addresses, type Lowering, type Lowerings, launch, NONE, type Values } from "./launch.js";

/** Elements of a grain; must equal GRAIN_FLOATS of assembly/elementwise.ts. */
export const GRAIN_FLOATS = 16384;

/** An element-wise kernel without shared scratch memory. */
function elementwise<K extends KernelName>(
  kernel: string,
  values: (s: ShapeOf<K>, t: Addresses<K>) => Values<typeof ELEMENTWISE_ARGUMENTS> & { length: number },
): Lowering<K> {
  return {
    scratchBytes: NONE,
    launches(s, t) {
      const fields = values(s, t);
      return [launch(kernel, ELEMENTWISE_ARGUMENTS, fields, Math.ceil(fields.length / GRAIN_FLOATS))];
    },
  };
}

export const ELEMENTWISE_LOWERINGS = {
  reluForward: elementwise("reluForward", ({ length }, { x, y }) => ({ length, a: x, y })),
  reluBackward: elementwise("reluBackward", ({ length }, { dy, y, dx }) => ({ length, a: dy, b: y, y: dx })),
  leakyReluForward: elementwise("leakyReluForward", ({ length, factor }, { x, y }) => ({ length, factor, a: x, y })),
  leakyReluBackward: elementwise("leakyReluBackward", ({ length, factor }, { dy, x, dx }) => ({
    length,
    factor,
    a: dy,
    b: x,
    y: dx,
  })),
  tanhForward: elementwise("tanhForward", ({ length }, { x, y }) => ({ length, a: x, y })),
  tanhBackward: elementwise("tanhBackward", ({ length }, { dy, y, dx }) => ({ length, a: dy, b: y, y: dx })),
  sigmoidForward: elementwise("sigmoidForward", ({ length }, { x, y }) => ({ length, a: x, y })),
  sigmoidBackward: elementwise("sigmoidBackward", ({ length }, { dy, y, dx }) => ({ length, a: dy, b: y, y: dx })),
  add: elementwise("add", ({ length }, { a, b, y }) => ({ length, a, b, y })),
  mul: elementwise("mul", ({ length }, { a, b, y }) => ({ length, a, b, y })),
  scale: elementwise("scale", ({ length, factor }, { x, y }) => ({ length, factor, a: x, y })),
  expand: elementwise("expand", ({ length, factor }, { x, y }) => ({ length, factor, a: x, y })),
  fill: elementwise("fill", ({ length, factor }, { y }) => ({ length, factor, y })),
  copy: elementwise("copy", ({ length, xBegin, yBegin }, { x, y }) => ({ length, a: x, y, aBegin: xBegin, yBegin })),
  sum: {
    scratchBytes: ({ length }) => Math.ceil(length / GRAIN_FLOATS) * 8,
    launches({ length }, { x, y }, callScratch) {
      const values = { a: x, y, callScratch, length };
      return [
        launch("sumGrains", ELEMENTWISE_ARGUMENTS, values, Math.ceil(length / GRAIN_FLOATS)),
        launch("sumTotal", ELEMENTWISE_ARGUMENTS, values, 1),
      ];
    },
  },
} satisfies Lowerings;
