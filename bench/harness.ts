/**
 * What all benches share: options, timing with tinybench, rows. A bench file lists cases; a case prepares its inputs on an
 * engine and says what one timed run is. README.md says how to run and how to read the numbers.
 */
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { Bench } from "tinybench";
import { createEngine, type Engine, type EngineOptions, Random, type Tensor } from "#src/index.js";
import { TIERS } from "#src/runs/request.js";

/** `auto` chooses by shape, as users get it. */
export type AlgorithmOption = NonNullable<EngineOptions["convAlgorithm"]>;

export type TierOption = NonNullable<EngineOptions["tier"]>;

/** All there are: a missing name does not compile. */
const ALGORITHM_NAMES = {
  auto: true,
  exact: true,
  im2col: true,
  winograd2: true,
  winograd4: true,
  winograd6: true,
} satisfies Record<AlgorithmOption, true>;

/** What `--algorithm` takes. */
export const ALGORITHMS = Object.keys(ALGORITHM_NAMES).filter((name) => isAlgorithm(name));

function isAlgorithm(name: string): name is AlgorithmOption {
  return Object.hasOwn(ALGORITHM_NAMES, name);
}

export interface BenchSettings {
  /** Numbers of threads, each measured on an engine of its own. */
  readonly threads: readonly number[];
  /** `--threads` was given. */
  readonly threadsAsked: boolean;
  /** The kernels' tier, as createEngine takes it. */
  readonly tier: TierOption;
  /** How engines convolve; cases that hold no convolution are measured once. */
  readonly algorithms: readonly AlgorithmOption[];
  /** Few runs, and no case over QUICK_FLOPS: to see that a bench works. */
  readonly quick: boolean;
  /** One JSON object per line instead of a table. */
  readonly json: boolean;
  /** A file that gets one JSON object per line, whatever is printed; empty: none. */
  readonly out: string;
  /** Only cases whose name, shape or layers contain this; empty: all. */
  readonly filter: string;
}

/** What is timed and how it is checked, with all inputs in place. */
export interface Prepared {
  /** One timed run. */
  run(): Promise<unknown>;
  /** Throws where the result is wrong; called once, before timing. */
  check(): Promise<void>;
}

export interface BenchCase {
  /** The kernel or the whole net: `conv2dForward`. */
  readonly bench: string;
  /** `x=[1,64,224,224] w=[64,64,3,3] pad=1` */
  readonly shape: string;
  /** Where such a shape occurs. */
  readonly layers: string;
  /** Two for each multiply-accumulate of the definition, whatever the algorithm saves; 0 where that says nothing. */
  readonly flops: number;
  /** Least traffic with memory: every input read once, every output written once; 0 where that says nothing. */
  readonly bytes: number;
  /** The algorithm that an engine with this option takes, as rows name it; null where it cannot be forced. Absent: no convolution. */
  algorithm?(option: AlgorithmOption): string | null;
  prepare(engine: Engine): Promise<Prepared>;
}

/** A measurement. `spread` is the median absolute deviation, as a share of the median. */
export interface BenchRow {
  readonly bench: string;
  readonly shape: string;
  readonly layers: string;
  /** `im2col` or `winograd`; whole nets: the engine's option; null without convolution. */
  readonly algorithm: string | null;
  readonly tier: string | null;
  readonly threads: number;
  readonly runs: number;
  readonly minMs: number;
  readonly medianMs: number;
  readonly spread: number;
  /** By the median; null where operations do not say anything. */
  readonly gflops: number | null;
  /** By the median; null where traffic does not say anything. */
  readonly gbps: number | null;
}

const QUICK_FLOPS = 2e10;
/** A step of a large net takes seconds: at least so many runs, and more where they are short. */
const RUNS = { iterations: 7, time: 600, warmupIterations: 2, warmupTime: 100 };
const QUICK_RUNS = { iterations: 3, time: 20, warmupIterations: 1, warmupTime: 0 };

/** Reads the options that all benches take. Ends the process with a message for an unknown one. */
export function parseSettings(args = process.argv.slice(2)): BenchSettings {
  const { values } = parseArgs({
    args,
    options: {
      filter: { type: "string", default: "" },
      threads: { type: "string" },
      algorithm: { type: "string", default: "auto" },
      tier: { type: "string", default: "auto" },
      json: { type: "boolean", default: false },
      out: { type: "string", default: "" },
      quick: { type: "boolean", default: false },
    },
  });
  const threads = threadCounts(values.threads ?? (availableParallelism() > 1 ? "1,2" : "1"));
  const threadsAsked = values.threads !== undefined;
  const { algorithm, tier, ...rest } = values;
  const algorithms = algorithm.split(",").map((name) => chosen("algorithm", name, ALGORITHMS));
  if (rest.out !== "") writeFileSync(rest.out, "");
  return { ...rest, threads, threadsAsked, algorithms, tier: chosen("tier", tier, TIERS) };
}

/** Numbers of threads, as `--threads 1,2` gives them. */
function threadCounts(text: string): number[] {
  const threads = text.split(",").map(Number);
  if (threads.every((count) => Number.isInteger(count) && count > 0)) return threads;
  throw new Error(`bench: threads must be whole numbers (--threads ${text}). Use --threads 1,2.`);
}

/** The one of `names` that an option gives. */
export function chosen<Name extends string>(option: string, name: string, names: readonly Name[]): Name {
  const found = names.find((known) => known === name);
  if (found !== undefined) return found;
  throw new Error(`bench: there is no such ${option} (--${option} ${name}). Use ${names.join(", ")}.`);
}

/** The machine, as each row carries it. */
export function machine(): Readonly<Record<string, string | number>> {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  return { version, cpu: cpus()[0].model, cores: availableParallelism(), node: process.version };
}

/** The sizes of a kernel's cases, from a file of bench/shapes. */
export function readShapes<Row>(kernel: string, file = "vgg.json"): Row[] {
  return JSON.parse(readFileSync(new URL(`./shapes/${file}`, import.meta.url), "utf8"))[kernel];
}

/** Runs a bench file that was started by itself; does nothing where run.ts imports it. */
export async function runAlone(moduleUrl: string, bench: (settings: BenchSettings) => Promise<void>): Promise<void> {
  if (process.argv[1] === undefined || pathToFileURL(process.argv[1]).href !== moduleUrl) return;
  const settings = parseSettings();
  printHeader(settings);
  await bench(settings);
}

/** Prints a row, as JSON or as the text given, and adds it to the file that was asked for. */
export function emitRow(row: object, text: string, { json, out }: BenchSettings): void {
  const line = JSON.stringify({ ...row, ...machine() });
  console.log(json ? line : text);
  if (out !== "") appendFileSync(out, `${line}\n`);
}

export function printHeader({ json }: BenchSettings): void {
  if (json) return;
  const { version, cpu, cores, node } = machine();
  console.log(`verydeep ${version}, ${cpu}, ${cores} cores, Node ${node}`);
}

/** Does a case, or a whole bench, belong to what was asked for? */
export function isWanted(names: readonly string[], { filter }: BenchSettings): boolean {
  return names.join(" ").toLowerCase().includes(filter.toLowerCase());
}

/** Measures all cases that were asked for, each on fresh engines; a row for each case, algorithm and number of threads. */
export async function runCases(cases: readonly BenchCase[], settings: BenchSettings): Promise<void> {
  const asked = cases.filter(({ bench, shape, layers }) => isWanted([bench, shape, layers], settings));
  const wanted = asked.filter(({ flops }) => !settings.quick || flops <= QUICK_FLOPS);
  if (asked.length > 0 && !settings.json) console.log(`\n${ROW_HEAD}`);
  if (wanted.length < asked.length) console.error(`--quick leaves ${asked.length - wanted.length} large cases out`);
  for (const benchCase of wanted) {
    for (const { option, algorithm } of variants(benchCase, settings)) {
      for (const threads of settings.threads) {
        const engine = await createEngine({ threads, convAlgorithm: option, tier: settings.tier });
        const row = await measure(benchCase, algorithm, engine, settings);
        await engine.close();
        emitRow(row, formatRow(row), settings);
      }
    }
  }
}

/** The engines' options to measure a case with: each algorithm once, where it can be had. */
function variants(
  benchCase: BenchCase,
  { algorithms }: BenchSettings,
): { option: AlgorithmOption; algorithm: string | null }[] {
  if (!benchCase.algorithm) return [{ option: "auto", algorithm: null }];
  const byName = new Map<string, AlgorithmOption>();
  for (const option of algorithms) {
    const algorithm = benchCase.algorithm(option);
    if (algorithm !== null && !byName.has(algorithm)) byName.set(algorithm, option);
  }
  return [...byName].map(([algorithm, option]) => ({ option, algorithm }));
}

async function measure(
  benchCase: BenchCase,
  algorithm: string | null,
  engine: Engine,
  { quick }: BenchSettings,
): Promise<BenchRow> {
  const { bench, shape, layers, flops, bytes } = benchCase;
  const { run, check } = await benchCase.prepare(engine);
  await check();
  const timer = new Bench({ ...(quick ? QUICK_RUNS : RUNS), throws: true });
  timer.add(shape, run, { async: true });
  const [task] = await timer.run();
  if (task.result.state !== "completed") throw new Error(`${bench} ${shape}: not measured (${task.result.state})`);
  const { min, p50, mad, samplesCount } = task.result.latency;
  return {
    bench,
    shape,
    layers,
    algorithm,
    tier: engine.tier,
    threads: engine.threads,
    runs: samplesCount,
    minMs: min,
    medianMs: p50,
    spread: mad / p50,
    gflops: flops > 0 ? flops / p50 / 1e6 : null,
    gbps: bytes > 0 ? bytes / p50 / 1e6 : null,
  };
}

const COLUMNS = [
  ["bench", -20],
  ["shape", -44],
  ["algorithm", -9],
  ["tier", -7],
  ["threads", 7],
  ["runs", 6],
  ["min ms", 10],
  ["median ms", 10],
  ["spread", 7],
  ["GFLOP/s", 8],
  ["GB/s", 6],
] as const;

function tableLine(cells: readonly string[]): string {
  return cells
    .map((cell, i) => (COLUMNS[i][1] < 0 ? cell.padEnd(-COLUMNS[i][1]) : cell.padStart(COLUMNS[i][1])))
    .join(" ");
}

const ROW_HEAD = tableLine(COLUMNS.map(([name]) => name));

function formatRow(row: BenchRow): string {
  const { bench, shape, algorithm, tier, threads, runs, minMs, medianMs, spread, gflops, gbps } = row;
  const percent = `${(100 * spread).toFixed(1)} %`;
  const rates = [gflops, gbps].map((rate) => rate?.toFixed(1) ?? "-");
  return tableLine([
    bench,
    shape,
    algorithm ?? "-",
    tier ?? "-",
    `${threads}`,
    `${runs}`,
    minMs.toFixed(3),
    medianMs.toFixed(3),
    percent,
    ...rates,
  ]);
}

// ---- what cases are made of ------------------------------------------------------------------------------------------

/** A kept tensor of values uniform in [−1, 1), made by the engine itself; the label is the seed. */
export async function uniform(engine: Engine, shape: readonly number[], label: string): Promise<Tensor> {
  const tensor = engine.stateTensor(shape, label);
  const stream = { ...new Random(1, "bench", label).key, counter: 0 };
  await engine.scope(() => {
    engine.record("fillUniform", { length: tensor.size, ...stream, scale: 1 }, { y: tensor });
  });
  return tensor;
}

/** One kernel: `record` records its single call and returns its result. Timed is a program of this call alone. */
export function kernelRun(engine: Engine, record: () => Tensor, check: (result: Tensor) => Promise<void>): Prepared {
  return {
    run: () =>
      engine.scope(() => {
        record();
      }),
    check: async () => check(await engine.scope(record)),
  };
}

/** Some places of a result of this size: the first, the last and others between. */
export function samplePlaces(size: number): number[] {
  const random = new Random(1, "bench", "places", size);
  return [0, size - 1, ...Array.from({ length: 14 }, () => random.integer(size))];
}

/** A sum of products in float64, and the sum of the products' sizes: the scale that rounding errors go by. */
export class ExactSum {
  value = 0;
  scale = 0;

  add(a: number, b: number): void {
    this.value += a * b;
    this.scale += Math.abs(a * b);
  }
}

/** Float32 sums of up to millions of terms in blocks, and Winograd's transforms, stay well below this share of the scale. */
const SUM_TOLERANCE = 1e-5;

/** Throws unless a result is what float64 gives, within rounding. */
export function checkValue(what: string, actual: number, value: number, scale = Math.abs(value)): void {
  if (!(Math.abs(actual - value) <= SUM_TOLERANCE * scale)) {
    throw new Error(`${what}: the kernel gives ${actual}, float64 ${value}`);
  }
}
