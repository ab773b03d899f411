/**
 * Writes nets as ONNX files, piece by piece: the graph, then each tensor's values as they are read from the engine. Operator set 13, float32. What
 * the layers become: onnx-nodes.ts. Files on disk: onnx-file.ts.
 */

import { joinBytes } from "../../core/bytes.js";
import { UsageError, WeightsError } from "../../core/errors.js";
import type { StateTensor } from "../../core/tensor.js";
import { bytesFromChunk } from "../../io/safetensors-format.js";
import type { NetLayer } from "../../models/net-config.js";
import { INPUT } from "../../models/net-config.js";
import { PbfWriter } from "../../vendor/protobuf.js";
import { type AttributeValue, type NodeToWrite, onnxNodes } from "./onnx-nodes.js";

/** A net's tensors, by name. */
export interface OnnxState {
  stateDict(): ReadonlyMap<string, Pick<StateTensor, "shape" | "read">>;
}

/** How a net is written. */
export interface OnnxWriteOptions {
  /** Whether the file's net ends in a soft-max: its output is `probabilities` instead of `logits`. Default false. */
  readonly softmax?: boolean;
}

const IR_VERSION = 7;
const OPSET = 13;
/** TensorProto.DataType. */
const FLOAT = 1;
/** AttributeProto.AttributeType. */
const TYPES = { float: 1, int: 2, text: 3, floats: 6, ints: 7 };

/** The longest message that protobuf's readers take. */
const MAX_BYTES = 2 ** 31 - 1;

/** Elements read at once: 4 MiB. */
const CHUNK_ELEMENTS = 1 << 20;

/**
 * The bytes of an ONNX file, in pieces of at most 4 MiB. The input is `input`, [batch, channels, height, width] with an open batch; the output
 * `logits` or `probabilities`; weights have the names of the state dictionary.
 * @param layers of the net, built for the input size that the file will have.
 * @param metadata texts that the file carries along (metadata_props).
 * @throws UsageError for a layer that ONNX cannot say, or a net above 2 GiB; WeightsError where the net's tensors are not of its layers.
 */
export async function* encodeOnnx(
  layers: readonly NetLayer[],
  model: OnnxState,
  metadata: Readonly<Record<string, string>> = {},
  { softmax = false }: OnnxWriteOptions = {},
): AsyncGenerator<Uint8Array> {
  const output = softmax ? "probabilities" : "logits";
  const nodes = onnxNodes(layers, output, softmax);
  const state = model.stateDict();
  for (const name of nodes.flatMap(({ inputs }) => inputs)) {
    const known = name === "" || name === INPUT || state.has(name) || nodes.some((node) => node.output === name);
    if (known) continue;
    throw new WeightsError(`onnx: the net lacks a tensor of its layers (missing ${name}). Pass the net's own layers.`);
  }
  const inShape = layers[0]?.inShape ?? [];
  const outShape = layers.findLast(({ auxiliary = false }) => !auxiliary)?.outShape ?? inShape;
  const begin = message((pbf) => {
    for (const node of nodes) pbf.writeMessage(1, writeNode, node);
    pbf.writeStringField(2, "verydeep");
  });
  const end = message((pbf) => {
    pbf.writeMessage(11, writeValueInfo, { name: INPUT, sides: inShape });
    pbf.writeMessage(12, writeValueInfo, { name: output, sides: outShape });
  });
  const tensors = [...state].map(([name, tensor]) => {
    const sizeBytes = 4 * tensor.shape.reduce((product, side) => product * side, 1);
    return { name, tensor, sizeBytes, head: tensorHead(name, tensor.shape, sizeBytes) };
  });
  const tensorBytes = tensors.reduce((sum, { head, sizeBytes }) => sum + head.length + sizeBytes, 0);
  const graphBytes = begin.length + tensorBytes + end.length;
  const head = modelHead(metadata, graphBytes);
  if (head.length + graphBytes > MAX_BYTES) {
    throw new UsageError(
      `onnx: the net does not fit into an ONNX file (bytes ${head.length + graphBytes}, at most ${MAX_BYTES}). Save it as safetensors, or make it smaller by a width below 1.`,
    );
  }
  yield head;
  yield begin;
  for (const part of tensors) {
    yield part.head;
    const elements = part.sizeBytes / 4;
    for (let from = 0; from < elements; from += CHUNK_ELEMENTS) {
      const values = await part.tensor.read(from, Math.min(elements, from + CHUNK_ELEMENTS));
      yield bytesFromChunk(values, { name: part.name, shape: part.tensor.shape });
    }
  }
  yield end;
}

function message(write: (pbf: PbfWriter) => void): Uint8Array {
  const pbf = new PbfWriter();
  write(pbf);
  return pbf.finish();
}

/** ModelProto but for the graph, whose tag and length come last. */
function modelHead(metadata: Readonly<Record<string, string>>, graphBytes: number): Uint8Array {
  return message((pbf) => {
    pbf.writeVarintField(1, IR_VERSION);
    pbf.writeStringField(2, "verydeep");
    pbf.writeMessage(8, (version, opset) => opset.writeVarintField(2, version), OPSET);
    for (const entry of Object.entries(metadata)) pbf.writeMessage(14, writeEntry, entry);
    pbf.writeTag(7, 2);
    pbf.writeVarint(graphBytes);
  });
}

function writeEntry([key, value]: readonly [string, string], pbf: PbfWriter): void {
  pbf.writeStringField(1, key);
  pbf.writeStringField(2, value);
}

/** The graph's field of an initializer, up to its values. */
function tensorHead(name: string, shape: readonly number[], sizeBytes: number): Uint8Array {
  const fields = message((pbf) => {
    pbf.writePackedVarint(1, [...shape]);
    pbf.writeVarintField(2, FLOAT);
    pbf.writeStringField(8, name);
    pbf.writeTag(9, 2);
    pbf.writeVarint(sizeBytes);
  });
  const tag = message((pbf) => {
    pbf.writeTag(5, 2);
    pbf.writeVarint(fields.length + sizeBytes);
  });
  return joinBytes([tag, fields]);
}

function writeNode({ op, name, inputs, output, attributes }: NodeToWrite, pbf: PbfWriter): void {
  for (const input of inputs) pbf.writeStringField(1, input);
  pbf.writeStringField(2, output);
  pbf.writeStringField(3, name);
  pbf.writeStringField(4, op);
  for (const entry of Object.entries(attributes)) pbf.writeMessage(5, writeAttribute, entry);
}

function writeAttribute([name, value]: readonly [string, AttributeValue], pbf: PbfWriter): void {
  pbf.writeStringField(1, name);
  if ("float" in value) {
    pbf.writeFloatField(2, value.float);
    pbf.writeVarintField(20, TYPES.float);
  } else if ("int" in value) {
    pbf.writeVarintField(3, value.int);
    pbf.writeVarintField(20, TYPES.int);
  } else if ("text" in value) {
    pbf.writeStringField(4, value.text);
    pbf.writeVarintField(20, TYPES.text);
  } else if ("floats" in value) {
    for (const one of value.floats) pbf.writeFloatField(7, one);
    pbf.writeVarintField(20, TYPES.floats);
  } else {
    for (const one of value.ints) pbf.writeVarintField(8, one);
    pbf.writeVarintField(20, TYPES.ints);
  }
}

/** A tensor of float32, [batch, ...sides]. */
function writeValueInfo({ name, sides }: { name: string; sides: readonly number[] }, pbf: PbfWriter): void {
  pbf.writeStringField(1, name);
  pbf.writeMessage(2, (_, type) => type.writeMessage(1, writeTensorType, sides), null);
}

function writeTensorType(sides: readonly number[], pbf: PbfWriter): void {
  pbf.writeVarintField(1, FLOAT);
  pbf.writeMessage(
    2,
    (all, shape) => {
      shape.writeMessage(1, (batch, dim) => dim.writeStringField(2, batch), "batch");
      for (const side of all) shape.writeMessage(1, (size, dim) => dim.writeVarintField(1, size), side);
    },
    sides,
  );
}
