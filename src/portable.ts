/** The part of the public library that works wherever JavaScript does; nothing below it knows Node. index.ts and browser.ts add to it. */
export type {
  DataType,
  HostArray,
  KernelName,
  MemoryUse,
  QuantizedType,
  RandomStream,
  Tier,
} from "./backend/backend.js";
export { type ClassifyOptions, PictureNet, type PictureNetParts } from "./classify/picture-net.js";
export { type Prediction, topPredictions } from "./classify/predictions.js";
export { Engine } from "./core/engine.js";
export {
  BackendError,
  DamagedFileError,
  DataError,
  DivergedError,
  MemoryFullError,
  ShapeError,
  UsageError,
  VerydeepError,
  WeightsError,
} from "./core/errors.js";
export type { Profile, ProfiledCall, ProfiledLaunch } from "./core/profile.js";
export type { Phase } from "./core/program.js";
export { Random } from "./core/random.js";
export type { Step } from "./core/runner.js";
export { type Counter, Parameter, StateTensor, Tensor } from "./core/tensor.js";
export type { EngineOptions } from "./create-engine.js";
export type { Batch, BatchSource } from "./data/batch-source.js";
export { CIFAR10_NAMES, type Cifar10File, decodeCifar10 } from "./data/cifar10-records.js";
export type { ColourShift } from "./data/colour.js";
export {
  arrayDataset,
  type DataSplits,
  type Dataset,
  type FolderDataset,
  isFolder,
  isInMemory,
  type Normalise,
  type PictureSet,
  pixelStatistics,
  splitValidation,
} from "./data/dataset.js";
export { imagenetNames } from "./data/imagenet.js";
export { type Augment, Loader, type LoaderOptions } from "./data/loader.js";
export { openBatches } from "./data/open-batches.js";
export type { OpenBatchesOptions, PictureReader } from "./data/picture-reader.js";
export { SHAPE_NAMES, shapes } from "./data/shapes.js";
export { type StatisticsOptions, type TrainingStatistics, trainingStatistics } from "./data/statistics.js";
export type { View } from "./data/view.js";
export { decodeModel, encodeModel, type SaveOptions, type Stateful, type VggMetadata } from "./io/model-format.js";
export type { LinearWeights } from "./models/build-layer.js";
export {
  type CopiedTensor,
  type InitialisationPlan,
  initialisationPlan,
  initialiseFrom,
  type VggNet,
} from "./models/initialise-from.js";
export { auxiliaryCrossEntropy, Net, type NetOutputs } from "./models/net.js";
export { type LayerKind, type NetLayer, netTensorShapes, netTotals } from "./models/net-config.js";
export {
  alexnet,
  buildNet,
  cnnF,
  cnnM,
  cnnS,
  fcn8s,
  fcn16s,
  fcn32s,
  googlenet,
  isNetName,
  NET_NAMES,
  type NetModelOptions,
  type NetName,
  type NetOptions,
  netFacts,
  netLayers,
  nin,
  overfeat,
  sppnet,
  zfnet,
} from "./models/nets.js";
export { type VggModelOptions, vgg } from "./models/vgg.js";
export {
  VGG_CONFIG_NAMES,
  type VggConfigName,
  type VggLayer,
  type VggOptions,
  vggConfigName,
  vggLayers,
  vggName,
  vggTotals,
} from "./models/vgg-config.js";
export * from "./nn/index.js";
export * from "./ops/index.js";
export * from "./optim/index.js";
export {
  encodePng,
  fitPicture,
  type Picture,
  type ResizeOptions,
  rescalePicture,
  resizePicture,
} from "./pictures/picture.js";
export { measurePeak } from "./profile/peak.js";
export { type ChromeTrace, chromeTrace, type TraceEvent } from "./profile/trace.js";
export { confusionSvg } from "./report/confusion.js";
export { curvesPng, curvesSvg } from "./report/curves.js";
export { summaryPage } from "./report/page.js";
export type {
  ReportConfusion,
  ReportEpoch,
  ReportEvent,
  ReportStep,
  ReportTest,
  RunReport,
} from "./report/run-report.js";
export { type EvaluateOptions, type Evaluation, evaluate } from "./train/evaluate.js";
export {
  argmax,
  type ClassAccuracy,
  type Confusion,
  PredictionCounts,
  perClassAccuracy,
  rankOf,
  topConfusions,
} from "./train/metrics.js";
export type { EpochRecord, EventRecord, MicroRecord, StepRecord, TrainRecord } from "./train/records.js";
export type { Objective, TrainingProgress, TrainOptions } from "./train/train-options.js";
export { train } from "./train/trainer.js";
export { TrainingRun } from "./train/training-run.js";
