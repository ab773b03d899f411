/**
 * Does Winograd cost accuracy? Trains A at half width on CIFAR-10 by the default convolution and by im2col alone, three seeds each, and
 * compares the mean accuracies on the test pictures.
 *
 *   node --import tsx scripts/long/cifar-accuracy.ts [--epochs 10] [--seeds 1,2,3] [--width 0.5] [--batch 64] [--algorithms auto,im2col]
 *       [--threads N] [--tier plain] [--data DIR] [--out rows.jsonl]
 *
 * Exits with 1 where a mean is more than 2 points from that of the last algorithm. With a file of rows it goes on where it was killed:
 * runs that are done are not run again, and one under way goes on with its last epoch's checkpoint, beside the file.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { createEngine } from "#src/index.js";
import { TIERS } from "#src/runs/request.js";
import { ALGORITHMS, type AlgorithmOption, chosen, type TierOption } from "../../bench/harness.js";
import { type CifarRecipe, type CifarSplits, cifarRun, EpochCheckpoint, openCifar, testAccuracy } from "./cifar.js";
import { RowFile, runScript, wholeNumbers } from "./rows.js";

/** Points of accuracy between the means. */
const MOST_APART = 2;

interface Accuracy {
  readonly testTop1: number;
  readonly valTop1: number;
  readonly seconds: number;
}

interface Settings {
  readonly threads: number;
  readonly tier: TierOption;
  readonly out: string | undefined;
}

async function trainOne(
  data: CifarSplits,
  recipe: CifarRecipe,
  convAlgorithm: AlgorithmOption,
  { threads, tier, out }: Settings,
): Promise<Accuracy> {
  const engine = await createEngine({ threads, tier, convAlgorithm });
  const { model, run } = cifarRun(engine, data, recipe);
  const { width, epochs, batch, seed } = recipe;
  const name = `${out}.${[convAlgorithm, engine.tier, width, epochs, batch, seed].join("-")}.safetensors`;
  const checkpoint = new EpochCheckpoint(out === undefined ? null : name);
  await checkpoint.load(run);
  for await (const record of run.records()) {
    if (record.kind !== "epoch") continue;
    await checkpoint.save(run);
    const { epoch, valTop1, trainLoss, seconds } = record;
    const place = `${convAlgorithm} seed ${seed} epoch ${epoch}/${epochs}`;
    console.error(`${place}: loss ${trainLoss.toFixed(4)}, validation ${percent(valTop1)}, ${seconds.toFixed(0)} s`);
  }
  const testTop1 = await testAccuracy(model, data, recipe);
  const { validation, seconds } = run.progress;
  await engine.close();
  checkpoint.remove();
  return { testTop1, valTop1: validation[validation.length - 1], seconds: Math.round(seconds) };
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

await runScript(async () => {
  const { values } = parseArgs({
    options: {
      epochs: { type: "string", default: "10" },
      seeds: { type: "string", default: "1,2,3" },
      width: { type: "string", default: "0.5" },
      batch: { type: "string", default: "64" },
      algorithms: { type: "string", default: "auto,im2col" },
      threads: { type: "string", default: `${availableParallelism()}` },
      tier: { type: "string", default: "plain" },
      data: { type: "string" },
      out: { type: "string" },
    },
  });
  const width = Number(values.width);
  if (!(width > 0)) throw new Error(`--width must be a number above 0 (--width ${values.width}).`);
  const [epochs] = wholeNumbers("--epochs", values.epochs);
  const [batch] = wholeNumbers("--batch", values.batch);
  const [threads] = wholeNumbers("--threads", values.threads);
  const seeds = wholeNumbers("--seeds", values.seeds);
  const algorithms = values.algorithms.split(",").map((name) => chosen("algorithms", name, ALGORITHMS));
  const settings: Settings = { threads, tier: chosen("tier", values.tier, TIERS), out: values.out };
  const data = await openCifar(values.data);
  if (data === null) return;

  const rows = new RowFile<Accuracy>(values.out);
  const found = new Map<AlgorithmOption, Accuracy[]>();
  // Seed by seed, so that a run that is cut has pairs.
  for (const seed of seeds) {
    for (const algorithm of algorithms) {
      const recipe: CifarRecipe = { width, epochs, batch, seed };
      const key = { ...recipe, tier: settings.tier, algorithm };
      const result = await rows.get(key, () => trainOne(data, recipe, algorithm, settings));
      found.set(algorithm, [...(found.get(algorithm) ?? []), result]);
    }
  }

  console.log(
    `\nCIFAR-10, A at width ${width}, ${epochs} epochs, batch ${batch}, tier ${settings.tier}: test accuracy`,
  );
  for (const [algorithm, results] of found) {
    const each = results.map(({ testTop1 }, i) => `seed ${seeds[i]}: ${percent(testTop1)}`).join(", ");
    const seconds = Math.round(mean(results.map((result) => result.seconds)));
    console.log(
      `${algorithm.padEnd(12)} mean ${percent(mean(results.map(({ testTop1 }) => testTop1)))}  ${each}  ${seconds} s a run`,
    );
  }
  const means = [...found].map(([name, results]) => ({ name, value: mean(results.map(({ testTop1 }) => testTop1)) }));
  const last = means[means.length - 1];
  for (const { name, value } of means.slice(0, -1)) {
    const points = 100 * (value - last.value);
    const met = Math.abs(points) <= MOST_APART;
    const text = `${name} - ${last.name}: ${points >= 0 ? "+" : ""}${points.toFixed(2)} points`;
    console.log(`${text}, at most ${MOST_APART} apart: ${met ? "met" : "MISSED"}`);
    if (!met) process.exitCode = 1;
  }
});
