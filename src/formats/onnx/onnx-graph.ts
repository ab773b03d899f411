/** The graph of an ONNX file as a net's rows: finds the input, runs the nodes' handlers in order, and keeps what the output needs. */
import { WeightsError } from "../../core/errors.js";
import type { FileNet } from "../../io/weights-file.js";
import { isCount } from "../../models/net-config.js";
import { type FileShape, NetBuilder } from "../net-builder.js";
import { type GraphState, type GraphValue, NodeContext, type Signal, signalOf } from "./onnx-node.js";
import { HANDLERS } from "./onnx-ops.js";
import type { OnnxModel, OnnxNode, OnnxTensor, OnnxValueInfo } from "./onnx-proto.js";
import { constant, weightsOf } from "./onnx-sizes.js";

/** TensorProto.DataType of pictures: floats. */
const PICTURE_TYPES = [1, 10, 11, 16];

/** ONNX's own operators. */
const DOMAINS = ["", "ai.onnx"];

/** The deepest nets of pictures have some 1000. */
const MAX_NODES = 10_000;

/** Name of a tensor that a Constant node holds. */
export function constantName(node: OnnxNode): string {
  return node.outputs[0] || node.name;
}

/**
 * The net of a graph.
 * @throws WeightsError that names the node that rows cannot say.
 */
export function netOf(model: OnnxModel, file: string): FileNet {
  if (model.nodes.length > MAX_NODES) {
    throw new WeightsError(
      `onnx: ${file} is no net of pictures (nodes ${model.nodes.length}, at most ${MAX_NODES}). Use another file.`,
    );
  }
  const input = pictureInput(model, file);
  const { shape, order } = inputShape(input, model, file);
  const builder = new NetBuilder(file, shape);
  const values = new Map<string, GraphValue>();
  for (const [name, tensor] of model.initializers) values.set(name, weightsOf(tensor, name));
  values.set(input.name, { ...signalOf(builder.input), order });
  const state: GraphState = {
    file,
    opset: model.opset,
    nodeCount: model.nodes.length,
    builder,
    values,
    uses: usesOf(model),
  };
  for (const [index, node] of model.nodes.entries()) {
    const context = new NodeContext(node, state, index);
    const [output = ""] = node.outputs;
    if (output === "" || values.has(output))
      context.fail(
        `two values of one name, or a node without output (value ${JSON.stringify(output)})`,
        "Save the net again.",
      );
    const result = outputOf(node, context);
    noteShared(node, result, state);
    values.set(output, result);
  }
  const end = endOf(model, state);
  const { rows, tensors } = builder.finish(end.value);
  const [channels, height, width] = shape;
  return {
    inputShape: [channels ?? 0, height, width],
    rows,
    tensors,
    softmax: end.softmax,
    channelOrder: orderOf(model, input.name),
    classes: null,
    ...(model.outputs.length > 1 && {
      notes: [`The net has ${model.outputs.length} outputs: the first is taken (${model.outputs[0]}).`],
    }),
  };
}

function outputOf(node: OnnxNode, context: NodeContext): GraphValue {
  if (DOMAINS.includes(node.domain)) {
    if (node.op === "Constant") return constant(context, constantName(node));
    const handler = HANDLERS.get(node.op);
    if (handler) return handler(context);
  }
  return context.fail(
    "a layer that verydeep has not",
    "Export the net without it, or with operators of ONNX that are layers.",
  );
}

/** A node that changes nothing gives its input a second name: who takes the input then sees the same row. */
function noteShared({ inputs }: OnnxNode, result: GraphValue, { builder, values, uses }: GraphState): void {
  if (result.kind !== "signal") return;
  const again = inputs.some((name) => {
    const input = values.get(name);
    return input?.kind === "signal" && input.value.row === result.value.row && (uses.get(name) ?? 0) > 1;
  });
  if (again) builder.share(result.value);
}

/** Of the main output. */
function endOf(model: OnnxModel, { file, builder, values }: GraphState): Signal {
  const [name] = model.outputs;
  const end = name === undefined ? undefined : values.get(name);
  if (end?.kind !== "signal") {
    throw new WeightsError(
      `onnx: ${file} gives nothing that depends on a picture (output ${JSON.stringify(name ?? "")}). Save the net again.`,
    );
  }
  if (end.order === "hwc" && end.value.shape.length === 3) {
    throw new WeightsError(
      `onnx: ${file} puts the channels last (output ${JSON.stringify(name)}). Export it with the channels first.`,
    );
  }
  return { ...end, value: builder.logits(end.value) };
}

function usesOf({ nodes, outputs }: OnnxModel): Map<string, number> {
  const uses = new Map<string, number>();
  for (const name of [...nodes.flatMap(({ inputs }) => inputs), ...outputs]) uses.set(name, (uses.get(name) ?? 0) + 1);
  return uses;
}

/** The one input that is not among the weights: old files list these too. */
function pictureInput({ inputs, initializers, nodes }: OnnxModel, file: string): OnnxValueInfo {
  const taken = new Set(nodes.flatMap((node) => node.inputs));
  const open = inputs.filter(({ name }) => !initializers.has(name) && taken.has(name));
  const [input] = open;
  if (open.length === 1 && PICTURE_TYPES.includes(input.type)) return input;
  const names = open.map(({ name }) => name).join(", ");
  throw new WeightsError(
    `onnx: ${file} does not take one picture of float32 (inputs ${names || "none"}, types ${open.map(({ type }) => type)}). Nets with one such input can be read.`,
  );
}

function inputShape(
  { name, dims }: OnnxValueInfo,
  { nodes, initializers }: OnnxModel,
  file: string,
): { shape: FileShape; order: Signal["order"] } {
  const [, ...sides] = dims.map((side) => (isCount(side ?? 0) ? side : null));
  const isPicture = (side: number | null): boolean => side === 1 || side === 3;
  if (sides.length === 3 && !isPicture(sides[0]) && isPicture(sides[2])) {
    return { shape: [sides[2], sides[0], sides[1]], order: "hwc" };
  }
  const channels = sides[0] ?? firstChannels(name, nodes, initializers);
  if ((sides.length === 3 || dims.length === 0) && channels !== null) {
    return { shape: [channels, sides[1] ?? null, sides[2] ?? null], order: "chw" };
  }
  throw new WeightsError(
    `onnx: ${file} takes no pictures (input ${JSON.stringify(name)} [${dims.map((side) => side ?? "?")}]). Nets that take [batch, channels, height, width] can be read.`,
  );
}

/** What the first convolution takes, where the file leaves the channels open. */
function firstChannels(
  input: string,
  nodes: readonly OnnxNode[],
  initializers: ReadonlyMap<string, OnnxTensor>,
): number | null {
  const first = nodes.find(({ op, inputs }) => op === "Conv" && inputs[0] === input);
  const channels = (initializers.get(first?.inputs[1] ?? "")?.dims[1] ?? 0) * (first?.attributes.get("group")?.i ?? 1);
  return isCount(channels) ? channels : null;
}

/** Nets that came by Caffe2 take BGR, as Caffe's do. */
function orderOf({ producer, initializers }: OnnxModel, input: string): FileNet["channelOrder"] {
  const caffe2 = /caffe2/i.test(producer) || initializers.has("conv1_1_w_0");
  return caffe2 && input === "data_0" ? "BGR" : null;
}
