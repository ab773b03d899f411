/**
 * verydeep: trains, runs and explains VGG networks.
 *
 * Reading order: engine.ts (create) -> ops/ (one file an operation) -> core/engine.ts (record, run) ->
 * backend/wasm/ (plan, pool) -> assembly/ (kernels).
 */
export type { DataType, HostArray, KernelName, MemoryUse, RandomStream } from "./backend/backend.js";
export { Engine } from "./core/engine.js";
export {
  BackendError,
  DataError,
  DivergedError,
  MemoryFullError,
  ShapeError,
  UsageError,
  VerydeepError,
  WeightsError,
} from "./core/errors.js";
export type { Phase } from "./core/program.js";
export { Random } from "./core/random.js";
export type { Step } from "./core/runner.js";
export { type Counter, Parameter, StateTensor, Tensor } from "./core/tensor.js";
export type { Batch, BatchSource } from "./data/batch-source.js";
export { CIFAR10_NAMES, cifar10, decodeCifar10 } from "./data/cifar10.js";
export {
  arrayDataset,
  type DataSplits,
  type Dataset,
  type Normalise,
  pixelStatistics,
  splitValidation,
} from "./data/dataset.js";
export { type Augment, Loader, type LoaderOptions } from "./data/loader.js";
export { openData } from "./data/open-data.js";
export { SHAPE_NAMES, shapes } from "./data/shapes.js";
export { createEngine, type EngineOptions } from "./engine.js";
export { loadModel, saveModel, type VggMetadata } from "./io/checkpoint.js";
export { decodePicture, encodePng, fitPicture, type Picture, readPicture } from "./io/picture.js";
export { type VggModelOptions, vgg } from "./models/vgg.js";
export {
  VGG_CONFIG_NAMES,
  type VggConfigName,
  type VggLayer,
  type VggOptions,
  vggConfigName,
  vggLayers,
  vggTotals,
} from "./models/vgg-config.js";
export * from "./nn/index.js";
export * from "./ops/index.js";
export * from "./optim/index.js";
export { type EvaluateOptions, type Evaluation, evaluate } from "./train/evaluate.js";
export { type EpochRecord, type StepRecord, type TrainOptions, train } from "./train/trainer.js";
