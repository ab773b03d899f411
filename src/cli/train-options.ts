/**
 * The options of `verydeep train`: their flags and help, and from what commander hands over to a request and settings.
 * An option that the user left out is absent, so that a recipe can have values of its own.
 */
import path from "node:path";
import { UsageError } from "../core/errors.js";
import { vggConfigName } from "../models/vgg-config.js";
import { initialiserOf } from "../runs/options.js";
import { PAPER_SCALES } from "../runs/recipe.js";
import { DEFAULT_REQUEST, OPTIMISERS, SCHEDULES, type TrainRequest } from "../runs/request.js";
import { RunFolder } from "../runs/run-folder.js";
import type { Command } from "../vendor/command-line.js";
import { parseNumber, parseWhole } from "./numbers.js";
import { addTierOptions, parseThreads, type TierArguments, tierOf } from "./threads.js";
import type { TrainSettings } from "./work.js";

const MAX_SEED = 2 ** 32 - 1;
const MAX_SIDE = 8192;

/** What commander hands over. */
export interface TrainArguments
  extends TierArguments,
    Partial<Omit<TrainRequest, "cropPadding" | "flip" | "colourShift" | "tier">> {
  readonly augment?: Pick<TrainRequest, "cropPadding" | "flip" | "colourShift">;
  readonly recipe?: "paper";
  readonly stages?: readonly (number | readonly [number, number])[];
  /** A folder, or true: the newest run. */
  readonly resume?: string | true;
  /** A folder, or false for --no-run. */
  readonly run?: string | boolean;
  readonly checkpointEvery?: Pick<TrainSettings, "everySteps" | "everySeconds">;
  readonly keep?: number;
  readonly threads?: number;
  readonly workers?: number;
  readonly cache?: string;
  readonly badPictures?: TrainSettings["badPictures"];
  readonly out?: string;
  readonly demo?: string;
  readonly json?: true;
}

/** Defaults of how a run is computed and kept. */
export const DEFAULT_SETTINGS = {
  out: "verydeep.safetensors",
  everySteps: 0,
  everySeconds: 300,
  keep: 2,
  workers: 1,
  cache: null,
  badPictures: "fail",
} as const;

/** Adds the options to the command. */
export function addTrainOptions(command: Command): Command {
  const d = DEFAULT_REQUEST;
  const whole = (flag: string, min: number, max: number) => (text: string) => parseWhole(flag, text, min, max);
  const above = (flag: string, low: number, max: number) => (text: string) => parseNumber(flag, text, low, max);
  return addTierOptions(command)
    .option("--config <name>", `A, A-LRN, B, C, D, E or shallow (default: ${d.config})`, vggConfigName)
    .option("--batch-norm", "with batch normalisation after each convolution")
    .option("--width <x>", `scales the channels of all convolutions (default: ${d.width})`, above("--width", 0, 16))
    .option("--classifier <widths>", "hidden linear layers: 4096,4096, or none (the default)", parseWidths)
    .option("--dropout <p>", `after each of them (default: ${d.dropout})`, (text) => parseShare("--dropout", text))
    .option("--init <how>", `he, glorot or normal:STD (default: ${d.init})`, parseInit)
    .option("--init-from <file>", "start from these weights, in any format: of the same net, or of a trained A")
    .option("--data <set>", `shapes, shapes:COUNT, cifar10:DIR, mnist:DIR or folder:DIR (default: ${d.data})`)
    .option(
      "--input <pixels>",
      "height and width that the net sees (default: the pictures')",
      whole("--input", 32, MAX_SIDE),
    )
    .option("--scale <s>", "smaller side of the rescaled picture: 256, or drawn from 256..512", (text) =>
      parseScale("--scale", text),
    )
    .option("--augment <how>", "some of move,flip,colour, or none (default: move,flip)", parseAugment)
    .option("--epochs <n>", `passes over the training pictures (default: ${d.epochs})`, whole("--epochs", 1, 100_000))
    .option("--batch <n>", `pictures a step (default: ${d.batch})`, whole("--batch", 1, 65_536))
    .option(
      "--micro-batch <n>",
      "pictures computed at once, a divisor of the batch (default: what fits)",
      whole("--micro-batch", 1, 65_536),
    )
    .option("--optimiser <name>", `${OPTIMISERS.join(", ")} (default: ${d.optimiser})`, (text) =>
      parseChoice("--optimiser", text, OPTIMISERS),
    )
    .option("--lr <x>", `learning rate (default: ${d.lr})`, above("--lr", 0, 100))
    .option("--weight-decay <x>", `L2 multiplier (default: ${d.weightDecay})`, (text) =>
      Number(text) === 0 ? 0 : parseNumber("--weight-decay", text, 0, 1),
    )
    .option("--schedule <name>", `${SCHEDULES.join(", ")} (default: ${d.schedule})`, (text) =>
      parseChoice("--schedule", text, SCHEDULES),
    )
    .option("--warm-up <steps>", "the rate rises over the first steps (default: 0)", whole("--warm-up", 0, 1_000_000))
    .option(
      "--patience <epochs>",
      `without improvement until plateau divides the rate (default: ${d.patience})`,
      whole("--patience", 1, 1000),
    )
    .option("--recipe <name>", "paper: the paper's recipe, stage by stage, at any --input", (text) =>
      parseChoice("--recipe", text, ["paper"]),
    )
    .option("--stages <scales>", "of the recipe, as at 224 (default: 256,384,256..512)", parseStages)
    .option("--seed <n>", `of weights, order and data (default: ${d.seed})`, whole("--seed", 0, MAX_SEED))
    .option("--run <folder>", "the run's folder: config, records, checkpoints, curves (default: runs/NAME)")
    .option("--no-run", "keep nothing but the weights")
    .option("--checkpoint-every <when>", "steps, or minutes as in 5m (default: 5m)", parseEvery)
    .option("--keep <n>", `checkpoints that stay (default: ${DEFAULT_SETTINGS.keep})`, whole("--keep", 1, 10_000))
    .option("--resume [folder]", "go on with an earlier run (default: the newest in runs/)")
    .option("--threads <n>", "worker threads (default: one a core)", parseThreads)
    .option(
      "--workers <n>",
      `threads that decode pictures (default: ${DEFAULT_SETTINGS.workers})`,
      whole("--workers", 1, 64),
    )
    .option("--cache <folder>", "keep decoded pictures there")
    .option("--bad-pictures <how>", "fail, or skip those that cannot be read (default: fail)", (text) =>
      parseChoice("--bad-pictures", text, ["fail", "skip"]),
    )
    .option("--out <file>", `where the weights go (default: ${DEFAULT_SETTINGS.out})`)
    .option("--demo <folder>", "classify the pictures in this folder at the end")
    .option("--json", "print one JSON object an epoch");
}

/** The part of the arguments that a request is made of. */
export function givenRequest(args: TrainArguments): Partial<TrainRequest> {
  const {
    augment,
    recipe,
    stages,
    resume,
    run,
    checkpointEvery,
    keep,
    threads,
    workers,
    cache,
    badPictures,
    out,
    demo,
    json,
    turbo,
    ...given
  } = args;
  const tier = tierOf(args);
  // A run may be taken up from another folder than it was begun in.
  const initFrom = given.initFrom == null ? {} : { initFrom: path.resolve(given.initFrom) };
  const [kind, ...folder] = given.data?.split(":") ?? [];
  const place = folder.join(":");
  const data = place === "" || /^\d+$/.test(place) ? {} : { data: `${kind}:${path.resolve(place)}` };
  return { ...given, ...augment, ...initFrom, ...data, ...(tier === undefined ? {} : { tier }) };
}

/** The rest: how it is computed and kept. A run that goes on keeps its habits, unless told otherwise. */
export function settingsOf(args: TrainArguments, folder: TrainSettings["folder"], out: string): TrainSettings {
  const before = folder instanceof RunFolder ? habitsOf(folder) : DEFAULT_SETTINGS;
  const { checkpointEvery = before, keep = before.keep, workers = before.workers, threads } = args;
  const { badPictures = before.badPictures, cache = before.cache } = args;
  const { everySteps, everySeconds } = checkpointEvery;
  return {
    threads,
    out,
    folder,
    everySteps,
    everySeconds,
    keep,
    workers,
    badPictures,
    cache: cache && path.resolve(cache),
  };
}

/** How a run has been kept and read so far, as config.json has it. */
export function habitsOf(folder: RunFolder): Omit<TrainSettings, "threads" | "folder"> {
  const settings = folder.section("settings");
  const number = (name: "everySteps" | "everySeconds" | "keep" | "workers"): number => {
    const value = settings[name];
    return typeof value === "number" && value >= 0 ? value : DEFAULT_SETTINGS[name];
  };
  return {
    out: typeof settings.out === "string" ? settings.out : DEFAULT_SETTINGS.out,
    everySteps: number("everySteps"),
    everySeconds: number("everySeconds"),
    keep: number("keep"),
    workers: number("workers"),
    cache: typeof settings.cache === "string" ? settings.cache : null,
    badPictures: settings.badPictures === "skip" ? "skip" : "fail",
  };
}

/** What may stand beside --resume: what a run is computed with, not what it computes (but for tiers, which have bits of their own). */
const WITH_RESUME: ReadonlySet<string> = new Set([
  "resume",
  "threads",
  "tier",
  "turbo",
  "backend",
  "workers",
  "cache",
  "badPictures",
  "checkpointEvery",
  "keep",
  "out",
  "demo",
  "json",
  "run",
]);

/** @throws UsageError where --resume stands beside an option that would change the run, or its place. */
export function checkResumeArguments(args: TrainArguments): void {
  // Without --run and --no-run it is true.
  const moved = args.run !== undefined && args.run !== true;
  const other = Object.keys(args).find((name) => !WITH_RESUME.has(name) || (name === "run" && moved));
  if (other === undefined) return;
  const flag = `--${other.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new UsageError(
    `verydeep: a run goes on as it began (${flag} beside --resume). Leave ${flag} out, or begin a new run.`,
  );
}

function parseChoice<const T extends string>(flag: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((known) => known === text);
  if (choice !== undefined) return choice;
  throw new UsageError(`verydeep: there is no such choice (${flag} ${text}). Use ${choices.join(", ")}.`);
}

function parseWidths(text: string): number[] {
  return text === "none" ? [] : text.split(",").map((part) => parseWhole("--classifier", part, 1, 1_000_000));
}

function parseShare(flag: string, text: string): number {
  return Number(text) === 0 ? 0 : parseNumber(flag, text, 0, 0.999);
}

function parseInit(text: string): string {
  initialiserOf(text);
  return text;
}

/** 256, or 256..512. */
function parseScale(flag: string, text: string): number | [number, number] {
  const [low, high, ...rest] = text.split("..").map((part) => parseWhole(flag, part, 1, MAX_SIDE));
  if (high === undefined) return low;
  if (rest.length > 0 || high < low) {
    throw new UsageError(
      `verydeep: the range is not two sizes in ascending order (${flag} ${text}). Pass one, such as ${flag} 256..512.`,
    );
  }
  return [low, high];
}

function parseStages(text: string): (number | readonly [number, number])[] {
  return text.split(",").map((part) => {
    const scale = parseScale("--stages", part);
    const known = PAPER_SCALES.find((paper) => String(paper) === String(scale));
    if (known !== undefined) return known;
    throw new UsageError(`verydeep: the recipe has no such stage (--stages ${part}). Use some of 256,384,256..512.`);
  });
}

function parseAugment(text: string): Pick<TrainRequest, "cropPadding" | "flip" | "colourShift"> {
  const names =
    text === "none" ? [] : text.split(",").map((name) => parseChoice("--augment", name, ["move", "flip", "colour"]));
  return {
    cropPadding: names.includes("move") ? DEFAULT_REQUEST.cropPadding : 0,
    flip: names.includes("flip"),
    colourShift: names.includes("colour"),
  };
}

/** 500 (steps), or 5m (minutes); 0 is never. */
function parseEvery(text: string): Pick<TrainSettings, "everySteps" | "everySeconds"> {
  const minutes = /^(.*)m$/.exec(text)?.[1];
  if (minutes === undefined)
    return { everySteps: parseWhole("--checkpoint-every", text, 0, 1_000_000_000), everySeconds: 0 };
  return { everySteps: 0, everySeconds: 60 * parseNumber("--checkpoint-every", minutes, 0, 100_000) };
}
