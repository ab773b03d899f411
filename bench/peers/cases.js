// What every engine runs: the rows of ../shapes/peers.json, each unfolded into a job, plain data that goes to the engines'
// processes as JSON. A job names its layers, so that no engine (one is not even JavaScript) needs a table of nets.

import { readFileSync } from "node:fs";
import { vggLayers } from "../../dist/index.js";

const ROWS = JSON.parse(readFileSync(new URL("../shapes/peers.json", import.meta.url), "utf8"));

/** All cases, in the order of tables and charts, and those that run when none is asked for. */
export const CASE_NAMES = ROWS.map(({ name }) => name);
export const DEFAULT_CASE_NAMES = ROWS.filter(({ onlyAsked }) => !onlyAsked).map(({ name }) => name);

/** A case in words. */
export const titleOf = (caseName) => ROWS.find(({ name }) => name === caseName)?.title ?? caseName;

/** SGD of the training cases, unless a row has its own rate: so small that float32 losses stay together for the steps compared. */
const OPTIMISER = { lr: 1e-4, momentum: 0.9, weightDecay: 5e-4 };

/**
 * The job of a case:
 *
 *   name, kind ("forward" or "train"), rounds, roundsOf {engine: fewer rounds}, leaveOut [engines that run only when asked for], batch, inputShape [batch, channels, size, size], classes, flops
 *   vgg        {config, options} for verydeep's own vgg(); absent where the case is one convolution
 *   layers     in order: {kind: "conv" (3x3, padding 1) | "linear", name, inputs, outputs, relu, t}, {kind: "pool"} (2x2)
 *              and {kind: "flatten", channels, pixels}. `name` is torchvision's, `t` numbers the weight in the fixtures'
 *              formula; its bias has t + 1
 *   inputT     the formula's number of the input
 *   optimiser  {lr, momentum, weightDecay}; training cases only
 */
export function jobOf(caseName) {
  const row = ROWS.find(({ name }) => name === caseName);
  if (row === undefined) {
    throw new Error(`peers: there is no such case (--cases ${caseName}). Use some of ${CASE_NAMES.join(", ")}.`);
  }
  const { name, kind, batch, rounds, roundsOf = {}, leaveOut = [] } = row;
  const net = row.conv ? convNet(row.conv) : vggNet(row);
  const weights = net.layers.filter(({ t }) => t !== undefined).length;
  const [inChannels, size] = row.conv ? [row.conv.inChannels, row.conv.size] : [3, net.vgg.options.inputSize];
  const passes = kind === "train" ? 3 * net.macs - net.firstMacs : net.macs; // the input itself gets no gradient
  return {
    name,
    kind,
    rounds,
    roundsOf,
    leaveOut,
    batch,
    inputShape: [batch, inChannels, size, size],
    classes: net.classes,
    flops: 2 * batch * passes,
    layers: net.layers,
    inputT: 2 * weights,
    ...(net.vgg && { vgg: net.vgg }),
    ...(kind === "train" && { optimiser: { ...OPTIMISER, ...(row.lr && { lr: row.lr }) } }),
  };
}

function convNet({ inChannels, outChannels, size }) {
  const macs = 9 * inChannels * outChannels * size * size;
  const layer = { kind: "conv", name: "conv", inputs: inChannels, outputs: outChannels, relu: false, t: 0 };
  return { layers: [layer], macs, firstMacs: macs, classes: null };
}

function vggNet({ config, inputSize = 224, classes = 1000, width = 1, classifier = [4096, 4096] }) {
  const options = { inputSize, classes, width, classifier };
  const all = vggLayers(config, options);
  const layers = [];
  for (const { kind, name, inShape, inChannels, outChannels } of all) {
    const t = 2 * layers.filter((layer) => layer.t !== undefined).length;
    if (kind === "conv" || kind === "linear") {
      layers.push({ kind, name, inputs: inChannels, outputs: outChannels, relu: false, t });
    } else if (kind === "relu") layers[layers.length - 1].relu = true;
    else if (kind === "pool") layers.push({ kind });
    else if (kind === "flatten") layers.push({ kind, channels: inShape[0], pixels: inShape[1] * inShape[2] });
    // Dropout is left out: every engine would draw other numbers.
  }
  const macs = all.reduce((sum, layer) => sum + layer.macs, 0);
  return { layers, macs, firstMacs: all[0].macs, classes, vgg: { config, options: { ...options, dropout: 0 } } };
}
