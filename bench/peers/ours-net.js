// verydeep in the peer benchmark: the built package, as a user would import it. Served by ours.js and ours-im2col.js.

import { readFileSync } from "node:fs";
import { createEngine, vgg } from "../../dist/index.js";
import { biasOf, INPUT_SHAPE, picture, vgg16Layers, weightOf } from "./net.js";

/** What serve.js serves: VGG-16 with its 3x3 convolutions by `convAlgorithm` (`auto` is what a user gets). */
export const prepareOurs =
  (convAlgorithm) =>
  async ({ threads }) => {
    const engine = await createEngine({ threads, convAlgorithm });
    const model = vgg("D", { classes: 1000, inputSize: 224, seed: 1 }, engine);
    model.eval();
    const state = {};
    for (const layer of vgg16Layers()) {
      if (layer.kind === "pool") continue;
      state[`${layer.name}.weight`] = weightOf(layer);
      state[`${layer.name}.bias`] = biasOf(layer);
    }
    await model.loadStateDict(state);
    const x = engine.tensor(picture(), INPUT_SHAPE).keep();
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    return {
      version,
      threads,
      detail: `wasm, convAlgorithm ${convAlgorithm}`,
      run: () => engine.noGrad(() => model.forward(x)).data(),
    };
  };
