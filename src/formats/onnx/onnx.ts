/**
 * Opens ONNX files: the net of the graph, and its weights by range, in the file or in files beside it. A file of any size is opened by
 * reading its graph alone. The messages: onnx-proto.ts; the graph: onnx-graph.ts; writing: onnx-write.ts.
 */
import { DamagedFileError } from "../../core/errors.js";
import type { ByteReader } from "../../io/byte-reader.js";
import type { FileNet, WeightsFile } from "../../io/weights-file.js";
import { type RunTensor, runReads } from "../stored-runs.js";
import { classNames } from "./onnx-classes.js";
import { constantName, netOf } from "./onnx-graph.js";
import { type OnnxModel, type OnnxTensor, readOnnxModel } from "./onnx-proto.js";

/**
 * Opens an ONNX file. The reader is closed with it.
 * @throws WeightsError for a net that verydeep cannot run, naming the node; DamagedFileError for a malformed file, with the offset.
 */
export async function openOnnx(reader: ByteReader): Promise<WeightsFile> {
  const siblings = new Map<string, ByteReader>();
  const close = async (): Promise<void> => {
    for (const each of [...siblings.values(), reader]) await each.close();
  };
  try {
    const model = await readOnnxModel(reader, async (location) => {
      const found = siblings.get(location) ?? (await reader.sibling(location));
      siblings.set(location, found);
      return found;
    });
    if (model.nodes.length === 0) {
      throw new DamagedFileError(
        `onnx: ${reader.name} has no graph (nodes 0, of ${reader.sizeBytes} bytes; byte 0). Name an ONNX file, or download it again.`,
      );
    }
    const tensors = tensorsOf(model);
    const net = netOf(model, reader.name);
    return {
      format: "onnx",
      variant: `opset ${model.opset}`,
      name: reader.name,
      tensors,
      metadata: metadataOf(model),
      net: { ...net, classes: classNames(model.metadata, outputsOf(net)) },
      ...runReads(reader.name, tensors),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Initializers, and what Constant nodes hold. */
function tensorsOf({ initializers, nodes }: OnnxModel): Map<string, RunTensor> {
  const constants = nodes.flatMap((node): [string, OnnxTensor][] => {
    const tensor = node.op === "Constant" ? node.attributes.get("value")?.t : null;
    return tensor ? [[constantName(node), tensor]] : [];
  });
  const tensors = new Map<string, RunTensor>();
  for (const [name, { stored }] of [...initializers, ...constants]) if (stored) tensors.set(name, stored);
  return tensors;
}

function metadataOf({ producer, producerVersion, metadata }: OnnxModel): Record<string, string> {
  const about = [
    ["producer_name", producer],
    ["producer_version", producerVersion],
  ].filter(([, text]) => text !== "");
  return Object.fromEntries([...about, ...metadata]);
}

/** Of the last layer with weights. */
function outputsOf({ rows }: FileNet): number | null {
  const last = rows.findLast(({ outputs }) => outputs !== undefined);
  return typeof last?.outputs === "number" ? last.outputs : null;
}
