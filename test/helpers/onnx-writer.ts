/** Writes small ONNX files of any graph, also of wrong ones, for tests of the reader. Field numbers are those of onnx.proto. */
import { PbfWriter } from "#src/vendor/protobuf.js";

/** An attribute: whole numbers, a text, or a float as [x]. */
export type Attribute = number | string | readonly number[] | { readonly float: number } | { readonly tensor: Tensor };

export interface Node {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly name?: string;
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

export interface Tensor {
  readonly dims: readonly number[];
  /** float32, or whole numbers for int64; absent: none. */
  readonly floats?: Float32Array;
  readonly ints?: readonly number[];
  /** external_data. */
  readonly external?: Readonly<Record<string, string>>;
  /** How floats are stored; default raw. */
  readonly as?: "raw" | "packed" | "single";
}

export interface Graph {
  readonly nodes: readonly Node[];
  readonly tensors?: Readonly<Record<string, Tensor>> | readonly (readonly [string, Tensor])[];
  /** Default [1, 3, 8, 8]; a text is an open size. */
  readonly input?: readonly (number | string)[];
  /** Default the last node's. */
  readonly output?: string;
  readonly opset?: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The bytes of a file whose input is `x`. */
export function onnxFile(graph: Graph): Uint8Array {
  const pbf = new PbfWriter();
  pbf.writeVarintField(1, 8);
  pbf.writeMessage(8, (version, opset) => opset.writeVarintField(2, version), graph.opset ?? 13);
  pbf.writeMessage(7, writeGraph, graph);
  for (const entry of Object.entries(graph.metadata ?? {})) {
    pbf.writeMessage(14, writeEntry, entry);
  }
  return pbf.finish().slice();
}

function writeEntry([key, value]: readonly [string, string], pbf: PbfWriter): void {
  pbf.writeStringField(1, key);
  pbf.writeStringField(2, value);
}

function writeGraph({ nodes, tensors = {}, input = [1, 3, 8, 8], output }: Graph, pbf: PbfWriter): void {
  for (const node of nodes) pbf.writeMessage(1, writeNode, node);
  const list = Array.isArray(tensors) ? tensors : Object.entries(tensors);
  for (const [name, tensor] of list) pbf.writeMessage(5, writeTensor, { ...tensor, name });
  pbf.writeMessage(11, writeValue, { name: "x", dims: input });
  pbf.writeMessage(12, writeValue, { name: output ?? nodes.at(-1)?.output ?? "x", dims: [] });
}

function writeNode({ op, inputs, output, name = "", domain = "", attributes = {} }: Node, pbf: PbfWriter): void {
  for (const input of inputs) pbf.writeStringField(1, input);
  pbf.writeStringField(2, output);
  pbf.writeStringField(3, name);
  pbf.writeStringField(4, op);
  pbf.writeStringField(7, domain);
  for (const entry of Object.entries(attributes)) pbf.writeMessage(5, writeAttribute, entry);
}

function writeAttribute([name, value]: readonly [string, Attribute], pbf: PbfWriter): void {
  pbf.writeStringField(1, name);
  if (typeof value === "number") pbf.writeVarintField(3, value);
  else if (typeof value === "string") pbf.writeStringField(4, value);
  else if ("float" in value) pbf.writeFloatField(2, value.float);
  else if ("tensor" in value) pbf.writeMessage(5, writeTensor, { ...value.tensor, name: "" });
  else for (const one of value) pbf.writeVarintField(8, one);
}

function writeTensor(tensor: Tensor & { readonly name: string }, pbf: PbfWriter): void {
  const { dims, floats, ints, external, name, as = "raw" } = tensor;
  for (const side of dims) pbf.writeVarintField(1, side);
  pbf.writeVarintField(2, ints ? 7 : 1);
  if (floats && as === "raw") pbf.writeBytesField(9, new Uint8Array(floats.slice().buffer));
  if (floats && as === "packed") pbf.writePackedFloat(4, [...floats]);
  if (floats && as === "single") for (const value of floats) pbf.writeFloatField(4, value);
  if (ints) pbf.writePackedVarint(7, [...ints]);
  for (const entry of Object.entries(external ?? {})) pbf.writeMessage(13, writeEntry, entry);
  if (external) pbf.writeVarintField(14, 1);
  pbf.writeStringField(8, name);
}

function writeValue({ name, dims }: { name: string; dims: readonly (number | string)[] }, pbf: PbfWriter): void {
  pbf.writeStringField(1, name);
  pbf.writeMessage(2, (_, type) => type.writeMessage(1, writeType, dims), null);
}

function writeType(dims: readonly (number | string)[], pbf: PbfWriter): void {
  pbf.writeVarintField(1, 1);
  pbf.writeMessage(
    2,
    (sides, shape) => {
      for (const side of sides) {
        shape.writeMessage(
          1,
          (size, dim) => (typeof size === "number" ? dim.writeVarintField(1, size) : dim.writeStringField(2, size)),
          side,
        );
      }
    },
    dims,
  );
}
