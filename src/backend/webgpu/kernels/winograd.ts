/** Not there yet: Winograd's F(2x2) and F(4x4), in all three directions. */
import { BackendError } from "../../../core/errors.js";
import type { Conv2dShape, Derived, Place } from "../../backend.js";
import type { CallContext, Dispatch, LoweringContext } from "../dispatch.js";

export type Direction = "forward" | "backwardInput" | "backwardWeight";

/** Outputs of a tile along one side. */
export type WinogradTile = 2 | 4;

/** Can a convolution be computed so? 3x3, stride 1, neither dilated nor grouped. */
export function canWinograd(s: Conv2dShape): boolean {
  const { kH, kW, strideH, strideW, dilationH, dilationW, groups } = s;
  return kH === 3 && kW === 3 && strideH === 1 && strideW === 1 && dilationH === 1 && dilationW === 1 && groups === 1;
}

export function winogradScratchBytes(_s: Conv2dShape, _d: Direction, _tile: WinogradTile, _c: LoweringContext): number {
  return 0;
}

/** The transformed weight of the first two directions. */
export function winogradDerived(
  _s: Conv2dShape,
  _d: Direction,
  _tile: WinogradTile,
  _c: LoweringContext,
): Derived | null {
  return null;
}

/** What differs between conv2dForward, conv2dMaxPool2dForward, conv2dBackwardInput and conv2dBackwardWeight. */
export interface WinogradCall {
  readonly direction: Direction;
  readonly tile: WinogradTile;
  /** x and weight, dy and weight, or x and dy. */
  readonly inputs: readonly [Place, Place];
  /** y, dx or dWeight. */
  readonly output: Place;
  readonly bias?: Place | null;
  readonly mask?: Place | null;
  readonly relu?: boolean;
  /** Write the maxima of windows of 2x2 alone. */
  readonly pool?: boolean;
  readonly accumulate?: boolean;
}

export function winograd(_s: Conv2dShape, _call: WinogradCall, _c: CallContext): Dispatch[] {
  throw new BackendError("webgpu: Winograd is not there yet.");
}
