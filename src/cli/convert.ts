/** `verydeep convert`: from a weights file of any format to one of ours, or of another program's. */
import type { LinearWeights } from "../models/build-layer.js";
import type { Command } from "../vendor/command-line.js";
import { addNetOptions, type NetArguments, parseWeightType, planOptions } from "./net-options.js";
import type { Output } from "./output.js";

interface ConvertArguments extends NetArguments {
  readonly toDtype: LinearWeights;
}

/** Adds the command. */
export function addConvert(program: Command, output: Output): void {
  const command = program
    .command("convert")
    .description("write the net of a weights file in another format: .safetensors, .onnx, model.json of TensorFlow.js")
    .argument("<in>", "weights file of any format, an address, or the name of a net that verydeep pull fetched")
    .argument("<out>", "file to write; its name tells the format")
    .option(
      "--to-dtype <type>",
      "store weights smaller, in .safetensors: f16 (half), int8 (a quarter)",
      (text) => parseWeightType("--to-dtype", text),
      "float32",
    );
  addNetOptions(command)
    .option("--json", "print one JSON object")
    .action(async (from: string, to: string, { toDtype, ...rest }: ConvertArguments) => {
      const { convertFile } = await import("./conversion.js");
      await convertFile(from, to, toDtype, await planOptions(rest), output);
    });
}
