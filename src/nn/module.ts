/**
 * Modules: layers and nets. A module owns parameters and other modules; its name in state dictionaries and in the
 * step-through is its path from the root, as in PyTorch (`features.0.weight`).
 */
import type { Engine } from "../core/engine.js";
import { ShapeError, UsageError, WeightsError } from "../core/errors.js";
import { formatShape, sameShape } from "../core/shape.js";
import { Parameter, type Tensor } from "../core/tensor.js";

/** What to load into one parameter: a flat array in row-major order, or a parameter of the same shape, of any engine. */
export type StateValue = Float32Array | Parameter;

/** Values to load into a module, by parameter name. */
export type StateValues = ReadonlyMap<string, StateValue> | Readonly<Record<string, StateValue>>;

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

  /** All parameters by name, in the order of the layers. A shared parameter is there under each of its names. */
  stateDict(): Map<string, Parameter> {
    const state = new Map(this.ownParameters());
    for (const [name, child] of this.children()) {
      for (const [inner, parameter] of child.stateDict()) state.set(`${name}.${inner}`, parameter);
    }
    return state;
  }

  /**
   * All parameters, or those whose name the filter accepts: `model.parameters((name) => name.endsWith(".bias"))`.
   * Each comes once; the name of a shared one is its first.
   */
  parameters(filter: (name: string) => boolean = () => true): Parameter[] {
    return [...this.firstNames()].filter(([, name]) => filter(name)).map(([parameter]) => parameter);
  }

  private firstNames(): Map<Parameter, string> {
    const names = new Map<Parameter, string>();
    for (const [name, parameter] of this.stateDict()) if (!names.has(parameter)) names.set(parameter, name);
    return names;
  }

  /** Forgets all gradients. */
  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.zeroGrad();
  }

  /**
   * Overwrites all parameters: with arrays, or with another net's parameters as in `b.loadStateDict(a.stateDict())`.
   * Nothing is written before all names and sizes are checked and all parameters are read.
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
      const value = given.get(name);
      if (value === undefined) {
        throw new WeightsError(
          `loadStateDict: a parameter is missing (missing ${name} ${formatShape(parameter.shape)}). Load the weights into the net they were saved from.`,
        );
      }
      checkFits(name, parameter, value);
    }
    const arrays = new Map<string, Float32Array>();
    for (const [name, value] of given) arrays.set(name, value instanceof Parameter ? await value.read() : value);
    for (const [name, parameter] of state) {
      const array = arrays.get(name);
      if (array) await parameter.write(array);
    }
  }

  /**
   * Gives every parameter its full name, for messages; a shared one its first. Every Sequential does so when it is built,
   * and the outermost module is built last, so its names stay.
   */
  nameParameters(prefix = ""): this {
    for (const [parameter, name] of this.firstNames()) {
      parameter.name = prefix + name;
      parameter.storage.label = prefix + name;
    }
    return this;
  }
}

function checkFits(name: string, parameter: Parameter, value: StateValue): void {
  if (value instanceof Parameter) {
    if (sameShape(value.shape, parameter.shape)) return;
    throw new ShapeError(
      `loadStateDict: the shapes differ (${name} ${formatShape(parameter.shape)}, given ${formatShape(value.shape)}). Load the weights into the net they were saved from.`,
    );
  }
  if (value.length !== parameter.size) {
    throw new ShapeError(
      `loadStateDict: the number of values differs (${name} ${formatShape(parameter.shape)}, values ${value.length}). Give ${parameter.size} values.`,
    );
  }
}

/**
 * Runs a synchronous function with the model in training or evaluation mode; each module's mode is then as it was. Whoever
 * records a pass wraps it, so that a model can be evaluated between two steps of its training.
 */
export function inMode<T>(model: Module, training: boolean, fn: () => T): T {
  const modes = new Map<Module, boolean>();
  const save = (module: Module): void => {
    modes.set(module, module.training);
    for (const child of module.children().values()) save(child);
  };
  save(model);
  try {
    model.train(training);
    return fn();
  } finally {
    for (const [module, mode] of modes) module.training = mode;
  }
}

/** The engine of a model's parameters. @throws UsageError where it has none. */
export function engineOf(op: string, model: Module): Engine {
  const parameters = model.parameters();
  if (parameters.length === 0) {
    throw new UsageError(
      `${op}: the model has no parameters (parameters ${parameters.length}). Pass a model with a layer that has weights.`,
    );
  }
  return parameters[0].engine;
}

/** Names that JavaScript puts first in an object, in ascending order, wherever they are written. */
const INTEGER_NAME = /^(0|[1-9]\d*)$/;

/** Modules one after the other, under the names given: `new Sequential({ features, flatten, classifier })`. */
export class Sequential extends Module {
  private readonly layers: ReadonlyMap<string, Module>;

  /**
   * A list names its modules 0, 1, 2, …; a Map and an object run in their order, which for an object's whole-number names
   * is ascending.
   * @throws UsageError for an object with whole numbers and other names: JavaScript would move the numbers to the front.
   */
  constructor(layers: readonly Module[] | ReadonlyMap<string, Module> | Readonly<Record<string, Module>>) {
    super();
    this.layers = new Map(layers instanceof Map ? layers : Object.entries(layers));
    const names = [...this.layers.keys()];
    const integers = names.filter((name) => INTEGER_NAME.test(name)).length;
    if (!(layers instanceof Map) && integers > 0 && integers < names.length) {
      throw new UsageError(
        `Sequential: an object loses the order of whole numbers among other names (names ${names.join(",")}). Pass a Map or a list.`,
      );
    }
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
