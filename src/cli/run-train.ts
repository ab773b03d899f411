/**
 * One run of `verydeep train`: trains, shows how it goes, writes the weights, tells the accuracy on the test pictures. The
 * engine is behind work.ts; the loop here decides what is said and what is saved when.
 */
import { existsSync } from "node:fs";
import path from "node:path";
import { checkWritable } from "../io/atomic-file.js";
import type { TrainRequest } from "../runs/request.js";
import type { EpochRecord, EventRecord, StepRecord } from "../train/records.js";
import { classifyPictures } from "./classify.js";
import { type Interruption, listenForInterrupt } from "./interrupt.js";
import { duration, grouped, percent } from "./numbers.js";
import type { Output, Progress } from "./output.js";
import { listPictures } from "./pictures.js";
import type { OpenTrainSession, TrainFacts, TrainSession, TrainSettings } from "./work.js";

/**
 * Trains as asked.
 * @param demo folder of pictures to classify at the end.
 * @param open makes the session; tests pass a stand-in.
 * @returns the exit code.
 */
export async function runTrain(
  request: TrainRequest,
  settings: TrainSettings,
  demo: string | undefined,
  output: Output,
  open: OpenTrainSession,
): Promise<number> {
  const { out } = settings;
  // What would fail at the end fails now.
  await checkWritable("verydeep train", out);
  const pictures = demo === undefined ? [] : await listPictures(demo);
  const begin = performance.now();
  const session = await open(request, settings);
  try {
    for (const line of headerLines(session.facts, request)) output.line(line);
    const interruption = listenForInterrupt(output);
    try {
      await trainAndSave(session, request, out, interruption, output);
    } finally {
      output.endProgress();
      interruption.dispose();
    }
    if (interruption.signal.aborted) return interruption.exitCode;
    const { top1, top5 } = await session.test();
    const seconds = (performance.now() - begin) / 1000;
    const { bold } = output.paint;
    output.line(`test      top-1 ${bold(percent(top1))}, top-5 ${percent(top5)}, ${duration(seconds)} in all`);
    output.line(`weights   ${bold(out)}`);
    if (session.facts.folder !== null) output.line(`run       ${session.facts.folder}`);
    if (pictures.length > 0)
      await classifyPictures((picture, top) => session.classify(picture, { top }), pictures, 3, output);
    output.record({ done: true, testTop1: top1, testTop5: top5, seconds, weights: out, run: session.facts.folder });
    return 0;
  } finally {
    await session.close();
  }
}

/** Runs the trainer, saves after each epoch, and, when interrupted between, after the last step. */
async function trainAndSave(
  session: TrainSession,
  request: TrainRequest,
  out: string,
  { signal }: Interruption,
  output: Output,
): Promise<void> {
  let progress: Progress | undefined;
  let last: StepRecord | undefined;
  let saved = false;
  // A net that has hardly learnt must not take the place of one that was there before.
  const earlier = existsSync(out);
  let file = earlier ? besides(out) : out;
  for await (const record of untilAborted(session.records(signal), signal)) {
    switch (record.kind) {
      case "step":
        last = record;
        saved = false;
        progress ??= output.progress(`epoch ${record.epoch}/${request.epochs}`, record.steps);
        progress.update(stepInEpoch(record), stepText(record));
        break;
      case "micro":
        progress ??= output.progress(`epoch ${record.epoch}/${request.epochs}`, last?.steps ?? 0);
        progress.update(
          last ? stepInEpoch(last) : 0,
          `${record.pictures} of ${record.stepPictures} pictures of a step`,
        );
        break;
      case "event":
        progress?.end();
        progress = undefined;
        output.line(`${record.name === "dead-start" ? "warning " : "note    "}  ${record.text}`);
        output.record(eventRecord(record));
        break;
      case "epoch":
        progress?.end();
        progress = undefined;
        file = out;
        await session.save(file);
        saved = true;
        output.line(epochLine(record, request.epochs));
        output.record(epochRecord(record));
        break;
    }
  }
  output.endProgress();
  if (!signal.aborted) {
    // A run that was ended after its last epoch has no record left to save at.
    if (!saved) await session.save(out);
    return;
  }
  if (last && !saved) await session.save(file);
  const where = last ? `in epoch ${last.epoch} after step ${last.step}` : "before the first step";
  output.line(`stopped   ${where}; ${last ? `weights in ${file}` : "nothing to save"}`);
  const { folder } = session.facts;
  if (folder !== null) output.line(`go on     verydeep train --resume ${folder}`);
  output.record({
    interrupted: true,
    epoch: last?.epoch ?? 0,
    step: last?.step ?? 0,
    weights: last ? file : null,
    run: folder,
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
  const computer = facts.tier === null ? facts.backend : `${facts.backend} ${facts.tier}, ${threads}`;
  return [
    `net       VGG ${facts.config}${request.batchNorm ? " with batch normalisation" : ""}, width ${request.width}, input 3x${side}x${side}: ${grouped(facts.params)} parameters`,
    `data      ${facts.dataName}: ${grouped(trainCount)} to learn, ${grouped(validationCount)} to validate, ` +
      `${grouped(testCount)} to test, ${facts.classCount} classes`,
    `run       ${request.epochs} epochs, batch ${request.batch}, lr ${request.lr}, seed ${request.seed}, ${computer}`,
    ...facts.notes.map((note) => `note      ${note}`),
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

/** An event, for programs. */
export function eventRecord({ name, epoch, step, text }: EventRecord) {
  return { event: name, epoch, step, text };
}

/** An epoch, for programs. */
export function epochRecord({ epoch, step, trainLoss, valTop1, imagesPerSecond, seconds }: EpochRecord) {
  return { epoch, step, trainLoss, valTop1, imagesPerSecond, seconds };
}
