/**
 * verydeep: trains, runs and explains VGG networks. The library in Node, Deno and Bun; browser.ts is what browsers get.
 *
 * Reading order: engine.ts (create) -> ops/ (one file an operation) -> core/engine.ts (record, run) ->
 * backend/wasm/ (plan, pool) -> assembly/ (kernels).
 */
export { cifar10 } from "./data/cifar10.js";
export { type FolderOptions, folder } from "./data/folder.js";
export { type MnistOptions, mnist } from "./data/mnist.js";
export { type OpenDataOptions, openData } from "./data/open-data.js";
export { createEngine } from "./engine.js";
export { loadModel, saveModel } from "./io/checkpoint.js";
export { type LoadedNet, type LoadOptions, load, type PictureInput, type WeightsInput } from "./load.js";
export { decodePicture } from "./pictures/decode-wasm.js";
export { readPicture } from "./pictures/picture-file.js";
export * from "./portable.js";
export { type ManifestEntry, manifestEntries, manifestEntry } from "./pull/manifest.js";
export { cachedWeights, type PullOptions, type PullProgress, pull } from "./pull/pull.js";
export { writeReport } from "./report/write-report.js";
export { loadCheckpoint, saveCheckpoint } from "./runs/checkpoint.js";
export { type KeepOptions, keepRun } from "./runs/keep-run.js";
export { type KeptRecord, RunFolder } from "./runs/run-folder.js";
export { type SavedNet, type SaveFormat, type SaveNetOptions, saveNet } from "./save.js";
