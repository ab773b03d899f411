/** The checks that several operations share. */
import { ShapeError } from "../core/errors.js";
import { formatShape, sameShape } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";

/** One number for both directions, or [height, width]. */
export type Pair = number | readonly [number, number];

/** [height, width] of an option; each an integer of at least `least`. */
export function pair(op: string, name: string, value: Pair, least: number): readonly [number, number] {
  const both = typeof value === "number" ? ([value, value] as const) : value;
  if (both.length !== 2 || both.some((n) => !Number.isInteger(n) || n < least)) {
    const given = typeof value === "number" ? value : formatShape(value);
    throw new ShapeError(
      `${op}: ${name} must be an integer of at least ${least}, or two of them (${name} ${given}). Change ${name}.`,
    );
  }
  return both;
}

/** Throws unless the tensor has this many dimensions; `layout` names them. */
export function checkRank(op: string, name: string, tensor: Tensor, rank: number, layout: string): void {
  if (tensor.shape.length !== rank) {
    throw new ShapeError(
      `${op}: ${name} must have ${rank} dimensions, ${layout} (${name} ${formatShape(tensor.shape)}). Reshape it.`,
    );
  }
}

/** Throws unless two tensors have one shape; `names` are theirs, in order. */
export function checkSameShape(op: string, a: Tensor, b: Tensor, names: readonly [string, string] = ["a", "b"]): void {
  if (!sameShape(a.shape, b.shape)) {
    throw new ShapeError(
      `${op}: the shapes differ (${names[0]} ${formatShape(a.shape)}, ${names[1]} ${formatShape(b.shape)}). Give two tensors of one shape.`,
    );
  }
}

/** Throws unless the bias is missing or has one value per output. */
export function checkBias(op: string, bias: Tensor | null, outputs: number): void {
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== outputs)) {
    throw new ShapeError(
      `${op}: bias must have one value per output, ${outputs} (bias ${formatShape(bias.shape)}). Give a bias [${outputs}] or null.`,
    );
  }
}

/** Throws unless both channels are multiples of groups, itself an integer of at least 1. */
export function checkGroups(op: string, groups: number, inChannels: number, outChannels: number): void {
  if (!Number.isInteger(groups) || groups < 1) {
    throw new ShapeError(`${op}: groups must be an integer of at least 1 (groups ${groups}). Change groups.`);
  }
  if (inChannels % groups !== 0 || outChannels % groups !== 0) {
    throw new ShapeError(
      `${op}: groups must divide the channels (groups ${groups}, inChannels ${inChannels}, outChannels ${outChannels}). ` +
        "Change groups or the channels.",
    );
  }
}

/** Output size along one side of a sliding window; throws where the window does not fit once. */
export function windowOutput(
  op: string,
  side: string,
  size: number,
  kernelSize: number,
  stride: number,
  padding: number,
  dilation = 1,
): number {
  const out = Math.floor((size + 2 * padding - dilation * (kernelSize - 1) - 1) / stride) + 1;
  if (out < 1) {
    const dilated = dilation === 1 ? "" : `, dilation ${dilation}`;
    throw new ShapeError(
      `${op}: the window is larger than the padded input (${side} ${size} + 2·${padding}, kernelSize ${kernelSize}${dilated}). ` +
        `Use a larger input, more padding or a smaller ${dilated ? "dilation" : "kernel"}.`,
    );
  }
  return out;
}
