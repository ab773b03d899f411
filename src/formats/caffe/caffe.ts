/**
 * Opens Caffe's weights (.caffemodel), which hold the net too: no .prototxt is needed. Files of any size are opened by reading the layers' options
 * alone. The messages: caffe-proto.ts; the layers: caffe-layers.ts.
 */
import { DamagedFileError, WeightsError } from "../../core/errors.js";
import type { ByteReader } from "../../io/byte-reader.js";
import type { FileNet, WeightsFile } from "../../io/weights-file.js";
import { isCount } from "../../models/net-config.js";
import { type FileShape, NetBuilder } from "../net-builder.js";
import { type RunTensor, runReads } from "../stored-runs.js";
import { type CaffeValue, DATA_TYPES, runLayer, tensorName } from "./caffe-layers.js";
import { type CaffeLayer, type CaffeNet, readCaffeNet } from "./caffe-proto.js";

/** The deepest nets of pictures have some 1000. */
const MAX_LAYERS = 10_000;

/**
 * Opens a caffemodel. The reader is closed with it.
 * @throws WeightsError for a net that verydeep cannot run, naming the layer; DamagedFileError for a malformed file, with the offset.
 */
export async function openCaffe(reader: ByteReader): Promise<WeightsFile> {
  try {
    const caffe = await readCaffeNet(reader);
    if (caffe.layers.length === 0 || caffe.layers.length > MAX_LAYERS) {
      throw new WeightsError(
        `caffe: ${reader.name} is no net of pictures (layers ${caffe.layers.length}, at most ${MAX_LAYERS}). Name a caffemodel.`,
      );
    }
    const tensors = new Map<string, RunTensor>();
    for (const layer of caffe.layers) {
      for (const [i, blob] of layer.blobs.entries()) {
        const name = tensorName(layer, i);
        if (tensors.has(name)) {
          throw new DamagedFileError(
            `caffe: ${reader.name} has two layers of one name with weights (${JSON.stringify(layer.name)}, byte ${blob.runs[0]?.offset ?? 0}). Download or save the file again.`,
          );
        }
        tensors.set(name, blob);
      }
    }
    const reads = runReads(reader.name, tensors);
    const factors = new Map<CaffeLayer, number>();
    for (const layer of caffe.layers) {
      const factor = new Float32Array(1);
      if (layer.type !== "BatchNorm" || layer.blobs[2]?.runs.length !== 1) continue;
      await reads.readFloats(tensorName(layer, 2), 0, factor);
      factors.set(layer, factor[0]);
    }
    const net = netOf(caffe, factors, reader.name);
    return {
      format: "caffe",
      variant: "caffemodel",
      name: reader.name,
      tensors,
      metadata: caffe.name === "" ? {} : { name: caffe.name },
      net,
      ...reads,
      close: () => reader.close(),
    };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

function netOf(caffe: CaffeNet, factors: ReadonlyMap<CaffeLayer, number>, file: string): FileNet {
  const { name, shape } = inputOf(caffe, file);
  const builder = new NetBuilder(file, shape);
  const values = new Map<string, CaffeValue>([[name, { value: builder.input, softmax: false }]]);
  const uses = new Map<string, number>();
  for (const bottom of caffe.layers.flatMap(({ bottoms }) => bottoms)) uses.set(bottom, (uses.get(bottom) ?? 0) + 1);
  const state = { file, layerCount: caffe.layers.length, builder, values, factors, uses };
  let end: CaffeValue | null = null;
  for (const [index, layer] of caffe.layers.entries()) end = runLayer(layer, index, state) ?? end;
  if (!end) throw new WeightsError(`caffe: the net of ${file} has no layers (input ${name}). Name a caffemodel.`);
  const [channels, height, width] = shape;
  return {
    inputShape: [channels ?? 0, height, width],
    ...builder.finish(builder.logits(end.value)),
    softmax: end.softmax,
    channelOrder: channels === 3 ? "BGR" : null,
    classes: null,
  };
}

/** Name and shape of the input: of the net, of its Input layer, or of the layer that fed it in training. */
function inputOf({ layers, inputs, inputDims }: CaffeNet, file: string): { name: string; shape: FileShape } {
  const feeding = layers.find(({ type, tops }) => DATA_TYPES.has(type) && tops.length > 0);
  const name = inputs[0] ?? feeding?.tops[0] ?? "data";
  const [, ...dims] = inputDims.length > 0 ? inputDims.slice(0, 4) : (feeding?.inputShape ?? []);
  const first = layers.find(({ type, bottoms }) => type === "Convolution" && bottoms[0] === name);
  const groups = first?.params.get("convolution")?.get(5)?.[0] ?? 1;
  const channels = dims[0] ?? (first?.blobs[0]?.shape[1] ?? 0) * groups;
  const cropped = feeding?.params.get("transform")?.get(3)?.[0] ?? feeding?.params.get("data")?.get(5)?.[0] ?? 0;
  const [height, width] = [dims[1] ?? cropped, dims[2] ?? cropped].map((side) => (isCount(side) ? side : null));
  if (isCount(channels)) return { name, shape: [channels, height, width] };
  throw new WeightsError(
    `caffe: ${file} takes no pictures (input ${JSON.stringify(name)} [${inputDims}]). Nets that begin with a convolution can be read.`,
  );
}
