/**
 * y = x · weightᵀ + bias with weights of any type. Few images are bound by reading the weight: linear-rows.wgsl, which reads it once at full
 * width. More are a product (gemm.ts), whose long sums are split.
 */
import type { LinearShape, Place, Rectify } from "../../backend.js";
import {
  type CallContext,
  type Dispatch,
  grid,
  type LoweringContext,
  optional,
  type Window,
  whole,
} from "../dispatch.js";
import { gemm } from "./gemm.js";
import loads from "./linear-forward.wgsl.js";
import finish from "./linear-forward-finish.wgsl.js";
import {
  addParts,
  FEW_IMAGES,
  isWide,
  partsBytes,
  type RowPiece,
  rowPieces,
  type SplitProduct,
  splitProduct,
  uniformsOf,
  windowOf,
} from "./linear-pieces.js";
import rows from "./linear-rows.wgsl.js";
import store from "./linear-store.wgsl.js";
import decode from "./linear-weight.wgsl.js";

/** Of linear-rows.wgsl, which has 4 sums of few images for each, in 16 KiB. */
const THREADS = 128;

type WeightType = "float32" | "float16" | "int8";

export interface LinearForward {
  readonly name: string;
  readonly shape: LinearShape & Rectify;
  readonly weightType: WeightType;
  /** Float32. */
  readonly x: Window;
  readonly weight: Place;
  /** Factors of the weight's rows, [outFeatures], and of the images, [batch]; null for 1. */
  readonly scale: Place | null;
  readonly steps: Window | null;
  readonly bias: Place | null;
  readonly y: Place;
  /** As long as {@link forwardPartsBytes}. */
  readonly parts: Window | null;
}

/** Scratch memory that {@link linearForward} needs. */
export function forwardPartsBytes(s: LinearShape, weightType: WeightType, c: LoweringContext): number {
  if (s.batch <= FEW_IMAGES) return 0;
  const sizes = rowPieces(s, weightType, c).map((piece) =>
    partsBytes(s.batch, piece.rowEnd - piece.row, splitOf(s, piece, c)),
  );
  return Math.max(...sizes);
}

function splitOf({ batch, inFeatures }: LinearShape, { row, rowEnd }: RowPiece, c: LoweringContext): SplitProduct {
  return splitProduct(batch, rowEnd - row, inFeatures, c.pieceBytes / 2);
}

export function linearForward(call: LinearForward, c: CallContext): Dispatch[] {
  const { batch, inFeatures, relu } = call.shape;
  const { x, weight, scale, steps, bias, y, weightType } = call;
  const wide = isWide(inFeatures);
  return rowPieces(call.shape, weightType, c).flatMap((piece) => {
    const width = piece.rowEnd - piece.row;
    const common = {
      name: call.name,
      constants: { wide, relu, [weightType]: true },
      tensors: {
        x: wide ? { ...x, element: "vec4<f32>" } : x,
        weight: windowOf(weight, piece, wide),
        scale: optional(scale),
        steps,
        bias: optional(bias),
        y: whole(y),
      },
      // Here, since the same shader does for all sizes: nothing in it gains by knowing them.
      uniforms: { ...uniformsOf(call.shape, piece), width },
    };
    if (batch <= FEW_IMAGES) {
      const rowsOfGroup = width >= 2048 ? 4 : width >= 512 ? 2 : 1;
      const dispatch: Dispatch = {
        ...common,
        source: `${decode}\n${finish}\n${rows}`,
        constants: { ...common.constants, BATCH: batch, THREADS, ROWS: rowsOfGroup, single: piece.first && piece.last },
        writes: ["y"],
        workgroups: grid(Math.ceil(width / rowsOfGroup), c),
      };
      return [dispatch];
    }
    const { tile, terms, parts } = splitOf(call.shape, piece, c);
    const split = parts > 1;
    const product = gemm(
      {
        ...common,
        m: batch,
        n: width,
        k: terms,
        z: parts,
        loads: `${decode}\n${split ? "" : finish}\n${loads}\n${store}`,
        aAlongK: true,
        bAlongK: true,
        uniforms: { ...common.uniforms, terms, splits: parts },
        tensors: { ...common.tensors, parts: split ? call.parts : null },
        writes: [split ? "parts" : "y"],
        tile,
      },
      c,
    );
    return split ? [product, { ...addParts(product, finish, batch * width, c), writes: ["y"] }] : [product];
  });
}
