/**
 * What a second thread brings, in turn (compare.ts): VGG-16 forward at batch 1, and a training step of A at 32x32 with batch 64.
 * With `--threads a,b` the first and the last number are compared, with `--threads b` 1 and b.
 */
import { compare, formatComparison, type Side } from "./compare.js";
import { forwardCase } from "./forward.bench.js";
import { type BenchSettings, emitRow, isWanted, runAlone, type TierOption } from "./harness.js";
import { trainingStepCase } from "./training-step.bench.js";

const ROUNDS = 9;
const QUICK_ROUNDS = 3;

function sideOf(threads: number, tier: TierOption): Side {
  return { name: threads === 1 ? "1 thread" : `${threads} threads`, options: { threads, tier } };
}

export async function bench(settings: BenchSettings): Promise<void> {
  const { threads, tier, quick, json } = settings;
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
    const row = await compare(
      "threads",
      benchCase,
      [sideOf(few, tier), sideOf(many, tier)],
      quick ? QUICK_ROUNDS : ROUNDS,
    );
    emitRow(row, formatComparison(row), settings);
  }
}

await runAlone(import.meta.url, bench);
