/**
 * The nets that the VGG paper compares itself with, by name: which table, which input, how many classes. Layers and counts without an
 * engine by {@link netLayers}; modules by {@link buildNet}, or by a function for each.
 */
import type { Engine } from "../core/engine.js";
import { UsageError } from "../core/errors.js";
import { alexnetRows, alexnetTorchvisionRows } from "./alexnet.js";
import type { StartOptions } from "./build-layer.js";
import { cnnFRows, cnnMRows, cnnSRows } from "./cnn-fms.js";
import { fcn8sRows, fcn16sRows, fcn32sRows } from "./fcn.js";
import { googlenetRows } from "./googlenet.js";
import { Net } from "./net.js";
import { isCount, type NetLayer, type Row, tableLayers } from "./net-config.js";
import { ninRows } from "./nin.js";
import { overfeatAccurateRows, overfeatFastRows } from "./overfeat.js";
import { sppnetRows, zfnetRows } from "./zfnet.js";

/** How to vary a net; all have the published values by default. */
export interface NetOptions {
  /** Number of classes (1000; 21 for the fcn nets, Pascal VOC's with background). */
  readonly classes?: number;
  /** Height and width of the input (224; 227, 231 and 221 for alexnet and overfeat). */
  readonly inputSize?: number;
  /** Scales the channels and features of all layers but the output, rounded, at least one (1). */
  readonly width?: number;
  /** Share of activations dropped, in all dropout layers (the table's). */
  readonly dropout?: number;
  /** Auxiliary classifiers of the googlenet nets (true). */
  readonly auxiliary?: boolean;
}

/** What {@link buildNet} takes: the net's variations and how its weights start. */
export interface NetModelOptions extends NetOptions, StartOptions {}

interface NetTable {
  readonly about: string;
  readonly inputSize: number;
  readonly classes: number;
  /** What the channels are a multiple of, because groups divide them. */
  readonly multiple?: number;
  readonly rows: (options: NetOptions) => readonly Row[];
}

const table = (about: string, rows: NetTable["rows"], rest: Partial<NetTable> = {}): NetTable => ({
  about,
  rows,
  inputSize: 224,
  classes: 1000,
  ...rest,
});

const VOC = { classes: 21 } as const;

const NETS = {
  alexnet: table("Krizhevsky et al. 2012, two groups, LRN", () => alexnetRows, { inputSize: 227, multiple: 2 }),
  "alexnet-torchvision": table("torchvision's alexnet, one column", () => alexnetTorchvisionRows),
  zfnet: table("Zeiler and Fergus 2013", () => zfnetRows),
  "overfeat-fast": table("Sermanet et al. 2013, fast", () => overfeatFastRows, { inputSize: 231 }),
  "overfeat-accurate": table("Sermanet et al. 2013, accurate", () => overfeatAccurateRows, { inputSize: 221 }),
  nin: table("Lin et al. 2014, network in network", () => ninRows),
  googlenet: table("Szegedy et al. 2014, two auxiliary classifiers; unconfirmed", googlenetRows),
  "googlenet-torchvision": table("torchvision's googlenet, with batch norm", ({ auxiliary = true }) =>
    googlenetRows({ auxiliary, batchNorm: true }),
  ),
  "cnn-f": table("Chatfield et al. 2014, fast; unconfirmed", () => cnnFRows),
  "cnn-m": table("Chatfield et al. 2014, medium", () => cnnMRows),
  "cnn-s": table("Chatfield et al. 2014, slow; unconfirmed after pool1", () => cnnSRows),
  sppnet: table("He et al. 2014, ZF-5 and a pyramid; bins unconfirmed", () => sppnetRows),
  fcn32s: table("Long et al. 2014 on VGG-16, one step", fcn32sRows, VOC),
  fcn16s: table("Long et al. 2014, skip from pool4; unconfirmed", fcn16sRows, VOC),
  fcn8s: table("Long et al. 2014, skips from pool4, pool3; unconfirmed", fcn8sRows, VOC),
} as const;

/** Name of a net. */
export type NetName = keyof typeof NETS;

/** Names of the nets. */
export const NET_NAMES: readonly NetName[] = Object.keys(NETS).filter(isNetName);

/** Whether a net has this name. */
export function isNetName(name: string): name is NetName {
  return Object.hasOwn(NETS, name);
}

/** Where a net is from, its input size and number of classes. */
export function netFacts(name: NetName): { about: string; inputSize: number; classes: number } {
  const { about, inputSize, classes } = tableOf(name);
  return { about, inputSize, classes };
}

/**
 * The layers of a net, in order.
 * @throws UsageError for an unknown net, an option out of range, or a picture that is too small.
 */
export function netLayers(name: NetName, options: NetOptions = {}): NetLayer[] {
  const { rows, multiple = 1, ...facts } = tableOf(name);
  const { inputSize = facts.inputSize, classes = facts.classes, width = 1, dropout } = options;
  if (!isCount(inputSize)) {
    throw new UsageError(
      `${name}: the input size is not a positive whole number (inputSize ${inputSize}). The net's own is ${facts.inputSize}.`,
    );
  }
  const settings = { net: name, classes, width, multiple, ...(dropout === undefined ? {} : { dropout }) };
  return tableLayers(rows(options), [3, inputSize, inputSize], settings);
}

/**
 * A net, x [batch, 3, inputSize, inputSize] -> logits [batch, classes], of the fcn nets [batch, classes, inputSize, inputSize]
 * (their loss: `crossEntropy(channelsLast(logits), labels)`).
 * @throws UsageError as {@link netLayers} does.
 */
export function buildNet(name: NetName, options: NetModelOptions, engine: Engine): Net {
  return new Net(netLayers(name, options), options, engine);
}

function tableOf(name: string): NetTable {
  if (isNetName(name)) return NETS[name];
  throw new UsageError(`net: there is no such net (net ${JSON.stringify(name)}). Use one of ${NET_NAMES.join(", ")}.`);
}

type BuildNet = (options: NetModelOptions, engine: Engine) => Net;
const builder =
  (name: NetName): BuildNet =>
  (options, engine) =>
    buildNet(name, options, engine);

/** AlexNet (Krizhevsky et al. 2012). See {@link buildNet}. */
export const alexnet: BuildNet = builder("alexnet");
/** ZFNet (Zeiler and Fergus 2013). See {@link buildNet}. */
export const zfnet: BuildNet = builder("zfnet");
/** Network in Network (Lin et al. 2014). See {@link buildNet}. */
export const nin: BuildNet = builder("nin");
/** GoogLeNet (Szegedy et al. 2014). See {@link buildNet}. */
export const googlenet: BuildNet = builder("googlenet");
/** CNN-F (Chatfield et al. 2014). See {@link buildNet}. */
export const cnnF: BuildNet = builder("cnn-f");
/** CNN-M (Chatfield et al. 2014). See {@link buildNet}. */
export const cnnM: BuildNet = builder("cnn-m");
/** CNN-S (Chatfield et al. 2014). See {@link buildNet}. */
export const cnnS: BuildNet = builder("cnn-s");
/** SPPnet, with a pyramid of poolings (He et al. 2014). See {@link buildNet}. */
export const sppnet: BuildNet = builder("sppnet");
/** FCN-32s on VGG-16 (Long et al. 2014). See {@link buildNet}. */
export const fcn32s: BuildNet = builder("fcn32s");
/** FCN-16s: with a skip from pool4 (Long et al. 2014). See {@link buildNet}. */
export const fcn16s: BuildNet = builder("fcn16s");
/** FCN-8s: with skips from pool4 and pool3 (Long et al. 2014). See {@link buildNet}. */
export const fcn8s: BuildNet = builder("fcn8s");
/**
 * OverFeat (Sermanet et al. 2013). See {@link buildNet}.
 * @param version which of the two nets of the paper.
 */
export const overfeat = (version: "fast" | "accurate", options: NetModelOptions, engine: Engine): Net =>
  buildNet(`overfeat-${version}`, options, engine);
