/** Soft-max and losses. A team of threads shares a row of classes; sums over rows: reduce.ts. */
import type { Place } from "../../backend.js";
import {
  type CallContext,
  type Dispatch,
  float,
  grid,
  type Lowering,
  type Lowerings,
  pieces,
  type Window,
  whole,
} from "../dispatch.js";
import { dispatchPieces } from "./elementwise.js";
import loss from "./loss.wgsl.js";
import math from "./math.wgsl.js";
import { sumScratchBytes, sumTerms } from "./reduce.js";

const source = `${math}\n${loss}`;

/** Threads of a workgroup, in which several rows may be. */
const GROUP = 64;
const LARGEST_GROUP = 256;
/** Elements of a row that a thread takes before its team is made larger. */
const ELEMENTS = 4;

/** A power of two of threads that share a row: neighbours read neighbouring addresses. */
function teamOf(classes: number): number {
  let team = 1;
  while (team < LARGEST_GROUP && team * ELEMENTS < classes) team *= 2;
  return team;
}

type Rows = "logSoftmaxForward" | "logSoftmaxBackward" | "labelRank";

/** A kernel that goes row by row. */
function byRows<K extends Rows>(kernel: K, output: string): Lowering<K> {
  return {
    dispatches({ rows, classes }, t, c) {
      const team = teamOf(classes);
      const threads = Math.max(GROUP, team);
      return [
        {
          name: kernel,
          source,
          constants: { [kernel]: true, TEAMS: true, ROWS: rows, CLASSES: classes, TEAM: team, GROUP: threads },
          tensors: wholeOf(t),
          writes: [output],
          uniforms: {},
          workgroups: grid(Math.ceil((rows * team) / threads), c),
        },
      ];
    },
  };
}

function wholeOf(tensors: Readonly<Record<string, Place>>): Record<string, Window> {
  return Object.fromEntries(Object.entries(tensors).map(([role, place]) => [role, whole(place)]));
}

function crossEntropyGradient(
  rows: number,
  classes: number,
  tensors: Record<string, Window>,
  c: CallContext,
): Dispatch {
  return {
    name: "crossEntropyBackward",
    source,
    constants: { crossEntropyBackward: true, ROWS: rows, CLASSES: classes },
    tensors,
    writes: ["dx"],
    uniforms: {},
    workgroups: grid(Math.ceil((rows * classes) / LARGEST_GROUP), c),
  };
}

export const LOSS_LOWERINGS = {
  logSoftmaxForward: byRows("logSoftmaxForward", "y"),
  logSoftmaxBackward: byRows("logSoftmaxBackward", "dx"),
  labelRank: byRows("labelRank", "ranks"),
  nllForward: {
    scratchBytes: ({ rows }) => sumScratchBytes(rows),
    dispatches({ rows, classes }, { y, labels, loss }, c) {
      const tensors = { x: whole(y), labels: whole(labels) };
      const terms = { length: rows, tensors, constants: { picked: true, CLASSES: classes } };
      return sumTerms("nllForward", [terms], loss, -1 / rows, c);
    },
  },
  crossEntropyBackward: {
    dispatches: ({ rows, classes }, t, c) => [crossEntropyGradient(rows, classes, wholeOf(t), c)],
  },
  squaredErrorForward: {
    scratchBytes: ({ length }) => sumScratchBytes(length),
    dispatches({ factor }, { a, b, loss }, c) {
      const bs = pieces(b, c);
      const parts = pieces(a, c).map((window, i) => ({
        length: window.length,
        tensors: { a: window, b: bs[i] },
        constants: { squares: true },
      }));
      return sumTerms("squaredErrorForward", parts, loss, factor, c);
    },
  },
  squaredErrorBackward: {
    dispatches: ({ factor }, t, c) =>
      dispatchPieces(
        "squaredErrorBackward",
        source,
        { ...t },
        { output: "dx", scalars: ["dLoss"], uniforms: { factor: float(factor) } },
        c,
      ),
  },
} satisfies Lowerings;
