/**
 * Starts a net from a trained one (Simonyan and Zisserman 2014, section 3.1): which tensors of one VGG fit which of another, and
 * the copying. The choice is a pure function of the two tables (vgg-config.ts).
 *
 * B-E from A: the first four convolutional layers of A and the three linear layers; the rest stays as initialised. The paper
 * does not spell the mapping out; layers of the same name in its released models fit, A's conv1_1, conv2_1, conv3_1, conv3_2.
 * The same net (S = 384 from the S = 256 net): all layers.
 */
import { UsageError } from "../core/errors.js";
import { StateTensor } from "../core/tensor.js";
import type { Module, StateValues } from "../nn/module.js";
import { type NetLayer, netTensorShapes } from "./net-config.js";
import { type VggConfigName, type VggOptions, vggLayers } from "./vgg-config.js";

/** A net of the table, as `vgg` takes it. */
export interface VggNet extends VggOptions {
  readonly config: VggConfigName;
}

/** One tensor that is copied. */
export interface CopiedTensor {
  /** Name in the net that is initialised. */
  readonly name: string;
  /** Name in the trained net. */
  readonly source: string;
  readonly shape: readonly number[];
}

/** What is copied, and which layers, by the paper's names, would be but do not fit. */
export interface InitialisationPlan {
  readonly copied: readonly CopiedTensor[];
  readonly skipped: readonly { readonly layer: string; readonly reason: string }[];
}

/** How many of the trained net's convolutions a different net takes. */
const FIRST_CONVOLUTIONS = 4;

/**
 * Which tensors of `source` go where in `target`.
 * @throws UsageError where the same net has a layer of another shape (the output layer may: other classes are skipped and
 * reported), or where nothing of a different net fits.
 */
export function initialisationPlan(target: VggNet, source: VggNet): InitialisationPlan {
  const from = layersOf(source);
  const to = layersOf(target);
  const same = target.config === source.config;
  const copied: CopiedTensor[] = [];
  const skipped: { layer: string; reason: string }[] = [];
  const convolutions = from.layers.filter(({ kind }) => kind === "conv");
  const first = new Set(convolutions.slice(0, FIRST_CONVOLUTIONS).map(({ paperName }) => paperName));
  for (const layer of from.layers) {
    const { paperName, name: sourceName } = layer;
    const wanted = same || layer.kind === "linear" || first.has(paperName.replace(/^bn/, "conv"));
    const tensors = tensorsOf(from.shapes, sourceName);
    if (!wanted || tensors.length === 0) continue;
    const there = to.layers.find((candidate) => candidate.paperName === paperName);
    const reason = there ? differenceOf(tensors, tensorsOf(to.shapes, there.name)) : "the net has no such layer";
    if (there && reason === "") {
      for (const [part, shape] of tensors) {
        copied.push({ name: `${there.name}.${part}`, source: `${sourceName}.${part}`, shape });
      }
    } else if (same && layer !== from.output) {
      throw new UsageError(
        `initialiseFrom: a layer of the same net does not fit (${paperName}: ${reason}). Use the options that the trained net has.`,
      );
    } else {
      skipped.push({ layer: paperName, reason });
    }
  }
  if (copied.length === 0) {
    const reasons = skipped.map(({ layer, reason }) => `${layer}: ${reason}`).join("; ");
    throw new UsageError(`initialiseFrom: nothing of the trained net fits (${reasons}). Use a net of the same width.`);
  }
  return { copied, skipped };
}

/**
 * Copies from a trained net's state into a net, as {@link initialisationPlan} says. Nothing is written before all is read.
 * @param state the trained net's state dictionary, of any engine.
 * @throws UsageError as the plan does, or where `model` or `state` lack a tensor of their table or have it in another shape.
 */
export async function initialiseFrom(
  model: Module,
  target: VggNet,
  state: StateValues,
  source: VggNet,
): Promise<InitialisationPlan> {
  const plan = initialisationPlan(target, source);
  const given = state instanceof Map ? state : new Map(Object.entries(state));
  const own = model.stateDict();
  const writes: [StateTensor, Float32Array][] = [];
  for (const { name, source: sourceName, shape } of plan.copied) {
    const tensor = own.get(name);
    const value = given.get(sourceName);
    const values = value instanceof StateTensor ? await value.read() : value;
    const size = shape.reduce((product, side) => product * side, 1);
    if (tensor?.size !== size || values?.length !== size) {
      throw new UsageError(
        `initialiseFrom: a net is not what its configuration says (${name} [${shape}], net ${tensor?.size ?? "none"} values, source ${values?.length ?? "none"}). Give each net's own configuration.`,
      );
    }
    writes.push([tensor, values]);
  }
  for (const [tensor, values] of writes) await tensor.write(values);
  return plan;
}

function layersOf({ config, ...options }: VggNet) {
  const layers = vggLayers(config, options);
  const output: NetLayer | undefined = layers.at(-1);
  return { layers, output, shapes: netTensorShapes(layers) };
}

/** Tensors of one layer: name inside it and shape. */
function tensorsOf(shapes: ReadonlyMap<string, readonly number[]>, layer: string): [string, readonly number[]][] {
  const prefix = `${layer}.`;
  return [...shapes].flatMap(([name, shape]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), shape]] : []));
}

/** "" where shapes are equal. */
function differenceOf(
  source: readonly [string, readonly number[]][],
  target: readonly [string, readonly number[]][],
): string {
  const found = source.find(([, shape], i) => shape.join() !== target[i]?.[1].join());
  if (!found) return "";
  const there = target.find(([part]) => part === found[0]);
  return `${found[0]} is [${found[1]}] in the trained net, [${there?.[1] ?? ""}] here`;
}
