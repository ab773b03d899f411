/**
 * `verydeep train --recipe paper`: the runs of runs/recipe.ts one after the other, each in a folder of its own inside the
 * recipe's, each starting from the weights of an earlier one. Taken up again, it goes on with the first that is not done.
 */
import { existsSync } from "node:fs";
import { copyFile, readFile } from "node:fs/promises";
import path from "node:path";
import { UsageError } from "../core/errors.js";
import { checkWritable, explainFileError, makeFreeFolder, writeFileAtomically } from "../io/atomic-file.js";
import { paperStages, type Stage } from "../runs/recipe.js";
import { type BackendName, parseRequest, type TierName } from "../runs/request.js";
import { RunFolder } from "../runs/run-folder.js";
import type { Output } from "./output.js";
import { runTrain } from "./run-train.js";
import { wantedFolder } from "./runs.js";
import { resumedRequest } from "./threads.js";
import { DEFAULT_SETTINGS, givenRequest, settingsOf, type TrainArguments } from "./train-options.js";
import type { OpenTrainSession } from "./work.js";

const RECIPE = "recipe.json";
const FORMAT = "verydeep-recipe";

/** What recipe.json holds. */
interface Recipe {
  readonly stages: readonly Stage[];
  readonly out: string;
}

/** Is this the folder of a recipe? */
export async function isRecipe(folder: string): Promise<boolean> {
  const text = await readFile(path.join(folder, RECIPE), "utf8").catch(() => null);
  return text !== null;
}

/** Begins the recipe in a new folder. Returns the exit code. */
export async function beginRecipe(args: TrainArguments, output: Output, open: OpenTrainSession): Promise<number> {
  if (args.scale !== undefined) {
    throw new UsageError("verydeep: the recipe has scales of its own (--scale). Choose some of them by --stages.");
  }
  const stages = paperStages(givenRequest(args), args.stages);
  const out = path.resolve(args.out ?? DEFAULT_SETTINGS.out);
  await checkWritable("verydeep train", out);
  if (args.run === false) throw new UsageError("verydeep: a recipe keeps its stages (--no-run). Leave it out.");
  const folder = await makeFreeFolder("verydeep train", wantedFolder(args.run, path.parse(out).name));
  const recipe = { format: FORMAT, stages, out };
  await writeFileAtomically("verydeep train", path.join(folder, RECIPE), (handle) =>
    handle.writeFile(`${JSON.stringify(recipe, null, 2)}\n`),
  );
  return runStages(folder, { stages, out }, args, output, open);
}

/** Goes on with the recipe of a folder. Returns the exit code. */
export async function resumeRecipe(
  folder: string,
  args: TrainArguments,
  output: Output,
  open: OpenTrainSession,
): Promise<number> {
  const recipe = parseRecipe(await readFile(path.join(folder, RECIPE), "utf8"), path.join(folder, RECIPE));
  const out = args.out === undefined ? recipe.out : path.resolve(args.out);
  await checkWritable("verydeep train", out);
  return runStages(folder, { ...recipe, out }, args, output, open);
}

async function runStages(
  folder: string,
  { stages, out }: Recipe,
  args: TrainArguments,
  output: Output,
  open: OpenTrainSession,
): Promise<number> {
  const weightsOf = (place: number): string => path.join(folder, `${stages[place].name}.safetensors`);
  /** All stages are computed as the one before, on its backend and in its tier, unless others are asked for. */
  let before: Computed | null = null;
  for (const [place, { name, request, from }] of stages.entries()) {
    const stageFolder = path.join(folder, name);
    output.line(`stage     ${place + 1}/${stages.length}: ${output.paint.bold(name)}`);
    output.record({ stage: name, number: place + 1, stages: stages.length });
    const earlier = await openEarlier(stageFolder);
    if (earlier && (await earlier.result())) {
      output.line("done      before");
      before = await computedBy(earlier);
      continue;
    }
    if (earlier) before = await computedBy(earlier);
    const asked = resumedRequest(before === null ? request : { ...request, ...before }, args, before?.tier ?? null);
    const complete = { ...asked, ...(from === null ? {} : { initFrom: weightsOf(from) }) };
    const settings = settingsOf(args, earlier ?? { wanted: stageFolder }, weightsOf(place));
    const last = place === stages.length - 1;
    const code = await runTrain(complete, settings, last ? args.demo : undefined, output, open);
    const done = await openEarlier(stageFolder);
    if (done) before = await computedBy(done);
    if (code !== 0) {
      output.line(`go on     verydeep train --resume ${folder}`);
      return code;
    }
  }
  try {
    await copyFile(weightsOf(stages.length - 1), out);
  } catch (error) {
    throw explainFileError("verydeep train", out, error);
  }
  output.line(`weights   ${output.paint.bold(out)}`);
  output.record({ recipe: true, weights: out, run: folder });
  return 0;
}

/** The folder of a stage that has begun; null where it has not, or was ended before it could be taken up. */
async function openEarlier(folder: string): Promise<RunFolder | null> {
  return existsSync(path.join(folder, "config.json")) ? RunFolder.open(folder) : null;
}

/** What a stage was computed by. */
interface Computed {
  readonly backend: BackendName;
  readonly tier: TierName;
}

async function computedBy(folder: RunFolder): Promise<Computed> {
  const { backend, tier } = parseRequest(folder.section("request"), folder.file("config.json"));
  return { backend, tier: (await folder.tier()) ?? tier };
}

function parseRecipe(text: string, file: string): Recipe {
  const broken = new UsageError(`verydeep: the file is not a recipe (${file}). Begin it anew.`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw broken;
  }
  if (typeof value !== "object" || value === null || !("stages" in value) || !("out" in value)) throw broken;
  const { stages, out } = value;
  if (!("format" in value) || value.format !== FORMAT) throw broken;
  if (!Array.isArray(stages) || stages.length === 0 || typeof out !== "string") throw broken;
  return { out, stages: stages.map((stage, place) => parseStage(stage, place, file, broken)) };
}

function parseStage(stage: unknown, place: number, file: string, broken: UsageError): Stage {
  if (typeof stage !== "object" || stage === null) throw broken;
  const { name, request, from }: { name?: unknown; request?: unknown; from?: unknown } = stage;
  const fits = typeof name === "string" && typeof request === "object" && request !== null;
  const isBefore = typeof from === "number" && Number.isInteger(from) && from >= 0 && from < place;
  if (!fits || !(from === null || isBefore)) throw broken;
  return { name, from, request: parseRequest({ ...request }, file) };
}
