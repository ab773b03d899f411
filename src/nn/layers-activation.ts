/** Activations as layers. ReLU is in layers.ts. */
import { UsageError } from "../core/errors.js";
import type { Tensor } from "../core/tensor.js";
import { leakyRelu, sigmoid, tanh } from "../ops/activation.js";
import { Module } from "./module.js";

/** See ops/activation. */
export class Tanh extends Module {
  override forward(x: Tensor): Tensor {
    return tanh(x);
  }
}

/** See ops/activation. */
export class Sigmoid extends Module {
  override forward(x: Tensor): Tensor {
    return sigmoid(x);
  }
}

/** See ops/activation. */
export class LeakyReLU extends Module {
  /**
   * @param slope of what is not positive.
   * @throws UsageError for a slope that is not finite.
   */
  constructor(readonly slope = 0.01) {
    super();
    if (!Number.isFinite(slope)) {
      throw new UsageError(`LeakyReLU: the slope must be a finite number (slope ${slope}). Change it.`);
    }
  }

  override forward(x: Tensor): Tensor {
    return leakyRelu(x, this.slope);
  }
}
