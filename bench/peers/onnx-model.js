// Writes a job's net as an ONNX file. ONNX is a protobuf message; the few fields needed are written by hand, numbered as in
// onnx.proto. The weights (553 MB for VGG-16) go to disk layer by layer and are never all in memory.

import { closeSync, openSync, writeSync } from "node:fs";
import { biasOf, weightOf } from "./net.js";

const FLOAT = 1; // TensorProto.DataType
const ATTRIBUTE_INT = 2; // AttributeProto.AttributeType
const ATTRIBUTE_INTS = 7;
const IR_VERSION = 8;
const OPSET = 13;

function varint(value) {
  const bytes = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** Wire type 0. */
const int = (field, value) => Buffer.concat([varint(field * 8), varint(value)]);
/** Wire type 2, header only: `sizeBytes` of payload follow. */
const head = (field, sizeBytes) => Buffer.concat([varint(field * 8 + 2), varint(sizeBytes)]);
const bytes = (field, payload) => Buffer.concat([head(field, payload.length), payload]);
const string = (field, text) => bytes(field, Buffer.from(text));
const message = (field, ...parts) => bytes(field, Buffer.concat(parts));

/** GraphProto.node: name 3, op_type 4, input 1, output 2, attribute 5 {name 1, i 3, ints 8, type 20}. */
function node(type, inputs, output, attributes = {}) {
  return message(
    1,
    ...inputs.map((name) => string(1, name)),
    string(2, output),
    string(3, output),
    string(4, type),
    ...Object.entries(attributes).map(([name, value]) =>
      Array.isArray(value)
        ? message(5, string(1, name), ...value.map((v) => int(8, v)), int(20, ATTRIBUTE_INTS))
        : message(5, string(1, name), int(3, value), int(20, ATTRIBUTE_INT)),
    ),
  );
}

/** GraphProto.initializer: dims 1, data_type 2, name 8, raw_data 9; the header and, on demand, the data. */
function initializer(name, dims, values) {
  const sizeBytes = 4 * dims.reduce((a, b) => a * b);
  const fields = Buffer.concat([...dims.map((d) => int(1, d)), int(2, FLOAT), string(8, name), head(9, sizeBytes)]);
  return { head: Buffer.concat([head(5, fields.length + sizeBytes), fields]), sizeBytes, values };
}

/** GraphProto.input 11 and output 12: name 1, type 2 {tensor_type 1 {elem_type 1, shape 2 {dim 1 {dim_value 1}}}}. */
function valueInfo(field, name, dims) {
  const shape = message(2, ...dims.map((d) => message(1, int(1, d))));
  return message(field, string(1, name), message(2, message(1, int(1, FLOAT), shape)));
}

/** The graph's nodes, its initializers, and the name of the last node's output. */
function graphParts(layers) {
  const nodes = [];
  const initializers = [];
  let h = "x";
  const add = (type, inputs, output, attributes) => {
    nodes.push(node(type, inputs, output, attributes));
    h = output;
  };
  for (const [index, layer] of layers.entries()) {
    const { kind, name, inputs, outputs, relu } = layer;
    if (kind === "pool") add("MaxPool", [h], `pool${index}`, { kernel_shape: [2, 2], strides: [2, 2] });
    else if (kind === "flatten") add("Flatten", [h], "flat", { axis: 1 });
    else {
      const dims = kind === "conv" ? [outputs, inputs, 3, 3] : [outputs, inputs];
      initializers.push(initializer(`${name}.weight`, dims, () => weightOf(layer)));
      initializers.push(initializer(`${name}.bias`, [outputs], () => biasOf(layer)));
      const inputNames = [h, `${name}.weight`, `${name}.bias`];
      if (kind === "conv") add("Conv", inputNames, name, { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
      else add("Gemm", inputNames, name, { transB: 1 });
      if (relu) add("Relu", [name], `${name}.relu`);
    }
  }
  return { nodes, initializers, last: h };
}

/** The output's shape: [batch, classes], or a convolution's [batch, channels, height, width]. */
function outputShape({ batch, classes, inputShape, layers }) {
  return classes === null ? [batch, layers[layers.length - 1].outputs, ...inputShape.slice(2)] : [batch, classes];
}

/** Writes the job's net to `path`: input `x`, output `y`. */
export function writeOnnx(path, job) {
  const { nodes, initializers, last } = graphParts(job.layers);
  nodes.push(node("Identity", [last], "y"));
  const tail = [valueInfo(11, "x", job.inputShape), valueInfo(12, "y", outputShape(job))];
  const start = Buffer.concat([...nodes, string(2, job.name)]);
  const graphBytes =
    start.length +
    initializers.reduce((sum, part) => sum + part.head.length + part.sizeBytes, 0) +
    tail.reduce((sum, part) => sum + part.length, 0);
  // ModelProto: ir_version 1, producer_name 2, opset_import 8 {domain 1, version 2}, graph 7.
  const model = Buffer.concat([
    int(1, IR_VERSION),
    string(2, "verydeep bench"),
    message(8, string(1, ""), int(2, OPSET)),
    head(7, graphBytes),
  ]);

  const file = openSync(path, "w");
  const write = (view) => {
    let done = 0;
    while (done < view.length) done += writeSync(file, view, done); // one call may write less than it was given
  };
  write(model);
  write(start);
  for (const { head: fields, values } of initializers) {
    write(fields);
    const { buffer } = values(); // little-endian, as raw_data wants, on every machine Node runs on
    write(new Uint8Array(buffer));
  }
  for (const part of tail) write(part);
  closeSync(file);
}
