/**
 * How fast VGG-16's weights (553 MB, random) come from a file in the page cache into the engine's memory, beside a plain read of the same file, in
 * chunks of 4 MiB, into new memory; and how much memory the process takes at its peak.
 *
 *   node --import tsx scripts/long/load-speed.ts [rounds]      after npm run build; default 5
 *
 * The first run writes verydeep-vgg16-random.safetensors and .pth to the folder for temporary files. Each measurement is a process of its own, the two
 * kinds in turn. Prints one JSON object; exits with 1 where a bar is missed.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { writeSafetensors } from "#src/io/safetensors.js";
import { vggLayers, vggTensorShapes } from "#src/models/vgg-config.js";
import { torchFile } from "../../test/helpers/torch-writer.js";

/** Parts of a plain read's speed, and peak memory as a multiple of the weights. */
const BARS = { safetensors: 0.8, pth: 0.6, rssOfWeights: 1.25 };
const CHUNK_BYTES = 2 ** 22;

const rounds = Number(process.argv[2] ?? 5);
const inRepository = (file: string): string => fileURLToPath(new URL(`../../${file}`, import.meta.url));
const shapes = vggTensorShapes(vggLayers("D", { inputSize: 224, classes: 1000 }));
const elementsOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
const weightBytes = [...shapes.values()].reduce((sum, shape) => sum + 4 * elementsOf(shape), 0);

/** Values without meaning, but finite and small; the same chunk again and again. */
function* chunks(elements: number): Generator<Float32Array> {
  for (let left = elements; left > 0; left -= NOISE.length) yield NOISE.subarray(0, Math.min(left, NOISE.length));
}
const NOISE = Float32Array.from({ length: CHUNK_BYTES / 4 }, (_, i) => ((i * 2654435761) >>> 0) / 2 ** 38 - 2 ** -7);

const files = {
  safetensors: path.join(tmpdir(), "verydeep-load-speed.safetensors"),
  pth: path.join(tmpdir(), "verydeep-load-speed.pth"),
};
if (!existsSync(files.safetensors)) {
  const tensors = [...shapes].map(([name, shape]) => ({ name, shape, chunks: chunks(elementsOf(shape)) }));
  await writeSafetensors(files.safetensors, tensors);
}
if (!existsSync(files.pth)) {
  const handle = await open(files.pth, "w");
  const tensors = [...shapes].map(([name, shape]) => ({ name, shape, chunks: () => chunks(elementsOf(shape)) }));
  for (const part of torchFile(tensors)) await handle.writeFile(part);
  await handle.close();
}

const PROGRAMS = {
  /** What a program without this library does. */
  plain: `
    import { open } from "node:fs/promises";
    const run = async (file) => {
      const handle = await open(file);
      const { size } = await handle.stat();
      const bytes = new Uint8Array(size);
      for (let at = 0; at < size; ) at += (await handle.read(bytes, at, Math.min(${CHUNK_BYTES}, size - at), at)).bytesRead;
      await handle.close();
      return bytes[size - 1];
    };`,
  load: `
    import { createEngine } from ${JSON.stringify(inRepository("dist/index.js"))};
    import { openFileBytes } from ${JSON.stringify(inRepository("dist/io/file-bytes.js"))};
    import { loadNet } from ${JSON.stringify(inRepository("dist/formats/load-net.js"))};
    import { openWeights } from ${JSON.stringify(inRepository("dist/formats/open-weights.js"))};
    const engine = await createEngine({ threads: 2 });
    // Its threads start beside the first file otherwise: what that takes is cold-start.ts's.
    await engine.tensor(new Float32Array(4), [4]).data();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const run = async (file) => {
      const weights = await openWeights(await openFileBytes(file));
      const { model } = await loadNet(weights, engine);
      await weights.close();
      const [tensor] = [...model.stateDict().values()].slice(-1);
      return (await tensor.read(999, 1000))[0];
    };`,
  /** An engine that loads nothing. */
  engine: `
    import { createEngine } from ${JSON.stringify(inRepository("dist/index.js"))};
    const engine = await createEngine({ threads: 2 });
    const run = async () => 0;`,
};

interface Measurement {
  readonly ms: number;
  readonly peakRssBytes: number;
}

function measure(program: string, file: string): Measurement {
  const rest = `
    const start = performance.now();
    const last = await run(${JSON.stringify(file)});
    const ms = performance.now() - start;
    if (!Number.isFinite(last)) throw new Error("no value");
    console.log(JSON.stringify({ ms, peakRssBytes: process.resourceUsage().maxRSS * 1024 }));
    process.exit(0);`;
  return JSON.parse(
    execFileSync(process.execPath, ["--input-type=module", "-e", program + rest], { encoding: "utf8" }),
  );
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const emptyRss = median([1, 2, 3].map(() => measure(PROGRAMS.engine, "").peakRssBytes));

function compare(file: string): Record<string, unknown> & { ofPlainSpeed: number; rssOfWeights: number } {
  const plain: Measurement[] = [];
  const load: Measurement[] = [];
  // One more, which brings the file into the page cache.
  for (let round = 0; round <= rounds; round++) {
    plain.push(measure(PROGRAMS.plain, file));
    load.push(measure(PROGRAMS.load, file));
  }
  const [plainMs, loadMs] = [plain, load].map((list) => list.slice(1).map(({ ms }) => Math.round(ms)));
  const peakRssBytes = Math.max(...load.map((one) => one.peakRssBytes));
  return {
    plainMs,
    loadMs,
    ofPlainSpeed: median(plainMs) / median(loadMs),
    peakRssBytes,
    rssOfWeights: peakRssBytes / weightBytes,
    rssWithoutEngineOfWeights: (peakRssBytes - emptyRss) / weightBytes,
  };
}

const report = {
  node: process.version,
  weightBytes,
  emptyEngineRssBytes: emptyRss,
  safetensors: compare(files.safetensors),
  pth: compare(files.pth),
  bars: BARS,
};
console.log(JSON.stringify(report, null, 2));
if (
  report.safetensors.ofPlainSpeed < BARS.safetensors ||
  report.pth.ofPlainSpeed < BARS.pth ||
  Math.max(report.safetensors.rssOfWeights, report.pth.rssOfWeights) > BARS.rssOfWeights
) {
  process.exitCode = 1;
}
