/**
 * A of VGG at full width on CIFAR-10 beside PyTorch: the same initial weights, the same batches in the same order with the same
 * augmentation, the same rate at each step. Ours does a step, then PyTorch, so that whatever else the machine does falls on both.
 *
 *   node --import tsx scripts/long/cifar-pytorch.ts [--epochs 8] [--batch 64] [--width 1] [--seed 1] [--threads N] [--tier plain]
 *       [--time-only STEPS] [--data DIR] [--out rows.jsonl]
 *
 * Wanted: at least 75 % of the test pictures, and at most 0.6 of PyTorch's time; exits with 1 where one is missed. Time is that of the
 * training steps; ours includes making the batches, PyTorch's does not. --time-only measures so many steps and extrapolates. With
 * a file of rows it goes on after the last epoch that was done. Where no Python has PyTorch, ours alone is trained.
 */
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { createEngine, type Engine, openBatches, type Sequential } from "#src/index.js";
import { TIERS } from "#src/runs/request.js";
import { chosen, type TierOption } from "../../bench/harness.js";
import {
  type CifarRecipe,
  type CifarSplits,
  cifarOptions,
  cifarRun,
  EpochCheckpoint,
  LR,
  MOMENTUM,
  openCifar,
  testAccuracy,
  WEIGHT_DECAY,
} from "./cifar.js";
import { RowFile, runScript, wholeNumbers } from "./rows.js";
import { pythonWithTorch, TorchProcess } from "./torch-process.js";

const LEAST_ACCURACY = 0.75;
const MOST_TIME = 0.6;
/** Steps whose time does not count with --time-only: kernels are compiled in the background. */
const WARM_UP = 3;

interface Times {
  readonly oursMs: number[];
  readonly torchMs: number[];
}

interface Result {
  readonly oursTop1: number | null;
  readonly torchTop1: number | null;
  /** Of all steps, in seconds; extrapolated with --time-only. */
  readonly oursSeconds: number;
  readonly torchSeconds: number | null;
  /** By the fastest, the middle and the sum of the steps. */
  readonly ratioOfMinima: number | null;
  readonly ratioOfMedians: number | null;
  readonly ratio: number | null;
  readonly steps: number;
}

interface Settings {
  readonly threads: number;
  readonly tier: TierOption;
  readonly timeOnly: number | null;
  readonly out: string | undefined;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const percent = (share: number | null): string => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);

/** PyTorch's net with the weights of ours. */
async function startTorch(python: string, model: Sequential, threads: number): Promise<TorchProcess> {
  const folder = mkdtempSync(path.join(tmpdir(), "verydeep-cifar-"));
  try {
    const file = path.join(folder, "weights");
    const parameters = model.parameters();
    const values = await Promise.all(parameters.map((parameter) => parameter.data()));
    writeFileSync(file, Buffer.concat(values.map((array) => new Uint8Array(Float32Array.from(array).buffer))));
    const torch = new TorchProcess(python);
    const shapes = parameters.map(({ shape }) => shape);
    await torch.ask({ start: { file, shapes, threads, lr: LR, momentum: MOMENTUM, weightDecay: WEIGHT_DECAY } });
    return torch;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function torchAccuracy(torch: TorchProcess, data: CifarSplits, recipe: CifarRecipe): Promise<number> {
  const { normalise } = cifarOptions(data, recipe);
  let correct = 0;
  for await (const batch of openBatches(data.test, { batch: 100, normalise }).epoch(0)) {
    correct += Number((await torch.ask({ evaluate: { shape: batch.shape } }, batch)).correct);
  }
  return correct / data.test.labels.length;
}

/** What is kept after an epoch beside both nets: the times so far. */
class Progress {
  readonly times: Times = { oursMs: [], torchMs: [] };
  private readonly ours: EpochCheckpoint;

  constructor(private readonly base: string | null) {
    this.ours = new EpochCheckpoint(base && `${base}.safetensors`);
  }

  /** Takes both nets to where they were, if there is anything. */
  async load(run: ReturnType<typeof cifarRun>["run"], torch: TorchProcess | null): Promise<void> {
    const { base } = this;
    if (base === null || !existsSync(`${base}.times.json`)) return;
    const { oursMs, torchMs }: Times = JSON.parse(readFileSync(`${base}.times.json`, "utf8"));
    await this.ours.load(run);
    // Killed between two files: begin again.
    if (run.progress.step !== oursMs.length) throw new Error(`${base}.*: the files do not agree. Delete them.`);
    await torch?.ask({ load: `${base}.pt` });
    this.times.oursMs.push(...oursMs);
    this.times.torchMs.push(...torchMs);
  }

  async save(run: ReturnType<typeof cifarRun>["run"], torch: TorchProcess | null): Promise<void> {
    const { base, times } = this;
    if (base === null) return;
    writeFileSync(`${base}.times.json.new`, JSON.stringify(times));
    await torch?.ask({ save: `${base}.pt.new` });
    await this.ours.save(run);
    if (torch !== null) renameSync(`${base}.pt.new`, `${base}.pt`);
    renameSync(`${base}.times.json.new`, `${base}.times.json`);
  }

  remove(): void {
    this.ours.remove();
    for (const end of ["times.json", "pt"]) if (this.base !== null) rmSync(`${this.base}.${end}`, { force: true });
  }
}

/** Both nets, step by step in turn, until the run or --time-only ends it. */
async function trainBoth(
  run: ReturnType<typeof cifarRun>["run"],
  torch: TorchProcess | null,
  data: CifarSplits,
  recipe: CifarRecipe,
  progress: Progress,
  timeOnly: number | null,
): Promise<void> {
  const { times } = progress;
  const records = run.records();
  const source = openBatches(data.train, { ...cifarOptions(data, recipe), shuffle: true });
  for (let epoch = run.progress.epoch; epoch < recipe.epochs; epoch++) {
    for await (const batch of source.epoch(epoch)) {
      const begin = performance.now();
      const { value: record } = await records.next();
      times.oursMs.push(performance.now() - begin);
      if (record?.kind !== "step") throw new Error(`cifar-pytorch: no step (${JSON.stringify(record)})`);
      if (torch !== null) {
        const { loss, timeMs } = await torch.ask({ step: { lr: record.lr, shape: batch.shape } }, batch);
        times.torchMs.push(Number(timeMs));
        if (record.step % 50 === 1) {
          console.error(`step ${record.step}: loss ${record.loss.toFixed(5)}, PyTorch's ${Number(loss).toFixed(5)}`);
        }
      }
      if (timeOnly !== null && times.oursMs.length >= WARM_UP + timeOnly) {
        await records.return();
        return;
      }
    }
    // The record of the epoch, after validation: not timed.
    const { value: record } = await records.next();
    if (record?.kind !== "epoch") throw new Error(`cifar-pytorch: no end of an epoch (${JSON.stringify(record)})`);
    await progress.save(run, torch);
    const seconds = [times.oursMs, times.torchMs].map((values) => (sum(values) / 1000).toFixed(0));
    console.error(
      `epoch ${epoch + 1}/${recipe.epochs}: validation ${percent(record.valTop1)}, ${seconds[0]} s, PyTorch ${seconds[1]} s`,
    );
  }
  await records.next();
}

async function measure(
  engine: Engine,
  data: CifarSplits,
  recipe: CifarRecipe,
  { threads, timeOnly, out }: Settings,
): Promise<Result> {
  const { model, run } = cifarRun(engine, data, recipe);
  const python = pythonWithTorch();
  if (python === null) console.log("SKIPPED PyTorch: no Python here has it");
  const torch = python === null ? null : await startTorch(python, model, threads);
  const { width, epochs, batch, seed } = recipe;
  const isKept = out !== undefined && timeOnly === null;
  const progress = new Progress(isKept ? `${out}.${[engine.tier, width, epochs, batch, seed].join("-")}` : null);
  await progress.load(run, torch);
  await trainBoth(run, torch, data, recipe, progress, timeOnly);
  const accuracies =
    timeOnly === null
      ? [await testAccuracy(model, data, recipe), torch && (await torchAccuracy(torch, data, recipe))]
      : [null, null];
  torch?.end();
  progress.remove();

  const counted = ({ oursMs, torchMs }: Times): Times =>
    timeOnly === null ? { oursMs, torchMs } : { oursMs: oursMs.slice(WARM_UP), torchMs: torchMs.slice(WARM_UP) };
  const { oursMs, torchMs } = counted(progress.times);
  const factor = (run.steps * epochs) / oursMs.length / 1000;
  const over = (of: (values: readonly number[]) => number): number | null => torch && of(oursMs) / of(torchMs);
  return {
    oursTop1: accuracies[0],
    torchTop1: accuracies[1],
    oursSeconds: sum(oursMs) * factor,
    torchSeconds: torch && sum(torchMs) * factor,
    ratioOfMinima: over((values) => Math.min(...values)),
    ratioOfMedians: over(median),
    ratio: over(sum),
    steps: oursMs.length,
  };
}

await runScript(async () => {
  const { values } = parseArgs({
    options: {
      epochs: { type: "string", default: "8" },
      batch: { type: "string", default: "64" },
      width: { type: "string", default: "1" },
      seed: { type: "string", default: "1" },
      threads: { type: "string", default: `${availableParallelism()}` },
      tier: { type: "string", default: "plain" },
      "time-only": { type: "string" },
      data: { type: "string" },
      out: { type: "string" },
    },
  });
  const first = (option: "epochs" | "batch" | "seed" | "threads"): number =>
    wholeNumbers(`--${option}`, values[option])[0];
  const width = Number(values.width);
  if (!(width > 0)) throw new Error(`--width must be a number above 0 (--width ${values.width}).`);
  const recipe: CifarRecipe = { width, epochs: first("epochs"), batch: first("batch"), seed: first("seed") };
  const timeOnly = values["time-only"] === undefined ? null : wholeNumbers("--time-only", values["time-only"])[0];
  const settings: Settings = {
    threads: first("threads"),
    tier: chosen("tier", values.tier, TIERS),
    timeOnly,
    out: values.out,
  };
  const data = await openCifar(values.data);
  if (data === null) return;

  const { threads, tier } = settings;
  const rows = new RowFile<Result>(values.out);
  const result = await rows.get({ ...recipe, threads, tier, timeOnly }, async () => {
    const engine = await createEngine({ threads, tier });
    const found = await measure(engine, data, recipe, settings);
    await engine.close();
    return found;
  });

  const { oursTop1, torchTop1, oursSeconds, torchSeconds, ratio, ratioOfMinima, ratioOfMedians, steps } = result;
  const what = timeOnly === null ? "trained" : `extrapolated from ${steps} steps`;
  console.log(
    `\nCIFAR-10, A at width ${width}, ${recipe.epochs} epochs, batch ${recipe.batch}, tier ${tier}, ${threads} threads, ${what}`,
  );
  const verdict = (met: boolean): string => {
    if (!met) process.exitCode = 1;
    return met ? "met" : "MISSED";
  };
  if (oursTop1 !== null) {
    const wanted = `at least ${percent(LEAST_ACCURACY)}: ${verdict(oursTop1 >= LEAST_ACCURACY)}`;
    console.log(`test accuracy ${percent(oursTop1)}, PyTorch's ${percent(torchTop1)}; ${wanted}`);
  }
  console.log(`training steps ${oursSeconds.toFixed(0)} s, PyTorch's ${torchSeconds?.toFixed(0) ?? "–"} s`);
  if (ratio !== null) {
    const others = `of minima ${ratioOfMinima?.toFixed(3)}, of medians ${ratioOfMedians?.toFixed(3)}`;
    console.log(`ratio ${ratio.toFixed(3)} (${others}), at most ${MOST_TIME}: ${verdict(ratio <= MOST_TIME)}`);
  }
});
