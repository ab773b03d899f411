/** The layers: each holds its parameters and options, and calls one operation of src/ops. */
import type { Engine } from "../core/engine.js";
import { ShapeError, UsageError } from "../core/errors.js";
import { Random } from "../core/random.js";
import type { Counter, Parameter, Tensor } from "../core/tensor.js";
import { checkGroups, type Pair, pair } from "../ops/check.js";
import { type ConvTranspose2dOptions, convTranspose2d } from "../ops/conv-transpose2d.js";
import { type Conv2dOptions, conv2d } from "../ops/conv2d.js";
import { dropout } from "../ops/dropout.js";
import { linear } from "../ops/linear.js";
import { type LrnOptions, localResponseNorm } from "../ops/lrn.js";
import { maxPool2d, type Pool2dOptions } from "../ops/pool2d.js";
import { relu } from "../ops/relu.js";
import { flatten } from "../ops/reshape.js";
import { type UpsampleBilinear2dOptions, upsampleBilinear2d } from "../ops/upsample.js";
import { heNormal, type Initialiser, zeros } from "./init.js";
import { Module } from "./module.js";

/** How a layer with weights starts. */
export interface WeightOptions {
  /** Default true. */
  readonly bias?: boolean;
  /** Default {@link heNormal}. Biases start at 0. */
  readonly init?: Initialiser;
  /**
   * Random numbers of the initialiser: give every layer a stream of its own. Default: seed 0 and how many layers of this
   * engine have taken a default before, so the same program makes the same net.
   */
  readonly random?: Random;
}

/** Streams given to layers that were built without one. */
const defaultStreams = new WeakMap<Engine, number>();

/** A stream that no other layer of the engine has. */
function nextStream(engine: Engine): Random {
  const count = defaultStreams.get(engine) ?? 0;
  defaultStreams.set(engine, count + 1);
  return new Random(0, "layer", count);
}

function checkSizes(layer: string, sizes: Readonly<Record<string, number>>): void {
  for (const [name, size] of Object.entries(sizes)) {
    if (!Number.isInteger(size) || size < 1) {
      throw new ShapeError(`${layer}: ${name} must be an integer of at least 1 (${name} ${size}). Change ${name}.`);
    }
  }
}

/** Sizes of a {@link Conv2d} and how its weights start. */
export interface Conv2dLayerOptions extends WeightOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: Pair;
  /** Default 1. */
  readonly stride?: Pair;
  /** Default 0. */
  readonly padding?: Pair;
  /** Default 1. */
  readonly dilation?: Pair;
  /** Default 1. */
  readonly groups?: number;
}

/** Options of a convolution's layer after their checks. */
function checkedWindow(layer: string, options: Conv2dLayerOptions) {
  const { inChannels, outChannels, groups = 1 } = options;
  checkSizes(layer, { inChannels, outChannels });
  checkGroups(layer, groups, inChannels, outChannels);
  return {
    kernelSize: pair(layer, "kernelSize", options.kernelSize, 1),
    stride: pair(layer, "stride", options.stride ?? 1, 1),
    padding: pair(layer, "padding", options.padding ?? 0, 0),
    dilation: pair(layer, "dilation", options.dilation ?? 1, 1),
    groups,
  };
}

/** x [batch, inChannels, height, width] -> [batch, outChannels, …]; weight OIHW. See ops/conv2d. */
export class Conv2d extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;
  private readonly window: Conv2dOptions;

  /** @throws ShapeError for a size, stride, padding or dilation out of range, or groups that do not divide the channels. */
  constructor(
    engine: Engine,
    readonly options: Conv2dLayerOptions,
  ) {
    super();
    const { inChannels, outChannels, bias = true, init = heNormal } = options;
    const { kernelSize, ...window } = checkedWindow("Conv2d", options);
    this.window = window;
    const [kH, kW] = kernelSize;
    const [inC, outC] = [inChannels / window.groups, outChannels / window.groups];
    const random = options.random ?? nextStream(engine);
    this.weight = engine.parameter([outChannels, inC, kH, kW], "weight");
    init(this.weight, { fanIn: inC * kH * kW, fanOut: outC * kH * kW }, random);
    this.bias = bias ? zeroBias(engine, outChannels, random) : null;
  }

  override forward(x: Tensor): Tensor {
    return conv2d(x, this.weight, this.bias, this.window);
  }

  protected override ownParameters(): ReadonlyMap<string, Parameter> {
    return weightAndBias(this);
  }
}

/** Sizes of a {@link ConvTranspose2d} and how its weights start. */
export interface ConvTranspose2dLayerOptions extends Conv2dLayerOptions {
  /** Default 0. */
  readonly outputPadding?: Pair;
}

/** x [batch, inChannels, height, width] -> [batch, outChannels, …]; weight [inChannels, outChannels / groups, kH, kW]. */
export class ConvTranspose2d extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;
  private readonly window: ConvTranspose2dOptions;

  /** @throws ShapeError for an option out of range, or groups that do not divide the channels. */
  constructor(
    engine: Engine,
    readonly options: ConvTranspose2dLayerOptions,
  ) {
    super();
    const { inChannels, outChannels, bias = true, init = heNormal } = options;
    const { kernelSize, ...window } = checkedWindow("ConvTranspose2d", options);
    const outputPadding = pair("ConvTranspose2d", "outputPadding", options.outputPadding ?? 0, 0);
    this.window = { ...window, outputPadding };
    const [kH, kW] = kernelSize;
    const [inC, outC] = [inChannels / window.groups, outChannels / window.groups];
    const random = options.random ?? nextStream(engine);
    this.weight = engine.parameter([inChannels, outC, kH, kW], "weight");
    // An input reaches kH·kW places of every output channel; an output hears of one in strideH·strideW of them.
    const steps = window.stride[0] * window.stride[1];
    init(this.weight, { fanIn: (inC * kH * kW) / steps, fanOut: outC * kH * kW }, random);
    this.bias = bias ? zeroBias(engine, outChannels, random) : null;
  }

  override forward(x: Tensor): Tensor {
    return convTranspose2d(x, this.weight, this.bias, this.window);
  }

  protected override ownParameters(): ReadonlyMap<string, Parameter> {
    return weightAndBias(this);
  }
}

/** Sizes of a {@link Linear} and how its weights start. */
export interface LinearLayerOptions extends WeightOptions {
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** x [batch, inFeatures] -> [batch, outFeatures]; weight [outFeatures, inFeatures]. See ops/linear. */
export class Linear extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  /** @throws ShapeError for a size out of range. */
  constructor(
    engine: Engine,
    readonly options: LinearLayerOptions,
  ) {
    super();
    const { inFeatures, outFeatures, bias = true, init = heNormal } = options;
    checkSizes("Linear", { inFeatures, outFeatures });
    const random = options.random ?? nextStream(engine);
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

/** See ops/upsample. */
export class UpsampleBilinear2d extends Module {
  constructor(readonly options: UpsampleBilinear2dOptions) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return upsampleBilinear2d(x, this.options);
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
  private readonly passCounter: Counter = { value: 0 };

  /**
   * @param p probability that an element becomes 0.
   * @param random stream of the masks. Default: one that no other layer has, chosen at the first training pass, because
   * the layer learns its engine there.
   * @throws UsageError unless 0 <= p < 1.
   */
  constructor(
    readonly p: number,
    private random?: Random,
  ) {
    super();
    if (!(p >= 0 && p < 1)) throw new UsageError(`Dropout: p must be at least 0 and below 1 (p ${p}). Change p.`);
  }

  override forward(x: Tensor): Tensor {
    if (!this.training || this.p === 0) return x;
    this.random ??= nextStream(x.engine);
    const { passCounter } = this;
    const y = dropout(x, { p: this.p, random: { ...this.random.key, counter: passCounter.value } });
    passCounter.value++;
    x.engine.onUndo(() => {
      passCounter.value--;
    });
    return y;
  }

  /** Training passes so far. */
  get passes(): number {
    return this.passCounter.value;
  }

  protected override ownCounters(): ReadonlyMap<string, Counter> {
    return new Map([["passes", this.passCounter]]);
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
