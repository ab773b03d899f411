/**
 * `load`: a net from a weights file, ready to classify pictures, in Node, Deno and Bun. What the file is comes from formats/open-weights.ts
 * and formats/plan-net.ts, what the net does from classify/picture-net.ts; load-browser.ts is the same for browsers.
 */
import { fileURLToPath } from "node:url";
import { type LoadOptions as CommonOptions, makePictureNet, type OwnEngineOptions } from "./classify/make-net.js";
import type { PictureNet } from "./classify/picture-net.js";
import { DataError, UsageError, WeightsError } from "./core/errors.js";
import { createEngine } from "./engine.js";
import { openWeights } from "./formats/open-weights.js";
import { blobReader } from "./io/blob-bytes.js";
import { type ByteReader, bytesReader } from "./io/byte-reader.js";
import { openFileBytes } from "./io/file-bytes.js";
import { openUrlBytes } from "./io/url-bytes.js";
import type { WeightsFile } from "./io/weights-file.js";
import { decodePicture } from "./pictures/decode-wasm.js";
import { readPicture } from "./pictures/picture-file.js";
import type { Picture } from "./pictures/pixels.js";
import { manifestEntry } from "./pull/manifest.js";
import { cachedWeights } from "./pull/pull.js";

/** Where weights come from: a path, an address (http, https, file), the name of a net that `pull` fetched, bytes, a Blob, or several files' bytes by name. */
export type WeightsInput = string | URL | Uint8Array | Blob | ReadonlyMap<string, Uint8Array>;

/** What can be looked at: a path, an address, the bytes of a file, also as a Blob, or decoded pixels. */
export type PictureInput = string | URL | Uint8Array | Blob | Picture;

/** A net that classifies, as `load` gives it. */
export type LoadedNet = PictureNet<PictureInput>;

/** What the file does not say, and how to compute. */
export interface LoadOptions extends CommonOptions, OwnEngineOptions {}

/**
 * Loads the net of a weights file: safetensors, PyTorch, ONNX, Keras, TensorFlow.js layers or Caffe.
 *
 * ```js
 * const net = await load("vgg16.pth");
 * const [best] = await net.classify("photo.jpg"); // { label: "tabby, tabby cat", index: 281, probability: 0.71 }
 * ```
 * @throws WeightsError for a file that is missing, malformed, of no known format, or whose net is not known; UsageError for options that
 * make no sense.
 */
export async function load(weights: WeightsInput, options: LoadOptions = {}): Promise<LoadedNet> {
  return makePictureNet(() => openWeightsInput(weights), options, { createEngine, openPicture });
}

/** Opens what `load` takes for weights, without a look at what net it is. */
export async function openWeightsInput(weights: WeightsInput): Promise<WeightsFile> {
  return openWeights(await readerOf(weights));
}

async function readerOf(weights: WeightsInput): Promise<ByteReader> {
  if (weights instanceof Uint8Array) return bytesReader(weights);
  if (weights instanceof Blob) return blobReader(weights);
  if (weights instanceof URL)
    return weights.protocol === "file:" ? openFileBytes(pathOf(weights, "load")) : openUrlBytes(weights.href);
  if (typeof weights !== "string") {
    if (!(weights instanceof Map)) {
      throw new UsageError(
        `load: these are no weights (weights ${String(weights)}). Pass a path, an address, bytes as a Uint8Array, or a Map of name to bytes.`,
      );
    }
    const [first] = weights;
    if (!first)
      throw new WeightsError("load: no file is given (files 0). Give the bytes of at least one, the main one first.");
    return bytesReader(first[1], first[0], weights);
  }
  if (/^https?:\/\//i.test(weights)) return openUrlBytes(weights);
  if (/^file:\/\//i.test(weights)) return openFileBytes(pathOf(weights, "load"));
  // A bare name of a published net; a file of that name comes first.
  if (manifestEntry(weights) === undefined) return openFileBytes(weights);
  try {
    return await openFileBytes(weights);
  } catch (error) {
    const cached = await cachedWeights(weights);
    if (cached !== undefined) return openFileBytes(cached);
    if (!(error instanceof WeightsError)) throw error;
    throw new WeightsError(
      `load: the published weights are not on this machine yet (net ${weights}). Fetch them: verydeep pull ${weights}, or await pull("${weights}").`,
    );
  }
}

/** As files: a picture of 100 megapixels is smaller. */
const MAX_PICTURE_BYTES = 1_000_000_000;

/** Opens what a {@link LoadedNet} takes for a picture. */
export async function openPicture(picture: PictureInput): Promise<Picture> {
  if (picture instanceof Uint8Array) return decodePicture(picture);
  if (picture instanceof Blob) return decodePicture(await readAll(blobReader(picture)));
  if (picture instanceof URL) return openAddress(picture);
  if (typeof picture !== "string") return picture;
  if (!/^(https?|file):\/\//i.test(picture)) return readPicture(picture);
  if (URL.canParse(picture)) return openAddress(new URL(picture));
  throw new UsageError(`classify: this is no address (address ${picture}). Correct it, or pass a path.`);
}

async function openAddress(url: URL): Promise<Picture> {
  if (url.protocol === "file:") return readPicture(pathOf(url, "classify"));
  return decodePicture(await fetchPicture(url), url.href);
}

/** Not every file address is a path: a host, an escaped slash. */
function pathOf(address: string | URL, op: string): string {
  try {
    return fileURLToPath(address);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${op}: the address is no path of this machine (address ${address}, ${reason}). Pass a path.`);
  }
}

async function fetchPicture(url: URL): Promise<Uint8Array> {
  try {
    return await readAll(await openUrlBytes(url.href));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DataError(`classify: the picture cannot be fetched (address ${url.href}). ${reason}`);
  }
}

/** All of a picture's bytes. */
async function readAll(reader: ByteReader): Promise<Uint8Array> {
  try {
    if (reader.sizeBytes <= MAX_PICTURE_BYTES) return await reader.read(0, reader.sizeBytes);
    throw new DataError(
      `classify: this is too large for a picture (${reader.name}, ${reader.sizeBytes} bytes). Make it smaller.`,
    );
  } finally {
    await reader.close();
  }
}
