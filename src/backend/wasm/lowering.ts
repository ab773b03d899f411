/**
 * From kernel calls to launches: which exports of assembly/index.ts run, with which argument record, in how many grains.
 * A call may take several launches (pack, then multiply); between two launches all grains of the first are done.
 * Addresses are numbers here; 0 stands for a missing optional tensor. A file a family: lowering/, named as in assembly/.
 */
import type { Derived, KernelCall, KernelName, ShapeOf } from "../backend.js";
import { BATCH_NORM_LOWERINGS } from "./lowering/batch-norm.js";
import { CONV2D_LOWERINGS } from "./lowering/conv2d.js";
import { ELEMENTWISE_LOWERINGS } from "./lowering/elementwise.js";
import type { Addresses, DerivedAddress, Launch, Lowering, LoweringOptions } from "./lowering/launch.js";
import { LINEAR_LOWERINGS } from "./lowering/linear.js";
import { QUANTIZED_LINEAR_LOWERINGS } from "./lowering/linear-quantized.js";
import { LOSS_LOWERINGS } from "./lowering/loss.js";
import { LRN_LOWERINGS } from "./lowering/lrn.js";
import { OPTIMIZER_LOWERINGS } from "./lowering/optimizer.js";
import { PEAK_PROBE_LOWERINGS } from "./lowering/peak-probe.js";
import { POOL2D_LOWERINGS } from "./lowering/pool2d.js";
import { RANDOM_LOWERINGS } from "./lowering/random.js";
import { STRIDED_COPY_LOWERINGS } from "./lowering/strided-copy.js";
import { UPSAMPLE_LOWERINGS } from "./lowering/upsample.js";

export type { Launch, LoweringOptions } from "./lowering/launch.js";

const LOWERINGS: { readonly [K in KernelName]: Lowering<K> } = {
  ...CONV2D_LOWERINGS,
  ...LINEAR_LOWERINGS,
  ...QUANTIZED_LINEAR_LOWERINGS,
  ...POOL2D_LOWERINGS,
  ...ELEMENTWISE_LOWERINGS,
  ...STRIDED_COPY_LOWERINGS,
  ...RANDOM_LOWERINGS,
  ...LRN_LOWERINGS,
  ...BATCH_NORM_LOWERINGS,
  ...LOSS_LOWERINGS,
  ...OPTIMIZER_LOWERINGS,
  ...UPSAMPLE_LOWERINGS,
  ...PEAK_PROBE_LOWERINGS,
};

/** Shared scratch memory of a call. */
export function scratchBytes<K extends KernelName>(call: KernelCall<unknown, K>, options: LoweringOptions): number {
  const { kernel, shape }: { kernel: K; shape: ShapeOf<K> } = call;
  return LOWERINGS[kernel].scratchBytes(shape, options);
}

/** What a call was computed by; empty where there is one way. */
export function algorithmOf<K extends KernelName>(call: KernelCall<unknown, K>, options: LoweringOptions): string {
  const { kernel, shape }: { kernel: K; shape: ShapeOf<K> } = call;
  return LOWERINGS[kernel].algorithm?.(shape, options) ?? "";
}

/** What a call makes of its weight alone. */
export function derivedOf<K extends KernelName>(
  call: KernelCall<unknown, K>,
  options: LoweringOptions,
): Derived | null {
  const { kernel, shape }: { kernel: K; shape: ShapeOf<K> } = call;
  return LOWERINGS[kernel].derived?.(shape, options) ?? null;
}

/** The launches of a call whose tensors are addresses. */
export function lower<K extends KernelName>(
  call: KernelCall<number, K>,
  callScratch: number,
  derived: DerivedAddress | null,
  options: LoweringOptions,
): Launch[] {
  const { kernel, shape, tensors }: { kernel: K; shape: ShapeOf<K>; tensors: Addresses<K> } = call;
  return LOWERINGS[kernel].launches(shape, tensors, callScratch, derived, options);
}
