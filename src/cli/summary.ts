/** `verydeep summary`: the layers of a net, their shapes, parameters and multiply-accumulates. Needs no engine. */
import { type VggLayer, vggLayers, vggName, vggTotals } from "../models/vgg-config.js";
import type { Command } from "../vendor/command-line.js";
import { byteSize, grouped, parseWhole, table } from "./numbers.js";
import type { Output } from "./output.js";

/** Larger pictures and class counts are mistakes: no net could be held in memory. */
const MAX_INPUT = 32768;
const MAX_CLASSES = 10_000_000;

/** Adds the command. */
export function addSummary(program: Command, output: Output): void {
  program
    .command("summary")
    .description("show the layers of a net, their shapes, parameters and multiply-accumulates")
    .argument("<config>", "A, A-LRN, B, C, D, E, shallow, or vgg11 … vgg19, vgg11_bn … vgg19_bn")
    .option("--input <pixels>", "height and width of the picture, a multiple of 32", (text) =>
      parseWhole("--input", text, 32, MAX_INPUT),
    )
    .option("--classes <n>", "number of classes", (text) => parseWhole("--classes", text, 1, MAX_CLASSES))
    .option("--batch-norm", "with batch normalisation after each convolution")
    .option("--json", "print one JSON object")
    .action((config: string, options: { input?: number; classes?: number; batchNorm?: true }) => {
      summarise(config, options.input ?? 224, options.classes ?? 1000, options.batchNorm ?? false, output);
    });
}

function summarise(config: string, inputSize: number, classes: number, withNorm: boolean, output: Output): void {
  const named = vggName(config);
  const batchNorm = withNorm || named.batchNorm;
  const name = named.config + (batchNorm ? " with batch norm" : "");
  const layers = vggLayers(named.config, { inputSize, classes, batchNorm });
  const { params, macs } = vggTotals(layers);
  output.record({ config: name, params, macs, layers: layers.map(layerRecord) });

  const { bold, dim } = output.paint;
  const heading = ["layer", "name", "kind", "output", "params", "MACs"];
  const [head, ...rows] = table([heading, ...layers.map(layerRow)], new Set([4, 5]));
  output.line(`${bold(`VGG ${name}`)}, input 3x${inputSize}x${inputSize}, ${grouped(classes)} classes`);
  output.line(dim(head));
  for (const row of rows) output.line(row);
  output.line(
    `${bold(grouped(params))} parameters (${byteSize(params * 4)} as float32), ${bold(grouped(macs))} MACs a picture`,
  );
}

function layerRecord({ name, kind, outShape, params, macs }: VggLayer) {
  return { name, kind, outputShape: outShape, params, macs };
}

function layerRow(layer: VggLayer): string[] {
  const kind = layer.kind === "conv" ? `conv ${layer.kernelSize}x${layer.kernelSize}` : layer.kind;
  const count = (value: number): string => (value === 0 ? "-" : grouped(value));
  return [layer.paperName, layer.name, kind, layer.outShape.join("x"), count(layer.params), count(layer.macs)];
}
