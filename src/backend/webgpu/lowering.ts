/**
 * From kernel calls to dispatches: which shader, on which windows of which tensors, in how many workgroups. A file a family: kernels/,
 * where each .ts stands beside its .wgsl.
 */
import type { Derived, KernelCall, KernelName, Place, ShapeOf } from "../backend.js";
import type { CallContext, Candidates, Dispatch, Lowering, LoweringContext, Places } from "./dispatch.js";
import { ACTIVATION_LOWERINGS } from "./kernels/activation.js";
import { BATCH_NORM_LOWERINGS } from "./kernels/batch-norm.js";
import { CONV2D_LOWERINGS } from "./kernels/conv2d.js";
import { COPY_LOWERINGS } from "./kernels/copy.js";
import { ELEMENTWISE_LOWERINGS } from "./kernels/elementwise.js";
import { LINEAR_LOWERINGS } from "./kernels/linear.js";
import { QUANTIZED_LINEAR_LOWERINGS } from "./kernels/linear-quantized.js";
import { LOSS_LOWERINGS } from "./kernels/loss.js";
import { LRN_LOWERINGS } from "./kernels/lrn.js";
import { OPTIMIZER_LOWERINGS } from "./kernels/optimizer.js";
import { PEAK_PROBE_LOWERINGS } from "./kernels/peak-probe.js";
import { POOL2D_LOWERINGS } from "./kernels/pool2d.js";
import { RANDOM_LOWERINGS } from "./kernels/random.js";
import { REDUCE_LOWERINGS } from "./kernels/reduce.js";
import { UPSAMPLE_LOWERINGS } from "./kernels/upsample.js";

const LOWERINGS: { readonly [K in KernelName]: Lowering<K> } = {
  ...CONV2D_LOWERINGS,
  ...LINEAR_LOWERINGS,
  ...QUANTIZED_LINEAR_LOWERINGS,
  ...POOL2D_LOWERINGS,
  ...ELEMENTWISE_LOWERINGS,
  ...ACTIVATION_LOWERINGS,
  ...COPY_LOWERINGS,
  ...REDUCE_LOWERINGS,
  ...RANDOM_LOWERINGS,
  ...LRN_LOWERINGS,
  ...BATCH_NORM_LOWERINGS,
  ...LOSS_LOWERINGS,
  ...OPTIMIZER_LOWERINGS,
  ...UPSAMPLE_LOWERINGS,
  ...PEAK_PROBE_LOWERINGS,
};

/** Memory of a call for its own length. */
export function scratchBytes<K extends KernelName>(call: KernelCall<unknown, K>, context: LoweringContext): number {
  const { kernel, shape }: { kernel: K; shape: ShapeOf<K> } = call;
  return LOWERINGS[kernel].scratchBytes?.(shape, context) ?? 0;
}

/** What a call makes of its weight alone. */
export function derivedOf<K extends KernelName>(
  call: KernelCall<unknown, K>,
  context: LoweringContext,
): Derived | null {
  const { kernel, shape }: { kernel: K; shape: ShapeOf<K> } = call;
  return LOWERINGS[kernel].derived?.(shape, context) ?? null;
}

/** What a call is computed by; empty where there is one way. */
export function algorithmOf<K extends KernelName>(call: KernelCall<unknown, K>, context: LoweringContext): string {
  const { kernel, shape }: { kernel: K; shape: ShapeOf<K> } = call;
  return LOWERINGS[kernel].algorithm?.(shape, context) ?? "";
}

/** The ways to compute a call among which only a measurement can choose. */
export function candidatesOf<K extends KernelName>(
  call: KernelCall<unknown, K>,
  context: LoweringContext,
): Candidates | null {
  const { kernel, shape }: { kernel: K; shape: ShapeOf<K> } = call;
  return LOWERINGS[kernel].candidates?.(shape, context) ?? null;
}

/** The dispatches of a call. */
export function lower<K extends KernelName>(call: KernelCall<Place, K>, context: CallContext): Dispatch[] {
  const { kernel, shape, tensors }: { kernel: K; shape: ShapeOf<K>; tensors: Places<K> } = call;
  return LOWERINGS[kernel].dispatches(shape, tensors, context);
}
