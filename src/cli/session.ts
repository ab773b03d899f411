/**
 * Binds `train` to the engine: implements the interfaces of work.ts with createEngine, vgg, the training run and its files.
 * Loaded by that command alone, so that help and `summary` start without an engine.
 */
import path from "node:path";
import { pictureNetOfVgg } from "../classify/make-net.js";
import type { Engine } from "../core/engine.js";
import { BackendError, DataError, UsageError, WeightsError } from "../core/errors.js";
import { type DataSplits, isInMemory, type Normalise } from "../data/dataset.js";
import { openData } from "../data/open-data.js";
import type { ReadingOptions } from "../data/picture-reader.js";
import { type TrainingStatistics, trainingStatistics } from "../data/statistics.js";
import { checkView, scaleRange } from "../data/view.js";
import { createEngine } from "../engine.js";
import { fillTensor } from "../formats/fill-net.js";
import { planNet } from "../formats/plan-net.js";
import { saveModel, type VggMetadata } from "../io/checkpoint.js";
import { openWeightsInput } from "../load.js";
import { initialisationPlan, type VggNet } from "../models/initialise-from.js";
import { vgg } from "../models/vgg.js";
import { vggConfigName, vggLayers, vggTotals } from "../models/vgg-config.js";
import type { Module } from "../nn/module.js";
import { readPicture } from "../pictures/picture-file.js";
import { keepRun } from "../runs/keep-run.js";
import { initialiserOf, optimiserOf, scheduleOf, stopOf, viewOf } from "../runs/options.js";
import { reportRun } from "../runs/report-run.js";
import { BACKENDS, type BackendName, parseRequest, type RunTier, type TrainRequest } from "../runs/request.js";
import { RunFolder } from "../runs/run-folder.js";
import { parseStatistics } from "../runs/statistics.js";
import { evaluate, evaluationView } from "../train/evaluate.js";
import { TrainingRun } from "../train/training-run.js";
import { engineOptions } from "./threads.js";
import type { TrainSession, TrainSettings } from "./work.js";

/** Starts an engine, reads the data, builds the net, and takes an earlier run up where it stood. */
export async function openTrainSession(asked: TrainRequest, settings: TrainSettings): Promise<TrainSession> {
  const data = await openData(asked.data, { seed: asked.seed });
  const notes = [...data.notes];
  const inputSize = asked.input ?? squareSide(data);
  // Rescaled pictures are cut to the size that they have themselves.
  const request = asked.scale === null ? asked : { ...asked, input: inputSize };
  const view = viewOf(request);
  if (view !== undefined) checkView("train", view, request.cropPadding);
  const earlier = settings.folder instanceof RunFolder ? settings.folder : null;
  if (earlier) checkSameData(earlier, data);
  const statistics = earlier ? readStatistics(earlier) : await measure(data, request, settings);
  const { mean, std, colour } = statistics;
  const normalise: Normalise = { mean, std };
  const metadata = metadataOf(request, data, inputSize, normalise);
  const net = { ...metadata, classes: metadata.classes.length };
  const { params, macs } = vggTotals(vggLayers(metadata.config, net));
  const { seed, epochs, batch, microBatch, lr } = request;
  // Forward, and two products backward.
  const engine = await startEngine(request, settings, 3 * macs * (microBatch ?? batch), earlier !== null);
  try {
    const before = await earlier?.tier();
    const computedOn = earlier && parseRequest(earlier.section("request"), earlier.file("config.json")).backend;
    if (computedOn && computedOn !== backendOf(engine)) {
      notes.push(`goes on on ${backendOf(engine)}, began on ${computedOn}: other bits than without the stop`);
    } else if (before && engine.tier && bitsOf(before) !== bitsOf(engine.tier)) {
      notes.push(`goes on in tier ${engine.tier}, was computed in ${before}: other bits than without the stop`);
    }
    const model = vgg(metadata.config, { ...net, seed, init: initialiserOf(request.init) }, engine);
    const reading = readingOf(settings);
    const run = new TrainingRun(model, data, {
      epochs,
      batch,
      lr,
      seed,
      normalise,
      reading,
      optimiser: optimiserOf(request),
      schedule: scheduleOf(request),
      stop: stopOf(request),
      augment: {
        cropPadding: request.cropPadding,
        flip: request.flip,
        colourShift: request.colourShift ? colour : undefined,
      },
      view,
      microBatch: microBatch ?? undefined,
    });
    if (earlier && (await earlier.restore(run, (message) => notes.push(message)))) {
      const { epoch, step } = run.progress;
      notes.push(`goes on after step ${step}, in epoch ${Math.min(epoch + 1, epochs)}`);
    } else if (request.initFrom !== null) {
      notes.push(await startFrom(request.initFrom, model, metadata));
    }
    const began: TrainRequest = { ...request, backend: backendOf(engine), tier: engine.tier ?? "auto" };
    const folder = await openFolder(began, settings, statistics, data);
    const save = (file: string): Promise<void> => saveModel(file, model, metadata);
    const classifier = pictureNetOfVgg(model, metadata, engine, readPicture);
    return {
      classify: (picture, options) => classifier.classify(picture, options),
      close: () => engine.close(),
      facts: {
        config: metadata.config,
        params,
        inputSize,
        classCount: metadata.classes.length,
        dataName: request.data,
        trainCount: data.train.labels.length,
        validationCount: data.validation.labels.length,
        testCount: data.test.labels.length,
        threads: engine.threads,
        backend: backendOf(engine),
        tier: engine.tier,
        folder: folder?.path ?? null,
        notes,
      },
      records: (signal) =>
        folder === null
          ? run.records(signal)
          : keepRun(run, folder, {
              ...settings,
              saveWeights: save,
              report: () => reportRun(folder, request, null),
              signal,
            }),
      save,
      async test() {
        const evaluation = await evaluate(model, data.test, {
          batch: run.progress.microBatch,
          normalise,
          reading,
          view: view && evaluationView(view),
        });
        const { top1, top5, loss, undecided } = evaluation;
        if (folder !== null) {
          const confusion = { classNames: metadata.classes, counts: evaluation.confusion, undecided };
          await reportRun(folder, request, { top1, top5, loss, confusion });
          await folder.finish({ testTop1: top1, testTop5: top5, testLoss: loss, seconds: run.progress.seconds });
        }
        return { top1, top5 };
      },
    };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** @throws UsageError where the backend or tier cannot run here, which may be that of a run begun elsewhere. */
async function startEngine(
  { backend, tier }: TrainRequest,
  { threads }: TrainSettings,
  macs: number,
  isEarlier: boolean,
): Promise<Engine> {
  try {
    return await createEngine({ ...engineOptions({ backend, tier, threads }), macs });
  } catch (error) {
    if (!isEarlier || !(error instanceof UsageError || error instanceof BackendError)) throw error;
    const rule =
      backend === "webgpu"
        ? "on the backend that computed it, unless --backend names another"
        : "in the tier that computed it, unless --tier names another";
    throw new UsageError(`train: a run goes on ${rule}. ${error.message}`);
  }
}

/** The engine's backend, by the name that a request has for it. */
function backendOf({ backend: { name } }: Engine): BackendName {
  const found = BACKENDS.find((known) => known === name);
  if (found !== undefined) return found;
  throw new UsageError(`train: runs are not kept of such a backend (backend ${name}). Use ${BACKENDS.join(", ")}.`);
}

/** Tiers of one kind give the same bits. */
function bitsOf(tier: RunTier): "plain" | "relaxed" {
  return tier === "plain" ? "plain" : "relaxed";
}

/** What a weights file of this run says of its net. */
function metadataOf(request: TrainRequest, data: DataSplits, inputSize: number, normalise: Normalise): VggMetadata {
  const view = viewOf(request);
  return {
    config: vggConfigName(request.config),
    batchNorm: request.batchNorm,
    classes: data.train.classNames,
    inputSize,
    width: request.width,
    classifier: request.classifier,
    dropout: request.dropout,
    ...(view === undefined ? {} : { scale: scaleRange(evaluationView(view))[0] }),
    ...normalise,
  };
}

/** Mean, deviation and colours of the training pictures. */
function measure(data: DataSplits, request: TrainRequest, settings: TrainSettings): Promise<TrainingStatistics> {
  const view = viewOf(request);
  const { workers, onBadPicture } = readingOf(settings);
  const scale = view && scaleRange(view)[1];
  return trainingStatistics(data.train, { seed: request.seed, workers, onBadPicture, scale });
}

function readingOf({ workers, cache, badPictures }: TrainSettings): ReadingOptions {
  return { workers, onBadPicture: badPictures, ...(cache === null ? {} : { cacheDir: cache }) };
}

async function openFolder(
  request: TrainRequest,
  { folder, threads: _, out, ...habits }: TrainSettings,
  statistics: TrainingStatistics,
  data: DataSplits,
): Promise<RunFolder | null> {
  if (folder === null || folder instanceof RunFolder) return folder;
  const settings = { out: path.resolve(out), ...habits };
  return RunFolder.create(folder.wanted, { request, settings, pictures: countsOf(data), statistics });
}

/** What config.json says of the pictures: a run cannot go on with others. */
function countsOf({ train, validation, test }: DataSplits) {
  return {
    train: train.labels.length,
    validation: validation.labels.length,
    test: test.labels.length,
    classes: train.classNames,
  };
}

/** @throws DataError where pictures came or went since the run began. */
function checkSameData(folder: RunFolder, data: DataSplits): void {
  const before = folder.section("pictures");
  for (const [name, now] of Object.entries(countsOf(data))) {
    if (JSON.stringify(before[name]) === JSON.stringify(now)) continue;
    throw new DataError(
      `train: the pictures are not those that the run began with (${name} ${JSON.stringify(before[name])}, now ${JSON.stringify(now)}). ` +
        "Bring them back, or begin a new run.",
    );
  }
}

/** Fills the net from a weights file of the same net or of a shallower one. Returns what there is to say about it. */
async function startFrom(name: string, model: Module, metadata: VggMetadata): Promise<string> {
  const file = await openWeightsInput(name);
  try {
    const { vgg: trained, places } = planNet(file);
    if (trained === null) {
      throw new WeightsError(
        `verydeep train: the weights are not those of a VGG net (file ${name}, ${file.format}). Start from a file of tensors with a VGG net's names.`,
      );
    }
    const { copied, skipped } = initialisationPlan(netOf(metadata), trained);
    const own = model.stateDict();
    for (const { name: tensor, source } of copied) {
      const [state, place] = [own.get(tensor), places.get(source)];
      if (state && place) await fillTensor(file, place, state);
    }
    const missing = skipped.length === 0 ? "" : `; not ${skipped.map(({ layer }) => layer).join(", ")}`;
    return `starts from ${name} (${trained.config}): ${copied.length} tensors${missing}`;
  } finally {
    await file.close();
  }
}

function netOf({ classes, ...net }: VggMetadata): VggNet {
  return { ...net, classes: classes.length };
}

/** Mean, deviation and colours as the run began with them. */
function readStatistics(folder: RunFolder): TrainingStatistics {
  return parseStatistics(folder.section("statistics"), folder.file("config.json"));
}

/** Height and width of pictures that are seen as they are. */
function squareSide({ train }: DataSplits): number {
  if (!isInMemory(train)) {
    throw new DataError(
      `verydeep train: pictures on disk have any size (--input). Say which size the net sees: --input 224, for example.`,
    );
  }
  const { name, channels, height, width } = train;
  if (channels === 3 && height === width) return height;
  throw new DataError(
    `verydeep train: pictures that are not square RGB (data ${name}, ${channels}x${height}x${width}). Use another data set.`,
  );
}
