/**
 * What more threads bring, in turn (compare.ts): forward passes and training steps with one thread beside 2, and 4 and 16 where the
 * machine has the cores; with `--threads a,b,c` a beside b, and a beside c. Cases and how many times faster the project wants them
 * to be are in shapes/threads.json; a case without a wish for a number of threads runs only where that number is asked for.
 */
import { availableParallelism } from "node:os";
import { MemoryFullError, type VggConfigName } from "#src/index.js";
import { compare, formatComparison, type Side } from "./compare.js";
import { forwardCase } from "./forward.bench.js";
import { type BenchCase, type BenchSettings, emitRow, isWanted, readShapes, runAlone } from "./harness.js";
import { trainingStepCase } from "./training-step.bench.js";

const DEFAULT_THREADS = [1, 2, 4, 16];
const QUICK_ROUNDS = 3;
const QUICK_FLOPS = 1e12;

interface ThreadsShape {
  readonly kind: "forward" | "train";
  readonly config: VggConfigName;
  /** Input's height and width; forward passes are at 224. */
  readonly size?: 32 | 224;
  readonly batch: number;
  readonly rounds: number;
  /** By number of threads: times faster than one thread. */
  readonly atLeast: Readonly<Record<string, number>>;
}

function caseOf({ kind, config, batch, size = 224 }: ThreadsShape): BenchCase {
  return kind === "forward" ? forwardCase(config, batch) : trainingStepCase(size, batch, config);
}

/** The numbers to compare, the first one with each of the others. */
function counts({ threads, threadsAsked }: BenchSettings): readonly number[] {
  if (!threadsAsked) return DEFAULT_THREADS.filter((count) => count <= availableParallelism());
  return threads.length > 1 || threads[0] === 1 ? threads : [1, ...threads];
}

async function benchPair(shape: ThreadsShape, few: number, many: number, settings: BenchSettings): Promise<void> {
  const benchCase = caseOf(shape);
  const side = (threads: number): Side => ({
    name: threads === 1 ? "1 thread" : `${threads} threads`,
    options: { threads, tier: settings.tier },
  });
  const rounds = settings.quick ? QUICK_ROUNDS : shape.rounds;
  try {
    const row = await compare("threads", benchCase, [side(few), side(many)], rounds);
    const atLeast = few === 1 ? (shape.atLeast[many] ?? null) : null;
    const met = atLeast === null ? null : row.ratioOfMinima >= atLeast;
    const verdict = atLeast === null ? "" : `; wanted ${atLeast.toFixed(2)}: ${met ? "met" : "MISSED"}`;
    emitRow({ ...row, tier: settings.tier, atLeast, met }, `${formatComparison(row)}${verdict}`, settings);
  } catch (error) {
    if (!(error instanceof MemoryFullError)) throw error;
    console.error(`threads: ${benchCase.bench} ${benchCase.shape} does not fit into memory: ${error.message}`);
  }
}

export async function bench(settings: BenchSettings): Promise<void> {
  const [few, ...others] = counts(settings);
  const shapes = readShapes<ThreadsShape>("threads", "threads.json").filter((shape) => {
    const { bench, shape: words, flops } = caseOf(shape);
    return isWanted(["threads", bench, words], settings) && !(settings.quick && flops > QUICK_FLOPS);
  });
  if (shapes.length === 0) return;
  if (others.length === 0) {
    console.error("threads: nothing to compare with one number of threads; use --threads 1,2");
    return;
  }
  if (!settings.json) console.log("");
  for (const shape of shapes) {
    const wanted = others.filter((many) => settings.threadsAsked || shape.atLeast[many] !== undefined);
    for (const many of wanted) await benchPair(shape, few, many, settings);
  }
}

await runAlone(import.meta.url, bench);
