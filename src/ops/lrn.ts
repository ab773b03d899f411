/**
 * Local response normalisation across channels (Krizhevsky et al. 2012; the paper's A-LRN), in PyTorch's form:
 *
 *   x [batch, channels, ...]; the window of channel c is [c − size/2, c + (size − 1)/2], cut at the ends
 *   scale[c] = k + alpha / size · Σ_window x²       y = x · scale^−beta
 *   dx[c] = dy[c]·scale[c]^−beta − 2·alpha·beta/size · x[c] · Σ dy·x·scale^(−beta−1) over the windows that hold c
 *
 * Trap: alpha is divided by size here, as in PyTorch, Caffe and ONNX. Krizhevsky's alpha = 1e-4 is the undivided form:
 * alpha = 5e-4 here. Throws ShapeError below rank 3, UsageError for a size that is not a positive integer, for k <= 0
 * or a negative alpha (the scale must stay positive).
 */
import type { LrnShape } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import { ShapeError, UsageError } from "../core/errors.js";
import { formatShape, type Shape, sizeOf } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";

/** Constants of localResponseNorm, in PyTorch's words. */
export interface LrnOptions {
  /** Channels in a window. */
  readonly size: number;
  readonly alpha?: number;
  readonly beta?: number;
  readonly k?: number;
}

const lrnOp: Op<{ x: Tensor }, LrnOptions, LrnShape & { shape: Shape }, { x: Tensor; scale: Tensor }> = {
  name: "localResponseNorm",

  infer({ x }, { size, alpha = 1e-4, beta = 0.75, k = 1 }) {
    if (x.shape.length < 3) {
      throw new ShapeError(
        `localResponseNorm: x must have at least 3 dimensions, [batch, channels, ...] (x ${formatShape(x.shape)}). Reshape it.`,
      );
    }
    if (!Number.isInteger(size) || size < 1) {
      throw new UsageError(`localResponseNorm: size must be a positive integer (size ${size}). Change size.`);
    }
    if (!(k > 0) || !(alpha >= 0) || !Number.isFinite(beta)) {
      throw new UsageError(
        `localResponseNorm: k must be positive, alpha at least 0, beta finite (k ${k}, alpha ${alpha}, beta ${beta}). Change them.`,
      );
    }
    const [batch, channels, ...rest] = x.shape;
    return { batch, channels, plane: sizeOf(rest), size, alpha, beta, k, shape: x.shape };
  },

  outputShape: (s) => s.shape,

  forward(engine, s, { x }, y) {
    const scale = engine.emptyTensor(x.shape);
    engine.record("lrnForward", s, { x, y, scale });
    return { x, scale };
  },

  backward(engine, s, dy, { x, scale }, gradients) {
    engine.record("lrnBackward", s, { dy, x, scale, dx: gradients.into("x").target });
  },

  accumulates: [],
};

/** Divides by a power of the neighbouring channels' energy; see the head of this file. */
export function localResponseNorm(x: Tensor, options: LrnOptions): Tensor {
  return apply(lrnOp, { x }, options);
}
