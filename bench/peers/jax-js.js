// jax-js on its WebAssembly backend. Its own lax.conv has no fast kernel there (12.4 s for a convolution 256 -> 256 at 56x56 that
// takes 0.23 s this way), so convolutions are written as a user in need of speed would: nine shifted views side by side, then one
// matrix product, all in one jit. More than one thread needs a global `Worker`, which Node lacks.

import { readFileSync } from "node:fs";
import { blockUntilReady, defaultDevice, init, jit, nn, numpy as np, valueAndGrad } from "@jax-js/jax";
import { biasOf, inputOf, labelsOf, weightOf } from "./net.js";
import { serve } from "./serve.js";

const isWeighted = ({ t }) => t !== undefined;

/** [batch, inputs, height, width] -> [batch, outputs, height, width]; 3x3, padding 1. */
function conv(h, weight, bias, { inputs, outputs }) {
  const [batch, , height, width] = h.shape;
  const pad = [1, 1];
  const padded = np.pad(h, [[0, 0], [0, 0], pad, pad]);
  const taps = [];
  for (let kh = 0; kh < 3; kh++)
    for (let kw = 0; kw < 3; kw++) {
      const view = padded.ref.slice([], [], [kh, kh + height], [kw, kw + width]);
      taps.push(view.reshape([batch, inputs, 1, height * width]));
    }
  padded.dispose();
  const columns = np.concatenate(taps, 2).reshape([batch, inputs * 9, height * width]);
  const y = np.matmul(weight.reshape([1, outputs, inputs * 9]), columns).add(bias.reshape([outputs, 1]));
  return y.reshape([batch, outputs, height, width]);
}

/** 2x2, stride 2: the largest of each window. */
function pool(h) {
  const [batch, channels, height, width] = h.shape;
  return np.max(h.reshape([batch, channels, height / 2, 2, width / 2, 2]), [3, 5]);
}

/** The net as a function of its parameters, [weight, bias, weight, …], and the input; consumes both. */
function forward(layers, params, x) {
  let h = x;
  let next = 0;
  for (const layer of layers) {
    if (layer.kind === "pool") h = pool(h);
    else if (layer.kind === "flatten") h = h.reshape([h.shape[0], -1]);
    else {
      const [weight, bias] = [params[next], params[next + 1]];
      next += 2;
      h = layer.kind === "conv" ? conv(h, weight, bias, layer) : np.matmul(h, np.transpose(weight)).add(bias);
      if (layer.relu) h = nn.relu(h);
    }
  }
  return h;
}

/** Parameters as arrays, uploaded one by one. */
function loadParameters(layers) {
  return layers.filter(isWeighted).flatMap((layer) => {
    const { kind, inputs, outputs } = layer;
    const shape = kind === "conv" ? [outputs, inputs, 3, 3] : [outputs, inputs];
    return [np.array(weightOf(layer)).reshape(shape), np.array(biasOf(layer))];
  });
}

const refs = (arrays) => arrays.map((array) => array.ref);

/** One step of SGD with momentum and weight decay (PyTorch's form), forward and backward in one jit. */
function trainingStep(job, parameters, x) {
  const { lr, momentum, weightDecay } = job.optimiser;
  const targets = nn.oneHot(np.array(labelsOf(job), { dtype: np.int32 }), job.classes);
  const loss = (params, x, targets) =>
    np.mean(np.sum(nn.logSoftmax(forward(job.layers, params, x)).mul(targets), -1)).mul(-1);
  const gradients = jit((params, x, targets) => valueAndGrad(loss)(params, x, targets));
  const update = jit((param, gradient, velocity) => {
    const v = velocity.mul(momentum).add(gradient).add(param.ref.mul(weightDecay));
    return [param.sub(v.ref.mul(lr)), v];
  });
  let params = parameters;
  let velocities = params.map((param) => np.zeros(param.shape));
  return async () => {
    const [value, grads] = gradients(refs(params), x.ref, targets.ref);
    const updated = params.map((param, i) => update(param, grads[i], velocities[i]));
    params = updated.map(([param]) => param);
    velocities = updated.map(([, velocity]) => velocity);
    await blockUntilReady(refs([...params, ...velocities]));
    return (await value.data())[0];
  };
}

/** Cases tried once: "Allocation exceeds the 4 GiB memory32 limit". */
const TOO_LARGE = new Set(["vgg16-forward-b8", "vgg11-train-b8"]);

serve(async ({ job }) => {
  if (TOO_LARGE.has(job.name)) return { cannot: "out of its 4 GiB of WebAssembly memory" };
  await init("wasm");
  defaultDevice("wasm");
  const parameters = loadParameters(job.layers);
  const x = np.array(inputOf(job)).reshape(job.inputShape);
  const net = jit((params, x) => forward(job.layers, params, x));
  const { version } = JSON.parse(
    readFileSync(new URL("./node_modules/@jax-js/jax/package.json", import.meta.url), "utf8"),
  );
  return {
    version,
    threads: 1,
    detail: "wasm SIMD, convolutions rewritten as im2col and matmul, one jit",
    run: job.kind === "train" ? trainingStep(job, parameters, x) : () => net(refs(parameters), x.ref).data(),
  };
});
