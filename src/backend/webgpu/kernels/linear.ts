/** Linear layers: products over the whole batch. Weights that lie in several pieces take dispatches for each: linear-pieces.ts. */
import type { LinearShape, Place } from "../../backend.js";
import {
  type CallContext,
  type Dispatch,
  grid,
  type LoweringContext,
  type Lowerings,
  optional,
  whole,
} from "../dispatch.js";
import { GEMM_TILES, gemm, gemmTile } from "./gemm.js";
import backwardBias from "./linear-backward-bias.wgsl.js";
import backwardInput from "./linear-backward-input.wgsl.js";
import finish from "./linear-backward-input-finish.wgsl.js";
import backwardWeight from "./linear-backward-weight.wgsl.js";
import columns from "./linear-columns.wgsl.js";
import { forwardPartsBytes, linearForward } from "./linear-forward.js";
import gradient from "./linear-gradient.wgsl.js";
import outer from "./linear-outer.wgsl.js";
import {
  addParts,
  FEW_IMAGES,
  inFours,
  isWide,
  partsBytes,
  type RowPiece,
  rowPieces,
  type SplitProduct,
  splitProduct,
  splitSums,
  uniformsOf,
  windowOf,
} from "./linear-pieces.js";
import store from "./linear-store.wgsl.js";
import { sgdConstants, sgdUniforms } from "./optimizer.js";
import sgd from "./sgd.wgsl.js";

/** Columns of a workgroup of linear-columns.wgsl: 4 for each of 64 threads. */
const COLUMNS = 256;

/** Are four neighbouring gradients of outputs loaded at once? Pieces of the weight then begin on whole fours of rows. */
function isWideOut({ batch, outFeatures }: LinearShape): boolean {
  return batch > FEW_IMAGES && isWide(outFeatures);
}

function piecesOf(s: LinearShape, c: LoweringContext): RowPiece[] {
  return rowPieces(s, "float32", c, isWideOut(s) ? 4 : 1);
}

/** How the sums behind dx are split, of one piece. */
function inputSplit({ batch, inFeatures }: LinearShape, { row, rowEnd }: RowPiece, c: LoweringContext): SplitProduct {
  const terms = rowEnd - row;
  if (batch > FEW_IMAGES) return splitProduct(batch, inFeatures, terms, c.pieceBytes);
  const mostParts = c.pieceBytes / (batch * inFeatures * 4);
  // Threads go along all terms alone: the more parts, the better.
  return { tile: GEMM_TILES["16x64"], ...splitSums(terms, Math.ceil(inFeatures / COLUMNS / 8), mostParts, 64) };
}

/** What a weight's gradient goes into. */
interface GradientUse extends Pick<Dispatch, "name" | "source" | "constants" | "uniforms"> {
  readonly x: Place;
  readonly dy: Place;
  readonly into: Readonly<Record<string, Place | null>>;
}

/** A weight's gradient and its use, piece by piece. */
function weightGradient(s: LinearShape, { x, dy, into, ...use }: GradientUse, c: CallContext): Dispatch[] {
  const { batch, inFeatures } = s;
  const wide = isWide(inFeatures);
  const few = batch <= FEW_IMAGES;
  const wideOut = isWideOut(s);
  return piecesOf(s, c).map((piece) => {
    const outputs = Object.entries(into).map(([role, place]) => [role, place && windowOf(place, piece, wide)]);
    const source = `${gradient}\n${use.source}`;
    const common = {
      name: use.name,
      constants: { ...use.constants, wide },
      tensors: { x: inFours(x, wide), dy: inFours(dy, wideOut), ...Object.fromEntries(outputs) },
      writes: Object.keys(into),
      uniforms: { ...use.uniforms, ...uniformsOf(s, piece) },
    };
    if (few) {
      const elements = (piece.end - piece.begin) / (wide ? 4 : 1);
      return {
        ...common,
        source: `${outer}\n${source}`,
        constants: { ...common.constants, BATCH: batch },
        workgroups: grid(Math.ceil(elements / 64), c),
      };
    }
    const m = piece.rowEnd - piece.row;
    return gemm(
      {
        ...common,
        m,
        n: inFeatures,
        loads: `${backwardWeight}\n${source}`,
        aAlongK: false,
        bAlongK: false,
        constants: { ...common.constants, wideOut },
        tile: gemmTile(m, inFeatures),
      },
      c,
    );
  });
}

export const LINEAR_LOWERINGS = {
  linearForward: {
    scratchBytes: (s, c) => forwardPartsBytes(s, "float32", c),
    dispatches: (shape, { x, weight, bias, y }, c) =>
      linearForward(
        {
          name: "linearForward",
          shape,
          weightType: "float32",
          x: whole(x),
          weight,
          scale: null,
          steps: null,
          bias,
          y,
          parts: optional(c.scratch),
        },
        c,
      ),
  },
  linearBackwardInput: {
    scratchBytes: (s, c) =>
      Math.max(...piecesOf(s, c).map((piece) => partsBytes(s.batch, s.inFeatures, inputSplit(s, piece, c)))),
    dispatches(s, { dy, weight, mask, dx }, c) {
      const { batch, inFeatures } = s;
      const few = batch <= FEW_IMAGES;
      const wide = isWide(inFeatures);
      const wideOut = isWideOut(s);
      return piecesOf(s, c).flatMap((piece) => {
        const { tile, terms, parts } = inputSplit(s, piece, c);
        const split = parts > 1;
        const loads = `${split ? "" : finish}\n${backwardInput}\n${store}`;
        const common = {
          name: "linearBackwardInput",
          constants: { wide, wideOut, later: !piece.first, last: piece.last },
          tensors: {
            dy: inFours(dy, wideOut),
            weight: windowOf(weight, piece, wide),
            mask: optional(mask),
            dx: whole(dx),
            parts: split ? optional(c.scratch) : null,
          },
          writes: [split ? "parts" : "dx"],
          uniforms: { ...uniformsOf(s, piece), width: inFeatures, terms, splits: parts },
        };
        const product: Dispatch = few
          ? {
              ...common,
              source: `${loads}\n${columns}`,
              constants: { ...common.constants, BATCH: batch },
              workgroups: [Math.ceil(inFeatures / COLUMNS), 1, parts],
            }
          : gemm(
              { ...common, m: batch, n: inFeatures, k: terms, z: parts, loads, aAlongK: true, bAlongK: false, tile },
              c,
            );
        if (!split) return [product];
        return [product, { ...addParts(product, finish, batch * inFeatures, c), writes: ["dx"] }];
      });
    },
  },
  linearBackwardWeight: {
    dispatches: (s, { x, dy, dWeight }, c) =>
      weightGradient(
        s,
        {
          name: "linearBackwardWeight",
          source: "",
          constants: { accumulate: s.accumulate },
          uniforms: {},
          x,
          dy,
          into: { dWeight },
        },
        c,
      ),
  },
  linearUpdateWeight: {
    dispatches: (s, { x, dy, param, velocity }, c) =>
      weightGradient(
        s,
        {
          name: "linearUpdateWeight",
          source: sgd,
          constants: sgdConstants(s),
          uniforms: sgdUniforms(s),
          x,
          dy,
          into: { param, velocity },
        },
        c,
      ),
  },
  linearBackwardBias: {
    dispatches: ({ batch, outFeatures, accumulate }, { dy, dBias }, c) => [
      {
        name: "linearBackwardBias",
        source: backwardBias,
        constants: { BATCH: batch, OUT: outFeatures, accumulate },
        tensors: { dy: whole(dy), dBias: whole(dBias) },
        writes: ["dBias"],
        uniforms: {},
        workgroups: grid(Math.ceil(outFeatures / 64), c),
      },
    ],
  },
} satisfies Lowerings;
