/** `load` in browsers: a net from an address, bytes, or files that the user chose, ready to classify pictures. load.ts is Node's. */
import { type LoadOptions as CommonOptions, makePictureNet, type OwnEngineOptions } from "./classify/make-net.js";
import type { PictureNet } from "./classify/picture-net.js";
import { DataError, UsageError, WeightsError } from "./core/errors.js";
import { createEngine } from "./engine-browser.js";
import { openWeights } from "./formats/open-weights.js";
import { blobReader } from "./io/blob-bytes.js";
import { type ByteReader, bytesReader } from "./io/byte-reader.js";
import { openUrlBytes } from "./io/url-bytes.js";
import { decodePicture } from "./pictures/decode-browser.js";
import type { Picture } from "./pictures/pixels.js";

/** Where weights come from: an address, bytes, a file, or several by name, the main one first. */
export type WeightsInput = string | URL | Uint8Array | Blob | ReadonlyMap<string, Blob>;

/** What can be looked at: an address, the bytes of a file, the file itself, pixels of a canvas, or decoded pixels. */
export type PictureInput = string | URL | Uint8Array | Blob | ImageData | Picture;

/** A net that classifies, as `load` gives it. */
export type LoadedNet = PictureNet<PictureInput>;

/** What the file does not say, and how to compute. */
export interface LoadOptions extends CommonOptions, OwnEngineOptions {}

/**
 * Loads the net of a weights file: safetensors, PyTorch, ONNX, Keras, TensorFlow.js layers or Caffe.
 * @throws WeightsError for a file that is missing, malformed, of no known format, or whose net is not known; UsageError for options that
 * make no sense.
 */
export async function load(weights: WeightsInput, options: LoadOptions = {}): Promise<LoadedNet> {
  return makePictureNet(async () => openWeights(await readerOf(weights)), options, {
    createEngine,
    openPicture,
  });
}

async function readerOf(weights: WeightsInput): Promise<ByteReader> {
  if (weights instanceof Uint8Array) return bytesReader(weights);
  if (weights instanceof Blob) return blobReader(weights, nameOf(weights));
  if (typeof weights === "string" || weights instanceof URL) return openUrlBytes(absolute(weights, "load"));
  if (!(weights instanceof Map)) {
    throw new UsageError(
      `load: these are no weights (weights ${String(weights)}). Pass an address, bytes as a Uint8Array, a file, or a Map of name to file.`,
    );
  }
  const [first] = weights;
  if (first) return blobReader(first[1], first[0], weights);
  throw new WeightsError("load: no file is given (files 0). Give at least one, the main one first.");
}

/** Opens what a {@link LoadedNet} takes for a picture. */
async function openPicture(picture: PictureInput): Promise<Picture> {
  if (picture instanceof Uint8Array) return decodePicture(picture);
  if (picture instanceof Blob) return decodePicture(await bytesOf(picture, nameOf(picture)), nameOf(picture));
  if (picture instanceof ImageData) return fromImageData(picture);
  if (typeof picture !== "string" && !(picture instanceof URL)) return picture;
  const url = absolute(picture, "classify");
  const response = await fetch(url).catch((error: unknown) => {
    throw new DataError(
      `classify: the picture cannot be fetched (address ${url}, ${String(error)}). Check the address.`,
    );
  });
  if (!response.ok) {
    throw new DataError(
      `classify: the picture cannot be fetched (address ${url}, ${response.status}). Check the address.`,
    );
  }
  return decodePicture(await bytesOf(response, url), url);
}

/** RGBA over white. */
function fromImageData({ width, height, data }: ImageData): Picture {
  const pixels = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    const alpha = data[from + 3];
    for (let c = 0; c < 3; c++) pixels[to++] = Math.round((data[from + c] * alpha + 255 * (255 - alpha)) / 255);
  }
  return { width, height, pixels };
}

function absolute(address: string | URL, op: string): string {
  try {
    return new URL(address, globalThis.location?.href).href;
  } catch {
    throw new UsageError(`${op}: this is no address (address ${address}). Correct it.`);
  }
}

function nameOf(blob: Blob): string {
  return "name" in blob && typeof blob.name === "string" ? blob.name : "the file";
}

/** All bytes of a file or an answer. @throws DataError where they end too soon, or the file has changed. */
async function bytesOf(source: Blob | Response, name: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await source.arrayBuffer());
  } catch (error) {
    throw new DataError(`classify: the picture cannot be read (${name}, ${String(error)}). Choose it again.`);
  }
}
