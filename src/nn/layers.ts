/** The layers: each holds its parameters and options, and calls one operation of src/ops. */
import type { Engine } from "../core/engine.js";
import { Random } from "../core/random.js";
import type { Parameter, Tensor } from "../core/tensor.js";
import { conv2d } from "../ops/conv2d.js";
import { type Pair, pair } from "../ops/check.js";
import { dropout } from "../ops/dropout.js";
import { linear } from "../ops/linear.js";
import { type LrnOptions, localResponseNorm } from "../ops/lrn.js";
import { maxPool2d, type Pool2dOptions } from "../ops/pool2d.js";
import { relu } from "../ops/relu.js";
import { flatten } from "../ops/reshape.js";
import { heNormal, type Initialiser, zeros } from "./init.js";
import { Module } from "./module.js";

/** How a layer with weights starts. */
export interface WeightOptions {
  /** Default true. */
  readonly bias?: boolean;
  /** Default {@link heNormal}. Biases start at 0. */
  readonly init?: Initialiser;
  /** Random numbers of the initialiser; default: seed 0. Give every layer a stream of its own. */
  readonly random?: Random;
}

export interface Conv2dLayerOptions extends WeightOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: Pair;
  readonly stride?: Pair;
  readonly padding?: Pair;
}

/** x [batch, inChannels, height, width] -> [batch, outChannels, …]; weight OIHW. See ops/conv2d. */
export class Conv2d extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  constructor(
    engine: Engine,
    readonly options: Conv2dLayerOptions,
  ) {
    super();
    const { inChannels, outChannels, bias = true, init = heNormal, random = new Random(0) } = options;
    const [kH, kW] = pair("Conv2d", "kernelSize", options.kernelSize, 1);
    this.weight = engine.parameter([outChannels, inChannels, kH, kW], "weight");
    init(this.weight, { fanIn: inChannels * kH * kW, fanOut: outChannels * kH * kW }, random);
    this.bias = bias ? zeroBias(engine, outChannels, random) : null;
  }

  override forward(x: Tensor): Tensor {
    const { stride = 1, padding = 0 } = this.options;
    return conv2d(x, this.weight, this.bias, { stride, padding });
  }

  protected override ownParameters(): ReadonlyMap<string, Parameter> {
    return weightAndBias(this);
  }
}

export interface LinearLayerOptions extends WeightOptions {
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** x [batch, inFeatures] -> [batch, outFeatures]; weight [outFeatures, inFeatures]. See ops/linear. */
export class Linear extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  constructor(
    engine: Engine,
    readonly options: LinearLayerOptions,
  ) {
    super();
    const { inFeatures, outFeatures, bias = true, init = heNormal, random = new Random(0) } = options;
    this.weight = engine.parameter([outFeatures, inFeatures], "weight");
    init(this.weight, { fanIn: inFeatures, fanOut: outFeatures }, random);
    this.bias = bias ? zeroBias(engine, outFeatures, random) : null;
  }

  override forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }

  protected override ownParameters(): ReadonlyMap<string, Parameter> {
    return weightAndBias(this);
  }
}

function zeroBias(engine: Engine, outputs: number, random: Random): Parameter {
  const bias = engine.parameter([outputs], "bias");
  zeros(bias, { fanIn: 1, fanOut: outputs }, random);
  return bias;
}

function weightAndBias(layer: { readonly weight: Parameter; readonly bias: Parameter | null }): Map<string, Parameter> {
  const own = new Map([["weight", layer.weight]]);
  if (layer.bias) own.set("bias", layer.bias);
  return own;
}

/** See ops/pool2d. */
export class MaxPool2d extends Module {
  constructor(readonly options: Pool2dOptions) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return maxPool2d(x, this.options);
  }
}

/** See ops/relu. */
export class ReLU extends Module {
  override forward(x: Tensor): Tensor {
    return relu(x);
  }
}

/**
 * Dropout in training mode, the identity in evaluation. The mask depends on the stream's key and on how often the layer
 * has run in training, which tells step and micro-batch apart.
 */
export class Dropout extends Module {
  /** Training passes so far. */
  passes = 0;

  constructor(
    readonly p: number,
    readonly random: Random = new Random(0),
  ) {
    super();
  }

  override forward(x: Tensor): Tensor {
    if (!this.training || this.p === 0) return x;
    const y = dropout(x, { p: this.p, random: { ...this.random.key, counter: this.passes } });
    this.passes++;
    x.engine.onUndo(() => {
      this.passes--;
    });
    return y;
  }
}

/** See ops/lrn: alpha is divided by size, as in PyTorch. */
export class LocalResponseNorm extends Module {
  constructor(readonly options: LrnOptions) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return localResponseNorm(x, this.options);
  }
}

/** [batch, …] -> [batch, all the rest]. */
export class Flatten extends Module {
  override forward(x: Tensor): Tensor {
    return flatten(x);
  }
}
