/**
 * Does a long training run keep its memory? Trains with augmentation, checkpoints and records, and watches the resident set.
 *
 *   node --import tsx scripts/long/training-memory.ts [steps] [threads]      after npm run build; default 10000 steps, 2 threads
 *
 * One JSON line: the median resident set of each fifth of the run, and how far the last is from the second.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createEngine, keepRun, pixelStatistics, RunFolder, shapes, TrainingRun, vgg } from "#src/index.js";

const steps = Number(process.argv[2] ?? 10_000);
const threads = Number(process.argv[3] ?? 2);
const BATCH = 16;

const place = mkdtempSync(path.join(tmpdir(), "verydeep-memory-"));
const engine = await createEngine({ threads });
const data = shapes({ count: 2000 });
const net = { classes: 10, inputSize: 32, width: 1 / 16, classifier: [32], seed: 1 };
const run = new TrainingRun(vgg("A", net, engine), data, {
  epochs: Math.ceil((steps * BATCH) / data.train.labels.length),
  batch: BATCH,
  microBatch: BATCH / 2,
  lr: 0.01,
  augment: { cropPadding: 4, flip: true },
  normalise: pixelStatistics(data.train),
});
const folder = await RunFolder.create(path.join(place, "run"), {});
const keep = { everySteps: 100, everySeconds: 0, keep: 2, saveWeights: async () => {}, report: async () => {} };
const fifths: { rss: number[]; tensorBytes: number }[] = Array.from({ length: 5 }, () => ({ rss: [], tensorBytes: 0 }));
for await (const record of keepRun(run, folder, { ...keep, signal: new AbortController().signal })) {
  if (record.kind !== "step" || record.step > steps) continue;
  const fifth = fifths[Math.floor(((record.step - 1) * 5) / steps)];
  fifth.rss.push(process.memoryUsage().rss);
  fifth.tensorBytes = record.memoryBytes;
}
await engine.close();
rmSync(place, { recursive: true, force: true });

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const rssMb = fifths.map(({ rss }) => Number((median(rss) / 1e6).toFixed(1)));
const growth = rssMb[4] / rssMb[1] - 1;
const tensorBytes = fifths.map((fifth) => fifth.tensorBytes);
console.log(JSON.stringify({ steps, threads, rssMb, growthPercent: Number((100 * growth).toFixed(2)), tensorBytes }));
