/**
 * Modules: layers and nets. A module owns parameters and other modules; its name in state dictionaries and in the
 * step-through is its path from the root, as in PyTorch (`features.0.weight`).
 */
import type { Engine } from "../core/engine.js";
import { ShapeError, UsageError, WeightsError } from "../core/errors.js";
import { formatShape, sameShape } from "../core/shape.js";
import { type Counter, Parameter, StateTensor, type Tensor } from "../core/tensor.js";

/** What to load into one tensor: a flat array in row-major order, or a tensor of the same shape, of any engine. */
export type StateValue = Float32Array | StateTensor;

/** Values to load into a module, by name. */
export type StateValues = ReadonlyMap<string, StateValue> | Readonly<Record<string, StateValue>>;

/** A layer or a net: extend it with children() and forward() for one of your own. */
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

  /** Tensors that are part of this module's state but not trained, by name: running statistics. */
  protected ownBuffers(): ReadonlyMap<string, StateTensor> {
    return new Map();
  }

  /** Numbers that are part of this module's state, by name. They are in checkpoints, not in state dictionaries. */
  protected ownCounters(): ReadonlyMap<string, Counter> {
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

  /** All parameters and buffers by name, in the order of the layers. A shared one is there under each of its names. */
  stateDict(): Map<string, StateTensor> {
    const state = new Map<string, StateTensor>([...this.ownParameters(), ...this.ownBuffers()]);
    for (const [name, child] of this.children()) {
      for (const [inner, tensor] of child.stateDict()) state.set(`${name}.${inner}`, tensor);
    }
    return state;
  }

  /** All counters by name, in the order of the layers. */
  counters(): Map<string, Counter> {
    const counters = new Map(this.ownCounters());
    for (const [name, child] of this.children()) {
      for (const [inner, counter] of child.counters()) counters.set(`${name}.${inner}`, counter);
    }
    return counters;
  }

  /**
   * All parameters, or those whose name the filter accepts: `model.parameters((name) => name.endsWith(".bias"))`.
   * Each comes once; the name of a shared one is its first.
   */
  parameters(filter: (name: string) => boolean = () => true): Parameter[] {
    const named = [...this.firstNames()].filter(([, name]) => filter(name));
    return named.flatMap(([tensor]) => (tensor instanceof Parameter ? [tensor] : []));
  }

  private firstNames(): Map<StateTensor, string> {
    const names = new Map<StateTensor, string>();
    for (const [name, tensor] of this.stateDict()) if (!names.has(tensor)) names.set(tensor, name);
    return names;
  }

  /** Forgets all gradients. */
  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.zeroGrad();
  }

  /**
   * Overwrites all parameters and buffers: with arrays, or with another net's parameters as in `b.loadStateDict(a.stateDict())`.
   * Nothing is written before all names and sizes are checked and all tensors are read.
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
    for (const [name, tensor] of state) {
      const value = given.get(name);
      if (value === undefined) {
        throw new WeightsError(
          `loadStateDict: a parameter is missing (missing ${name} ${formatShape(tensor.shape)}). Load the weights into the net they were saved from.`,
        );
      }
      checkFits(name, tensor, value);
    }
    const arrays = new Map<string, Float32Array>();
    for (const [name, value] of given) arrays.set(name, value instanceof StateTensor ? await value.read() : value);
    for (const [name, tensor] of state) {
      const array = arrays.get(name);
      if (array) await tensor.write(array);
    }
  }

  /**
   * Gives every parameter and buffer its full name, for messages; a shared one its first. Every Sequential does so when it is built,
   * and the outermost module is built last, so its names stay.
   */
  nameParameters(prefix = ""): this {
    for (const [tensor, name] of this.firstNames()) {
      tensor.name = prefix + name;
      tensor.storage.label = prefix + name;
    }
    return this;
  }
}

function checkFits(name: string, tensor: StateTensor, value: StateValue): void {
  if (value instanceof StateTensor) {
    if (sameShape(value.shape, tensor.shape)) return;
    throw new ShapeError(
      `loadStateDict: the shapes differ (${name} ${formatShape(tensor.shape)}, given ${formatShape(value.shape)}). Load the weights into the net they were saved from.`,
    );
  }
  if (value.length !== tensor.size) {
    throw new ShapeError(
      `loadStateDict: the number of values differs (${name} ${formatShape(tensor.shape)}, values ${value.length}). Give ${tensor.size} values.`,
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
