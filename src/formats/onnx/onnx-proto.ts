/**
 * ONNX's messages (onnx.proto) as plain objects; weights stay in the file, and only where they lie is read. Small tensors, which are shapes
 * and options of nodes, are read at once. What the nodes mean is onnx-graph.ts's. Next layer down: protobuf.ts.
 */
import { WeightsError } from "../../core/errors.js";
import type { ByteReader } from "../../io/byte-reader.js";
import { floatsFromStored, storedSize } from "../../io/stored-floats.js";
import type { StoredDtype } from "../../io/weights-file.js";
import type { PbfReader } from "../../vendor/protobuf.js";
import { type FieldReader, type Part, type Place, ProtobufFile } from "../protobuf.js";
import { checkRuns, type Run, type RunTensor, runsOf } from "../stored-runs.js";

/** A tensor of the graph, or of an attribute. */
export interface OnnxTensor {
  readonly name: string;
  readonly dims: readonly number[];
  /** null: of a type that weights are not made of. */
  readonly stored: RunTensor | null;
  /** What is in it, where that is little; null for weights. */
  readonly values: readonly number[] | null;
}

/** An attribute of a node: whichever of these it has. */
export interface OnnxAttribute {
  name: string;
  i: number;
  f: number;
  s: string;
  ints: number[];
  floats: number[];
  t: OnnxTensor | null;
}

/** A node of the graph. */
export interface OnnxNode {
  name: string;
  op: string;
  domain: string;
  inputs: string[];
  outputs: string[];
  readonly attributes: Map<string, OnnxAttribute>;
}

/** An input or output of the graph. A size that is a name, or not given, is null. */
export interface OnnxValueInfo {
  name: string;
  type: number;
  dims: (number | null)[];
}

/** A whole file. */
export interface OnnxModel {
  irVersion: number;
  producer: string;
  producerVersion: string;
  /** Of ONNX's own operators; 0 where the file does not say. */
  opset: number;
  readonly metadata: Map<string, string>;
  readonly nodes: OnnxNode[];
  readonly initializers: Map<string, OnnxTensor>;
  readonly inputs: OnnxValueInfo[];
  readonly outputs: string[];
}

/** TensorProto.DataType. */
const DTYPES: Readonly<Record<number, StoredDtype>> = {
  1: "F32",
  2: "U8",
  3: "I8",
  4: "U16",
  5: "I16",
  6: "I32",
  7: "I64",
  9: "BOOL",
  10: "F16",
  11: "F64",
  12: "U32",
  13: "U64",
  16: "BF16",
};

/** TensorProto's fields of data, and the type whose elements they hold as they are: the others are varints. */
const RAW_DATA = 9;
const PLAIN_DATA: Readonly<Record<number, StoredDtype>> = { 4: "F32", 10: "F64" };
const VARINT_DATA = [5, 7, 11];
const DATA_FIELDS = [RAW_DATA, 4, 10, ...VARINT_DATA];

/** Of what is read at once: options of nodes are shorter. */
const SMALL_ELEMENTS = 64;
const MAX_DIMS = 8;

/** Reads an ONNX file. @throws DamagedFileError with the offset; WeightsError for data that it says are elsewhere, and are not. */
export async function readOnnxModel(
  reader: ByteReader,
  sibling: (location: string) => Promise<ByteReader>,
): Promise<OnnxModel> {
  return new OnnxReader(new ProtobufFile(reader), sibling).model({ offset: 0, sizeBytes: reader.sizeBytes });
}

/** What TensorProto says beside its data. */
interface TensorHead {
  name: string;
  dims: number[];
  type: number;
  external: boolean;
  readonly externalData: Map<string, string>;
}

class OnnxReader {
  constructor(
    private readonly file: ProtobufFile,
    private readonly sibling: (location: string) => Promise<ByteReader>,
  ) {}

  async model(place: Place): Promise<OnnxModel> {
    const model: OnnxModel = {
      irVersion: 0,
      producer: "",
      producerVersion: "",
      opset: 0,
      metadata: new Map(),
      nodes: [],
      initializers: new Map(),
      inputs: [],
      outputs: [],
    };
    const { parts } = await this.file.cut(place, [7], modelField, model);
    for (const part of parts) await this.graph(part, model);
    return model;
  }

  private async graph(place: Place, model: OnnxModel): Promise<void> {
    const { parts } = await this.file.cut(place, [1, 5, 15], graphField, model);
    for (const part of parts) {
      if (part.field === 1) model.nodes.push(await this.node(part));
      else if (part.field === 5) {
        const tensor = await this.tensor(part);
        if (model.initializers.has(tensor.name)) {
          throw this.file.damaged(part.offset, `two tensors named ${JSON.stringify(tensor.name)}`);
        }
        model.initializers.set(tensor.name, tensor);
      } else {
        throw new WeightsError(
          `onnx: ${this.file.reader.name} has sparse weights, which verydeep cannot read (byte ${part.offset}). Save them dense.`,
        );
      }
    }
  }

  private async node(place: Place): Promise<OnnxNode> {
    const node: OnnxNode = { name: "", op: "", domain: "", inputs: [], outputs: [], attributes: new Map() };
    const { parts } = await this.file.cut(place, [5], nodeField, node);
    for (const part of parts) {
      const attribute: OnnxAttribute = { name: "", i: 0, f: 0, s: "", ints: [], floats: [], t: null };
      const { parts: tensors } = await this.file.cut(part, [5], attributeField, attribute);
      for (const tensor of tensors) attribute.t = await this.tensor(tensor);
      node.attributes.set(attribute.name, attribute);
    }
    return node;
  }

  private async tensor(place: Place): Promise<OnnxTensor> {
    const head: TensorHead = { name: "", dims: [], type: 0, external: false, externalData: new Map() };
    const { parts } = await this.file.cut(place, DATA_FIELDS, tensorField, head);
    const { name, dims } = head;
    if (dims.length > MAX_DIMS || !dims.every((side) => Number.isSafeInteger(side) && side >= 0)) {
      throw this.file.damaged(place.offset, `a tensor of shape [${dims}]`);
    }
    const dtype = DTYPES[head.type];
    if (dtype === undefined) return { name, dims, stored: null, values: null };
    const varints = parts.filter(({ field }) => VARINT_DATA.includes(field));
    if (varints.length > 0) return { name, dims, stored: null, values: await this.varints(varints) };
    const runs = head.external ? [await this.externalRun(head, dtype)] : this.runs(parts, dtype);
    const stored = { dtype, shape: dims, runs: runs.filter(({ count }) => count > 0) };
    checkRuns(this.file.reader.name, name, stored);
    return { name, dims, stored, values: await this.small(stored) };
  }

  private runs(parts: readonly Part[], dtype: StoredDtype): Run[] {
    const other = parts.find(({ field }) => field !== RAW_DATA && PLAIN_DATA[field] !== dtype);
    if (other) throw this.file.damaged(other.offset, `data of another type than ${dtype}`);
    return runsOf(this.file.reader, parts, storedSize(dtype));
  }

  private async externalRun({ name, dims, externalData }: TensorHead, dtype: StoredDtype): Promise<Run> {
    const { name: file } = this.file.reader;
    const location = externalData.get("location") ?? "";
    const size = storedSize(dtype);
    const sizeBytes = dims.reduce((product, side) => product * side, size);
    const offset = Number(externalData.get("offset") ?? 0);
    const length = Number(externalData.get("length") ?? sizeBytes);
    if (/^$|^[\\/]|^[a-z][a-z\d+.-]*:|(^|[\\/])\.\.([\\/]|$)|\0/i.test(location)) {
      throw new WeightsError(
        `onnx: ${file} names a file that is not in its folder (data of ${name}, location ${JSON.stringify(location)}). Save the net with its data beside it.`,
      );
    }
    const reader = await this.sibling(location);
    if (length !== sizeBytes || !Number.isSafeInteger(offset) || offset < 0 || offset + length > reader.sizeBytes) {
      throw this.file.damaged(
        reader.sizeBytes,
        `${name} [${dims}] is said to be ${length} bytes from ${offset} of ${location}, which has ${reader.sizeBytes}`,
      );
    }
    return { reader, offset, count: sizeBytes / size, strideBytes: size };
  }

  /** Shapes and options of nodes. */
  private async small({ dtype, runs }: RunTensor): Promise<number[] | null> {
    const count = runs.reduce((sum, run) => sum + run.count, 0);
    if (count > SMALL_ELEMENTS) return null;
    const values: number[] = [];
    for (const { reader, offset, count: elements, strideBytes } of runs) {
      for (let i = 0; i < elements; i++) {
        const at = offset + i * strideBytes;
        const size = storedSize(dtype);
        const bytes = reader === this.file.reader ? await this.file.bytes(at, size) : await reader.read(at, size);
        values.push(numberOf(dtype, bytes));
      }
    }
    return values;
  }

  private async varints(parts: readonly Part[]): Promise<number[] | null> {
    const values: number[] = [];
    for (const part of parts) {
      if (part.sizeBytes > 10 * SMALL_ELEMENTS) return null;
      const place = { offset: part.offset - part.headBytes, sizeBytes: part.headBytes + part.sizeBytes };
      await this.file.decode(place, (_, all, pbf) => pbf.readPackedVarint(all, true), values);
      if (values.length > SMALL_ELEMENTS) return null;
    }
    return values;
  }
}

function numberOf(dtype: StoredDtype, bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (dtype === "F32") return view.getFloat32(0, true);
  if (dtype === "F64") return view.getFloat64(0, true);
  if (dtype === "I64") return Number(view.getBigInt64(0, true));
  if (dtype === "U64") return Number(view.getBigUint64(0, true));
  const value = new Float32Array(1);
  floatsFromStored(dtype, bytes, value);
  return value[0];
}

const modelField: FieldReader<OnnxModel> = (field, model, pbf) => {
  if (field === 1) model.irVersion = pbf.readVarint();
  else if (field === 2) model.producer = pbf.readString();
  else if (field === 3) model.producerVersion = pbf.readString();
  else if (field === 8) {
    const { domain, version } = pbf.readMessage(opsetField, { domain: "", version: 0 });
    if (domain === "" || domain === "ai.onnx") model.opset = version;
  } else if (field === 14) {
    const { key, value } = readEntry(pbf);
    model.metadata.set(key, value);
  }
};

const opsetField: FieldReader<{ domain: string; version: number }> = (field, opset, pbf) => {
  if (field === 1) opset.domain = pbf.readString();
  else if (field === 2) opset.version = pbf.readVarint();
};

function readEntry(pbf: PbfReader): { key: string; value: string } {
  return pbf.readMessage(
    (field, entry) => {
      if (field === 1) entry.key = pbf.readString();
      else if (field === 2) entry.value = pbf.readString();
    },
    { key: "", value: "" },
  );
}

const graphField: FieldReader<OnnxModel> = (field, model, pbf) => {
  if (field === 11) model.inputs.push(readValueInfo(pbf));
  else if (field === 12) model.outputs.push(readValueInfo(pbf).name);
};

/** ValueInfoProto: type.tensor_type.shape.dim, each a message of its own. */
function readValueInfo(pbf: PbfReader): OnnxValueInfo {
  return pbf.readMessage(
    (field, info) => {
      if (field === 1) info.name = pbf.readString();
      else if (field === 2) pbf.readMessage(typeField, info);
    },
    { name: "", type: 0, dims: [] },
  );

  function typeField(field: number, info: OnnxValueInfo): void {
    if (field === 1) pbf.readMessage(tensorTypeField, info);
  }

  function tensorTypeField(field: number, info: OnnxValueInfo): void {
    if (field === 1) info.type = pbf.readVarint();
    else if (field === 2) pbf.readMessage(shapeField, info);
  }

  function shapeField(field: number, info: OnnxValueInfo): void {
    if (field === 1) info.dims.push(pbf.readMessage(dimField, { size: null }).size);
  }

  function dimField(field: number, dim: { size: number | null }): void {
    if (field === 1) dim.size = pbf.readVarint(true);
  }
}

const nodeField: FieldReader<OnnxNode> = (field, node, pbf) => {
  if (field === 1) node.inputs.push(pbf.readString());
  else if (field === 2) node.outputs.push(pbf.readString());
  else if (field === 3) node.name = pbf.readString();
  else if (field === 4) node.op = pbf.readString();
  else if (field === 7) node.domain = pbf.readString();
};

const attributeField: FieldReader<OnnxAttribute> = (field, attribute, pbf) => {
  if (field === 1) attribute.name = pbf.readString();
  else if (field === 2) attribute.f = pbf.readFloat();
  else if (field === 3) attribute.i = pbf.readVarint(true);
  else if (field === 4) attribute.s = pbf.readString();
  else if (field === 7) pbf.readPackedFloat(attribute.floats);
  else if (field === 8) pbf.readPackedVarint(attribute.ints, true);
};

const tensorField: FieldReader<TensorHead> = (field, head, pbf) => {
  if (field === 1) pbf.readPackedVarint(head.dims, true);
  else if (field === 2) head.type = pbf.readVarint();
  else if (field === 8) head.name = pbf.readString();
  else if (field === 13) {
    const { key, value } = readEntry(pbf);
    head.externalData.set(key, value);
  } else if (field === 14) head.external = pbf.readVarint() === 1;
};
