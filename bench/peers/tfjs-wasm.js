// TensorFlow.js with its WebAssembly backend (XNNPACK kernels). NHWC activations, HWIO filters, fused convolution +
// bias + ReLU. Its own code turns threads off in Node, so a Node user gets one.

import * as tf from "@tensorflow/tfjs-core";
import { setWasmPaths, version_wasm } from "@tensorflow/tfjs-backend-wasm";
import { fileURLToPath } from "node:url";
import { biasOf, picture, vgg16Layers, weightOf } from "./net.js";
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

/** CHW -> HWC, one picture. */
function toHwc(x, channels) {
  const pixels = x.length / channels;
  return Float32Array.from(x, (_, i) => x[(i % channels) * pixels + Math.floor(i / channels)]);
}

serve(async () => {
  setWasmPaths(fileURLToPath(new URL("./node_modules/@tensorflow/tfjs-backend-wasm/dist/", import.meta.url)));
  if (!(await tf.setBackend("wasm"))) throw new Error("tfjs: the wasm backend did not start");
  const simd = await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT");

  const layers = vgg16Layers().map((layer) => {
    if (layer.kind === "pool") return layer;
    const { inputs, outputs } = layer;
    const weight =
      layer.kind === "conv"
        ? tf.tensor4d(toHwio(weightOf(layer), outputs, inputs), [3, 3, inputs, outputs])
        : tf.tensor2d(toColumns(weightOf(layer), outputs, inputs, inputs === 25088 ? 49 : 1), [inputs, outputs]);
    return { ...layer, weight, bias: tf.tensor1d(biasOf(layer)) };
  });
  const x = tf.tensor4d(toHwc(picture(), 3), [1, 224, 224, 3]);

  const forward = () => {
    let h = x;
    for (const { kind, weight, bias, relu } of layers) {
      const activation = relu ? "relu" : "linear";
      if (kind === "pool") h = tf.maxPool(h, 2, 2, "valid");
      else if (kind === "conv")
        h = tf.fused.conv2d({ x: h, filter: weight, strides: 1, pad: "same", bias, activation });
      else h = tf.fused.matMul({ a: tf.reshape(h, [1, -1]), b: weight, bias, activation });
    }
    return h;
  };
  return {
    version: version_wasm,
    threads: 1,
    detail: simd ? "SIMD, fused conv2d" : "no SIMD",
    run: async () => {
      const logits = tf.tidy(forward); // frees the activations
      const data = await logits.data();
      logits.dispose();
      return data;
    },
  };
});
