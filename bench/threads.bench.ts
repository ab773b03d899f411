/**
 * What a second thread brings: VGG-16 forward at batch 1, and a training step of A at 32x32 with batch 64. Both engines
 * live in one process and take turns, so that whatever else the machine does falls on both; the idle one's workers sleep.
 * With `--threads a,b` the first and the last number are compared, with `--threads b` 1 and b.
 */
import { createEngine } from "#src/index.js";
import { forwardCase } from "./forward.bench.js";
import { type BenchCase, type BenchSettings, isWanted, machine, type Prepared, runAlone } from "./harness.js";
import { trainingStepCase } from "./training-step.bench.js";

const ROUNDS = 9;
const QUICK_ROUNDS = 3;
const WARM_UP = 2;

/** Ratios are times of few threads over times of many. */
interface ThreadsRow {
  readonly bench: "threads";
  readonly case: string;
  readonly shape: string;
  readonly threads: readonly [few: number, many: number];
  readonly rounds: number;
  readonly minMs: readonly [number, number];
  readonly medianMs: readonly [number, number];
  readonly ratioOfMinima: number;
  readonly ratioOfMedians: number;
  /** The median of the ratios of neighbouring runs. */
  readonly medianOfRatios: number;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

async function timeMs({ run }: Prepared): Promise<number> {
  const begin = performance.now();
  await run();
  return performance.now() - begin;
}

async function compare(benchCase: BenchCase, few: number, many: number, rounds: number): Promise<ThreadsRow> {
  const engines = [await createEngine({ threads: few }), await createEngine({ threads: many })];
  const [first, second] = [await benchCase.prepare(engines[0]), await benchCase.prepare(engines[1])];
  for (const side of [first, second]) {
    await side.check();
    for (let i = 0; i < WARM_UP; i++) await side.run();
  }
  const times: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    times[0].push(await timeMs(first));
    times[1].push(await timeMs(second));
  }
  for (const engine of engines) await engine.close();
  const minMs: [number, number] = [Math.min(...times[0]), Math.min(...times[1])];
  const medianMs: [number, number] = [median(times[0]), median(times[1])];
  return {
    bench: "threads",
    case: benchCase.bench,
    shape: benchCase.shape,
    threads: [few, many],
    rounds,
    minMs,
    medianMs,
    ratioOfMinima: minMs[0] / minMs[1],
    ratioOfMedians: medianMs[0] / medianMs[1],
    medianOfRatios: median(times[0].map((time, i) => time / times[1][i])),
  };
}

function formatRow({ case: name, shape, threads, minMs, medianMs, rounds, ...ratios }: ThreadsRow): string {
  const [few, many] = threads;
  const pair = (values: readonly number[]): string => values.map((value) => value.toFixed(1)).join(" / ");
  return (
    `${name} ${shape}: ${few} / ${many} threads, ${rounds} rounds, min ${pair(minMs)} ms, median ${pair(medianMs)} ms; ` +
    `ratio of minima ${ratios.ratioOfMinima.toFixed(2)}, of medians ${ratios.ratioOfMedians.toFixed(2)}, ` +
    `median of ratios ${ratios.medianOfRatios.toFixed(2)}`
  );
}

export async function bench(settings: BenchSettings): Promise<void> {
  const { threads, quick, json } = settings;
  const few = threads.length > 1 ? threads[0] : 1;
  const many = threads[threads.length - 1];
  const cases = [forwardCase("D", 1), trainingStepCase(32, 64)].filter(({ bench, shape }) =>
    isWanted(["threads", bench, shape], settings),
  );
  if (cases.length === 0) return;
  if (few === many) {
    console.error("threads: nothing to compare with one number of threads; use --threads 1,2");
    return;
  }
  if (!json) console.log("");
  for (const benchCase of cases) {
    const row = await compare(benchCase, few, many, quick ? QUICK_ROUNDS : ROUNDS);
    console.log(json ? JSON.stringify({ ...row, ...machine() }) : formatRow(row));
  }
}

await runAlone(import.meta.url, bench);
