/** Stochastic gradient descent with momentum and weight decay (the paper, section 3.1: 0.9 and 5e-4). */
import { UsageError } from "../core/errors.js";
import { Parameter, type Tensor } from "../core/tensor.js";

export interface SgdOptions {
  /** Learning rate. */
  readonly lr: number;
  /** Default 0. */
  readonly momentum?: number;
  /** L2 multiplier; default 0. */
  readonly weightDecay?: number;
  /**
   * `pytorch` (default): v = momentum·v + g, w −= lr·v. `caffe`: v = momentum·v + lr·g, w −= v, as the paper's code did.
   * They differ only after the rate changes.
   */
  readonly form?: "pytorch" | "caffe";
}

/** Parameters with settings of their own: no decay on biases, another rate for a new layer. */
export interface ParameterGroup {
  readonly parameters: readonly Parameter[];
  /** Multiplies the optimiser's rate; default 1. */
  readonly lrScale?: number;
  readonly momentum?: number;
  readonly weightDecay?: number;
}

export class SGD {
  /** May be changed between steps. */
  lr: number;
  private readonly groups: readonly Required<ParameterGroup>[];
  private readonly form: "pytorch" | "caffe";
  private readonly velocities = new Map<Parameter, Tensor>();

  /** @throws UsageError for a setting that is negative, infinite or unknown, no parameters, or a parameter in two groups. */
  constructor(parameters: readonly Parameter[] | readonly ParameterGroup[], options: SgdOptions) {
    const { lr, momentum = 0, weightDecay = 0, form = "pytorch" } = options;
    if (form !== "pytorch" && form !== "caffe") {
      throw new UsageError(`SGD: there is no such form (form ${String(form)}). Use pytorch or caffe.`);
    }
    this.lr = lr;
    this.form = form;
    this.groups = toGroups(parameters).map((group) => ({ lrScale: 1, momentum, weightDecay, ...group }));
    const all = this.groups.flatMap((group) => group.parameters);
    if (all.length === 0 || new Set(all).size !== all.length) {
      throw new UsageError(`SGD: no parameter, or one twice (parameters ${all.length}). Give each parameter once.`);
    }
    for (const { lrScale, momentum, weightDecay } of this.groups) {
      checkSettings({ lr, lrScale, momentum, weightDecay });
    }
  }

  /**
   * Records the update of every parameter that has a gradient.
   * @throws UsageError where `lr` was set to a negative number or one that is not finite; nothing is recorded then.
   */
  step(): void {
    checkSettings({ lr: this.lr });
    for (const { parameters, lrScale, momentum, weightDecay } of this.groups) {
      for (const param of parameters) {
        const { grad } = param;
        if (grad === null) continue;
        const shape = { length: param.size, lr: this.lr * lrScale, momentum, weightDecay, form: this.form };
        const velocity = momentum > 0 ? this.velocityOf(param) : null;
        param.engine.withOp("sgd", "update", () => param.engine.record("sgd", shape, { grad, param, velocity }));
      }
    }
  }

  /** Forgets the gradients of all parameters. */
  zeroGrad(): void {
    for (const { parameters } of this.groups) for (const parameter of parameters) parameter.zeroGrad();
  }

  /** The momentum buffer of a parameter, zero before its first step. */
  velocityOf(param: Parameter): Tensor {
    const known = this.velocities.get(param);
    if (known) return known;
    const { engine } = param;
    const velocity = engine.keptTensor(param.shape, `${param.name}.velocity`);
    engine.withOp("sgd", "update", () => engine.record("fill", { length: param.size, factor: 0 }, { y: velocity }));
    this.velocities.set(param, velocity);
    engine.onUndo(() => this.velocities.delete(param));
    return velocity;
  }
}

function checkSettings(settings: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(settings)) {
    if (!(value >= 0 && Number.isFinite(value))) {
      throw new UsageError(`SGD: ${name} must be a number of at least 0 (${name} ${value}). Change it.`);
    }
  }
}

function toGroups(parameters: readonly Parameter[] | readonly ParameterGroup[]): readonly ParameterGroup[] {
  const single: Parameter[] = [];
  const groups: ParameterGroup[] = [];
  for (const item of parameters) {
    if (item instanceof Parameter) single.push(item);
    else groups.push(item);
  }
  return single.length > 0 ? [...groups, { parameters: single }] : groups;
}
