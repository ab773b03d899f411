/**
 * Two engines on one case, in turn: both live in one process and run one after the other in each round, so that whatever else the
 * machine does falls on both; the idle one's workers sleep. What a ratio is worth on a machine that is not one's own.
 */
import { createEngine, type EngineOptions } from "#src/index.js";
import type { BenchCase, Prepared } from "./harness.js";

const WARM_UP = 2;

/** An engine to compare: `1 thread`, `winograd`. */
export interface Side {
  readonly name: string;
  readonly options: EngineOptions;
}

/** Ratios are times of the first side over times of the second. */
export interface ComparisonRow {
  readonly bench: string;
  readonly case: string;
  readonly shape: string;
  readonly layers: string;
  readonly sides: readonly [string, string];
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

/** Checks both sides, warms them up and measures; `bench` names the row. */
export async function compare(
  bench: string,
  benchCase: BenchCase,
  sides: readonly [Side, Side],
  rounds: number,
): Promise<ComparisonRow> {
  const engines = [await createEngine(sides[0].options), await createEngine(sides[1].options)];
  const prepared = [await benchCase.prepare(engines[0]), await benchCase.prepare(engines[1])] as const;
  const times = await takeTurns(prepared, rounds);
  for (const engine of engines) await engine.close();
  return {
    bench,
    case: benchCase.bench,
    shape: benchCase.shape,
    layers: benchCase.layers,
    sides: [sides[0].name, sides[1].name],
    ...times,
  };
}

/** What two runs that took turns needed. */
type Turns = Pick<
  ComparisonRow,
  "rounds" | "minMs" | "medianMs" | "ratioOfMinima" | "ratioOfMedians" | "medianOfRatios"
>;

/** Checks both, warms them up and measures them in turn. */
export async function takeTurns([first, second]: readonly [Prepared, Prepared], rounds: number): Promise<Turns> {
  for (const side of [first, second]) {
    await side.check();
    for (let i = 0; i < WARM_UP; i++) await side.run();
  }
  const times: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    times[0].push(await timeMs(first));
    times[1].push(await timeMs(second));
  }
  const minMs: [number, number] = [Math.min(...times[0]), Math.min(...times[1])];
  const medianMs: [number, number] = [median(times[0]), median(times[1])];
  return {
    rounds,
    minMs,
    medianMs,
    ratioOfMinima: minMs[0] / minMs[1],
    ratioOfMedians: medianMs[0] / medianMs[1],
    medianOfRatios: median(times[0].map((time, i) => time / times[1][i])),
  };
}

/** One line for people. */
export function formatComparison(row: ComparisonRow): string {
  const { case: name, shape, sides, minMs, medianMs, rounds, ratioOfMinima, ratioOfMedians, medianOfRatios } = row;
  const pair = (values: readonly number[]): string =>
    values.map((value) => value.toFixed(value < 10 ? 3 : 1)).join(" / ");
  return (
    `${name} ${shape}: ${sides.join(" / ")}, ${rounds} rounds, min ${pair(minMs)} ms, median ${pair(medianMs)} ms; ` +
    `ratio of minima ${ratioOfMinima.toFixed(2)}, of medians ${ratioOfMedians.toFixed(2)}, ` +
    `median of ratios ${medianOfRatios.toFixed(2)}`
  );
}
