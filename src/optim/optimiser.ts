/**
 * What all optimisers share: parameter groups, checks, and state that checkpoints can hold. One optimiser a file; the
 * arithmetic is a kernel (assembly/optimizer.ts).
 */
import { UsageError } from "../core/errors.js";
import { type Counter, Parameter, type StateTensor } from "../core/tensor.js";

/** Parameters with settings of their own: no decay on biases, another rate for a new layer. */
export type ParameterGroup<Settings> = {
  readonly parameters: readonly Parameter[];
  /** Multiplies the optimiser's rate; default 1. */
  readonly lrScale?: number;
} & Partial<Settings>;

/** A group with all its settings. */
export type CompleteGroup<Settings> = {
  readonly parameters: readonly Parameter[];
  readonly lrScale: number;
} & Settings;

/** Parameters, or groups of them. */
export type Parameters<Settings> = readonly Parameter[] | readonly ParameterGroup<Settings>[];

/** What a training loop needs of an optimiser, whatever its settings. */
export type AnyOptimiser = Pick<Optimiser, "lr" | "step" | "zeroGrad" | "stateDict" | "counters">;

/** Updates parameters by their gradients. `Settings` may differ between parameter groups. */
export abstract class Optimiser<Settings extends Readonly<Record<string, number>> = Readonly<Record<string, number>>> {
  /** Learning rate. May be changed between steps. */
  lr: number;
  protected readonly groups: readonly CompleteGroup<Settings>[];
  private readonly state = new Map<Parameter, Map<string, StateTensor>>();

  /**
   * @param name for errors: `SGD`.
   * @throws UsageError for a setting that is negative or infinite, no parameters, or a parameter in two groups.
   */
  constructor(
    private readonly name: string,
    parameters: Parameters<Settings>,
    lr: number,
    defaults: Settings,
  ) {
    this.lr = lr;
    this.groups = completeGroups(parameters, defaults);
    const all = this.parameters();
    if (all.length === 0 || new Set(all).size !== all.length) {
      throw new UsageError(`${name}: no parameter, or one twice (parameters ${all.length}). Give each parameter once.`);
    }
    for (const { parameters: _, ...settings } of this.groups) this.check({ lr, ...settings });
  }

  /**
   * Records the update of every parameter that has a gradient.
   * @throws UsageError where `lr` was set to a negative number or one that is not finite; nothing is recorded then.
   */
  step(): void {
    this.check({ lr: this.lr });
    this.beginStep();
    for (const group of this.groups) {
      for (const parameter of group.parameters) {
        const { grad, engine } = parameter;
        if (grad === null) continue;
        engine.withOp(this.opName, "update", () => this.update(parameter, grad, group));
      }
    }
  }

  /** Forgets the gradients of all parameters. */
  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.zeroGrad();
  }

  /**
   * The state of all parameters by name, as checkpoints hold it: `features.0.weight.velocity`. What no step has made yet is
   * made now, zero.
   * @throws UsageError where two parameters have the same name.
   */
  stateDict(): Map<string, StateTensor> {
    const state = new Map<string, StateTensor>();
    for (const group of this.groups) {
      for (const parameter of group.parameters) {
        for (const name of this.stateNames(group)) {
          const key = `${parameter.name}.${name}`;
          if (state.has(key)) {
            throw new UsageError(
              `${this.name}: two parameters have one name, so that their state cannot be told apart (name ${parameter.name}). Call nameParameters() on the model.`,
            );
          }
          state.set(key, this.stateOf(parameter, name));
        }
      }
    }
    return state;
  }

  /** Numbers that are part of the state, by name. */
  counters(): ReadonlyMap<string, Counter> {
    return new Map();
  }

  /** Name of the operation in the step-through. */
  protected get opName(): string {
    return this.name.toLowerCase();
  }

  /** What every step does once, before the updates. */
  protected beginStep(): void {}

  /** Names of the state tensors that a parameter of this group has. */
  protected abstract stateNames(group: CompleteGroup<Settings>): readonly string[];

  /** Records the update of one parameter. */
  protected abstract update(parameter: Parameter, grad: StateTensor, group: CompleteGroup<Settings>): void;

  /** A state tensor of a parameter, of the parameter's shape, zero before its first step. */
  protected stateOf(parameter: Parameter, name: string): StateTensor {
    const known = this.state.get(parameter)?.get(name);
    if (known) return known;
    const { engine } = parameter;
    const tensor = engine.stateTensor(parameter.shape, `${parameter.name}.${name}`);
    engine.withOp(this.opName, "update", () =>
      engine.record("fill", { length: parameter.size, factor: 0 }, { y: tensor }),
    );
    const ofParameter = this.state.get(parameter) ?? new Map<string, StateTensor>();
    this.state.set(parameter, ofParameter.set(name, tensor));
    engine.onUndo(() => ofParameter.delete(name));
    return tensor;
  }

  /** @throws UsageError for a setting that is negative or not finite. */
  protected check(settings: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(settings)) {
      if (!(value >= 0 && Number.isFinite(value))) {
        throw new UsageError(`${this.name}: ${name} must be a number of at least 0 (${name} ${value}). Change it.`);
      }
    }
  }

  private parameters(): Parameter[] {
    return this.groups.flatMap((group) => group.parameters);
  }
}

function completeGroups<Settings>(parameters: Parameters<Settings>, defaults: Settings): CompleteGroup<Settings>[] {
  const single: Parameter[] = [];
  const groups: CompleteGroup<Settings>[] = [];
  for (const item of parameters) {
    if (item instanceof Parameter) single.push(item);
    else groups.push({ lrScale: 1, ...defaults, ...item });
  }
  return single.length > 0 ? [...groups, { parameters: single, lrScale: 1, ...defaults }] : groups;
}
