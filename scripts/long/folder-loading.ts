/**
 * The bar "data": how long training steps of VGG-11 at 224 wait for pictures that come from 5,000 JPEG files, and the peak memory.
 *
 *   node --import tsx scripts/long/folder-loading.ts [seconds] [batch]
 *
 * Writes the files to the system's temporary folder, trains for so many seconds (default 120; batch 16) with 2 threads that compute and the
 * loader's default of one that decodes, prints one line of JSON, removes the files. `waitShare` is the time from the end of one step until
 * the next batch is there, as a part of all time after the first batch; it exits with 1 above 0.05.
 *
 * Files: 500 different pictures under ten names each (their names tell nothing to the loader, and there is no cache), sides of 256 to 340
 * pixels, mosaics of `shapes`, which are textured and noisy, so that they have the bytes, and the cost of decoding, of photographs.
 */
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import jpeg from "jpeg-js";
import { Random } from "#src/core/random.js";
import type { Batch } from "#src/data/batch-source.js";
import { folder } from "#src/data/folder.js";
import { openBatches } from "#src/data/open-batches.js";
import type { OpenBatchesOptions } from "#src/data/picture-reader.js";
import { SHAPE_NAMES, shapesPicture } from "#src/data/shapes.js";
import { trainingStatistics } from "#src/data/statistics.js";
import { createEngine } from "#src/engine.js";
import { vgg } from "#src/models/vgg.js";
import { crossEntropy, labelsTensor } from "#src/ops/loss.js";
import { SGD } from "#src/optim/sgd.js";

const MOST_WAIT = 0.05;
const FILES = 5000;
const DIFFERENT = 500;
const QUALITY = 88;
const TILE = 32;
const TILES = 11;

const seconds = Number(process.argv[2] ?? 120);
const batch = Number(process.argv[3] ?? 16);

/** A mosaic of shapes as JPEG. */
function drawJpeg(number: number): Buffer {
  const random = new Random(1, "folder-loading", number);
  const width = 256 + random.integer(85);
  const height = 256 + random.integer(85);
  const tiles = Array.from({ length: 40 }, (_, i) => shapesPicture(1, number * 40 + i).pixels);
  const places = Array.from({ length: TILES * TILES }, () => random.integer(tiles.length));
  const data = Buffer.alloc(width * height * 4, 255);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const tile = tiles[places[Math.floor(y / TILE) * TILES + Math.floor(x / TILE)]];
      const at = (y % TILE) * TILE + (x % TILE);
      for (let c = 0; c < 3; c++) data[(y * width + x) * 4 + c] = tile[c * TILE * TILE + at];
    }
  }
  return jpeg.encode({ width, height, data }, QUALITY).data;
}

async function writeFiles(directory: string): Promise<void> {
  for (const part of ["train", "val"]) {
    for (const name of SHAPE_NAMES) await mkdir(path.join(directory, part, name), { recursive: true });
  }
  for (let number = 0; number < DIFFERENT; number++) {
    const bytes = drawJpeg(number);
    const place = path.join(directory, "train", SHAPE_NAMES[number % 10]);
    for (let copy = 0; copy < FILES / DIFFERENT; copy++)
      await writeFile(path.join(place, `${number}-${copy}.jpg`), bytes);
    if (number < 10) await writeFile(path.join(directory, "val", SHAPE_NAMES[number], "0.jpg"), bytes);
  }
}

async function measure(directory: string): Promise<Record<string, number>> {
  const { train } = await folder(directory);
  const { mean, std, colour } = await trainingStatistics(train, { maxPictures: 200 });
  const options: OpenBatchesOptions = {
    batch,
    shuffle: true,
    normalise: { mean, std },
    view: { size: 224, scale: 256, place: "random" },
    augment: { flip: true, colourShift: colour },
  };
  const source = openBatches(train, options);

  // The loader alone: what one thread decodes.
  let alone = 0;
  const aloneStart = performance.now();
  for await (const { labels } of source.epoch(0)) {
    alone += labels.length;
    if (alone >= 256) break;
  }
  const decodeMs = (performance.now() - aloneStart) / alone;

  const engine = await createEngine({ threads: 2 });
  const model = vgg("A", {}, engine);
  const optimiser = new SGD(model.parameters(), { lr: 0.001, momentum: 0.9 });
  const step = async ({ x, shape, labels }: Batch): Promise<number> => {
    const loss = await engine.scope(() => {
      optimiser.zeroGrad();
      const logits = model.forward(engine.tensor(x, shape));
      const value = crossEntropy(logits, labelsTensor(engine, labels, logits.shape[1]));
      value.backward();
      optimiser.step();
      return value;
    });
    return loss.item();
  };

  const batches = (async function* () {
    yield* source.epoch(1);
  })();
  const first = await batches.next();
  const start = performance.now();
  let [steps, waitMs, warmRss] = [0, 0, 0];
  for (let result = first; !result.done && performance.now() - start < seconds * 1000; ) {
    const next = batches.next();
    const loss = await step(result.value);
    if (!Number.isFinite(loss)) throw new Error(`the loss is ${loss}`);
    steps++;
    if (steps === 3) warmRss = process.memoryUsage().rss;
    const waitStart = performance.now();
    result = await next;
    waitMs += performance.now() - waitStart;
  }
  const totalMs = performance.now() - start;
  await batches.return();
  await source.close();
  const { peakBytes } = engine.memory();
  await engine.close();
  const sizes = await Promise.all(train.files.slice(0, 100).map(async (file) => (await stat(file)).size));
  return {
    files: train.files.length,
    fileBytes: Math.round(sizes.reduce((sum, size) => sum + size, 0) / sizes.length),
    batch,
    steps,
    seconds: Math.round(totalMs / 1000),
    imagesPerSecond: Number(((steps * batch * 1000) / totalMs).toFixed(2)),
    decodeMs: Number(decodeMs.toFixed(1)),
    waitMs: Math.round(waitMs),
    waitShare: Number((waitMs / totalMs).toFixed(5)),
    tensorMB: Math.round(peakBytes / 1e6),
    rssAfter3StepsMB: Math.round(warmRss / 1e6),
    rssAtEndMB: Math.round(process.memoryUsage().rss / 1e6),
    peakRssMB: Math.round((process.resourceUsage().maxRSS * 1024) / 1e6),
  };
}

const directory = await mkdtemp(path.join(tmpdir(), "verydeep-folder-loading-"));
try {
  await writeFiles(directory);
  const row = await measure(directory);
  console.log(JSON.stringify(row));
  if (row.waitShare > MOST_WAIT) process.exitCode = 1;
} finally {
  await rm(directory, { recursive: true, force: true });
}
