/**
 * Batch normalisation (Ioffe and Szegedy 2015) of x [batch, channels] or [batch, channels, height, width].
 *
 *   weight, bias, runningMean, runningVar [channels]; sums and means over all axes but the channels', count elements each
 *   training:    mean = Σ x / count,  var = Σ (x − mean)² / count
 *                runningMean ← (1 − momentum) · runningMean + momentum · mean
 *                runningVar  ← (1 − momentum) · runningVar + momentum · var · count / (count − 1)
 *   evaluation:  mean = runningMean,  var = runningVar
 *   z = (x − mean) / √(var + eps)      y = z · weight + bias
 *
 *   dBias = Σ dy    dWeight = Σ dy · z
 *   dx = weight / √(var + eps) · (dy − dBias / count − z · dWeight / count);  in evaluation weight / √(var + eps) · dy
 *
 * As in PyTorch the running variance is the unbiased one. The running statistics are updated by a kernel of the program:
 * a scope that throws leaves them as they were.
 *
 * Throws ShapeError for a rank other than 2 or 4, a state tensor that does not have one value per channel, training with one
 * value per channel; UsageError for a momentum outside [0, 1] or an eps that is not positive.
 */
import type { BatchNormStatisticsShape } from "../backend/backend.js";
import { apply, type Op } from "../core/autograd.js";
import { ShapeError, UsageError } from "../core/errors.js";
import { formatShape, type Shape, sizeOf } from "../core/shape.js";
import type { StateTensor, Tensor } from "../core/tensor.js";

/** What a layer owns, [channels] each. In training the running statistics are written. */
export interface BatchNormState {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly runningMean: StateTensor;
  readonly runningVar: StateTensor;
}

/** How batchNorm normalises: by the batch or by the running statistics. */
export interface BatchNormOptions {
  /** Normalise by the batch's statistics and update the running ones; else by the running ones. */
  readonly training: boolean;
  /** Share of the batch's statistics in the running ones; default 0.1. */
  readonly momentum?: number;
  /** Default 1e-5. */
  readonly eps?: number;
}

type Inputs = { x: Tensor; weight: Tensor; bias: Tensor; runningMean: Tensor; runningVar: Tensor };
type Saved = { x: Tensor; weight: Tensor; mean: Tensor; invStd: Tensor };

const batchNormOp: Op<Inputs, BatchNormOptions, BatchNormStatisticsShape & { shape: Shape; training: boolean }, Saved> =
  {
    name: "batchNorm",

    infer({ x, ...state }, { training, momentum = 0.1, eps = 1e-5 }) {
      const { shape } = x;
      if (shape.length !== 2 && shape.length !== 4) {
        throw new ShapeError(
          `batchNorm: x must have 2 or 4 dimensions, [batch, channels] or [batch, channels, height, width] (x ${formatShape(shape)}). Reshape it.`,
        );
      }
      const [batch, channels, ...rest] = shape;
      const plane = sizeOf(rest);
      for (const [name, tensor] of Object.entries(state)) {
        if (tensor.shape.length !== 1 || tensor.shape[0] !== channels) {
          throw new ShapeError(
            `batchNorm: ${name} must have one value per channel, ${channels} (${name} ${formatShape(tensor.shape)}). Give a tensor [${channels}].`,
          );
        }
      }
      if (training && batch * plane === 1) {
        throw new ShapeError(
          `batchNorm: one value per channel has no variance (x ${formatShape(shape)}). Use a larger batch, or evaluation mode.`,
        );
      }
      if (!(momentum >= 0 && momentum <= 1) || !(eps > 0 && Number.isFinite(eps))) {
        throw new UsageError(
          `batchNorm: momentum must be from 0 to 1, eps positive (momentum ${momentum}, eps ${eps}). Change them.`,
        );
      }
      return { batch, channels, plane, momentum, eps, shape, training };
    },

    outputShape: (s) => s.shape,

    forward(engine, { training, ...s }, { x, weight, bias, runningMean, runningVar }, y) {
      const mean = engine.emptyTensor([s.channels]);
      const invStd = engine.emptyTensor([s.channels]);
      if (training) engine.record("batchNormStatistics", s, { x, runningMean, runningVar, mean, invStd });
      else engine.record("batchNormRunning", s, { runningMean, runningVar, mean, invStd });
      engine.record("batchNormForward", s, { x, mean, invStd, weight, bias, y });
      return { x, weight, mean, invStd };
    },

    backward(engine, { training, ...s }, dy, { x, weight, mean, invStd }, gradients) {
      let sums: { sumDy: Tensor | null; sumDyNormalised: Tensor | null } = { sumDy: null, sumDyNormalised: null };
      const throughStatistics = training && gradients.needs("x");
      if (throughStatistics || gradients.needs("weight") || gradients.needs("bias")) {
        const dWeight = engine.emptyTensor([s.channels]);
        const dBias = engine.emptyTensor([s.channels]);
        engine.record("batchNormBackwardWeight", s, { dy, x, mean, invStd, dWeight, dBias });
        if (throughStatistics) sums = { sumDy: dBias, sumDyNormalised: dWeight };
        if (gradients.needs("weight")) gradients.pass("weight", dWeight);
        if (gradients.needs("bias")) gradients.pass("bias", dBias);
      }
      if (gradients.needs("x")) {
        engine.record("batchNormBackwardInput", s, {
          dy,
          x,
          mean,
          invStd,
          weight,
          ...sums,
          dx: gradients.into("x").target,
        });
      }
    },

    accumulates: [],
  };

/** Normalises every channel by its mean and variance; see the head of this file. */
export function batchNorm(x: Tensor, state: BatchNormState, options: BatchNormOptions): Tensor {
  const { weight, bias, runningMean, runningVar } = state;
  return apply(batchNormOp, { x, weight, bias, runningMean, runningVar }, options);
}
