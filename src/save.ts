/**
 * Writes a net that classifies, so that it can leave: as safetensors of ours (float32, or smaller), as ONNX, as TensorFlow.js layers. The
 * formats are io/'s; here it is said what of the net goes into them.
 */
import path from "node:path";
import type { PictureNet } from "./classify/picture-net.js";
import { UsageError } from "./core/errors.js";
import { encodeNetMetadata } from "./formats/net-metadata.js";
import { encodeMetadata, tensorsOf } from "./io/model-format.js";
import { quantizedState } from "./io/quantized-state.js";
import { writeSafetensors } from "./io/safetensors.js";
import type { LinearWeights } from "./models/build-layer.js";

/** The formats that are written. */
export const SAVE_FORMATS = ["safetensors", "onnx", "tfjs"] as const;

/** A format that is written. */
export type SaveFormat = (typeof SAVE_FORMATS)[number];

/** How to write a net. */
export interface SaveNetOptions {
  /** Default: by the file's name: .safetensors, .onnx, model.json. */
  readonly format?: SaveFormat | undefined;
  /** What weights are stored as, in safetensors: float32 (default), a half or a quarter of the bytes. */
  readonly weights?: LinearWeights | undefined;
}

/** What is written of a net. */
export type SavedNet = Pick<PictureNet<never>, "model" | "layers" | "inputShape" | "classes" | "preprocessing" | "vgg">;

/**
 * Writes a net to a file, all or nothing: after a crash the old file or the new one is whole. TensorFlow.js layers are model.json and shards
 * beside it, several files: a crash while they replace an older model can leave shards without a model.json.
 * @throws UsageError where the path cannot be written, its name tells no format, or options contradict; WeightsError for a net that the format cannot say.
 */
export async function saveNet(file: string, net: SavedNet, options: SaveNetOptions = {}): Promise<void> {
  const { weights = "float32" } = options;
  const format = options.format ?? formatOf(file);
  if (format !== "safetensors" && weights !== "float32") {
    throw new UsageError(
      `saveNet: only safetensors store ${weights} (format ${format}). Leave the type out, or write .safetensors.`,
    );
  }
  if (format === "tfjs" && path.basename(file) !== "model.json") {
    throw new UsageError(
      `saveNet: the main file of TensorFlow.js layers is called model.json (file ${file}). Name a folder and model.json in it.`,
    );
  }
  const texts = metadataOf(net);
  switch (format) {
    case "safetensors": {
      const smaller = weights !== "float32";
      const tensors = smaller ? quantizedState(net.model, weights) : tensorsOf(net.model);
      return writeSafetensors(file, tensors, smaller ? { ...texts, quantized: weights } : texts);
    }
    case "onnx":
      return (await import("./formats/onnx/onnx-file.js")).writeOnnx(file, net.layers, net.model, texts);
    case "tfjs":
      return (await import("./formats/tfjs/tfjs-folder.js")).writeTfjs(path.dirname(file), net.layers, net.model, {
        inputShape: net.inputShape,
        metadata: texts,
      });
  }
}

/** What a file says of a net: VGG nets in their short form, others by their rows. */
export function metadataOf({ layers, inputShape, classes, preprocessing, vgg }: SavedNet): Record<string, string> {
  return vgg === null
    ? encodeNetMetadata(layers, { inputShape, classes, preprocessing })
    : encodeMetadata({ ...vgg, classes, ...preprocessing });
}

/** The format that a file's name tells. @throws UsageError for another name. */
export function formatOf(file: string): SaveFormat {
  if (/\.safetensors$/i.test(file)) return "safetensors";
  if (/\.onnx$/i.test(file)) return "onnx";
  if (/(^|[\\/])model\.json$/.test(file)) return "tfjs";
  throw new UsageError(
    `saveNet: the file's name tells no format that can be written (file ${file}). End it with .safetensors, .onnx or model.json.`,
  );
}
