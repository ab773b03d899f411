/**
 * The VGG nets as one table (Simonyan and Zisserman, arXiv:1409.1556, table 1), and what follows from it by arithmetic: layers in
 * order, named as in torchvision and in the paper's released models. Pure data and functions: knows no engine; next layer down:
 * net-config.ts (shapes and counts); the modules are built in vgg.ts.
 */
import { UsageError } from "../core/errors.js";
import {
  batchNorm as batchNormRow,
  checkNetOptions,
  conv as convRow,
  dropout as dropoutRow,
  flatten,
  indexed,
  isCount,
  linear,
  lrn,
  type NetLayer,
  netTensorShapes,
  netTotals,
  pool,
  type Row,
  relu,
  scaled,
  tableLayers,
} from "./net-config.js";

/** Names of the nets: the paper's, and "shallow" for its control net (section 4.1). */
export const VGG_CONFIG_NAMES = ["A", "A-LRN", "B", "C", "D", "E", "shallow"] as const;

/** Name of a net. */
export type VggConfigName = (typeof VGG_CONFIG_NAMES)[number];

/** One cell of the table: kernel size and output channels of a convolution (stride 1, resolution kept), or a normalisation. */
type Cell = readonly [kernelSize: 1 | 3 | 5, outChannels: number] | "lrn";

/** The five blocks of each net; a ReLU follows each convolution, a 2x2 max-pool each block. */
const VGG_BLOCKS: Readonly<Record<VggConfigName, readonly (readonly Cell[])[]>> = {
  A: [[[3, 64]], [[3, 128]], twice([3, 256]), twice([3, 512]), twice([3, 512])],
  "A-LRN": [[[3, 64], "lrn"], [[3, 128]], twice([3, 256]), twice([3, 512]), twice([3, 512])],
  B: [twice([3, 64]), twice([3, 128]), twice([3, 256]), twice([3, 512]), twice([3, 512])],
  C: [
    twice([3, 64]),
    twice([3, 128]),
    [...twice([3, 256]), [1, 256]],
    [...twice([3, 512]), [1, 512]],
    [...twice([3, 512]), [1, 512]],
  ],
  D: [
    twice([3, 64]),
    twice([3, 128]),
    [...twice([3, 256]), [3, 256]],
    [...twice([3, 512]), [3, 512]],
    [...twice([3, 512]), [3, 512]],
  ],
  E: [
    twice([3, 64]),
    twice([3, 128]),
    [...twice([3, 256]), ...twice([3, 256])],
    [...twice([3, 512]), ...twice([3, 512])],
    [...twice([3, 512]), ...twice([3, 512])],
  ],
  // B with each pair of 3x3 convolutions replaced by one 5x5, which sees the same field.
  shallow: [[[5, 64]], [[5, 128]], [[5, 256]], [[5, 512]], [[5, 512]]],
};

/** Common names of four of the nets (torchvision's). */
export const VGG_ALIASES: Readonly<Record<string, VggConfigName>> = { vgg11: "A", vgg13: "B", vgg16: "D", vgg19: "E" };

/** Each of the five pools halves the picture. */
const STRIDE = 32;
const IN_CHANNELS = 3;

/** How to vary a net; all have the paper's values by default. */
export interface VggOptions {
  /** Number of classes (1000). */
  readonly classes?: number;
  /** Height and width of the input, a multiple of 32 (224). */
  readonly inputSize?: number;
  /** Scales the channels of all convolutions, rounded, at least one (1). */
  readonly width?: number;
  /** Share of activations dropped after each hidden linear layer (0.5). */
  readonly dropout?: number;
  /** Widths of the hidden linear layers ([4096, 4096]); [] makes the classifier one linear layer. */
  readonly classifier?: readonly number[];
  /** Batch normalisation between each convolution and its ReLU, as in torchvision's vgg16_bn (false). */
  readonly batchNorm?: boolean;
}

/** One layer of a net; of the kinds of net-config.ts a VGG has conv, batchNorm, relu, lrn, pool, flatten, linear and dropout. */
export type VggLayer = NetLayer;

/**
 * The name of a net from what a user may write: case does not matter, and vgg11, vgg13, vgg16, vgg19 mean A, B, D, E.
 * @throws UsageError for any other text.
 */
export function vggConfigName(text: string): VggConfigName {
  const wanted = text.toLowerCase();
  const name = VGG_CONFIG_NAMES.find((known) => known.toLowerCase() === wanted);
  if (name) return name;
  if (Object.hasOwn(VGG_ALIASES, wanted)) return VGG_ALIASES[wanted];
  throw new UsageError(
    `vgg: there is no such net (config ${JSON.stringify(text)}). Use one of ${[...VGG_CONFIG_NAMES, ...Object.keys(VGG_ALIASES)].join(", ")}.`,
  );
}

/**
 * A net and whether it has batch normalisation, from what a user may write: {@link vggConfigName}'s names, and vgg11_bn, vgg13_bn,
 * vgg16_bn, vgg19_bn.
 * @throws UsageError for any other text.
 */
export function vggName(text: string): { config: VggConfigName; batchNorm: boolean } {
  const plain = text.toLowerCase().replace(/_bn$/, "");
  if (plain === text.toLowerCase() || !Object.hasOwn(VGG_ALIASES, plain)) {
    return { config: vggConfigName(text), batchNorm: false };
  }
  return { config: VGG_ALIASES[plain], batchNorm: true };
}

/**
 * The layers of a net, in order.
 * @param config a name that {@link vggName} knows.
 * @throws UsageError for an unknown net or an option out of range.
 */
export function vggLayers(config: string, options: VggOptions = {}): VggLayer[] {
  const named = vggName(config);
  const { classes, inputSize, width, dropout, classifier, batchNorm } = checkOptions(options);
  const features: Row[] = [];
  VGG_BLOCKS[named.config].forEach((cells, b) => {
    const block = b + 1;
    let conv = 0;
    for (const cell of cells) {
      if (cell === "lrn") {
        features.push({ ...lrn, paperName: `norm${block}` });
        continue;
      }
      const place = `${block}_${++conv}`;
      const [kernelSize, channels] = cell;
      const padding = (kernelSize - 1) / 2;
      features.push(convRow(scaled(channels, width), kernelSize, { padding, paperName: `conv${place}` }));
      if (batchNorm || named.batchNorm) features.push(batchNormRow({ paperName: `bn${place}` }));
      features.push({ ...relu, paperName: `relu${place}` });
    }
    features.push(pool(2, 2, { paperName: `pool${block}` }));
  });

  // torchvision's classifier: linear 0, relu 1, dropout 2, linear 3, relu 4, dropout 5, linear 6.
  const hidden = classifier.flatMap((outputs, i) => [
    linear(outputs, { paperName: `fc${6 + i}` }),
    { ...relu, paperName: `relu${6 + i}` },
    dropoutRow(dropout, { paperName: `drop${6 + i}` }),
  ]);
  const output = linear("classes", { paperName: `fc${6 + classifier.length}` });
  const rows = [
    ...indexed("features", features),
    { ...flatten, paperName: "flatten" },
    ...indexed("classifier", [...hidden, output]),
  ];
  return tableLayers(rows, [IN_CHANNELS, inputSize, inputSize], { net: "vgg", classes });
}

function twice(cell: Cell): readonly [Cell, Cell] {
  return [cell, cell];
}

function checkOptions(options: VggOptions): Required<VggOptions> {
  const { classes = 1000, inputSize = 224, width = 1, dropout = 0.5 } = options;
  const { classifier = [4096, 4096], batchNorm = false } = options;
  checkNetOptions({ net: "vgg", classes, width, dropout });
  if (!isCount(inputSize) || inputSize % STRIDE !== 0) {
    const near = Math.max(1, Math.round((Number(inputSize) || 0) / STRIDE)) * STRIDE;
    throw new UsageError(
      `vgg: the input size is not a multiple of ${STRIDE} (inputSize ${inputSize}). Five pools halve the picture: use ${near}, for example.`,
    );
  }
  const wrong = classifier.find((features) => !isCount(features));
  if (wrong !== undefined) {
    throw new UsageError(
      `vgg: a hidden width is not a positive whole number (classifier [${classifier}]). The paper's are [4096, 4096]; [] has none.`,
    );
  }
  return { classes, inputSize, width, dropout, classifier, batchNorm };
}

/** Parameters and multiply-accumulates of a whole net. */
export const vggTotals = netTotals;

/** Name and shape of every tensor of the state dictionary: see netTensorShapes. */
export const vggTensorShapes = netTensorShapes;
