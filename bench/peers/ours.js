// verydeep, the built package as a user would import it. `convAlgorithm` "auto" is what a user gets; "im2col" keeps to the
// arithmetic that the peers do too.

import { readFileSync } from "node:fs";
import { Conv2d, createEngine, crossEntropy, labelsTensor, SGD, vgg } from "../../dist/index.js";
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
      optimiser.zeroGrad();
      const loss = crossEntropy(model.forward(x), labelsTensor(engine, labels, job.classes));
      loss.backward();
      optimiser.step();
      return loss;
    });
    return loss.item();
  };
}

serve(async ({ job, threads, options: { convAlgorithm } }) => {
  const engine = await createEngine({ threads, convAlgorithm });
  const model = await buildModel(job, engine);
  const x = engine.tensor(inputOf(job), job.inputShape).keep();
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  if (job.kind === "forward") model.eval();
  const forward = () => engine.noGrad(() => model.forward(x)).data();
  return {
    version,
    threads,
    detail: `wasm SIMD, convAlgorithm ${convAlgorithm}`,
    run: job.kind === "train" ? trainingStep(model, x, job, engine) : forward,
  };
});
