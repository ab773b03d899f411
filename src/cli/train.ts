/**
 * `verydeep train`: reads the options, trains, shows how it goes, writes the weights, tells the accuracy on the test pictures.
 * The engine is behind work.ts; the loop here decides what is said and what is saved when.
 */
import { existsSync } from "node:fs";
import path from "node:path";
import { checkWritable } from "../io/atomic-file.js";
import { vggConfigName } from "../models/vgg-config.js";
import type { EpochRecord, StepRecord } from "../train/trainer.js";
import type { Command } from "../vendor/command-line.js";
import { classifyPictures, listPictures } from "./classify.js";
import { type Interruption, listenForInterrupt } from "./interrupt.js";
import { duration, grouped, parseNumber, parseWhole, percent } from "./numbers.js";
import type { Output, Progress } from "./output.js";
import { parseBackend, parseThreads } from "./threads.js";
import type { BackendName, TrainFacts, TrainRequest, TrainSession } from "./work.js";

/** What the plain command does: under a minute on two cores, 98.9 % of the built-in test pictures. */
export const TRAIN_DEFAULTS = {
  config: "A",
  data: "shapes",
  epochs: 10,
  batch: 64,
  lr: 0.03,
  width: 0.125,
  seed: 1,
  backend: "wasm",
  out: "verydeep.safetensors",
} as const;

const MAX_SEED = 2 ** 32 - 1;

/** What commander hands over. */
interface TrainArguments {
  readonly config: string;
  readonly data: string;
  readonly epochs: number;
  readonly batch: number;
  readonly lr: number;
  readonly width: number;
  readonly seed: number;
  readonly threads?: number;
  readonly backend: BackendName;
  readonly out: string;
  readonly demo?: string;
}

/** Adds the command; `exit` receives its exit code. */
export function addTrain(program: Command, output: Output, exit: (code: number) => void): void {
  const d = TRAIN_DEFAULTS;
  program
    .command("train")
    .description("train a net on labelled pictures and write its weights")
    .option("--config <name>", "A, A-LRN, B, C, D, E or shallow", vggConfigName, d.config)
    .option("--data <set>", "shapes (made on the spot), shapes:COUNT, or cifar10:FOLDER", d.data)
    .option(
      "--epochs <n>",
      "passes over the training pictures",
      (text) => parseWhole("--epochs", text, 1, 100_000),
      d.epochs,
    )
    .option("--batch <n>", "pictures a step", (text) => parseWhole("--batch", text, 1, 65_536), d.batch)
    .option("--lr <x>", "learning rate", (text) => parseNumber("--lr", text, 0, 100), d.lr)
    .option(
      "--width <x>",
      "scales the channels of all convolutions",
      (text) => parseNumber("--width", text, 0, 16),
      d.width,
    )
    .option("--seed <n>", "of weights, order and data", (text) => parseWhole("--seed", text, 0, MAX_SEED), d.seed)
    .option("--threads <n>", "worker threads (default: one a core)", parseThreads)
    .option("--backend <name>", "wasm, or reference (plain loops, slow)", parseBackend, d.backend)
    .option("--out <file>", "where the weights go", d.out)
    .option("--demo <folder>", "classify the pictures in this folder at the end")
    .option("--json", "print one JSON object an epoch")
    .action(async ({ threads, demo, ...options }: TrainArguments) => {
      const { openTrainSession } = await import("./session.js");
      exit(await runTrain({ threads, ...options }, demo, output, openTrainSession));
    });
}

/**
 * Trains as asked.
 * @param demo folder of pictures to classify at the end.
 * @param open makes the session; tests pass a stand-in.
 * @returns the exit code.
 */
export async function runTrain(
  request: TrainRequest,
  demo: string | undefined,
  output: Output,
  open: (request: TrainRequest) => Promise<TrainSession>,
): Promise<number> {
  // What would fail at the end fails now.
  await checkWritable("verydeep train", request.out);
  const pictures = demo === undefined ? [] : await listPictures(demo);
  const begin = performance.now();
  const session = await open(request);
  try {
    for (const line of headerLines(session.facts, request)) output.line(line);
    const interruption = listenForInterrupt(output);
    try {
      await trainAndSave(session, request, interruption, output);
    } finally {
      output.endProgress();
      interruption.dispose();
    }
    if (interruption.signal.aborted) return interruption.exitCode;
    const { top1, top5 } = await session.test();
    const seconds = (performance.now() - begin) / 1000;
    const { bold } = output.paint;
    output.line(`test      top-1 ${bold(percent(top1))}, top-5 ${percent(top5)}, ${duration(seconds)} in all`);
    output.line(`weights   ${bold(request.out)}`);
    if (pictures.length > 0) await classifyPictures(session, pictures, 3, output);
    output.record({ done: true, testTop1: top1, testTop5: top5, seconds, weights: request.out });
    return 0;
  } finally {
    await session.close();
  }
}

/** Runs the trainer, saves after each epoch, and, when interrupted between, after the last step. */
async function trainAndSave(
  session: TrainSession,
  request: TrainRequest,
  { signal }: Interruption,
  output: Output,
): Promise<void> {
  let progress: Progress | undefined;
  let last: StepRecord | undefined;
  let unsaved = false;
  // A net that has hardly learnt must not take the place of one that was there before.
  const earlier = existsSync(request.out);
  let file = earlier ? besides(request.out) : request.out;
  for await (const record of untilAborted(session.records(signal), signal)) {
    if (record.kind === "step") {
      last = record;
      unsaved = true;
      progress ??= output.progress(`epoch ${record.epoch}/${request.epochs}`, record.steps);
      progress.update(stepInEpoch(record), stepText(record));
    } else {
      progress?.end();
      progress = undefined;
      file = request.out;
      await session.save(file);
      unsaved = false;
      output.line(epochLine(record, request.epochs));
      output.record(epochRecord(record));
    }
  }
  output.endProgress();
  if (!signal.aborted) return;
  if (unsaved) await session.save(file);
  const where = last ? `in epoch ${last.epoch} after step ${last.step}` : "before the first step";
  output.line(`stopped   ${where}; ${last ? `weights in ${file}` : "nothing to save"}`);
  output.record({
    interrupted: true,
    epoch: last?.epoch ?? 0,
    step: last?.step ?? 0,
    weights: last ? file : null,
  });
}

/** Where an unfinished first epoch goes if `file` exists: net.safetensors -> net.interrupted.safetensors. */
function besides(file: string): string {
  const { dir, name, ext } = path.parse(file);
  return path.join(dir, `${name}.interrupted${ext}`);
}

/** The records, where a trainer that throws because it was aborted counts as one that ended. */
async function* untilAborted<T>(records: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  try {
    yield* records;
  } catch (error) {
    const aborted =
      signal.aborted && (error === signal.reason || (error instanceof Error && error.name === "AbortError"));
    if (!aborted) throw error;
  }
}

/** What is about to happen. */
export function headerLines(facts: TrainFacts, request: TrainRequest): string[] {
  const { trainCount, validationCount, testCount, inputSize: side } = facts;
  const threads = facts.threads === 1 ? "1 thread" : `${facts.threads} threads`;
  return [
    `net       VGG ${facts.config}, width ${request.width}, input 3x${side}x${side}: ${grouped(facts.params)} parameters`,
    `data      ${facts.dataName}: ${grouped(trainCount)} to learn, ${grouped(validationCount)} to validate, ` +
      `${grouped(testCount)} to test, ${facts.classCount} classes`,
    `run       ${request.epochs} epochs, batch ${request.batch}, lr ${request.lr}, seed ${request.seed}, ${request.backend}, ${threads}`,
  ];
}

/** How far a step is in its epoch: steps count from 1 over the whole run. */
export function stepInEpoch({ step, steps }: StepRecord): number {
  return ((step - 1) % steps) + 1;
}

/** What stands behind the bar. */
export function stepText({ loss, accuracy, imagesPerSecond }: StepRecord): string {
  return `loss ${loss.toFixed(3)} acc ${percent(accuracy)} ${grouped(Math.round(imagesPerSecond))} img/s`;
}

/** An epoch, for people. */
export function epochLine(record: EpochRecord, epochs: number): string {
  const { epoch, trainLoss, valTop1, valTop5, imagesPerSecond, seconds } = record;
  const number = String(epoch).padStart(String(epochs).length);
  return (
    `epoch ${number}/${epochs}  loss ${trainLoss.toFixed(4)}  val top-1 ${percent(valTop1)} top-5 ${percent(valTop5)}  ` +
    `${grouped(Math.round(imagesPerSecond))} img/s  ${duration(seconds)}`
  );
}

/** An epoch, for programs. */
export function epochRecord({ epoch, step, trainLoss, valTop1, imagesPerSecond, seconds }: EpochRecord) {
  return { epoch, step, trainLoss, valTop1, imagesPerSecond, seconds };
}
