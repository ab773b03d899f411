/** Binds `classify` to the engine. Loaded by that command and by train; apart from session.ts because starting is most of what it does. */
import type { Engine } from "../core/engine.js";
import type { Normalise } from "../data/dataset.js";
import { createEngine } from "../engine.js";
import { loadModel, type VggMetadata } from "../io/checkpoint.js";
import { inMode, type Module } from "../nn/module.js";
import type { TierName } from "../runs/request.js";
import type { Classifier } from "./work.js";

/** Starts an engine and builds the net of a weights file; for a single picture nothing is made that would pay at the next. */
export async function openClassifier(
  weights: string,
  tier: TierName = "auto",
  { singlePicture = false }: { readonly singlePicture?: boolean } = {},
): Promise<Classifier> {
  const engine = await createEngine({ tier, keepTransformedWeights: !singlePicture });
  try {
    const { model, metadata } = await loadModel(weights, engine);
    return classifierOf(engine, model, metadata);
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** A net as commands use it. */
export function classifierOf(engine: Engine, model: Module, metadata: VggMetadata): Classifier {
  const { classes, inputSize, scale = inputSize, mean, std } = metadata;
  return {
    classNames: classes,
    inputSize,
    scale,
    async scores(planes) {
      const pixels = normalised(planes, { mean, std });
      const scores = await engine.scope(() =>
        engine.noGrad(() =>
          inMode(model, false, () => model.forward(engine.tensor(pixels, [1, 3, inputSize, inputSize]))),
        ),
      );
      return scores.data();
    },
    close: () => engine.close(),
  };
}

/** Bytes of planes as the net takes them: (byte - mean) / std of its channel. */
export function normalised(planes: Uint8Array, { mean, std }: Normalise): Float32Array {
  const plane = planes.length / mean.length;
  return Float32Array.from(planes, (byte, i) => {
    const channel = Math.floor(i / plane);
    return (byte - mean[channel]) / std[channel];
  });
}
