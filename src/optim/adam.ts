/**
 * Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), by PyTorch's formulas. At step t of a parameter:
 *
 *   Adam    g = grad + weightDecay · w
 *   AdamW   g = grad,  w ← w − lr · weightDecay · w
 *
 *   m = beta1 · m + (1 − beta1) · g      v = beta2 · v + (1 − beta2) · g²
 *   w ← w − lr / (1 − beta1^t) · m / (√(v / (1 − beta2^t)) + eps)
 *
 * Every parameter counts its own steps, as in PyTorch: one without a gradient takes none.
 */
import { UsageError } from "../core/errors.js";
import { pow } from "../core/math.js";
import type { Counter, Parameter, StateTensor } from "../core/tensor.js";
import { type CompleteGroup, Optimiser, type Parameters } from "./optimiser.js";

/** What parameter groups may set for themselves. */
export type AdamSettings = {
  /** Share that the average of gradients keeps in a step; default 0.9. */
  readonly beta1: number;
  /** Share that the average of squares keeps; default 0.999. */
  readonly beta2: number;
  /** Added to the root of the average of squares; default 1e-8. */
  readonly eps: number;
  /** Default 0 for Adam, 0.01 for AdamW. */
  readonly weightDecay: number;
};

/** What Adam and AdamW take. */
export interface AdamOptions extends Partial<AdamSettings> {
  /** Learning rate; default 1e-3. */
  readonly lr?: number;
}

/** What Adam and AdamW share. State: `expAvg` (m above) and `expAvgSq` (v). */
abstract class AdamFamily extends Optimiser<AdamSettings> {
  /** Steps so far, of each parameter. */
  private readonly steps = new Map<Parameter, Counter>();

  constructor(
    name: string,
    private readonly decoupled: boolean,
    parameters: Parameters<AdamSettings>,
    { lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay }: AdamOptions & { readonly weightDecay: number },
  ) {
    super(name, parameters, lr, { beta1, beta2, eps, weightDecay });
    for (const group of this.groups) {
      for (const setting of ["beta1", "beta2"] as const) {
        if (group[setting] < 1) continue;
        throw new UsageError(`${name}: ${setting} must be below 1 (${setting} ${group[setting]}). Change it.`);
      }
    }
  }

  /** Steps of every parameter so far: `features.0.weight.step`. */
  override counters(): ReadonlyMap<string, Counter> {
    const all = this.groups.flatMap(({ parameters }) => parameters);
    return new Map(all.map((parameter) => [`${parameter.name}.step`, this.stepsOf(parameter)]));
  }

  protected override stateNames(): readonly string[] {
    return ["expAvg", "expAvgSq"];
  }

  protected override update(param: Parameter, grad: StateTensor, group: CompleteGroup<AdamSettings>): void {
    const steps = this.stepsOf(param);
    const { parameters: _, lrScale, ...settings } = group;
    const step = steps.value + 1;
    const shape = {
      ...settings,
      length: param.size,
      lr: this.lr * lrScale,
      decoupled: this.decoupled,
      correction1: 1 - pow(settings.beta1, step),
      correction2: 1 - pow(settings.beta2, step),
    };
    const tensors = { grad, param, expAvg: this.stateOf(param, "expAvg"), expAvgSq: this.stateOf(param, "expAvgSq") };
    param.engine.record("adam", shape, tensors);
    steps.value = step;
    param.engine.onUndo(() => {
      steps.value = step - 1;
    });
  }

  private stepsOf(parameter: Parameter): Counter {
    const steps = this.steps.get(parameter) ?? { value: 0 };
    this.steps.set(parameter, steps);
    return steps;
  }
}

/** Weight decay goes through the gradient. */
export class Adam extends AdamFamily {
  /** @throws UsageError for a setting that is negative or infinite, a beta of 1 or more, no parameters, or one in two groups. */
  constructor(parameters: Parameters<AdamSettings>, options: AdamOptions = {}) {
    super("Adam", false, parameters, { ...options, weightDecay: options.weightDecay ?? 0 });
  }
}

/** Weight decay acts on the parameter itself. */
export class AdamW extends AdamFamily {
  /** @throws UsageError for a setting that is negative or infinite, a beta of 1 or more, no parameters, or one in two groups. */
  constructor(parameters: Parameters<AdamSettings>, options: AdamOptions = {}) {
    super("AdamW", true, parameters, { ...options, weightDecay: options.weightDecay ?? 0.01 });
  }
}
