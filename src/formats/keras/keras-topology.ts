/**
 * Keras's JSON of a model (Keras 1, 2, 3 and TensorFlow.js alike) as one list of layers, each after those that it takes: models
 * within the model are laid flat, and what does not lead to the output is left out. What layers mean: keras-layers.ts.
 */
import { DamagedFileError, WeightsError } from "../../core/errors.js";
import { INPUT } from "../../models/net-config.js";
import { field, isList, isObject, type Json, type JsonObject, listField, shown, textField } from "../json-values.js";

/** A layer of a Keras model. */
export interface KerasLayer {
  readonly className: string;
  /** Unique: its own, behind those of the models that it is in: `vgg16.block1_conv1`. */
  readonly name: string;
  /** The parts of the name. */
  readonly path: readonly string[];
  /** Where Keras 3 keeps its weights: `layers/functional/layers/conv2d_1`. */
  readonly place: string;
  readonly config: JsonObject;
  /** Names of the layers that it takes; INPUT for the net's input. */
  readonly inputs: readonly string[];
}

/** A model laid flat. */
export interface KerasTopology {
  /** As in the file; "" where it has none. */
  readonly name: string;
  readonly layers: readonly KerasLayer[];
  /** Name of the layer that puts out. */
  readonly output: string;
  /** Without the batch; null where the file does not say. */
  readonly inputShape: readonly (number | null)[] | null;
}

/** Models within models; nobody nests so deep. */
const MAX_DEPTH = 16;
/** The deepest nets of pictures have some 1000. */
const MAX_LAYERS = 10_000;

/** A layer's entry in a model, checked. */
interface Entry {
  readonly className: string;
  readonly name: string;
  readonly config: Json;
  readonly json: JsonObject;
  readonly place: string;
}

/** Where a model stands within the whole. */
interface Context {
  readonly path: readonly string[];
  readonly place: string;
  /** Of the layer that feeds the model. */
  readonly input: string;
}

/**
 * Reads a model's {class_name, config}.
 * @param file name for errors.
 * @throws WeightsError for a model that is not one chain or graph from one input to one output; DamagedFileError for JSON that says no model.
 */
export function readTopology(model: Json, file: string): KerasTopology {
  const reader = new TopologyReader(file);
  const output = reader.model(model, { path: [], place: "", input: INPUT });
  const config = field(model, "config");
  return { name: textField(config, "name") ?? "", layers: reader.layers, output, inputShape: reader.inputShape };
}

/** Keras's naming.to_snake_case: MaxPooling2D is max_pooling2d. */
export function snakeCase(className: string): string {
  return className
    .replace(/\W+/g, "")
    .replace(/(.)([A-Z][a-z]+)/g, "$1_$2")
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .toLowerCase();
}

class TopologyReader {
  readonly layers: KerasLayer[] = [];
  inputShape: readonly (number | null)[] | null = null;

  constructor(private readonly file: string) {}

  /** Adds a model's layers; gives the name of the one that puts out. */
  model(json: Json, context: Context): string {
    if (context.path.length > MAX_DEPTH) {
      throw this.damaged(`has models nested deeper than ${MAX_DEPTH} (model ${shown(context.path[0])})`);
    }
    const className = textField(json, "class_name") ?? "";
    const config = field(json, "config");
    if (className === "Sequential") return this.sequential(config, context);
    if (className === "Functional" || className === "Model") return this.functional(config, context);
    throw new WeightsError(
      `load: the model of ${this.file} is neither Sequential nor Functional (class_name ${shown(className)}). Rebuild it as one of these and save it again.`,
    );
  }

  private sequential(config: Json | undefined, context: Context): string {
    const list = isList(config) ? config : listField(config, "layers");
    let above = context.input;
    const entries = this.entries(list, context);
    // Keras 2 may say the shape of a Sequential model beside its layers.
    for (const entry of entries) above = this.layer(entry, [above], context);
    if (above === INPUT) throw this.damaged("has a model without layers");
    this.noteShape(field(config, "build_input_shape"), context.input);
    return above;
  }

  private functional(config: Json | undefined, context: Context): string {
    const entries = this.entries(listField(config, "layers"), context);
    const byName = new Map(entries.map((entry) => [entry.name, entry]));
    const inputs = this.ends(config, "input_layers");
    const outputs = this.ends(config, "output_layers");
    if (inputs.length !== 1 || outputs.length !== 1) {
      throw new WeightsError(
        `load: the model of ${this.file} has not one input and one output (inputs ${inputs.length}, outputs ${outputs.length}). Save a model with one of each.`,
      );
    }
    const output = outputs[0];
    const sources = new Map<string, readonly string[]>();
    const nodesOf = (name: string): readonly string[] => {
      const entry = byName.get(name);
      if (!entry) throw this.damaged(`has a layer that takes one that is not there (layer ${shown(name)})`);
      return entry.className === "InputLayer" ? [] : this.inbound(entry);
    };
    // All that leads to the output.
    const open = [output];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      if (sources.has(name)) continue;
      const from = nodesOf(name);
      sources.set(name, from);
      for (const source of from) open.push(source);
    }
    const results = new Map<string, string>();
    for (const name of this.sorted(entries, sources)) {
      const entry = byName.get(name);
      if (!entry) continue;
      const from = (sources.get(name) ?? []).map((source) => results.get(source) ?? "");
      const isInput = entry.className === "InputLayer";
      if (isInput && name !== inputs[0]) {
        throw new WeightsError(
          `load: the model of ${this.file} has a second input (layer ${shown(name)}). Save a model with one.`,
        );
      }
      results.set(name, this.layer(entry, isInput || from.length === 0 ? [context.input] : from, context));
    }
    return results.get(output) ?? context.input;
  }

  /** Names in an order in which each stands after its sources, otherwise as in the file. */
  private sorted(entries: readonly Entry[], sources: ReadonlyMap<string, readonly string[]>): string[] {
    const waiting = new Map<string, number>();
    const users = new Map<string, string[]>();
    for (const [name, from] of sources) {
      waiting.set(name, from.length);
      for (const source of from) {
        const list = users.get(source) ?? [];
        list.push(name);
        users.set(source, list);
      }
    }
    const ready = entries.map(({ name }) => name).filter((name) => waiting.get(name) === 0);
    const order: string[] = [];
    for (let i = 0; i < ready.length; i++) {
      order.push(ready[i]);
      for (const user of users.get(ready[i]) ?? []) {
        const left = (waiting.get(user) ?? 0) - 1;
        waiting.set(user, left);
        if (left === 0) ready.push(user);
      }
    }
    if (order.length < sources.size) throw this.damaged("has layers that take each other in a circle");
    return order;
  }

  /** Adds one layer, or the model that it is; gives the name of what puts out. */
  private layer(entry: Entry, inputs: readonly string[], context: Context): string {
    const { className, name, config, place } = entry;
    const path = [...context.path, name];
    this.noteShape(field(config, "batch_shape", "batch_input_shape"), inputs[0]);
    if (className === "InputLayer") return inputs[0];
    if (className === "Sequential" || className === "Functional" || className === "Model") {
      if (inputs.length !== 1) throw this.damaged(`has a model that takes several layers (layer ${shown(name)})`);
      return this.model(entry.json, { path, place: `${place}/`, input: inputs[0] });
    }
    if (this.layers.length === MAX_LAYERS) throw this.damaged(`has more than ${MAX_LAYERS} layers`);
    const full = path.join(".");
    this.layers.push({ className, name: full, path, place, config: isObject(config) ? config : {}, inputs });
    return full;
  }

  private entries(list: readonly Json[], { place }: Context): Entry[] {
    const counts = new Map<string, number>();
    const names = new Set<string>();
    return list.map((json) => {
      const className = textField(json, "class_name");
      const config = field(json, "config");
      // Keras 1 and 2 give a model within a Sequential one no name but its own.
      const name = textField(json, "name") ?? textField(config, "name");
      if (!isObject(json) || className === undefined || name === undefined) {
        throw this.damaged(`has a layer without class or name (layer ${shown(json)})`);
      }
      if (names.has(name)) throw this.damaged(`has two layers of one name (layer ${shown(name)})`);
      names.add(name);
      const kind = snakeCase(className);
      const count = counts.get(kind) ?? 0;
      counts.set(kind, count + 1);
      return {
        className,
        name,
        config: config ?? null,
        json,
        place: `${place}layers/${kind}${count ? `_${count}` : ""}`,
      };
    });
  }

  /** Names of the layers in input_layers or output_layers: [[name, node, tensor]], or in Keras 3 [name, node, tensor] for one. */
  private ends(config: Json | undefined, key: string): string[] {
    const list = listField(config, key);
    const single = typeof list[0] === "string" && typeof list[1] === "number";
    return (single ? [list] : list).map((end) => this.history(end, key));
  }

  /** Names of the layers that a layer of a graph takes. */
  private inbound({ name, json }: Entry): string[] {
    const nodes = listField(json, "inbound_nodes");
    if (nodes.length !== 1) {
      const times = nodes.length === 0 ? "has no input" : `is used ${nodes.length} times`;
      throw new WeightsError(
        `load: the model of ${this.file} has a layer that ${times} (layer ${shown(name)}). Save a model whose layers are used once.`,
      );
    }
    const [node] = nodes;
    const found = isList(node)
      ? node.map((tensor) => this.history(tensor, name))
      : this.kerasTensors(field(node, "args"), name);
    if (found.length === 0) throw this.damaged(`has a layer whose inputs cannot be read (layer ${shown(name)})`);
    return found;
  }

  /** Keras 3: the arguments of the call are tensors, or one list of them. */
  private kerasTensors(args: Json | undefined, name: string): string[] {
    const list = isList(args) ? args : [];
    const flat = list.length === 1 && isList(list[0]) ? list[0] : list;
    return flat.map((tensor) => this.history(field(field(tensor, "config"), "keras_history"), name));
  }

  /** The layer of [name, node, tensor, …]. */
  private history(value: Json | undefined, of: string): string {
    const [name, , tensor] = isList(value) ? value : [];
    if (typeof name === "string" && (tensor === 0 || tensor === undefined)) return name;
    throw this.damaged(`has a connection that cannot be read (layer ${shown(of)}, connection ${shown(value)})`);
  }

  /** Keeps the shape of the net's input where a layer that takes it says so first. */
  private noteShape(shape: Json | undefined, input: string): void {
    if (this.inputShape !== null || input !== INPUT || !isList(shape)) return;
    this.inputShape = shape.slice(1).map((size) => (typeof size === "number" ? size : null));
  }

  private damaged(what: string): DamagedFileError {
    return new DamagedFileError(`load: the model of ${this.file} ${what}. Download or save the file again.`);
  }
}
