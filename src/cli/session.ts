/**
 * Binds the commands to the engine: implements the interfaces of work.ts with createEngine, vgg, train, evaluate and checkpoint files.
 * Loaded by train and classify alone, so that help and `summary` start without an engine.
 */
import type { Engine } from "../core/engine.js";
import { DataError } from "../core/errors.js";
import { type Dataset, inMemory, type Normalise, pixelStatistics } from "../data/dataset.js";
import { openData } from "../data/open-data.js";
import { createEngine } from "../engine.js";
import { loadModel, saveModel, type VggMetadata } from "../io/checkpoint.js";
import { vgg } from "../models/vgg.js";
import { vggConfigName, vggLayers, vggTotals } from "../models/vgg-config.js";
import { inMode, type Module } from "../nn/module.js";
import { oneCycle } from "../optim/schedule.js";
import { evaluate } from "../train/evaluate.js";
import { train } from "../train/trainer.js";
import type { Classifier, TrainRequest, TrainSession } from "./work.js";

/** Small pictures need no hidden layers: one linear layer learns faster and as well. */
const CLASSIFIER: readonly number[] = [];
const DROPOUT = 0.5;
/** Moves and mirrors: all of the built-in classes and CIFAR-10's survive both. */
const AUGMENT = { cropPadding: 4, flip: true } as const;

/** Starts an engine, reads the data and builds the net. */
export async function openTrainSession(request: TrainRequest): Promise<TrainSession> {
  const data = await openData(request.data, { seed: request.seed });
  const pictures = { train: inMemory("verydeep train", data.train), test: inMemory("verydeep train", data.test) };
  const inputSize = squareSide(pictures.train);
  const classNames = data.train.classNames;
  const normalise = pixelStatistics(pictures.train);
  const metadata: VggMetadata = {
    config: vggConfigName(request.config),
    classes: classNames,
    inputSize,
    width: request.width,
    classifier: CLASSIFIER,
    dropout: DROPOUT,
    ...normalise,
  };
  const net = { ...metadata, classes: classNames.length };
  const { params } = vggTotals(vggLayers(metadata.config, net));
  const engine = await createEngine({
    backend: request.backend,
    ...(request.threads === undefined ? {} : { threads: request.threads }),
  });
  const model = vgg(metadata.config, { ...net, seed: request.seed }, engine);
  const { batch, epochs, lr, seed } = request;
  return {
    ...classifierOf(engine, model, metadata),
    facts: {
      config: metadata.config,
      params,
      inputSize,
      classCount: classNames.length,
      dataName: request.data,
      trainCount: data.train.labels.length,
      validationCount: data.validation.labels.length,
      testCount: data.test.labels.length,
      threads: engine.backend.threads,
    },
    records: (signal) =>
      train(model, data, { epochs, batch, lr, seed, normalise, signal, augment: AUGMENT, schedule: oneCycle() }),
    save: (file) => saveModel(file, model, metadata),
    test: () => evaluate(model, pictures.test, { batch, normalise }),
  };
}

/** Starts an engine and builds the net of a weights file. */
export async function openClassifier(weights: string): Promise<Classifier> {
  const engine = await createEngine();
  try {
    const { model, metadata } = await loadModel(weights, engine);
    return classifierOf(engine, model, metadata);
  } catch (error) {
    await engine.close();
    throw error;
  }
}

function classifierOf(engine: Engine, model: Module, { classes, inputSize, mean, std }: VggMetadata): Classifier {
  return {
    classNames: classes,
    inputSize,
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

function squareSide({ name, channels, height, width }: Dataset): number {
  if (channels === 3 && height === width) return height;
  throw new DataError(
    `verydeep train: pictures that are not square RGB (data ${name}, ${channels}x${height}x${width}). Use another data set.`,
  );
}
