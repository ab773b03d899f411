// The numbers of a job (cases.js): weights, biases and input by the fixtures' formula, so that outputs can be compared with
// each other and, for VGG-16 at batch 1, with PyTorch's in float64 (test/fixtures/vgg16-logits.safetensors).

import { formulaFill, heScale } from "../../test/fixtures/formula.ts";

const BIAS_SCALE = 0.1;
const INPUT_SCALE = 4;

/** Numbers in a piece: 4 MB. */
const PIECE = 1 << 20;

const fanIn = ({ kind, inputs }) => (kind === "conv" ? inputs * 9 : inputs);

/** A layer's weight, OIHW for a convolution and [outputs, inputs] for a linear layer. */
export function weightOf(layer) {
  const weight = new Float32Array(layer.outputs * fanIn(layer));
  formulaFill(weight, layer.t, heScale(fanIn(layer)));
  return weight;
}

/** The same in pieces, {begin, values}, for engines that need not have it whole. */
export function* weightPieces(layer) {
  const size = layer.outputs * fanIn(layer);
  for (let begin = 0; begin < size; begin += PIECE) {
    const values = new Float32Array(Math.min(PIECE, size - begin));
    formulaFill(values, layer.t, heScale(fanIn(layer)), begin);
    yield { begin, values };
  }
}

export function biasOf(layer) {
  const bias = new Float32Array(layer.outputs);
  formulaFill(bias, layer.t + 1, BIAS_SCALE);
  return bias;
}

/** The input, NCHW. */
export function inputOf({ inputShape, inputT }) {
  const x = new Float32Array(inputShape.reduce((a, b) => a * b));
  formulaFill(x, inputT, INPUT_SCALE);
  return x;
}

/** A class for each picture of a training batch. */
export function labelsOf({ batch, classes }) {
  return Array.from({ length: batch }, (_, i) => (7 * i) % classes);
}
