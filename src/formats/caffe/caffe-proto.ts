/**
 * Caffe's messages (caffe.proto) as plain objects, of both generations: `layers` with numbered types, until 2014, and `layer` with named ones.
 * Weights stay in the file. What the layers mean is caffe-layers.ts's. Next layer down: protobuf.ts.
 */
import { WeightsError } from "../../core/errors.js";
import type { ByteReader } from "../../io/byte-reader.js";
import type { PbfReader } from "../../vendor/protobuf.js";
import { type FieldReader, type Place, ProtobufFile } from "../protobuf.js";
import { checkRuns, type RunTensor, runsOf } from "../stored-runs.js";

/** The numbers of a message, by field. */
export type Numbers = ReadonlyMap<number, readonly number[]>;

/** What a layer's options are about: names of its messages without `_param`. */
export type ParamName = (typeof PARAMS)[number][0];

export interface CaffeLayer {
  name: string;
  /** As `layer` names it, whatever the generation. */
  type: string;
  readonly bottoms: string[];
  readonly tops: string[];
  readonly params: Map<ParamName, Numbers>;
  readonly blobs: RunTensor[];
  /** Phases of its rules: 0 is training, 1 testing. */
  readonly include: number[];
  readonly exclude: number[];
  /** Shape of an Input layer. */
  readonly inputShape: number[];
}

export interface CaffeNet {
  name: string;
  readonly layers: CaffeLayer[];
  /** Names, and sizes one after the other, of a net without Input layer. */
  readonly inputs: string[];
  readonly inputDims: number[];
}

/** Options by their names, and field numbers in V1LayerParameter (0: it has none) and LayerParameter. */
const PARAMS = [
  ["batch_norm", 0, 139],
  ["concat", 9, 104],
  ["convolution", 10, 106],
  ["crop", 0, 144],
  ["data", 11, 107],
  ["dropout", 12, 108],
  ["eltwise", 24, 110],
  ["flatten", 0, 135],
  ["inner_product", 17, 117],
  ["lrn", 18, 118],
  ["pooling", 19, 121],
  ["relu", 30, 123],
  ["scale", 0, 142],
  ["softmax", 39, 125],
  ["transform", 36, 100],
] as const;

const V1_PARAMS: ReadonlyMap<number, ParamName> = new Map(PARAMS.map(([name, field]) => [field, name]));
const NEW_PARAMS: ReadonlyMap<number, ParamName> = new Map(PARAMS.map(([name, , field]) => [field, name]));

/** V1LayerParameter.LayerType, by the names that came later. */
const V1_TYPES: ReadonlyMap<number, string> = new Map([
  [1, "Accuracy"],
  [3, "Concat"],
  [4, "Convolution"],
  [5, "Data"],
  [6, "Dropout"],
  [7, "EuclideanLoss"],
  [8, "Flatten"],
  [9, "HDF5Data"],
  [12, "ImageData"],
  [13, "InfogainLoss"],
  [14, "InnerProduct"],
  [15, "LRN"],
  [16, "MultinomialLogisticLoss"],
  [17, "Pooling"],
  [18, "ReLU"],
  [19, "Sigmoid"],
  [20, "Softmax"],
  [21, "SoftmaxWithLoss"],
  [22, "Split"],
  [23, "TanH"],
  [24, "WindowData"],
  [25, "Eltwise"],
  [27, "SigmoidCrossEntropyLoss"],
  [28, "HingeLoss"],
  [29, "MemoryData"],
  [30, "ArgMax"],
  [32, "DummyData"],
  [36, "Silence"],
  [39, "Deconvolution"],
]);

/** NetParameter's fields of layers. */
const V1_LAYERS = 2;
const LAYERS = 100;
/** BlobProto: data, diff, double_data, double_diff. */
const DATA = 5;
const DOUBLE_DATA = 8;
const BLOB_DATA = [DATA, 6, DOUBLE_DATA, 9];

/** Reads a caffemodel. @throws DamagedFileError with the offset. */
export async function readCaffeNet(reader: ByteReader): Promise<CaffeNet> {
  const file = new ProtobufFile(reader);
  const net: CaffeNet = { name: "", layers: [], inputs: [], inputDims: [] };
  const { parts } = await file.cut({ offset: 0, sizeBytes: reader.sizeBytes }, [V1_LAYERS, LAYERS], netField, net);
  for (const part of parts) net.layers.push(await readLayer(file, part, part.field === V1_LAYERS));
  return net;
}

async function readLayer(file: ProtobufFile, place: Place, old: boolean): Promise<CaffeLayer> {
  const layer: CaffeLayer = {
    name: "",
    type: "",
    bottoms: [],
    tops: [],
    params: new Map(),
    blobs: [],
    include: [],
    exclude: [],
    inputShape: [],
  };
  const { parts } = await file.cut(place, old ? [6, 1] : [7], old ? v1Field : layerField, layer);
  for (const part of parts) {
    if (old && part.field === 1) {
      throw new WeightsError(
        `caffe: ${file.reader.name} is of Caffe's first form, of 2013 (byte ${part.offset}). Convert it by Caffe's upgrade_net_proto_binary.`,
      );
    }
    layer.blobs.push(await readBlob(file, part, `${layer.name}, blob ${layer.blobs.length}`));
  }
  return layer;
}

interface BlobHead {
  shape: number[] | null;
  readonly sides: number[];
}

async function readBlob(file: ProtobufFile, place: Place, name: string): Promise<RunTensor> {
  const head: BlobHead = { shape: null, sides: [0, 0, 0, 0] };
  const { parts } = await file.cut(place, BLOB_DATA, blobField, head);
  const shape = head.shape ?? head.sides;
  if (shape.length > 8 || !shape.every((side) => Number.isSafeInteger(side) && side >= 0)) {
    throw file.damaged(place.offset, `a blob of shape [${shape}]`);
  }
  const double = parts.some(({ field }) => field === DOUBLE_DATA);
  const data = parts.filter(({ field }) => field === (double ? DOUBLE_DATA : DATA));
  const runs = runsOf(file.reader, data, double ? 8 : 4);
  const blob: RunTensor = { dtype: double ? "F64" : "F32", shape, runs };
  checkRuns(file.reader.name, name, blob);
  return blob;
}

const netField: FieldReader<CaffeNet> = (field, net, pbf) => {
  if (field === 1) net.name = pbf.readString();
  else if (field === 3) net.inputs.push(pbf.readString());
  else if (field === 4) pbf.readPackedVarint(net.inputDims, true);
  else if (field === 8) pbf.readMessage(shapeField, net.inputDims);
};

const v1Field: FieldReader<CaffeLayer> = (field, layer, pbf) => {
  if (field === 2) layer.bottoms.push(pbf.readString());
  else if (field === 3) layer.tops.push(pbf.readString());
  else if (field === 4) layer.name = pbf.readString();
  else if (field === 5) {
    const type = pbf.readVarint();
    layer.type = V1_TYPES.get(type) ?? `type ${type}`;
  } else if (field === 32) layer.include.push(readPhase(pbf));
  else if (field === 33) layer.exclude.push(readPhase(pbf));
  else readParam(V1_PARAMS.get(field), layer, pbf);
};

const layerField: FieldReader<CaffeLayer> = (field, layer, pbf) => {
  if (field === 1) layer.name = pbf.readString();
  else if (field === 2) layer.type = pbf.readString();
  else if (field === 3) layer.bottoms.push(pbf.readString());
  else if (field === 4) layer.tops.push(pbf.readString());
  else if (field === 8) layer.include.push(readPhase(pbf));
  else if (field === 9) layer.exclude.push(readPhase(pbf));
  else if (field === 143) pbf.readMessage(inputField, layer.inputShape);
  else readParam(NEW_PARAMS.get(field), layer, pbf);
};

function readParam(name: ParamName | undefined, layer: CaffeLayer, pbf: PbfReader): void {
  if (name) layer.params.set(name, pbf.readMessage(numberField, new Map<number, number[]>()));
}

/** Options are numbers: whole ones as varints, others as float32. Messages, which are fillers, and texts are skipped. */
const numberField: FieldReader<Map<number, number[]>> = (field, numbers, pbf) => {
  if (pbf.type !== 0 && pbf.type !== 5) return;
  const value = pbf.type === 0 ? pbf.readVarint(true) : pbf.readFloat();
  const all = numbers.get(field);
  if (all) all.push(value);
  else numbers.set(field, [value]);
};

/** NetStateRule: -1 where it is about something else than the phase. */
function readPhase(pbf: PbfReader): number {
  return pbf.readMessage(numberField, new Map<number, number[]>()).get(1)?.[0] ?? -1;
}

const inputField: FieldReader<number[]> = (field, dims, pbf) => {
  if (field === 1) pbf.readMessage(shapeField, dims);
};

const shapeField: FieldReader<number[]> = (field, dims, pbf) => {
  if (field === 1) pbf.readPackedVarint(dims, true);
};

const blobField: FieldReader<BlobHead> = (field, head, pbf) => {
  if (field >= 1 && field <= 4) head.sides[field - 1] = pbf.readVarint(true);
  else if (field === 7) head.shape = pbf.readMessage(shapeField, []);
};
