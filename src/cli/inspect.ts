/** `verydeep inspect`: what a weights file holds. */
import type { Command } from "../vendor/command-line.js";
import { addNetOptions, type NetArguments, planOptions } from "./net-options.js";
import type { Output } from "./output.js";

/** Adds the command. */
export function addInspect(program: Command, output: Output): void {
  const command = program
    .command("inspect")
    .description("tell what a weights file holds: format, net, tensors, how pictures are prepared")
    .argument("<file>", "weights file of any format, an address, or the name of a net that verydeep pull fetched");
  addNetOptions(command)
    .option("--json", "print one JSON object")
    .action(async (name: string, options: NetArguments) => {
      const { inspectFile } = await import("./inspection.js");
      await inspectFile(name, await planOptions(options), output);
    });
}
