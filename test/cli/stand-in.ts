/**
 * `verydeep train` with a stand-in for the engine, as a program of its own: for what can only be seen from outside, such as Ctrl-C.
 * Usage: stand-in.ts OUT [--json] [--diverge] [--early] [--first] [--slow]. Two epochs of four steps of 20 ms, or 1 s in epoch 2; the weights file says after how many steps it was written.
 */
import { writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { Output } from "#src/cli/output.js";
import { runTrain } from "#src/cli/run-train.js";
import type { TrainSession } from "#src/cli/work.js";
import { DivergedError, VerydeepError } from "#src/core/errors.js";
import { DEFAULT_REQUEST } from "#src/runs/request.js";

const [out, ...flags] = process.argv.slice(2);
const json = flags.includes("--json");
const output = new Output({ json, stdout: process.stdout, stderr: process.stderr, env: process.env });
let steps = 0;

const session: TrainSession = {
  facts: {
    config: "A",
    params: 1234,
    inputSize: 32,
    classCount: 2,
    dataName: "stand-in",
    trainCount: 40,
    validationCount: 4,
    testCount: 4,
    threads: 2,
    backend: "wasm",
    tier: "plain",
    folder: null,
    notes: [],
  },
  async *records(signal) {
    if (flags.includes("--early")) process.emit("SIGINT");
    for (let epoch = 1; epoch <= 2; epoch++) {
      for (let step = 0; step < 4; step++) {
        if (signal.aborted) return;
        await delay(flags.includes("--slow") && epoch === 2 ? 1000 : 20);
        steps++;
        if (flags.includes("--first") && steps === 2) process.emit("SIGINT");
        if (flags.includes("--diverge") && steps === 6) {
          throw new DivergedError("train: the loss is not finite (step 6, loss NaN). Try a smaller --lr.");
        }
        yield {
          kind: "step",
          epoch,
          step: steps,
          steps: 4,
          loss: 1 / steps,
          accuracy: 0.5,
          lr: 0.1,
          imagesPerSecond: 1234.5,
          waitMs: 0,
          memoryBytes: 1,
        };
      }
      yield {
        kind: "epoch",
        epoch,
        step: steps,
        trainLoss: 0.5,
        valTop1: 0.75,
        valTop5: 1,
        valLoss: 0.6,
        lr: 0.1,
        imagesPerSecond: 1234.5,
        seconds: 0.6,
      };
    }
  },
  save: (file) => writeFile(file, `after ${steps} steps`),
  test: async () => ({ top1: 0.5, top5: 1 }),
  classify: async () => [{ label: "circle", index: 0, probability: 1 }],
  close: async () => undefined,
};

const request = { ...DEFAULT_REQUEST, data: "x", epochs: 2, batch: 10, lr: 0.1, width: 1 };
const settings = {
  threads: 2,
  out,
  folder: null,
  everySteps: 0,
  everySeconds: 0,
  keep: 1,
  workers: 1,
  cache: null,
  badPictures: "fail",
} as const;
try {
  process.exitCode = await runTrain(request, settings, undefined, output, async () => session);
} catch (error) {
  if (!(error instanceof VerydeepError)) throw error;
  output.error(error);
  process.exitCode = 1;
}
