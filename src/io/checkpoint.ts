/** Weights files of VGG nets: opens, reads and writes them. What is in them is model-format.ts's, safe writing safetensors.ts's. */
import type { Engine } from "../core/engine.js";
import type { Sequential } from "../nn/module.js";
import {
  contentOf,
  decodeMetadata,
  readModel,
  readVgg,
  type SaveOptions,
  type Stateful,
  type VggMetadata,
} from "./model-format.js";
import { openSafetensors, type SafetensorsSource, writeSafetensors } from "./safetensors.js";

export { loadState, type SaveOptions, type Stateful, type VggMetadata } from "./model-format.js";

/**
 * Writes a model's weights, all or nothing: after a crash the old file or the new one is whole.
 * Equal weights, metadata and options give equal bytes.
 * @throws UsageError where the path cannot be written; WeightsError for a full disk.
 */
export async function saveModel(
  file: string,
  model: Stateful,
  metadata: VggMetadata,
  options: SaveOptions = {},
): Promise<void> {
  const { tensors, texts } = contentOf(model, metadata, options);
  await writeSafetensors(file, tensors, texts);
}

/**
 * Reads a weights file: builds the net that it describes and fills it. The net is in evaluation mode.
 * @throws WeightsError for a file that is missing, malformed, not of this program, or does not fit its own metadata.
 */
export async function loadModel(file: string, engine: Engine): Promise<{ model: Sequential; metadata: VggMetadata }> {
  return withSource(file, (source) => readVgg(source, engine, file));
}

/**
 * {@link loadModel} with a builder of one's own.
 * @param build makes the net from the metadata; its values do not matter.
 */
export async function loadModelWith<M extends Stateful>(
  file: string,
  build: (metadata: VggMetadata) => M,
): Promise<{ model: M; metadata: VggMetadata }> {
  return withSource(file, (source) => readModel(source, file, build));
}

/** What a weights file says about its net, without reading the weights. */
export async function readMetadata(file: string): Promise<VggMetadata> {
  return withSource(file, async ({ metadata }) => decodeMetadata(metadata, file));
}

async function withSource<T>(file: string, use: (source: SafetensorsSource) => Promise<T>): Promise<T> {
  const source = await openSafetensors(file);
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}
