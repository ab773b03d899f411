/**
 * A net built from its table (net-config.ts): runs the layers in order and keeps what later ones take, so branches, skips and
 * several outputs need no code of their own. The layers: build-layer.ts. The tables: nets.ts.
 */
import type { Engine } from "../core/engine.js";
import { UsageError } from "../core/errors.js";
import type { Tensor } from "../core/tensor.js";
import { Module } from "../nn/module.js";
import { concat } from "../ops/concat.js";
import { crop2d } from "../ops/crop2d.js";
import { add, mul, scale } from "../ops/elementwise.js";
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

/** A layer and what it does with its inputs. */
interface Step {
  readonly layer: NetLayer;
  readonly apply: (inputs: readonly Tensor[]) => Tensor;
}

/** A net whose layers form a graph: branches, sums, auxiliary classifiers. Made by buildNet from a table. */
export class Net extends Module {
  private readonly modules = new Map<string, Module>();
  private readonly steps: readonly Step[];

  constructor(
    readonly layers: readonly NetLayer[],
    options: StartOptions,
    engine: Engine,
  ) {
    super();
    this.steps = layers.map((layer) => {
      const combine = combination(layer);
      if (combine) return { layer, apply: combine };
      const module = buildLayer(layer, options, engine);
      this.modules.set(layer.name, module);
      return { layer, apply: ([x]) => module.forward(x) };
    });
    this.nameParameters();
  }

  /** The main output; auxiliary classifiers are not computed, and their parameters get no gradient. */
  override forward(x: Tensor): Tensor {
    const main = this.steps.filter(({ layer }) => !layer.auxiliary);
    return this.run(x, main).last;
  }

  /** All outputs, for training with {@link auxiliaryCrossEntropy}: what layers give that no other layer takes. */
  forwardAll(x: Tensor): NetOutputs {
    const taken = new Set(this.layers.flatMap(({ from }, i) => from ?? this.layers[i - 1]?.name ?? []));
    const ends = this.layers.filter(({ name }) => !taken.has(name));
    const { values } = this.run(x, this.steps);
    const outputs = (part: boolean): Tensor[] =>
      ends.filter(({ auxiliary = false }) => auxiliary === part).flatMap(({ name }) => values.get(name) ?? []);
    return { logits: outputs(false)[0], auxiliary: outputs(true) };
  }

  override children(): ReadonlyMap<string, Module> {
    return this.modules;
  }

  private run(x: Tensor, steps: readonly Step[]): { values: ReadonlyMap<string, Tensor>; last: Tensor } {
    const values = new Map([[INPUT, x]]);
    let last = x;
    for (const { layer, apply } of steps) {
      const inputs = layer.from?.map((name) => computed(values, name, layer.name)) ?? [last];
      last = x.engine.withModule(layer.name, () => apply(inputs));
      values.set(layer.name, last);
    }
    return { values, last };
  }
}

/** What a layer without parameters does with several inputs; null for a layer that is a module. */
function combination(layer: NetLayer): Step["apply"] | null {
  switch (layer.kind) {
    case "concat":
      return (inputs) => concat(inputs);
    case "add":
      return ([first, ...others]) => others.reduce((sum, x) => add(sum, x), first);
    case "mul":
      return ([first, ...others]) => others.reduce((result, x) => mul(result, x), first);
    case "crop": {
      const { offset } = layer;
      return ([x, like]) => crop2d(x, { top: offset, left: offset, height: like.shape[2], width: like.shape[3] });
    }
    default:
      return null;
  }
}

function computed(values: ReadonlyMap<string, Tensor>, name: string, layer: string): Tensor {
  const value = values.get(name);
  if (value) return value;
  throw new UsageError(
    `${layer}: the main output must not need an auxiliary layer (from ${name}). Take the flag auxiliary from that row.`,
  );
}
