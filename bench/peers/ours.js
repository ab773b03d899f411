// verydeep, the built package as a user would import it, in one of its tiers. `convAlgorithm` "auto" is what a user gets; "im2col"
// keeps to the arithmetic of the definition.

import { readFileSync } from "node:fs";
import {
  BackendError,
  Conv2d,
  createEngine,
  crossEntropy,
  labelsTensor,
  SGD,
  UsageError,
  vgg,
} from "../../dist/index.js";
import { biasOf, inputOf, labelsOf, weightPieces } from "./net.js";
import { serve } from "./serve.js";

/** The job's net with the formula's weights, written in pieces so that JavaScript holds no second copy. */
async function buildModel({ vgg: net, layers }, engine) {
  const weighted = layers.filter(({ t }) => t !== undefined);
  const [{ inputs, outputs }] = weighted;
  const model = net
    ? vgg(net.config, net.options, engine)
    : new Conv2d(engine, { inChannels: inputs, outChannels: outputs, kernelSize: 3, padding: 1 });
  const parameters = model.parameters();
  for (const [i, layer] of weighted.entries()) {
    for (const { begin, values } of weightPieces(layer)) await parameters[2 * i].write(values, begin);
    await parameters[2 * i + 1].write(biasOf(layer));
  }
  return model;
}

function trainingStep(model, x, job, engine) {
  const optimiser = new SGD(model.parameters(), job.optimiser);
  const labels = labelsOf(job);
  return async () => {
    const loss = await engine.scope(() => {
      const loss = crossEntropy(model.forward(x), labelsTensor(engine, labels, job.classes));
      loss.backward();
      optimiser.step();
      optimiser.zeroGrad();
      return loss;
    });
    return loss.item();
  };
}

/** An engine of this tier or backend; {cannot} where this machine or this Node has none. */
async function engineOf({ threads, options }) {
  try {
    const engine = await createEngine({ ...(options.backend ? {} : { threads }), ...options });
    const { tier } = engine;
    return options.backend || tier === options.tier
      ? { engine }
      : { cannot: `runs ${tier} where ${options.tier} was asked for` };
  } catch (error) {
    if (error instanceof UsageError || error instanceof BackendError) return { cannot: error.message };
    throw error;
  }
}

/** What ran: the wasm tier, or the GPU. */
function detailOf({ backend }, { tier, convAlgorithm = "auto" }) {
  const what = backend.name === "webgpu" ? `webgpu, ${backend.adapter.name}` : `wasm, ${tier} tier`;
  return `${what}, convAlgorithm ${convAlgorithm}`;
}

serve(async ({ job, threads, options }) => {
  const { engine, cannot } = await engineOf({ threads, options });
  if (cannot) return { cannot };
  const model = await buildModel(job, engine);
  const x = engine.tensor(inputOf(job), job.inputShape).keep();
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  if (job.kind === "forward") model.eval();
  const forward = () => engine.noGrad(() => model.forward(x)).data();
  return {
    version,
    threads: engine.threads,
    detail: detailOf(engine, options),
    run: job.kind === "train" ? trainingStep(model, x, job, engine) : forward,
  };
});
