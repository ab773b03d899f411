/**
 * A net built from its table (net-config.ts): runs the layers in order and keeps what later ones take, so branches, skips and
 * several outputs need no code of their own. The layers: build-layer.ts. The tables: nets.ts.
 */
import type { Engine } from "../core/engine.js";
import { ShapeError } from "../core/errors.js";
import { formatShape } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { Module } from "../nn/module.js";
import { concat } from "../ops/concat.js";
import { crop2d } from "../ops/crop2d.js";
import { add, scale } from "../ops/elementwise.js";
import { crossEntropy } from "../ops/loss.js";
import { buildLayer, type StartOptions } from "./build-layer.js";
import { INPUT, type NetLayer } from "./net-config.js";

/** What a net with auxiliary classifiers gives in training. */
export interface NetOutputs {
  readonly logits: Tensor;
  /** Of the auxiliary classifiers, in their order. */
  readonly auxiliary: readonly Tensor[];
}

/** How much each auxiliary loss weighs (Szegedy et al. 2014, section 5). */
const AUXILIARY_WEIGHT = 0.3;

/**
 * Cross-entropy of the main classifier plus 0.3 times that of each auxiliary one.
 * @param labels as crossEntropy takes them.
 */
export function auxiliaryCrossEntropy({ logits, auxiliary }: NetOutputs, labels: Tensor): Tensor {
  return auxiliary.reduce(
    (sum, aux) => add(sum, scale(crossEntropy(aux, labels), AUXILIARY_WEIGHT)),
    crossEntropy(logits, labels),
  );
}

export class Net extends Module {
  private readonly modules = new Map<string, Module>();

  constructor(
    readonly layers: readonly NetLayer[],
    options: StartOptions,
    engine: Engine,
  ) {
    super();
    for (const layer of layers) {
      if (!(layer.kind in COMBINE)) this.modules.set(layer.name, buildLayer(layer, options, engine));
    }
    this.nameParameters();
  }

  /** The main output; auxiliary classifiers are not computed, and their parameters get no gradient. */
  override forward(x: Tensor): Tensor {
    return this.run(
      x,
      this.layers.filter(({ auxiliary }) => !auxiliary),
    ).last;
  }

  /** All outputs, for training with {@link auxiliaryCrossEntropy}. */
  forwardAll(x: Tensor): NetOutputs {
    const taken = new Set(this.layers.flatMap(({ from }, i) => from ?? this.layers[i - 1]?.name ?? []));
    const ends = this.layers.filter(({ name }) => !taken.has(name));
    const { values } = this.run(x, this.layers);
    const outputs = (part: boolean): Tensor[] =>
      ends.filter(({ auxiliary = false }) => auxiliary === part).flatMap(({ name }) => values.get(name) ?? []);
    return { logits: outputs(false)[0], auxiliary: outputs(true) };
  }

  override children(): ReadonlyMap<string, Module> {
    return this.modules;
  }

  private run(x: Tensor, layers: readonly NetLayer[]): { values: ReadonlyMap<string, Tensor>; last: Tensor } {
    const values = new Map([[INPUT, x]]);
    let last = x;
    for (const layer of layers) {
      const inputs = layer.from?.map((name) => computed(values, name, layer.name)) ?? [last];
      const module = this.modules.get(layer.name);
      last = x.engine.withModule(layer.name, () => module?.forward(inputs[0]) ?? combine(layer, inputs));
      values.set(layer.name, last);
    }
    return { values, last };
  }
}

type Combine = (inputs: readonly Tensor[], offset: number) => Tensor;

/** Layers that have no parameters and take several inputs. */
const COMBINE: Readonly<Partial<Record<NetLayer["kind"], Combine>>> = {
  concat: (inputs) => concat(inputs),
  add: ([a, b]) => add(a, b),
  crop: ([x, like], offset) => crop2d(x, { top: offset, left: offset, height: like.shape[2], width: like.shape[3] }),
};

function combine(layer: NetLayer, inputs: readonly Tensor[]): Tensor {
  const operation = COMBINE[layer.kind];
  if (operation) return operation(inputs, layer.kind === "crop" ? layer.offset : 0);
  throw new ShapeError(
    `${layer.name}: no operation takes these inputs (x ${formatShape(inputs[0].shape)}). Use another kind.`,
  );
}

function computed(values: ReadonlyMap<string, Tensor>, name: string, layer: string): Tensor {
  const value = values.get(name);
  if (value) return value;
  throw new ShapeError(
    `${layer}: an input is not computed (from ${name}). Call forwardAll, which computes all layers.`,
  );
}
