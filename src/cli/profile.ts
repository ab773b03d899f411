/** `verydeep profile`: what each layer of a net costs on this machine. The options are here; run-profile.ts runs the net. */
import type { Command } from "../vendor/command-line.js";
import { parseWhole } from "./numbers.js";
import type { Output } from "./output.js";
import { findNet, MAX_INPUT } from "./summary.js";
import { addTierOptions, parseThreads, type TierArguments } from "./threads.js";

const MAX_BATCH = 65536;
const MAX_RUNS = 10_000;
const DEFAULT_RUNS = 5;
const DEFAULT_OUT = "verydeep-profile.json";

/** What the user may choose. */
export interface ProfileOptions extends TierArguments {
  readonly input?: number;
  readonly batch: number;
  readonly threads?: number;
  readonly train: boolean;
  readonly runs: number;
  /** The trace file. */
  readonly out: string;
}

/** Adds the command. */
export function addProfile(program: Command, output: Output): void {
  addTierOptions(program.command("profile"))
    .description("run a net with random weights on random pictures, and show what each layer costs")
    .argument("<net>", "any net that summary knows: A ... E, vgg16, vgg16_bn, alexnet, googlenet, fcn8s, ...")
    .option("--input <pixels>", "height and width of the pictures", (text) => parseWhole("--input", text, 1, MAX_INPUT))
    .option("--batch <n>", "pictures at once", (text) => parseWhole("--batch", text, 1, MAX_BATCH), 1)
    .option("--threads <n>", "threads that compute (default: all that this process may use)", parseThreads)
    .option("--train", "training steps: forward, loss, backward, SGD with momentum", false)
    .option("--runs <n>", "measured runs", (text) => parseWhole("--runs", text, 1, MAX_RUNS), DEFAULT_RUNS)
    .option("--out <file>", "where the trace goes, for chrome://tracing or ui.perfetto.dev", DEFAULT_OUT)
    .option("--json", "print one JSON object")
    .action(async (name: string, options: ProfileOptions) => {
      const net = findNet("profile", name, options);
      const { runProfile } = await import("./run-profile.js");
      await runProfile(net, options, output);
    });
}
