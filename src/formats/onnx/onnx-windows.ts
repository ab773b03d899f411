/**
 * Windows of ONNX's convolutions and pools, whose paddings may differ from side to side or be automatic, as rows have them: one padding for
 * both sides, a pad row before, or rounding up. Pure decisions; the rows are made in onnx-ops.ts.
 */
import { isCount } from "../../models/net-config.js";
import type { FileShape } from "../net-builder.js";
import type { NodeContext } from "./onnx-node.js";

type Sides = readonly [number, number];
/** Padding of each side. */
type PadSides = readonly [top: number, left: number, bottom: number, right: number];

/** A window as the file has it. */
export interface OnnxWindow {
  readonly kernelSize: Sides;
  readonly stride: Sides;
  readonly dilation: Sides;
  readonly pads: PadSides;
}

/** Reads a node's window. @param kernel what to take where the node does not say. */
export function windowOf(node: NodeContext, shape: FileShape, kernel: readonly number[] | null): OnnxWindow {
  const kernelSize = sides(node, "kernel_shape", node.ints("kernel_shape") ?? kernel ?? [], 1);
  const stride = sides(node, "strides", node.ints("strides") ?? [1, 1], 1);
  const dilation = sides(node, "dilations", node.ints("dilations") ?? [1, 1], 1);
  const window = { kernelSize, stride, dilation };
  return { ...window, pads: padsOf(node, shape, window) };
}

function sides(node: NodeContext, name: string, values: readonly number[], least: number): Sides {
  const [height, width] = values;
  if (values.length === 2 && values.every((value) => Number.isSafeInteger(value) && value >= least)) {
    return [height, width];
  }
  return node.refuse(`${name} [${values}], not two whole numbers of at least ${least}`);
}

function padsOf(node: NodeContext, shape: FileShape, window: Omit<OnnxWindow, "pads">): PadSides {
  const auto = node.text("auto_pad", "NOTSET");
  if (auto === "VALID") return [0, 0, 0, 0];
  if (auto === "NOTSET" || auto === "") {
    const [top, left, bottom, right] = node.ints("pads") ?? [0, 0, 0, 0];
    const pads = [top, left, bottom, right] as const;
    if (pads.every((pad) => Number.isSafeInteger(pad) && pad >= 0)) return pads;
    return node.refuse(`pads [${node.ints("pads")}], not four whole numbers of at least 0`);
  }
  if (auto !== "SAME_UPPER" && auto !== "SAME_LOWER") return node.refuse(`auto_pad ${auto}`);
  const [begin, end] = [0, 1].map((axis) => sameTotal(node, shape[axis + 1], axis, window));
  const [less, more] = [[begin, end].map((total) => Math.floor(total / 2)), [begin, end].map((t) => Math.ceil(t / 2))];
  return auto === "SAME_UPPER" ? [less[0], less[1], more[0], more[1]] : [more[0], more[1], less[0], less[1]];
}

/** Padding with which the output is the input's size over the stride. */
function sameTotal(
  node: NodeContext,
  side: number | null | undefined,
  axis: number,
  { kernelSize, stride, dilation }: Omit<OnnxWindow, "pads">,
): number {
  const reach = dilation[axis] * (kernelSize[axis] - 1) + 1;
  if (stride[axis] === 1) return reach - 1;
  if (!isCount(side ?? 0)) return node.refuse("automatic padding where the picture's size is open");
  const size = side ?? 0;
  return Math.max(0, (Math.ceil(size / stride[axis]) - 1) * stride[axis] + reach - size);
}

/** Top and left where bottom and right are the same, else null. */
export function evenPadding([top, left, bottom, right]: PadSides): Sides | null {
  return top === bottom && left === right ? [top, left] : null;
}

/**
 * How a pool whose padding counts for nothing can be said with one padding: where rounding up or down gives as many windows, they are the same ones.
 * @returns null where it cannot.
 */
export function poolPadding(
  { kernelSize, stride, pads }: OnnxWindow,
  ceilMode: boolean,
  shape: FileShape,
): { padding: Sides; ceilMode: boolean } | null {
  const [top, left, bottom, right] = pads;
  const padding: Sides = [top, left];
  if (top === bottom && left === right) return { padding, ceilMode };
  const begin = [top, left];
  const end = [bottom, right];
  // One more on the far side than a stride lacks is the same as rounding up, whatever the size.
  if (!ceilMode && [0, 1].every((axis) => end[axis] - begin[axis] === stride[axis] - 1))
    return { padding, ceilMode: true };
  for (const mode of [false, true]) {
    const same = [0, 1].every((axis) => {
      const side = shape[axis + 1];
      if (side === null || side === undefined) return false;
      const count = (before: number, after: number, up: boolean): number => {
        const steps = (side + before + after - kernelSize[axis]) / stride[axis];
        const windows = (up ? Math.ceil(steps) : Math.floor(steps)) + 1;
        return up && (windows - 1) * stride[axis] >= side + before ? windows - 1 : windows;
      };
      return count(begin[axis], end[axis], ceilMode) === count(begin[axis], begin[axis], mode);
    });
    if (same) return { padding, ceilMode: mode };
  }
  return null;
}
