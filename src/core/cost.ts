/**
 * What a kernel call costs by definition, whatever algorithm computes it: pure functions of the call, for profiles.
 *
 *   FLOPs   two for each multiply-accumulate of the direct method, padding included; 0 for kernels without products of matrices
 *   bytes   every tensor that is read, once, and every one that is written, once
 */

import {
  type Conv2dShape,
  type CopyShape,
  type DataType,
  ELEMENT_BYTES,
  KERNEL_WRITES,
  type KernelName,
  type KernelTable,
  type LinearShape,
  PEAK_PROBE_TILE,
  type ShapeOf,
  type StridedCopyShape,
} from "../backend/backend.js";

/** What counts of a tensor. */
export interface CostedTensor {
  readonly size: number;
  readonly dtype: DataType;
}

/** What counts of a call. */
export interface CostedCall<K extends KernelName = KernelName> {
  readonly kernel: K;
  readonly shape: ShapeOf<K>;
  readonly tensors: Readonly<Record<string, CostedTensor | null>>;
}

const conv2dFlops = ({ batch, outC, outH, outW, inC, groups, kH, kW }: Conv2dShape): number =>
  2 * batch * outC * outH * outW * (inC / groups) * kH * kW;
const linearFlops = ({ batch, inFeatures, outFeatures }: LinearShape): number => 2 * batch * inFeatures * outFeatures;

const { rows, columns, terms } = PEAK_PROBE_TILE;

/** Kernels with multiply-accumulates. */
const FLOPS: { readonly [K in KernelName]?: (s: ShapeOf<K>) => number } = {
  conv2dForward: conv2dFlops,
  conv2dMaxPool2dForward: conv2dFlops,
  conv2dBackwardInput: conv2dFlops,
  conv2dBackwardWeight: conv2dFlops,
  linearForward: linearFlops,
  linearBackwardInput: linearFlops,
  linearBackwardWeight: linearFlops,
  linearUpdateWeight: linearFlops,
  linearQuantizedForward: linearFlops,
  peakProbe: ({ grains, products }) => grains * products * 2 * rows * columns * terms,
};

/** Roles that a kernel both reads and writes. */
const UPDATED: { readonly [K in KernelName]?: readonly (KernelTable[K]["reads"] & KernelTable[K]["writes"])[] } = {
  batchNormStatistics: ["runningMean", "runningVar"],
  sgd: ["param", "velocity"],
  linearUpdateWeight: ["param", "velocity"],
  adam: ["param", "expAvg", "expAvgSq"],
};

/** Kernels that touch a part of their tensors: how many elements they move. */
const MOVED: { readonly [K in KernelName]?: (s: ShapeOf<K>) => number } = {
  copy: ({ length }: CopyShape) => length,
  stridedCopy: ({ size0, size1, size2 }: StridedCopyShape) => size0 * size1 * size2,
};

/** Floating-point operations of the direct method. */
export function flopsOf<K extends KernelName>(kernel: K, shape: ShapeOf<K>): number {
  return FLOPS[kernel]?.(shape) ?? 0;
}

/** Bytes that must move at least: as float32 where tensors are of that type, whatever the backend computes in. */
export function bytesOf<K extends KernelName>({ kernel, shape, tensors }: CostedCall<K>): number {
  const moved = MOVED[kernel]?.(shape);
  const writes: readonly string[] = KERNEL_WRITES[kernel];
  const updated: readonly string[] = UPDATED[kernel] ?? [];
  const accumulates = "accumulate" in shape && shape.accumulate === true;
  let bytes = 0;
  for (const [role, tensor] of Object.entries(tensors)) {
    if (tensor === null) continue;
    const times = updated.includes(role) || (accumulates && writes.includes(role)) ? 2 : 1;
    bytes += times * (moved ?? tensor.size) * ELEMENT_BYTES[tensor.dtype];
  }
  return bytes;
}
