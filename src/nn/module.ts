/**
 * Modules: layers and nets. A module owns parameters and other modules; its name in state dictionaries and in the
 * step-through is its path from the root, as in PyTorch (`features.0.weight`).
 */
import { ShapeError, WeightsError } from "../core/errors.js";
import { formatShape } from "../core/shape.js";
import type { Parameter, Tensor } from "../core/tensor.js";

/** Values to load into a module: flat arrays in row-major order, by parameter name. */
export type StateValues = ReadonlyMap<string, Float32Array> | Readonly<Record<string, Float32Array>>;

export abstract class Module {
  /** Set by train() and eval(); dropout looks at it. */
  training = true;

  /** Records the forward pass. */
  abstract forward(x: Tensor): Tensor;

  /** The modules directly inside this one, by name. */
  children(): ReadonlyMap<string, Module> {
    return new Map();
  }

  /** The parameters that this module itself owns, by name. */
  protected ownParameters(): ReadonlyMap<string, Parameter> {
    return new Map();
  }

  /** Training mode, here and in all modules inside. Returns the module. */
  train(training = true): this {
    this.training = training;
    for (const child of this.children().values()) child.train(training);
    return this;
  }

  /** Evaluation mode: no dropout. */
  eval(): this {
    return this.train(false);
  }

  /** All parameters by name, in the order of the layers. */
  stateDict(): Map<string, Parameter> {
    const state = new Map(this.ownParameters());
    for (const [name, child] of this.children()) {
      for (const [inner, parameter] of child.stateDict()) state.set(`${name}.${inner}`, parameter);
    }
    return state;
  }

  /** All parameters, or those whose name the filter accepts: `model.parameters((name) => name.endsWith(".bias"))`. */
  parameters(filter: (name: string) => boolean = () => true): Parameter[] {
    return [...this.stateDict()].filter(([name]) => filter(name)).map(([, parameter]) => parameter);
  }

  /** Forgets all gradients. */
  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.zeroGrad();
  }

  /**
   * Overwrites all parameters. Nothing is written before all names and sizes are checked.
   * @throws WeightsError that names the first parameter that is missing or unexpected; ShapeError for a wrong size.
   */
  async loadStateDict(values: StateValues): Promise<void> {
    const given = values instanceof Map ? values : new Map(Object.entries(values));
    const state = this.stateDict();
    for (const name of given.keys()) {
      if (!state.has(name)) {
        throw new WeightsError(
          `loadStateDict: the net has no such parameter (unexpected ${name}). Load the weights into the net they were saved from.`,
        );
      }
    }
    for (const [name, parameter] of state) {
      const array = given.get(name);
      if (array === undefined) {
        throw new WeightsError(
          `loadStateDict: a parameter is missing (missing ${name} ${formatShape(parameter.shape)}). Load the weights into the net they were saved from.`,
        );
      }
      if (array.length !== parameter.size) {
        throw new ShapeError(
          `loadStateDict: the number of values differs (${name} ${formatShape(parameter.shape)}, values ${array.length}). Give ${parameter.size} values.`,
        );
      }
    }
    for (const [name, parameter] of state) {
      const array = given.get(name);
      if (array) await parameter.write(array);
    }
  }

  /** Gives every parameter its full name, for messages. Called once, by the outermost module. */
  nameParameters(prefix = ""): this {
    for (const [name, parameter] of this.stateDict()) {
      parameter.name = prefix + name;
      parameter.storage.label = prefix + name;
    }
    return this;
  }
}

/** Modules one after the other, under the names given: `new Sequential({ features, flatten, classifier })`. */
export class Sequential extends Module {
  private readonly layers: ReadonlyMap<string, Module>;

  /** A list names its modules 0, 1, 2, … */
  constructor(layers: readonly Module[] | Readonly<Record<string, Module>>) {
    super();
    this.layers = new Map(Object.entries(layers));
    this.nameParameters();
  }

  override forward(x: Tensor): Tensor {
    let y = x;
    for (const [name, layer] of this.layers) y = y.engine.withModule(name, () => layer.forward(y));
    return y;
  }

  override children(): ReadonlyMap<string, Module> {
    return this.layers;
  }
}
