/** `verydeep summary`: the layers of a net, their shapes, parameters and multiply-accumulates, and the batch that training has memory for; or a list of all nets. */
import { UsageError } from "../core/errors.js";
import { type NetLayer, netTotals, sidesOf } from "../models/net-config.js";
import { isNetName, NET_NAMES, type NetName, netFacts, netLayers } from "../models/nets.js";
import { VGG_ALIASES, VGG_CONFIG_NAMES, vggLayers, vggName } from "../models/vgg-config.js";
import type { Command } from "../vendor/command-line.js";
import { byteSize, grouped, parseWhole, table } from "./numbers.js";
import type { Output } from "./output.js";

/** Larger pictures and class counts are mistakes: no net could be held in memory. */
export const MAX_INPUT = 32768;
const MAX_CLASSES = 10_000_000;

/** Names that people know some of the VGG nets by. */
const ALIASES = Object.keys(VGG_ALIASES);
const WITH_NORM = ALIASES.map((name) => `${name}_bn`);

/** How to vary a net from outside. */
export interface ShownOptions {
  readonly input?: number;
  readonly classes?: number;
  readonly batchNorm?: true;
}

/** A net as commands show it. */
export interface Shown {
  readonly name: string;
  /** What people call it, or where it is from. */
  readonly about: string;
  readonly inputSize: number;
  readonly classes: number;
  readonly layers: readonly NetLayer[];
}

/** Adds the command. */
export function addSummary(program: Command, output: Output): void {
  program
    .command("summary")
    .description("show the layers of a net, their shapes, parameters and multiply-accumulates; without a net, list all")
    .argument(
      "[net]",
      "A, A-LRN, B, C, D, E, shallow, vgg11 ... vgg19, vgg11_bn ... vgg19_bn, alexnet, googlenet, fcn8s, ...",
    )
    .option("--input <pixels>", "height and width of the picture, for VGG nets a multiple of 32", (text) =>
      parseWhole("--input", text, 1, MAX_INPUT),
    )
    .option("--classes <n>", "number of classes", (text) => parseWhole("--classes", text, 1, MAX_CLASSES))
    .option("--batch-norm", "VGG nets with batch normalisation after each convolution")
    .option("--json", "print one JSON object")
    .action(async (net: string | undefined, options: ShownOptions) => {
      if (net === undefined) listNets(output);
      else await summarise(findNet("summary", net, options), output);
    });
}

/**
 * The net that a user means, in whatever case.
 * @param command for errors.
 * @throws UsageError for a name that no net has, which lists all; or for an option that does not fit the net.
 */
export function findNet(command: string, text: string, options: ShownOptions): Shown {
  const wanted = text.toLowerCase();
  if (isNetName(wanted)) return shownNet(wanted, options);
  const vggs = [...VGG_CONFIG_NAMES, ...ALIASES, ...WITH_NORM];
  if (!vggs.some((name) => name.toLowerCase() === wanted)) {
    throw new UsageError(
      `verydeep ${command}: there is no such net (net ${JSON.stringify(text)}). Use one of ${[...vggs, ...NET_NAMES].join(", ")}.`,
    );
  }
  return shownVgg(text, options);
}

function shownVgg(text: string, { input: inputSize = 224, classes = 1000, batchNorm }: ShownOptions): Shown {
  const named = vggName(text);
  const withNorm = batchNorm ?? named.batchNorm;
  const about = `VGG ${named.config}${withNorm ? " with batch norm" : ""}`;
  const layers = vggLayers(named.config, { inputSize, classes, batchNorm: withNorm });
  return { name: named.config, about, inputSize, classes, layers };
}

function shownNet(name: NetName, { input, classes, batchNorm }: ShownOptions): Shown {
  if (batchNorm) {
    throw new UsageError(
      `verydeep summary: only VGG nets take batch normalisation (net ${name}). Leave --batch-norm out.`,
    );
  }
  const facts = netFacts(name);
  const size = { inputSize: input ?? facts.inputSize, classes: classes ?? facts.classes };
  return { name, about: facts.about, ...size, layers: netLayers(name, size) };
}

async function summarise(net: Shown, output: Output): Promise<void> {
  const { name, about, inputSize, classes, layers } = net;
  const { params, macs } = netTotals(layers);
  const training = await (await import("./largest-batch.js")).trainingMemory(net);
  output.record({ config: name, params, macs, training, layers: layers.map(layerRecord) });

  const { bold, dim } = output.paint;
  // Most nets have one name a layer, the paper's.
  const twoNames = layers.some((layer) => layer.name !== layer.paperName);
  const heading = ["layer", ...(twoNames ? ["name"] : []), "kind", "output", "params", "MACs"];
  const rows = [heading, ...layers.map((layer) => layerRow(layer, twoNames))];
  const [head, ...lines] = table(rows, new Set([heading.length - 2, heading.length - 1]));
  const title = isNetName(name) ? `${bold(name)}: ${about}` : bold(about);
  output.line(`${title}, input 3x${inputSize}x${inputSize}, ${grouped(classes)} classes`);
  output.line(dim(head));
  for (const line of lines) output.line(line);
  output.line(
    `${bold(grouped(params))} parameters (${byteSize(params * 4)} as float32), ${bold(grouped(macs))} MACs a picture`,
  );
  const { largestBatch, bytes, memoryMaxBytes, threads } = training;
  const room = `${gibibytes(memoryMaxBytes)} of tensor memory, ${threads} ${threads === 1 ? "thread" : "threads"}`;
  output.line(
    largestBatch === 0
      ? `Training: not even one picture fits (${room})`
      : `Training: up to ${bold(grouped(largestBatch))} pictures at once fit, in ${gibibytes(bytes)} (SGD with momentum; ${room})`,
  );
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

function listNets(output: Output): void {
  const plain = VGG_CONFIG_NAMES.map((config) => ALIASES.find((alias) => VGG_ALIASES[alias] === config) ?? config);
  const vggs = [...plain, ...WITH_NORM].map((net) => ({ net, ...shownVgg(net, {}) }));
  const others = NET_NAMES.map((net) => ({ net, ...shownNet(net, {}) }));
  const facts = [...vggs, ...others].map(({ net, about, inputSize, layers }) => {
    return { net, about, inputSize, ...netTotals(layers) };
  });
  output.record({ nets: facts });
  const rows = facts.map(({ net, about, inputSize, params, macs }) => {
    return [net, String(inputSize), grouped(params), grouped(macs), about];
  });
  const [head, ...lines] = table([["net", "input", "params", "MACs", "what"], ...rows], new Set([1, 2, 3]));
  output.line(output.paint.dim(head));
  for (const line of lines) output.line(line);
}

function layerRecord({ name, kind, outShape, params, macs }: NetLayer) {
  return { name, kind, outputShape: outShape, params, macs };
}

function layerRow(layer: NetLayer, twoNames: boolean): string[] {
  const count = (value: number): string => (value === 0 ? "-" : grouped(value));
  const names = twoNames ? [layer.paperName, layer.name] : [layer.paperName];
  return [...names, kindOf(layer), layer.outShape.join("x"), count(layer.params), count(layer.macs)];
}

/** conv 11x11/4 g2: kernel, stride where it is not 1, groups where there are some. */
function kindOf(layer: NetLayer): string {
  if (!("kernelSize" in layer)) return layer.kind;
  const { kind } = layer;
  const [kH, kW] = sidesOf(layer.kernelSize);
  const [strideH, strideW] = sidesOf(layer.stride);
  const stride = strideH === strideW ? `${strideH}` : `${strideH}x${strideW}`;
  const groups = "groups" in layer && layer.groups > 1 ? ` g${layer.groups}` : "";
  return `${kind} ${kH}x${kW}${stride === "1" ? "" : `/${stride}`}${groups}`;
}
