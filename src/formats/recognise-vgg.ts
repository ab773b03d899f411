/**
 * Recognises a VGG net in a file of bare tensors by their names and shapes: A, B, C, D or E, with or without batch normalisation, of
 * any width, input size and number of classes; under the names of torchvision (also before March 2017), timm, Caffe and Keras. A pure
 * function of names and shapes; where the tensors go is told as places (weights-file.ts).
 */

import type { StoredTensor, TensorPlace } from "../io/weights-file.js";
import {
  VGG_CONFIG_NAMES,
  type VggConfigName,
  type VggLayer,
  vggLayers,
  vggTensorShapes,
} from "../models/vgg-config.js";

/** Whose names a file's tensors have. */
export type Naming = "torchvision" | "old torchvision" | "timm" | "Caffe" | "Keras" | "Keras 3";

/** A VGG net that was recognised, as `vgg` takes it, and where its tensors are. */
export interface RecognisedVgg {
  readonly config: VggConfigName;
  readonly batchNorm: boolean;
  readonly width: number;
  readonly inputSize: number;
  readonly classes: number;
  readonly classifier: readonly number[];
  readonly naming: Naming;
  /** By the names of the net's state dictionary. */
  readonly tensors: ReadonlyMap<string, TensorPlace>;
}

type Tensors = ReadonlyMap<string, StoredTensor>;

/** What a naming calls the tensors of a layer: the part before the dot or slash, for a layer of the table. */
interface NamingRule {
  readonly naming: Naming;
  readonly name: (layer: VggLayer, layers: readonly VggLayer[]) => string;
  readonly separator: "." | "/" | "/vars/";
  /** Kernels HWIO, matrices [in, out], the first of them with rows in the order height, width, channel. */
  readonly channelsLast?: true;
  readonly parts?: Readonly<Record<string, string>>;
}

/** Layers of the classifier before March 2017: dropout stood first. */
const OLD_CLASSIFIER: Readonly<Record<string, string>> = { fc6: "1", fc7: "4", fc8: "6" };
const TIMM_CLASSIFIER: Readonly<Record<string, string>> = {
  fc6: "pre_logits.fc1",
  fc7: "pre_logits.fc2",
  fc8: "head.fc",
};
const KERAS_CLASSIFIER: Readonly<Record<string, string>> = { fc6: "fc1", fc7: "fc2", fc8: "predictions" };
const KERAS_PARTS = {
  weight: "kernel",
  bias: "bias",
} as const;

/** Keras 3 counts the layers of each class, and the variables of each layer. */
const KERAS3_CLASSES: Partial<Readonly<Record<VggLayer["kind"], string>>> = {
  conv: "conv2d",
  linear: "dense",
  batchNorm: "batch_normalization",
};
const KERAS3_PARTS = { weight: "0", bias: "1", running_mean: "2", running_var: "3" } as const;

const isFeature = ({ name }: VggLayer): boolean => name.startsWith("features.");

const RULES: readonly NamingRule[] = [
  { naming: "torchvision", separator: ".", name: ({ name }) => name },
  {
    naming: "old torchvision",
    separator: ".",
    name: (layer) => (isFeature(layer) ? layer.name : `classifier.${OLD_CLASSIFIER[layer.paperName]}`),
  },
  {
    naming: "timm",
    separator: ".",
    name: (layer) => (isFeature(layer) ? layer.name : TIMM_CLASSIFIER[layer.paperName]),
  },
  { naming: "Caffe", separator: ".", name: ({ paperName }) => paperName },
  {
    naming: "Keras",
    separator: "/",
    channelsLast: true,
    parts: KERAS_PARTS,
    name: ({ paperName }) => KERAS_CLASSIFIER[paperName] ?? paperName.replace(/^conv(\d)_(\d)$/, "block$1_conv$2"),
  },
  {
    naming: "Keras 3",
    separator: "/vars/",
    channelsLast: true,
    parts: KERAS3_PARTS,
    name: ({ name, kind }, layers) => {
      const index = layers.filter((layer) => layer.kind === kind).findIndex((layer) => layer.name === name);
      return `layers/${KERAS3_CLASSES[kind]}${index === 0 ? "" : `_${index}`}`;
    },
  },
];

/** Recognised, though without effect on what a net computes in evaluation. */
export function isIgnored(name: string): boolean {
  return name.endsWith(".num_batches_tracked");
}

/**
 * The VGG net whose tensors these are, or null.
 * @param only consider no other net.
 */
export function recogniseVgg(tensors: Tensors, only?: VggConfigName): RecognisedVgg | null {
  for (const rule of RULES) {
    for (const config of only === undefined ? VGG_CONFIG_NAMES : [only]) {
      for (const batchNorm of [false, true]) {
        // Without constants of its own, A-LRN looks like A: only the user can tell.
        if (config === "A-LRN" && only === undefined) continue;
        const found = matchNet(tensors, rule, config, batchNorm);
        if (found) return found;
      }
    }
  }
  return null;
}

function matchNet(tensors: Tensors, rule: NamingRule, config: VggConfigName, batchNorm: boolean): RecognisedVgg | null {
  const shapeOf = (layer: VggLayer | undefined, layers: readonly VggLayer[]): readonly number[] | undefined => {
    if (layer === undefined) return undefined;
    const found = tensors.get(tensorName(rule, layer, layers, "weight"))?.shape;
    return found === undefined || !rule.channelsLast ? found : [...found].reverse();
  };
  // The hidden layers are those of the table, or fewer.
  for (const hidden of [2, 1, 0]) {
    const table = vggLayers(config, { batchNorm, classifier: Array<number>(hidden).fill(1) });
    const linears = table.filter(({ kind }) => kind === "linear");
    const outputs = linears.map((layer) => shapeOf(layer, table)?.[0]);
    const convs = table.filter(({ kind }) => kind === "conv");
    const width = widthOf(convs.map((layer) => [layer.outChannels, shapeOf(layer, table)?.[0]]));
    const inputs = shapeOf(linears[0], table)
      ?.slice(1)
      .reduce((product, side) => product * side, 1);
    if (width === null || inputs === undefined || !outputs.every((count) => count !== undefined)) continue;
    const channels = Math.max(1, Math.round(512 * width));
    const side = Math.round(Math.sqrt(inputs / channels));
    if (side < 1 || side * side * channels !== inputs) continue;
    const counts = outputs.filter((count) => count !== undefined);
    const net = { batchNorm, width, inputSize: 32 * side, classifier: counts.slice(0, -1), classes: counts[hidden] };
    const places = matchTensors(tensors, rule, vggLayers(config, net), channels, side);
    if (places) return { config, ...net, naming: rule.naming, tensors: places };
  }
  return null;
}

/**
 * The factor that makes a table's channels a file's, rounded as they are; of the many that may do a plain one.
 * @param pairs channels of the table's convolutions, and of the file's; null where these are missing or no factor does.
 */
function widthOf(pairs: readonly (readonly [table: number, found: number | undefined])[]): number | null {
  let [least, limit] = [0, Number.POSITIVE_INFINITY];
  for (const [table, found] of pairs) {
    if (found === undefined) return null;
    // Channels below one are one.
    if (found > 1) least = Math.max(least, (found - 0.5) / table);
    limit = Math.min(limit, (found + 0.5) / table);
  }
  const middle = (least + limit) / 2;
  const [table, found = 0] = pairs.at(-1) ?? [];
  const decimals = [0, 1, 2].map((digits) => Number(middle.toFixed(digits)));
  const plain = [...decimals, found / (table ?? 1), middle];
  return plain.find((width) => width > 0 && width >= least && width < limit) ?? null;
}

/** Where all tensors of a net are; null where one is missing or of another shape, or where the file has others. */
function matchTensors(
  tensors: Tensors,
  rule: NamingRule,
  layers: readonly VggLayer[],
  channels: number,
  side: number,
): Map<string, TensorPlace> | null {
  const places = new Map<string, TensorPlace>();
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  for (const [name, shape] of vggTensorShapes(layers)) {
    const dot = name.lastIndexOf(".");
    const layer = byName.get(name.slice(0, dot));
    if (!layer) return null;
    const tensor = tensorName(rule, layer, layers, name.slice(dot + 1));
    const stored = tensors.get(tensor);
    if (!stored) return null;
    const sides = layer.paperName === "fc6" ? side : 1;
    const place = placeOf(tensor, stored.shape, shape, rule.channelsLast ? { channels, side: sides } : null);
    if (!place) return null;
    places.set(name, place);
  }
  const others = [...tensors.keys()].filter((name) => !isIgnored(name));
  return others.length === places.size ? places : null;
}

function tensorName(rule: NamingRule, layer: VggLayer, layers: readonly VggLayer[], part: string): string {
  return `${rule.name(layer, layers)}${rule.separator}${rule.parts?.[part] ?? part}`;
}

/** How a stored tensor becomes one of the net's shape; null where it cannot. */
function placeOf(
  tensor: string,
  stored: readonly number[],
  shape: readonly number[],
  last: { readonly channels: number; readonly side: number } | null,
): TensorPlace | null {
  const same = (a: readonly number[], b: readonly number[]): boolean => a.join() === b.join();
  if (last === null || shape.length === 1) {
    // Also fully connected layers that are stored as convolutions: [out, channels, side, side], [out, in, 1, 1].
    const flat = shape.length === 2 && stored.length === 4 ? [stored[0], stored[1] * stored[2] * stored[3]] : stored;
    return same(flat, shape) ? { tensor } : null;
  }
  if (shape.length === 4) {
    return same(stored, [shape[2], shape[3], shape[1], shape[0]]) ? { tensor, permute: [3, 2, 0, 1] } : null;
  }
  const [outputs, inputs] = shape;
  if (!same(stored, [inputs, outputs])) return null;
  const { channels, side } = last;
  return side > 1
    ? { tensor, view: [side, side, channels, outputs], permute: [3, 2, 0, 1] }
    : { tensor, permute: [1, 0] };
}
