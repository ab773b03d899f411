/** Stochastic gradient descent with momentum and weight decay (the paper, section 3.1: 0.9 and 5e-4). */
import { UsageError } from "../core/errors.js";
import type { Parameter, StateTensor } from "../core/tensor.js";
import { type CompleteGroup, Optimiser, type Parameters } from "./optimiser.js";

/** What parameter groups may set for themselves. */
export type SgdSettings = {
  /** Default 0. */
  readonly momentum: number;
  /** L2 multiplier; default 0. */
  readonly weightDecay: number;
};

/** What {@link SGD} takes. */
export interface SgdOptions extends Partial<SgdSettings> {
  /** Learning rate. */
  readonly lr: number;
  /**
   * `pytorch` (default): v = momentum·v + g, w −= lr·v. `caffe`: v = momentum·v + lr·g, w −= v, as the paper's code did.
   * They differ only after the rate changes.
   */
  readonly form?: "pytorch" | "caffe";
}

/** Stochastic gradient descent with momentum and weight decay. */
export class SGD extends Optimiser<SgdSettings> {
  private readonly form: "pytorch" | "caffe";

  /** @throws UsageError for a setting that is negative, infinite or unknown, no parameters, or a parameter in two groups. */
  constructor(parameters: Parameters<SgdSettings>, options: SgdOptions) {
    const { lr, momentum = 0, weightDecay = 0, form = "pytorch" } = options;
    if (form !== "pytorch" && form !== "caffe") {
      throw new UsageError(`SGD: there is no such form (form ${String(form)}). Use pytorch or caffe.`);
    }
    super("SGD", parameters, lr, { momentum, weightDecay });
    this.form = form;
  }

  /** The momentum buffer of a parameter, zero before its first step. */
  velocityOf(parameter: Parameter): StateTensor {
    return this.stateOf(parameter, "velocity");
  }

  protected override stateNames({ momentum }: CompleteGroup<SgdSettings>): readonly string[] {
    return momentum > 0 ? ["velocity"] : [];
  }

  protected override update(param: Parameter, grad: StateTensor, group: CompleteGroup<SgdSettings>): void {
    const { lrScale, momentum, weightDecay } = group;
    const shape = { length: param.size, lr: this.lr * lrScale, momentum, weightDecay, form: this.form };
    const velocity = momentum > 0 ? this.velocityOf(param) : null;
    param.engine.record("sgd", shape, { grad, param, velocity });
  }
}
