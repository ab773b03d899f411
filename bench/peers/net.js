// VGG-16 (config D, 1000 classes, 224) as plain data, with the fixtures' formula weights: the one net every engine here
// builds, so that outputs can be compared with each other and with PyTorch's (test/fixtures/vgg16-logits.safetensors).

import { readFileSync } from "node:fs";
import { formulaFill, heScale } from "../../test/fixtures/formula.ts";

const CONFIG_D = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"];
const BIAS_SCALE = 0.1;
const PICTURE_SCALE = 4;
const PICTURE_TENSOR = 32;

export const INPUT_SHAPE = [1, 3, 224, 224];

/**
 * The layers in order: {kind: "conv" | "linear", name, inputs, outputs, relu, t} and {kind: "pool"}.
 * `name` is torchvision's, `t` the formula's number of the layer's weight; its bias has t + 1.
 */
export function vgg16Layers() {
  const layers = [];
  let inputs = 3;
  let index = 0;
  let t = 0;
  for (const item of CONFIG_D) {
    if (item === "M") {
      layers.push({ kind: "pool" });
      index += 1;
      continue;
    }
    layers.push({ kind: "conv", name: `features.${index}`, inputs, outputs: item, relu: true, t });
    inputs = item;
    index += 2;
    t += 2;
  }
  for (const [name, wide, outputs] of [
    ["classifier.0", 512 * 7 * 7, 4096],
    ["classifier.3", 4096, 4096],
    ["classifier.6", 4096, 1000],
  ]) {
    layers.push({ kind: "linear", name, inputs: wide, outputs, relu: outputs !== 1000, t });
    t += 2;
  }
  return layers;
}

/** A layer's weight, OIHW for a convolution and [outputs, inputs] for a linear layer. */
export function weightOf(layer) {
  const fanIn = layer.kind === "conv" ? layer.inputs * 9 : layer.inputs;
  const weight = new Float32Array(layer.outputs * fanIn);
  formulaFill(weight, layer.t, heScale(fanIn));
  return weight;
}

export function biasOf(layer) {
  const bias = new Float32Array(layer.outputs);
  formulaFill(bias, layer.t + 1, BIAS_SCALE);
  return bias;
}

/** The picture, NCHW. */
export function picture() {
  const x = new Float32Array(3 * 224 * 224);
  formulaFill(x, PICTURE_TENSOR, PICTURE_SCALE);
  return x;
}

/** PyTorch's float64 logits for this net and picture. */
export function expectedLogits() {
  const file = readFileSync(new URL("../../test/fixtures/vgg16-logits.safetensors", import.meta.url));
  const headerBytes = Number(file.readBigUInt64LE(0));
  const [begin, end] = JSON.parse(file.toString("utf8", 8, 8 + headerBytes)).logits64.data_offsets;
  return Float64Array.from({ length: (end - begin) / 8 }, (_, i) => file.readDoubleLE(8 + headerBytes + begin + 8 * i));
}
