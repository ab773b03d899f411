/**
 * The VGG nets as one table (Simonyan and Zisserman, arXiv:1409.1556, table 1), and what follows from it by arithmetic: layers in
 * order, their shapes, names, parameters and multiply-accumulates. Pure data and functions: knows no engine; the modules are built
 * from these records in models/vgg.ts.
 */
import { UsageError } from "../core/errors.js";

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
const ALIASES: Readonly<Record<string, VggConfigName>> = { vgg11: "A", vgg13: "B", vgg16: "D", vgg19: "E" };

/** Local response normalisation of A-LRN: Krizhevsky's constants (2012), alpha not divided by the size. */
export const VGG_LRN = { size: 5, alpha: 1e-4, beta: 0.75, k: 2 } as const;

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
}

interface LayerBase {
  /** Name in the style of torchvision: features.0, classifier.3; "flatten" for the step between, which torchvision does not name. */
  readonly name: string;
  /** Name in the style of the paper's released models: conv1_1, relu1_1, norm1, pool1, fc6, relu6, drop6. */
  readonly paperName: string;
  /** [channels, height, width], or [features]. */
  readonly inShape: readonly number[];
  readonly outShape: readonly number[];
  readonly inChannels: number;
  readonly outChannels: number;
  /** Weights and biases. */
  readonly params: number;
  /** Multiply-accumulates for one picture; additions of biases, pools and activations do not count. */
  readonly macs: number;
}

/** One layer of a net. Features of a linear layer are its channels. */
export type VggLayer =
  | (LayerBase & { readonly kind: "conv"; readonly kernelSize: number; readonly stride: 1; readonly padding: number })
  | (LayerBase & { readonly kind: "pool"; readonly kernelSize: 2; readonly stride: 2; readonly padding: 0 })
  | (LayerBase & { readonly kind: "lrn" } & typeof VGG_LRN)
  | (LayerBase & { readonly kind: "dropout"; readonly p: number })
  | (LayerBase & { readonly kind: "relu" | "flatten" | "linear" });

/**
 * The name of a net from what a user may write: case does not matter, and vgg11, vgg13, vgg16, vgg19 mean A, B, D, E.
 * @throws UsageError for any other text.
 */
export function vggConfigName(text: string): VggConfigName {
  const wanted = text.toLowerCase();
  const name = VGG_CONFIG_NAMES.find((known) => known.toLowerCase() === wanted);
  if (name) return name;
  if (Object.hasOwn(ALIASES, wanted)) return ALIASES[wanted];
  throw new UsageError(
    `vgg: there is no such net (config ${JSON.stringify(text)}). Use one of ${[...VGG_CONFIG_NAMES, ...Object.keys(ALIASES)].join(", ")}.`,
  );
}

/**
 * The layers of a net, in order.
 * @param config a name that {@link vggConfigName} knows.
 * @throws UsageError for an unknown net or an option out of range.
 */
export function vggLayers(config: string, options: VggOptions = {}): VggLayer[] {
  const blocks = VGG_BLOCKS[vggConfigName(config)];
  const { classes, inputSize, width, dropout, classifier } = checkOptions(options);
  const layers: VggLayer[] = [];
  let shape: readonly number[] = [IN_CHANNELS, inputSize, inputSize];
  let index = 0;

  const add = (layer: VggLayer): void => {
    layers.push(layer);
    shape = layer.outShape;
  };

  blocks.forEach((cells, b) => {
    const block = b + 1;
    let conv = 0;
    for (const cell of cells) {
      if (cell === "lrn") {
        add({ kind: "lrn", ...VGG_LRN, ...unchanged(`features.${index++}`, `norm${block}`, shape) });
        continue;
      }
      conv++;
      add(convLayer(`features.${index++}`, `conv${block}_${conv}`, shape, cell[0], scaled(cell[1], width)));
      add({ kind: "relu", ...unchanged(`features.${index++}`, `relu${block}_${conv}`, shape) });
    }
    add(poolLayer(`features.${index++}`, `pool${block}`, shape));
  });

  add(flattenLayer(shape));

  [...classifier, classes].forEach((outFeatures, i) => {
    // torchvision's classifier: linear 0, relu 1, dropout 2, linear 3, relu 4, dropout 5, linear 6.
    const at = 3 * i;
    const number = 6 + i;
    add(linearLayer(`classifier.${at}`, `fc${number}`, shape[0], outFeatures));
    if (i === classifier.length) return;
    add({ kind: "relu", ...unchanged(`classifier.${at + 1}`, `relu${number}`, shape) });
    add({ kind: "dropout", p: dropout, ...unchanged(`classifier.${at + 2}`, `drop${number}`, shape) });
  });
  return layers;
}

/** Parameters and multiply-accumulates of a whole net. */
export function vggTotals(layers: readonly VggLayer[]): { params: number; macs: number } {
  return {
    params: layers.reduce((sum, layer) => sum + layer.params, 0),
    macs: layers.reduce((sum, layer) => sum + layer.macs, 0),
  };
}

/** Name and shape of every weight (convolutions OIHW, linear layers [out, in]) and bias, in the order of the layers. */
export function vggTensorShapes(layers: readonly VggLayer[]): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  for (const layer of layers) {
    if (layer.kind !== "conv" && layer.kind !== "linear") continue;
    const kernel = layer.kind === "conv" ? [layer.kernelSize, layer.kernelSize] : [];
    shapes.set(`${layer.name}.weight`, [layer.outChannels, layer.inChannels, ...kernel]);
    shapes.set(`${layer.name}.bias`, [layer.outChannels]);
  }
  return shapes;
}

function twice(cell: Cell): readonly [Cell, Cell] {
  return [cell, cell];
}

function scaled(channels: number, width: number): number {
  return Math.max(1, Math.round(channels * width));
}

function checkOptions(options: VggOptions): Required<VggOptions> {
  const { classes = 1000, inputSize = 224, width = 1, dropout = 0.5, classifier = [4096, 4096] } = options;
  if (!isCount(classes)) {
    throw new UsageError(
      `vgg: the number of classes is not a positive whole number (classes ${classes}). Count the classes.`,
    );
  }
  if (!isCount(inputSize) || inputSize % STRIDE !== 0) {
    const near = Math.max(1, Math.round((Number(inputSize) || 0) / STRIDE)) * STRIDE;
    throw new UsageError(
      `vgg: the input size is not a multiple of ${STRIDE} (inputSize ${inputSize}). Five pools halve the picture: use ${near}, for example.`,
    );
  }
  if (!(width > 0 && width < Number.POSITIVE_INFINITY)) {
    throw new UsageError(
      `vgg: the width is not a positive number (width ${width}). 1 is the paper's, 0.5 has half the channels.`,
    );
  }
  if (!(dropout >= 0 && dropout < 1)) {
    throw new UsageError(
      `vgg: the dropout is not a share below 1 (dropout ${dropout}). 0.5 is the paper's, 0 drops nothing.`,
    );
  }
  const wrong = classifier.find((features) => !isCount(features));
  if (wrong !== undefined) {
    throw new UsageError(
      `vgg: a hidden width is not a positive whole number (classifier [${classifier}]). The paper's are [4096, 4096]; [] has none.`,
    );
  }
  return { classes, inputSize, width, dropout, classifier };
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}

function unchanged(name: string, paperName: string, shape: readonly number[]): LayerBase {
  return {
    name,
    paperName,
    inShape: shape,
    outShape: shape,
    inChannels: shape[0],
    outChannels: shape[0],
    params: 0,
    macs: 0,
  };
}

function convLayer(
  name: string,
  paperName: string,
  inShape: readonly number[],
  kernelSize: number,
  outChannels: number,
): VggLayer {
  const [inChannels, height, width] = inShape;
  const weights = outChannels * inChannels * kernelSize * kernelSize;
  return {
    kind: "conv",
    name,
    paperName,
    inShape,
    outShape: [outChannels, height, width],
    kernelSize,
    stride: 1,
    padding: (kernelSize - 1) / 2,
    inChannels,
    outChannels,
    params: weights + outChannels,
    macs: weights * height * width,
  };
}

function poolLayer(name: string, paperName: string, inShape: readonly number[]): VggLayer {
  const [channels, height, width] = inShape;
  const outShape = [channels, height / 2, width / 2];
  return { kind: "pool", ...unchanged(name, paperName, inShape), outShape, kernelSize: 2, stride: 2, padding: 0 };
}

function flattenLayer(inShape: readonly number[]): VggLayer {
  const features = inShape.reduce((product, size) => product * size, 1);
  return { kind: "flatten", ...unchanged("flatten", "flatten", inShape), outShape: [features], outChannels: features };
}

function linearLayer(name: string, paperName: string, inFeatures: number, outFeatures: number): VggLayer {
  const weights = inFeatures * outFeatures;
  return {
    kind: "linear",
    name,
    paperName,
    inShape: [inFeatures],
    outShape: [outFeatures],
    inChannels: inFeatures,
    outChannels: outFeatures,
    params: weights + outFeatures,
    macs: weights,
  };
}
