/**
 * How long from the start of a process to the first class of a picture, and how much memory, with VGG-16 at 224 and 1000 classes: 553 MB of
 * random weights, which the first run writes to the folder for temporary files.
 *
 *   node --import tsx scripts/long/cold-start.ts [runs]      after npm run build; default 5 runs
 *
 * Prints one JSON object: seconds of `verydeep classify` with all cores, the file in the page cache; peak resident memory of three forward passes of
 * batch 1 in 2 threads, with and without transformed weights, as multiples of the weights. Exits with 1 where a bar is missed.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { createEngine, describeHost } from "#src/engine.js";
import { saveModel, vgg } from "#src/index.js";

const BARS = { coldStartSeconds: 1.2, rssOfWeights: 1.7, rssOfWeightsUnkept: 1.25 };
const THREADS = 2;

const runs = Number(process.argv[2] ?? 5);
const inRepository = (file: string): string => fileURLToPath(new URL(`../../${file}`, import.meta.url));
const weights = path.join(tmpdir(), "verydeep-vgg16-random.safetensors");
if (!existsSync(weights)) await writeWeights(weights);
const weightBytes = statSync(weights).size;

async function writeWeights(file: string): Promise<void> {
  const engine = await createEngine();
  await saveModel(file, vgg("D", { seed: 1 }, engine), {
    config: "D",
    classes: Array.from({ length: 1000 }, (_, i) => `class ${i}`),
    inputSize: 224,
    width: 1,
    classifier: [4096, 4096],
    dropout: 0.5,
    mean: [123.68, 116.779, 103.939],
    std: [58.393, 57.12, 57.375],
  });
  await engine.close();
}

/** Seconds until the command has printed its first line. */
async function timeToFirstClass(): Promise<number> {
  const command = [inRepository("dist/cli/main.js"), "classify", "--weights", weights, "--top", "1", "--json"];
  const start = performance.now();
  const child = spawn(process.execPath, [...command, inRepository("weights/pictures/arrow.png")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = once(child, "close");
  const [line] = await once(child.stdout, "data");
  const seconds = (performance.now() - start) / 1000;
  await closed;
  if (JSON.parse(String(line)).predictions.length !== 1) throw new Error(`cold-start: no class (${String(line)})`);
  return seconds;
}

interface Memory {
  readonly peakRssBytes: number;
  readonly tensorBytes: number;
  /** Of the three passes. */
  readonly ms: readonly number[];
}

/** Three passes, so that whatever grows shows, without the loaders of this process. */
function peakMemory(keepTransformedWeights: boolean): Memory {
  const program = `
    import { createEngine, loadModel } from ${JSON.stringify(inRepository("dist/index.js"))};
    const engine = await createEngine({ threads: ${THREADS}, keepTransformedWeights: ${keepTransformedWeights} });
    const { model } = await loadModel(${JSON.stringify(weights)}, engine);
    const pixels = new Float32Array(3 * 224 * 224).fill(0.5);
    const ms = [];
    for (let i = 0; i < 3; i++) {
      const start = performance.now();
      const y = await engine.noGrad(() => model.forward(engine.tensor(pixels, [1, 3, 224, 224]))).data();
      if (!y.every(Number.isFinite)) throw new Error("the logits are not finite");
      ms.push(Math.round(performance.now() - start));
    }
    const peakRssBytes = process.resourceUsage().maxRSS * 1024;
    console.log(JSON.stringify({ peakRssBytes, tensorBytes: engine.memory().peakBytes, ms }));
  `;
  return JSON.parse(execFileSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" }));
}

const seconds: number[] = [];
// One more, which brings the file into the page cache.
for (let i = 0; i <= runs; i++) seconds.push(await timeToFirstClass());
seconds.shift();
const sorted = seconds.toSorted((a, b) => a - b);
const kept = peakMemory(true);
const unkept = peakMemory(false);
const { threads, tier } = await describeHost();
const report = {
  node: process.version,
  weightBytes,
  coldStart: { threads, tier, seconds, median: sorted[Math.floor(runs / 2)] },
  memory: { ...kept, threads: THREADS, ofWeights: kept.peakRssBytes / weightBytes },
  memoryUnkept: { ...unkept, threads: THREADS, ofWeights: unkept.peakRssBytes / weightBytes },
  bars: BARS,
};
console.log(JSON.stringify(report, null, 2));
if (
  report.coldStart.median > BARS.coldStartSeconds ||
  report.memory.ofWeights > BARS.rssOfWeights ||
  report.memoryUnkept.ofWeights > BARS.rssOfWeightsUnkept
) {
  process.exitCode = 1;
}
