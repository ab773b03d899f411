// TensorFlow.js with its WebAssembly backend (XNNPACK kernels). NHWC activations, HWIO filters, fused convolution +
// bias + ReLU. Its own code turns threads off in Node, so a Node user gets one.

import { fileURLToPath } from "node:url";
import { setWasmPaths, version_wasm } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { biasOf, inputOf, weightOf } from "./net.js";
import { serve } from "./serve.js";

/** OIHW -> HWIO. */
function toHwio(weight, outC, inC) {
  const out = new Float32Array(weight.length);
  for (let o = 0; o < outC; o++)
    for (let i = 0; i < inC; i++)
      for (let tap = 0; tap < 9; tap++) out[(tap * inC + i) * outC + o] = weight[(o * inC + i) * 9 + tap];
  return out;
}

/** [outputs, inputs] -> [inputs, outputs], input rows permuted from CHW to HWC where `pixels` > 1. */
function toColumns(weight, outputs, inputs, pixels) {
  const channels = inputs / pixels;
  const out = new Float32Array(weight.length);
  for (let c = 0; c < channels; c++)
    for (let p = 0; p < pixels; p++) {
      const row = (p * channels + c) * outputs;
      for (let o = 0; o < outputs; o++) out[row + o] = weight[o * inputs + c * pixels + p];
    }
  return out;
}

/** NCHW -> NHWC. */
function toChannelsLast(x, [batch, channels, height, width]) {
  const pixels = height * width;
  const out = new Float32Array(x.length);
  for (let b = 0; b < batch; b++)
    for (let c = 0; c < channels; c++)
      for (let p = 0; p < pixels; p++) out[(b * pixels + p) * channels + c] = x[(b * channels + c) * pixels + p];
  return out;
}

/** NHWC -> NCHW, not timed: only so that a convolution's output can be compared. */
function toChannelsFirst(y, [batch, height, width, channels]) {
  return toChannelsLast(y, [batch, height * width, 1, channels]);
}

/** The layers with their weights as tensors; a linear layer after Flatten takes its rows in the order of NHWC. */
function loadLayers(layers) {
  let pixels = 1;
  return layers.map((layer) => {
    const { kind, inputs, outputs } = layer;
    if (kind === "flatten") pixels = layer.pixels;
    if (kind === "pool" || kind === "flatten") return layer;
    const weight =
      kind === "conv"
        ? tf.tensor4d(toHwio(weightOf(layer), outputs, inputs), [3, 3, inputs, outputs])
        : tf.tensor2d(toColumns(weightOf(layer), outputs, inputs, pixels), [inputs, outputs]);
    if (kind === "linear") pixels = 1;
    return { ...layer, weight, bias: tf.tensor1d(biasOf(layer)) };
  });
}

function forward(layers, x) {
  let h = x;
  for (const { kind, weight, bias, relu } of layers) {
    const activation = relu ? "relu" : "linear";
    if (kind === "pool") h = tf.maxPool(h, 2, 2, "valid");
    else if (kind === "flatten") h = tf.reshape(h, [x.shape[0], -1]);
    else if (kind === "conv") h = tf.fused.conv2d({ x: h, filter: weight, strides: 1, pad: "same", bias, activation });
    else h = tf.fused.matMul({ a: h, b: weight, bias, activation });
  }
  return h;
}

serve(async ({ job }) => {
  if (job.kind === "train") return { cannot: "no gradient of a convolution's weight (kernel Conv2DBackpropFilter)" };
  setWasmPaths(fileURLToPath(new URL("./node_modules/@tensorflow/tfjs-backend-wasm/dist/", import.meta.url)));
  if (!(await tf.setBackend("wasm"))) throw new Error("tfjs: the wasm backend did not start");
  const simd = await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT");
  const layers = loadLayers(job.layers);
  const [batch, channels, height, width] = job.inputShape;
  const x = tf.tensor4d(toChannelsLast(inputOf(job), job.inputShape), [batch, height, width, channels]);
  let shape;
  return {
    version: version_wasm,
    threads: 1,
    detail: simd ? "wasm SIMD, NHWC, fused bias and ReLU" : "wasm without SIMD",
    run: async () => {
      const y = tf.tidy(() => forward(layers, x)); // frees the activations
      const data = await y.data();
      shape = y.shape;
      y.dispose();
      return data;
    },
    comparable: (data) => (shape.length === 4 ? toChannelsFirst(data, shape) : data),
  };
});
