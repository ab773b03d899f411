/**
 * Fully convolutional nets on VGG-16 (Long, Shelhamer and Darrell 2014): fc6 and fc7 become convolutions, a 1x1 convolution scores
 * the classes at every place, and transposed convolutions bring the scores to the picture's size, x32 at once, or with scores of
 * pool4 (16s) and pool3 (8s) added on the way (skips unconfirmed). Tables for net-config.ts, layers as the authors released them.
 *
 * Padding: the authors' 100 around conv1_1, so that pictures of any size fit fc6; the offsets of all crops follow from it. Pools round
 * up. Scores start at 0, transposed convolutions (no bias) as bilinear interpolation; the authors keep those fixed: leave them out
 * of the optimiser with `parameters((name) => !name.startsWith("upscore"))`.
 */
import { at, conv, dropout, INPUT, poolUp, type Row, relu, upscore } from "./net-config.js";
import { vggLayers } from "./vgg-config.js";

const FIRST_PADDING = 100;

/** The features of VGG-16 with the classifier's hidden layers as convolutions. */
function body(): Row[] {
  const rows = vggLayers("D").flatMap((layer): Row[] => {
    const { paperName: name, outChannels } = layer;
    if (!layer.name.startsWith("features")) return [];
    if (layer.kind === "pool") return [at(poolUp(2, 2), { name })];
    if (layer.kind !== "conv") return [at(relu, { name })];
    const padding = name === "conv1_1" ? FIRST_PADDING : layer.padding;
    return [conv(outChannels, layer.kernelSize, { padding, name })];
  });
  const hidden = (name: string, kernelSize: number): Row[] => [
    conv(4096, kernelSize, { name: `fc${name}` }),
    at(relu, { name: `relu${name}` }),
    dropout(0.5, { name: `drop${name}` }),
  ];
  return [...rows, ...hidden("6", 7), ...hidden("7", 1)];
}

const score = (name: string, from?: string): Row =>
  conv("classes", 1, { name, init: "zeros", ...(from && { from: [from] }) });

/** Adds the scores of a pool, cut to the size of the scores above. */
const skip = (name: string, above: string, offset: number): Row[] => [
  score(`score_${name}`, name),
  { kind: "crop", offset, name: `score_${name}c`, from: [`score_${name}`, above] },
  { kind: "add", name: `fuse_${name}`, from: [above, `score_${name}c`] },
];

/** To the picture's size. */
const end = (factor: number, offset: number): Row[] => [
  upscore(factor === 32 ? "upscore" : `upscore${factor}`, factor),
  { kind: "crop", offset, name: "score", from: [factor === 32 ? "upscore" : `upscore${factor}`, INPUT] },
];

export const fcn32sRows = (): Row[] => [...body(), score("score_fr"), ...end(32, 19)];

const toPool4 = (): Row[] => [...body(), score("score_fr"), upscore("upscore2", 2), ...skip("pool4", "upscore2", 5)];

export const fcn16sRows = (): Row[] => [...toPool4(), ...end(16, 27)];

export const fcn8sRows = (): Row[] => [
  ...[...toPool4(), upscore("upscore_pool4", 2), ...skip("pool3", "upscore_pool4", 9)],
  ...end(8, 31),
];
