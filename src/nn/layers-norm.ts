/** Batch normalisation as layers: weights and running statistics, in PyTorch's names. LocalResponseNorm is in layers.ts. */
import type { Engine } from "../core/engine.js";
import { ShapeError } from "../core/errors.js";
import { formatShape } from "../core/shape.js";
import type { Parameter, StateTensor, Tensor } from "../core/tensor.js";
import { type BatchNormState, batchNorm } from "../ops/batch-norm.js";
import { Module } from "./module.js";

/** Channels of a batch normalisation, its momentum and its epsilon. */
export interface BatchNormLayerOptions {
  /** Channels. */
  readonly numFeatures: number;
  /** Share of a batch's statistics in the running ones; default 0.1. */
  readonly momentum?: number;
  /** Default 1e-5. */
  readonly eps?: number;
}

/**
 * Normalises by the batch in training mode, and updates the running statistics; by these in evaluation. State: `weight`,
 * `bias`, `running_mean` and `running_var`, which start at 1, 0, 0 and 1.
 */
abstract class BatchNorm extends Module {
  protected abstract readonly rank: number;
  private readonly state: BatchNormState & { readonly weight: Parameter; readonly bias: Parameter };

  /** @throws ShapeError for a number of channels out of range. */
  constructor(
    engine: Engine,
    readonly options: BatchNormLayerOptions,
  ) {
    super();
    const { numFeatures } = options;
    if (!Number.isInteger(numFeatures) || numFeatures < 1) {
      throw new ShapeError(
        `BatchNorm: numFeatures must be an integer of at least 1 (numFeatures ${numFeatures}). Change numFeatures.`,
      );
    }
    const fill = <T extends StateTensor>(tensor: T, factor: number): T => {
      engine.withOp("init", "update", () => engine.record("fill", { length: numFeatures, factor }, { y: tensor }));
      return tensor;
    };
    this.state = {
      weight: fill(engine.parameter([numFeatures], "weight"), 1),
      bias: fill(engine.parameter([numFeatures], "bias"), 0),
      runningMean: fill(engine.stateTensor([numFeatures], "running_mean"), 0),
      runningVar: fill(engine.stateTensor([numFeatures], "running_var"), 1),
    };
  }

  get weight(): Parameter {
    return this.state.weight;
  }

  get bias(): Parameter {
    return this.state.bias;
  }

  get runningMean(): StateTensor {
    return this.state.runningMean;
  }

  get runningVar(): StateTensor {
    return this.state.runningVar;
  }

  /** @throws ShapeError for an input of another rank. */
  override forward(x: Tensor): Tensor {
    if (x.shape.length !== this.rank) {
      throw new ShapeError(
        `BatchNorm: x must have ${this.rank} dimensions here (x ${formatShape(x.shape)}). Use the other layer, BatchNorm1d or BatchNorm2d.`,
      );
    }
    return batchNorm(x, this.state, { ...this.options, training: this.training });
  }

  protected override ownParameters(): ReadonlyMap<string, Parameter> {
    return new Map([
      ["weight", this.weight],
      ["bias", this.bias],
    ]);
  }

  protected override ownBuffers(): ReadonlyMap<string, StateTensor> {
    return new Map([
      ["running_mean", this.runningMean],
      ["running_var", this.runningVar],
    ]);
  }
}

/** x [batch, channels]. See ops/batch-norm. */
export class BatchNorm1d extends BatchNorm {
  protected override readonly rank = 2;
}

/** x [batch, channels, height, width]. See ops/batch-norm. */
export class BatchNorm2d extends BatchNorm {
  protected override readonly rank = 4;
}
