/**
 * `verydeep train`: one run, the recipe of several (recipe.ts), or an earlier one taken up. The options are in
 * train-options.ts; a run itself is run-train.ts.
 */
import path from "node:path";
import { UsageError } from "../core/errors.js";
import { completeRequest, parseRequest } from "../runs/request.js";
import { RunFolder } from "../runs/run-folder.js";
import type { Command } from "../vendor/command-line.js";
import type { Output } from "./output.js";
import { beginRecipe, isRecipe, resumeRecipe } from "./recipe.js";
import { runTrain } from "./run-train.js";
import { newestRun, RUNS, wantedFolder } from "./runs.js";
import { resumedRequest } from "./threads.js";
import {
  addTrainOptions,
  checkResumeArguments,
  DEFAULT_SETTINGS,
  givenRequest,
  habitsOf,
  settingsOf,
  type TrainArguments,
} from "./train-options.js";
import type { OpenTrainSession } from "./work.js";

/** Adds the command; `exit` receives its exit code. */
export function addTrain(program: Command, output: Output, exit: (code: number) => void): void {
  const command = program.command("train").description("train a net on labelled pictures and write its weights");
  addTrainOptions(command).action(async (args: TrainArguments) => {
    const { openTrainSession } = await import("./session.js");
    exit(await trainAsAsked(args, output, openTrainSession));
  });
}

/** One run, a recipe of several, or an earlier one taken up. Returns the exit code. */
async function trainAsAsked(args: TrainArguments, output: Output, open: OpenTrainSession): Promise<number> {
  if (args.resume !== undefined) {
    checkResumeArguments(args);
    const folder = args.resume === true ? await newestRun(RUNS) : args.resume;
    return (await isRecipe(folder)) ? resumeRecipe(folder, args, output, open) : resumeRun(folder, args, output, open);
  }
  if (args.stages !== undefined && args.recipe === undefined) {
    throw new UsageError("verydeep: stages belong to a recipe (--stages). Add --recipe paper.");
  }
  if (args.recipe !== undefined) return beginRecipe(args, output, open);
  const out = args.out ?? DEFAULT_SETTINGS.out;
  const folder = args.run === false ? null : { wanted: wantedFolder(args.run, path.parse(out).name) };
  return runTrain(completeRequest(givenRequest(args)), settingsOf(args, folder, out), args.demo, output, open);
}

async function resumeRun(place: string, args: TrainArguments, output: Output, open: OpenTrainSession): Promise<number> {
  const folder = await RunFolder.open(place);
  const asked = parseRequest(folder.section("request"), folder.file("config.json"));
  const request = resumedRequest(asked, args, await folder.tier());
  const settings = settingsOf(args, folder, args.out ?? habitsOf(folder).out);
  if (await folder.result()) {
    const { out } = habitsOf(folder);
    output.line(`done      the run in ${place} ended before; its weights are in ${out}`);
    output.record({ done: true, run: place, weights: out });
    return 0;
  }
  return runTrain(request, settings, args.demo, output, open);
}
