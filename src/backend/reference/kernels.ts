/**
 * The kernels as a text book has them: plain loops over plain arrays, a file a family. They are the second oracle of all
 * other backends (PyTorch is the first), so nothing here is clever. Sums are in double precision; results are rounded when
 * they are stored in a Float32Array.
 */
import type { HostArray, KernelName, ShapeOf, TensorsOf } from "../backend.js";
import { ACTIVATION_KERNELS } from "./activation.js";
import { BATCH_NORM_KERNELS } from "./batch-norm.js";
import { CONV2D_KERNELS } from "./conv2d.js";
import { ELEMENTWISE_KERNELS } from "./elementwise.js";
import { LINEAR_KERNELS } from "./linear.js";
import { LOSS_KERNELS } from "./loss.js";
import { LRN_KERNELS } from "./lrn.js";
import { OPTIMIZER_KERNELS } from "./optimizer.js";
import { PEAK_PROBE_KERNELS } from "./peak-probe.js";
import { POOL2D_KERNELS } from "./pool2d.js";
import { RANDOM_KERNELS } from "./random.js";
import { UPSAMPLE_KERNELS } from "./upsample.js";

type Kernels = { readonly [K in KernelName]: (s: ShapeOf<K>, t: TensorsOf<K, HostArray>) => void };

export const referenceKernels: Kernels = {
  ...CONV2D_KERNELS,
  ...LINEAR_KERNELS,
  ...POOL2D_KERNELS,
  ...ELEMENTWISE_KERNELS,
  ...ACTIVATION_KERNELS,
  ...RANDOM_KERNELS,
  ...LRN_KERNELS,
  ...BATCH_NORM_KERNELS,
  ...LOSS_KERNELS,
  ...OPTIMIZER_KERNELS,
  ...UPSAMPLE_KERNELS,
  ...PEAK_PROBE_KERNELS,
};
