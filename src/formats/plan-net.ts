/**
 * Decides what net a weights file holds: from the file's own description, from what the caller says, or by recognising a VGG; and where
 * each of the net's tensors is in the file, how a picture is prepared, what the classes are called. Pure functions of the file's
 * header; load-net.ts builds and fills.
 */

import { UsageError, WeightsError } from "../core/errors.js";
import { checkTensors, decodeMetadata, VGG_FORMAT, type VggMetadata } from "../io/model-format.js";
import {
  PREPROCESSINGS,
  type Preprocessing,
  type PreprocessingName,
  preprocessingName,
  preprocessingOf,
} from "../io/preprocessing.js";
import type { FileNet, TensorPlace, WeightsFile } from "../io/weights-file.js";
import { INPUT, isCount, type NetLayer, netTensorShapes, type Row, tableLayers } from "../models/net-config.js";
import type { NetDescription } from "../models/net-description.js";
import { isNetName, NET_NAMES, netFacts, netLayers } from "../models/nets.js";
import { VGG_ALIASES, VGG_CONFIG_NAMES, type VggConfigName, vggLayers, vggName } from "../models/vgg-config.js";
import type { NetTensorPlace } from "./fill-net.js";
import { decodeNetMetadata, NET_FORMAT } from "./net-metadata.js";
import { isIgnored, recogniseVgg } from "./recognise-vgg.js";

/** What the caller knows better than the file. */
export interface PlanOptions {
  /** Name of the net whose tensors these are, for files of bare tensors: "vgg16", "C", "alexnet", … */
  readonly config?: string | undefined;
  /** Or its layers. Their names are those of the tensors: layer `conv1` has `conv1.weight` and `conv1.bias`. */
  readonly net?: NetDescription | undefined;
  /** How pictures are prepared; by default as the file says, or as is usual for files of its kind. */
  readonly preprocessing?: PreprocessingName | Preprocessing | undefined;
  /** Names of the classes, by index; by default the file's, ImageNet's for 1000 classes, else numbers. */
  readonly classes?: readonly string[] | undefined;
  /** Height and width of the input, where the file does not fix it. */
  readonly inputSize?: number | undefined;
}

/** What will be built of a file. */
export interface NetPlan {
  /** What it is, for people: "VGG D, torchvision's names". */
  readonly about: string;
  readonly layers: readonly NetLayer[];
  readonly inputShape: readonly [number, number, number];
  /** Scores that it gives of a picture. */
  readonly outputs: number;
  /** For VGG nets: what `vgg` builds them by. */
  readonly vgg: VggPlan | null;
  readonly places: ReadonlyMap<string, NetTensorPlace>;
  readonly preprocessing: Preprocessing;
  /** null: ImageNet's names where there are 1000 classes, else numbers. */
  readonly classes: readonly string[] | null;
  /** What the user should know: what was guessed. */
  readonly notes: readonly string[];
}

/** Options of `vgg`, and its name. */
export type VggPlan = Omit<VggMetadata, "classes" | "mean" | "std" | "scale"> & { readonly classes: number };

/** A net before the caller's wishes. */
interface Draft {
  readonly about: string;
  readonly layers: readonly NetLayer[];
  readonly inputShape: readonly [number, number, number];
  readonly vgg: VggPlan | null;
  readonly tensors: ReadonlyMap<string, TensorPlace>;
  /** The channels that the weights take; null: nobody said. */
  readonly order: "RGB" | "BGR" | null;
  /** null: nobody said. */
  readonly preprocessing: Preprocessing | PreprocessingName | null;
  readonly classes: readonly string[] | null;
  readonly notes?: readonly string[] | undefined;
}

/** How pictures are prepared where nothing tells. */
const GUESS: PreprocessingName = "unit";

/** ImageNet's classes: ONNX files of such nets are of PyTorch or MXNet, whose model zoos prepare pictures alike. */
const IMAGENET_CLASSES = 1000;

const DEFAULT_SIDE = 224;

/** More classes have no names: a file of a few bytes can claim any number. */
const MOST_OUTPUTS = 2 ** 22;

/**
 * Plans the net of a file.
 * @throws WeightsError for a file whose net is not told and not recognised, or does not fit what is told; UsageError for options that
 * make no sense.
 */
export function planNet(file: WeightsFile, options: PlanOptions = {}): NetPlan {
  const draft = draftNet(file, options);
  const { about, layers, inputShape, vgg } = draft;
  const [channels, height, width] = inputShape;
  if (channels !== 1 && channels !== 3) {
    throw new WeightsError(
      `load: the net of ${file.name} takes no pictures (input ${inputShape.join("x")}). Nets of 1 or 3 channels can be loaded.`,
    );
  }
  const outputs = layers.findLast(({ auxiliary = false }) => !auxiliary)?.outShape.reduce((a, b) => a * b, 1) ?? 0;
  const ofZoo = file.format === "onnx" && channels === 3 && outputs === IMAGENET_CLASSES;
  const { asked, notes } = chosenPreprocessing(draft, options, ofZoo ? "torchvision" : GUESS);
  const side = Math.min(height, width);
  if (options.inputSize !== undefined && options.inputSize !== side) {
    throw new WeightsError(
      `load: the file ${file.name} fixes the size of the input (inputSize ${options.inputSize}, input ${inputShape.join("x")}). Leave inputSize out (--input).`,
    );
  }
  const preprocessing = checkedPreprocessing(
    typeof asked === "string" ? preprocessingOf(preprocessingName(asked), side, channels) : asked,
    { channels, side, file: file.name, Fault: options.preprocessing === undefined ? WeightsError : UsageError },
  );
  const order = typeof asked === "string" && options.preprocessing ? PREPROCESSINGS[asked].order : draft.order;
  const places = order === "BGR" && channels === 3 ? reversedInput(draft, file.name) : draft.tensors;
  const classes = options.classes ?? draft.classes;
  if (outputs < 1 || outputs > MOST_OUTPUTS) {
    throw new WeightsError(
      `load: the net of ${file.name} gives no scores of classes (outputs ${outputs}, at most ${MOST_OUTPUTS}). Use a net that classifies.`,
    );
  }
  if (classes && classes.length !== outputs) {
    const Fault = options.classes ? UsageError : WeightsError;
    throw new Fault(
      `load: there are not as many class names as the net of ${file.name} has outputs (names ${classes.length}, outputs ${outputs}). Give one for each.`,
    );
  }
  return {
    about,
    layers,
    inputShape,
    outputs,
    vgg,
    places,
    preprocessing,
    classes,
    notes: [...(draft.notes ?? []), ...notes],
  };
}

function chosenPreprocessing(
  { preprocessing, order }: Draft,
  options: PlanOptions,
  guess: PreprocessingName,
): { asked: Preprocessing | PreprocessingName; notes: string[] } {
  if (options.preprocessing !== undefined) return { asked: options.preprocessing, notes: [] };
  if (preprocessing !== null) return { asked: preprocessing, notes: [] };
  const asked = order === "BGR" ? "caffe" : guess;
  const note = `The file does not say how pictures are prepared: taken as ${asked} (${PREPROCESSINGS[asked].about}).`;
  return { asked, notes: [note] };
}

/** What a preprocessing must fit, and whose fault it is where it does not. */
interface Fit {
  readonly channels: number;
  readonly side: number;
  readonly file: string;
  readonly Fault: typeof UsageError | typeof WeightsError;
}

function checkedPreprocessing(preprocessing: Preprocessing, { channels, side, file, Fault }: Fit): Preprocessing {
  const { mean, std, scale } = preprocessing;
  const fits = (values: readonly number[]): boolean =>
    Array.isArray(values) && values.length === channels && values.every(Number.isFinite);
  if (fits(mean) && fits(std) && std.every((one) => one > 0) && Number.isInteger(scale) && scale >= side) {
    return preprocessing;
  }
  throw new Fault(
    `load: the preprocessing does not fit the net of ${file} (mean [${mean}], std [${std}], scale ${scale}; channels ${channels}, input ${side}). ` +
      "Give a mean and a std above 0 for each channel, and a scale of at least the input's side.",
  );
}

function draftNet(file: WeightsFile, options: PlanOptions): Draft {
  const { inputSize = 1 } = options;
  if (!isCount(inputSize)) {
    throw new UsageError(
      `load: the input size is not a positive whole number (inputSize ${inputSize}). Leave it out, or pass such as 224.`,
    );
  }
  if (options.net && options.config) {
    throw new UsageError(`load: a config and a net are given (config ${options.config}). Give one of them.`);
  }
  if (options.net) return describedNet(file, options.net);
  if (options.config) return namedNet(file, options.config, options);
  if (file.net) return fileNet(file, file.net, options);
  if (file.metadata.format === VGG_FORMAT) return ownVgg(file);
  if (file.metadata.format === NET_FORMAT) return ownNet(file);
  return recognisedNet(file) ?? refuse(file);
}

function refuse(file: WeightsFile): never {
  const [name, tensor] = [...file.tensors][0] ?? [];
  const first = name === undefined ? "none" : `${file.tensors.size}, the first ${name} [${tensor?.shape}]`;
  throw new WeightsError(
    `load: ${file.name} does not say what net its tensors belong to, and it is no VGG that verydeep knows (tensors ${first}). ` +
      "Say which by a config (vgg16, alexnet, …; --config) or by a description of the net as JSON (--net).",
  );
}

/** Our own file of a VGG net. */
function ownVgg(file: WeightsFile): Draft {
  const { classes, mean, std, scale, ...rest } = decodeMetadata(file.metadata, file.name);
  const vgg = { ...rest, classes: classes.length };
  const layers = vggLayers(vgg.config, vgg);
  const preprocessing = { mean, std, scale: scale ?? vgg.inputSize };
  const about = vggAbout(vgg.config, vgg.batchNorm);
  return { about, ...ofVgg(vgg), tensors: sameNames(file, layers), order: "RGB", preprocessing, classes };
}

function ownNet(file: WeightsFile): Draft {
  const { inputShape, rows, classes, preprocessing } = decodeNetMetadata(file.metadata, file.name);
  const layers = layersOf(rows, inputShape, file.name);
  const tensors = sameNames(file, layers);
  return {
    about: `a net of ${layers.length} layers`,
    layers,
    inputShape,
    vgg: null,
    tensors,
    order: "RGB",
    preprocessing,
    classes,
  };
}

/** A net that the file's format describes; what we wrote beside it, if we did, tells of classes and pictures. */
function fileNet(file: WeightsFile, net: FileNet, { inputSize }: PlanOptions): Draft {
  const [channels, height, width] = net.inputShape;
  const inputShape = [channels, height ?? inputSize ?? DEFAULT_SIDE, width ?? inputSize ?? DEFAULT_SIDE] as const;
  const layers = layersOf(net.rows, inputShape, file.name);
  const about = `a net of ${layers.length} layers`;
  const structure = { about, layers, inputShape, vgg: null, tensors: net.tensors, notes: net.notes };
  const own = ownFacts(file);
  if (own) return { ...structure, order: "RGB", ...own };
  const { channelOrder: order, classes } = net;
  return { ...structure, order, preprocessing: net.preprocessing ?? (order === "BGR" ? "caffe" : null), classes };
}

/** Classes and preprocessing from our own metadata, in a file of another format. */
function ownFacts({ metadata, name }: WeightsFile): Pick<Draft, "preprocessing" | "classes"> | null {
  if (metadata.format === NET_FORMAT) {
    const { preprocessing, classes } = decodeNetMetadata(metadata, name);
    return { preprocessing, classes };
  }
  if (metadata.format !== VGG_FORMAT) return null;
  const { classes, mean, std, inputSize, scale = inputSize } = decodeMetadata(metadata, name);
  return { preprocessing: { mean, std, scale }, classes };
}

/** A VGG net by the names and shapes of its tensors. */
function recognisedNet(file: WeightsFile, only?: VggConfigName): Draft | null {
  const found = recogniseVgg(file.tensors, only);
  if (!found) return null;
  const { naming, tensors, ...rest } = found;
  const vgg = { ...rest, dropout: 0.5 };
  const bgr = naming === "Caffe" || naming === "Keras" || naming === "Keras 3";
  return {
    about: `${vggAbout(vgg.config, vgg.batchNorm)}, ${naming}'s names`,
    ...ofVgg(vgg),
    tensors,
    order: bgr ? "BGR" : "RGB",
    preprocessing: bgr ? "caffe" : "torchvision",
    classes: null,
  };
}

/** A net that the caller names: its tensors have the names of its state dictionary, or for VGG nets others that are known. */
function namedNet(file: WeightsFile, config: string, { inputSize, classes }: PlanOptions): Draft {
  const wanted = config.toLowerCase();
  if (!isNetName(wanted)) {
    const named = namedVgg(config);
    const found = recognisedNet(file, named.config);
    if (found) return found;
    const net = {
      batchNorm: named.batchNorm,
      ...(inputSize && { inputSize }),
      ...(classes && { classes: classes.length }),
    };
    // Tells what is missing or of another shape.
    sameNames(file, vggLayers(named.config, net));
    throw new WeightsError(
      `load: the tensors of ${file.name} are not those of the net (config ${config}). Describe the net as JSON.`,
    );
  }
  const facts = netFacts(wanted);
  const sizes = { inputSize: inputSize ?? facts.inputSize, classes: classes?.length ?? facts.classes };
  const layers = netLayers(wanted, sizes);
  const inputShape = [3, sizes.inputSize, sizes.inputSize] as const;
  const tensors = sameNames(file, layers);
  return { about: wanted, layers, inputShape, vgg: null, tensors, order: null, preprocessing: null, classes: null };
}

/** A VGG net by its name. @throws UsageError for a name that no net has, which lists all. */
function namedVgg(config: string): ReturnType<typeof vggName> {
  const known = [
    ...VGG_CONFIG_NAMES,
    ...Object.keys(VGG_ALIASES),
    ...Object.keys(VGG_ALIASES).map((name) => `${name}_bn`),
  ];
  if (known.some((name) => name.toLowerCase() === config.toLowerCase())) return vggName(config);
  throw new UsageError(
    `load: there is no such net (config ${JSON.stringify(config)}). Use one of ${[...known, ...NET_NAMES].join(", ")}.`,
  );
}

function describedNet(file: WeightsFile, { input, layers: rows }: NetDescription): Draft {
  const layers = layersOf(rows, input, file.name);
  const tensors = sameNames(file, layers);
  return {
    about: "a net as described",
    layers,
    inputShape: input,
    vgg: null,
    tensors,
    order: null,
    preprocessing: null,
    classes: null,
  };
}

function ofVgg(vgg: VggPlan): Pick<Draft, "layers" | "inputShape" | "vgg"> {
  return { layers: vggLayers(vgg.config, vgg), inputShape: [3, vgg.inputSize, vgg.inputSize], vgg };
}

function vggAbout(config: VggConfigName, batchNorm = false): string {
  return `VGG ${config}${batchNorm ? " with batch norm" : ""}`;
}

/** Layers of rows that came with a file or from the caller: what does not fit is the file's fault, or theirs, not a crash. */
function layersOf(rows: readonly Row[], inputShape: readonly number[], file: string): NetLayer[] {
  try {
    return tableLayers(rows, inputShape, { net: "load", classes: 1 });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new WeightsError(`${error.message} The net is that of ${file}.`);
  }
}

/** The places of tensors that have the names of the state dictionary. @throws WeightsError where one is missing, or of another shape. */
function sameNames(file: WeightsFile, layers: readonly NetLayer[]): Map<string, TensorPlace> {
  const shapes = netTensorShapes(layers);
  const tensors = new Map([...file.tensors].filter(([name]) => !isIgnored(name)));
  checkTensors({ tensors }, shapes, file.name);
  return new Map([...shapes.keys()].map((name) => [name, { tensor: name }]));
}

/** Kinds of layers that leave each channel by itself: what comes behind them still sees the input's channels. */
const BY_CHANNEL = new Set<NetLayer["kind"]>(["pad", "pool", "avgPool", "relu", "dropout", "upsample", "crop"]);

/** Places of a net whose weights take BGR, so that it takes RGB: the first convolutions' input channels run backwards. */
function reversedInput({ layers, tensors }: Draft, file: string): Map<string, NetTensorPlace> {
  const places = new Map<string, NetTensorPlace>(tensors);
  const inInputsOrder = new Set([INPUT]);
  layers.forEach((layer, i) => {
    const inputs = layer.from ?? [layers[i - 1]?.name ?? INPUT];
    if (!inputs.some((name) => inInputsOrder.has(name))) return;
    if (BY_CHANNEL.has(layer.kind)) {
      inInputsOrder.add(layer.name);
    } else if (layer.kind === "conv" && layer.groups === 1) {
      const name = `${layer.name}.weight`;
      const place = places.get(name);
      if (place) places.set(name, { ...place, reversedAxis: 1 });
    } else if (layer.kind === "batchNorm") {
      for (const part of ["weight", "bias", "running_mean", "running_var"]) {
        const place = places.get(`${layer.name}.${part}`);
        if (place) places.set(`${layer.name}.${part}`, { ...place, reversedAxis: 0 });
      }
      inInputsOrder.add(layer.name);
    } else {
      throw new WeightsError(
        `load: the net of ${file} takes BGR, and its first layer cannot be turned to RGB (layer ${layer.name}, kind ${layer.kind}). Begin with a convolution of one group.`,
      );
    }
  });
  return places;
}
