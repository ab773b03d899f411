/** Poolings, and padding, as layers. MaxPool2d is in layers.ts. */
import type { Tensor } from "../core/tensor.js";
import { adaptiveAvgPool2d, adaptiveMaxPool2d, globalAvgPool2d } from "../ops/adaptive-pool2d.js";
import { type AvgPool2dOptions, avgPool2d } from "../ops/avg-pool2d.js";
import type { Pair } from "../ops/check.js";
import { type PadSides, pad2d } from "../ops/pad2d.js";
import { Module } from "./module.js";

/** See ops/avg-pool2d. */
export class AvgPool2d extends Module {
  constructor(readonly options: AvgPool2dOptions) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return avgPool2d(x, this.options);
  }
}

/** See ops/adaptive-pool2d. */
export class AdaptiveAvgPool2d extends Module {
  constructor(readonly outputSize: Pair) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return adaptiveAvgPool2d(x, this.outputSize);
  }
}

/** See ops/adaptive-pool2d. */
export class AdaptiveMaxPool2d extends Module {
  constructor(readonly outputSize: Pair) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return adaptiveMaxPool2d(x, this.outputSize);
  }
}

/** x [batch, channels, height, width] -> [batch, channels, 1, 1]: the mean of each plane. */
export class GlobalAvgPool2d extends Module {
  override forward(x: Tensor): Tensor {
    return globalAvgPool2d(x);
  }
}

/** See ops/pad2d. */
export class ZeroPad2d extends Module {
  constructor(readonly sides: PadSides) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return pad2d(x, this.sides);
  }
}
