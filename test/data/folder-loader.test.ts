import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BackendError, DataError, ShapeError, UsageError } from "#src/core/errors.js";
import type { Batch } from "#src/data/batch-source.js";
import { planeSums } from "#src/data/colour.js";
import { arrayDataset } from "#src/data/dataset.js";
import { FolderLoader } from "#src/data/folder-loader.js";
import { Loader } from "#src/data/loader.js";
import { openBatches } from "#src/data/open-batches.js";
import type { OpenBatchesOptions } from "#src/data/picture-reader.js";
import { trainingStatistics } from "#src/data/statistics.js";
import { encodePng, toPlanes } from "#src/pictures/picture.js";
import { readPicture } from "#src/pictures/picture-file.js";
import {
  failsWith,
  filesOf,
  JPEG,
  NORMALISE,
  noise,
  read,
  setOf,
  TRAINING,
  withFolder,
  withSet,
} from "./tiny-folder.js";

test("48 files, S in [8,13], batch 20: the same bits with 1, 2, 3 threads, prefetch 1, a cold and a warm cache, from step 1", async () => {
  await withSet(async (set, directory) => {
    const expected = await read(set, TRAINING);
    assert.equal(
      expected.map(({ shape }) => shape),
      [
        [20, 3, 8, 8],
        [20, 3, 8, 8],
        [8, 3, 8, 8],
      ],
    );
    for (const { labels, indices } of expected)
      assert.equal(
        [...labels],
        Array.from(indices, (i) => set.labels[i]),
      );
    const cacheDir = path.join(directory, "cache");
    assert.equal(await read(set, { ...TRAINING, workers: 2 }), expected);
    assert.equal(await read(set, { ...TRAINING, workers: 3, prefetch: 1 }), expected);
    assert.equal(await read(set, { ...TRAINING, workers: 2, cacheDir }), expected);
    assert.is((await filesOf(cacheDir)).length, 48);
    assert.equal(await read(set, { ...TRAINING, cacheDir }), expected);
    assert.equal(await read(set, TRAINING, 1, 1), expected.slice(1));
    assert.equal(await read(set, TRAINING, 1, 3), []);
    assert.not.equal((await read(set, TRAINING, 2))[0].x, expected[0].x);
  });
});

test("16 files of one size: what Loader makes of the same pictures in memory, S=12, with and without cache", async () => {
  const pictures = Array.from({ length: 16 }, (_, i) => noise(i, 13, 10));
  const files: Record<string, Uint8Array> = {};
  for (const [i, picture] of pictures.entries()) files[`cat/${i}.png`] = await encodePng(picture);
  const images = new Uint8Array(16 * 390);
  for (const [i, picture] of pictures.entries()) images.set(toPlanes(picture), i * 390);
  const memory = arrayDataset({
    name: "memory",
    classNames: ["cat", "dog"],
    channels: 3,
    height: 10,
    width: 13,
    images,
    labels: new Uint16Array(16),
  });
  await withFolder(files, async (directory) => {
    const set = setOf(directory, Object.keys(files));
    for (const place of ["random", "centre"] as const) {
      const options = { ...TRAINING, view: { size: 9, scale: 12, place } };
      const expected = [...new Loader(memory, options).epoch(1)];
      assert.equal(await read(set, options), expected);
      assert.equal(await read(set, { ...options, cacheDir: path.join(directory, place) }), expected);
    }
    const { colour, mean } = await trainingStatistics(memory);
    const found = await trainingStatistics(set, { workers: 2 });
    assert.equal({ colour: found.colour, mean: found.mean }, { colour, mean });
  });
});

test("a bad picture: fails by name; skipped, the next good one takes its place, the same with 1 and 2 threads", async () => {
  await withSet(async (set) => {
    await writeFile(set.files[3], "not a picture");
    await writeFile(set.files[4], JPEG.subarray(0, 300));
    await writeFile(set.files[47], "");
    const message = (index: number, what: string): string =>
      `decodePicture: ${set.files[index]} is not a PNG, JPEG or WebP picture (${what}). Convert it to one of them.`;
    const ordered = { ...TRAINING, shuffle: false };
    const before: Batch[] = [];
    await failsWith(
      read(set, ordered, 1, 0, before),
      DataError,
      message(3, "it begins with bytes 6e 6f 74 20 61 20 70 69"),
    );
    assert.equal(before, []);
    const notes: string[] = [];
    const skipping = { ...ordered, onBadPicture: "skip", onNote: (text: string) => void notes.push(text) } as const;
    const source = openBatches(set, skipping);
    const batches: Batch[] = [];
    for await (const batch of source.epoch(0)) batches.push(batch);
    for await (const batch of source.epoch(1)) batches.push(batch);
    await source.close();
    assert.is(notes.length, 3);
    assert.ok(
      notes.includes(`A bad picture is left out, and the next good one takes its place: ${message(47, "it is empty")}`),
    );
    assert.equal([...batches[0].indices.subarray(0, 7)], [0, 1, 2, 5, 5, 5, 6]);
    assert.is(batches[2].indices[7], 0);
    assert.is(batches[2].labels[7], 0);
    assert.equal(batches[0].x.subarray(3 * 192, 4 * 192), batches[0].x.subarray(5 * 192, 6 * 192));
    assert.equal(await read(set, { ...skipping, workers: 2 }, 1), batches.slice(3));
    assert.equal(await read(set, { ...skipping, workers: 2 }, 1, 2), batches.slice(5));
  });
});

test("all pictures bad; a missing file ends the epoch even where bad pictures are skipped", async () => {
  const files = { "cat/1.png": "no", "dog/1.png": "no" };
  await withFolder(files, async (directory) => {
    const set = setOf(directory, Object.keys(files));
    await failsWith(
      read(set, { ...TRAINING, onBadPicture: "skip" }),
      DataError,
      "loader: all pictures are bad (set tiny, count 2). Get the files again.",
    );
    await failsWith(
      trainingStatistics(set, { onBadPicture: "skip" }),
      DataError,
      "trainingStatistics: all pictures are bad (count 2). Get the files again.",
    );
    await rm(set.files[0]);
    await failsWith(
      read(set, { ...TRAINING, shuffle: false, onBadPicture: "skip" }),
      DataError,
      `readPicture: the file does not exist (path ${set.files[0]}). Check the path.`,
    );
  });
});

test("a thread that dies is a BackendError, and the next epoch is whole; close() ends what runs", async () => {
  await withSet(async (set) => {
    const expected = await read(set, TRAINING);
    const loader = new FolderLoader(set, { ...TRAINING, workers: 2 });
    const batches = loader.epoch(1);
    const first = batches.next();
    for (const thread of await loader.pool.threads()) void thread.terminate();
    const error: unknown = await first.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.instance(error, BackendError);
    assert.match(error instanceof Error ? error.message : "", /^loader: a thread that decodes pictures stopped \(/);
    assert.equal((await batches.next()).done, true);
    const again: Batch[] = [];
    for await (const batch of loader.epoch(1)) again.push(batch);
    assert.equal(again, expected);
    const text = "loader: it is closed (close() was called). Open the batches anew.";
    const late = failsWith(loader.epoch(1).next(), UsageError, text);
    await loader.close();
    await late;
    await failsWith(loader.epoch(1).next(), UsageError, text);
  });
});

test("leaving the loop early stops what runs ahead", async () => {
  await withSet(async (set) => {
    const loader = new FolderLoader(set, { ...TRAINING, batch: 1, prefetch: 4 });
    let seen = 0;
    for await (const { indices } of loader.epoch(0)) {
      seen += indices.length;
      if (seen === 2) break;
    }
    // Nothing that was asked for is still being worked on: the pool answers an empty epoch at once.
    assert.is((await loader.epoch(0, loader.steps).next()).done, true);
    assert.is(seen, 2);
    await loader.close();
  });
});

test("a process that leaves an epoch, or loses a thread, without close() ends by itself", async () => {
  await withSet(async (set) => {
    const library = new URL("../../dist/data/", import.meta.url);
    const program = `
      import { FolderLoader, folderReader } from ${JSON.stringify(new URL("folder-loader.js", library).href)};
      const files = ${JSON.stringify(set.files)};
      const set = { name: "tiny", classNames: ["a"], channels: 3, labels: new Uint16Array(files.length), files, reader: folderReader };
      const options = { batch: 4, normalise: { mean: [0, 0, 0], std: [1, 1, 1] }, view: { size: 8, place: "centre" } };
      const loader = new FolderLoader(set, options);
      for await (const { labels } of loader.epoch(0)) {
        console.log(labels.length);
        break;
      }
      const abandoned = loader.epoch(0);
      await abandoned.next();
      const whole = new FolderLoader(set, { ...options, batch: 48 });
      const first = whole.epoch(0).next().then(() => "no error", ({ name }) => name);
      for (const thread of await whole.pool.threads()) void thread.terminate();
      const error = await first;
      console.log(error);`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], {
      timeout: 60_000,
    });
    assert.is(stdout, "4\nBackendError\n");
  });
});

test("prefetch: at most 256 MB ahead, at least one batch", async () => {
  await withSet(async (set) => {
    const prefetch = (batch: number, size: number, asked?: number): number =>
      new FolderLoader(set, { batch, normalise: NORMALISE, prefetch: asked, view: { size, place: "centre" } }).prefetch;
    assert.equal([prefetch(16, 224), prefetch(16, 224, 40), prefetch(256, 224), prefetch(1024, 224)], [2, 26, 1, 1]);
  });
});

test("trainingStatistics: 48 files at S=10, 1 and 3 threads, progress; a sample of 5; a signal", async () => {
  await withSet(async (set) => {
    const seen: number[][] = [];
    const one = await trainingStatistics(set, {
      scale: 10,
      onProgress: (done, total) => void seen.push([done, total]),
    });
    assert.equal(await trainingStatistics(set, { scale: 10, workers: 3 }), one);
    assert.equal(seen, [
      [16, 48],
      [32, 48],
      [48, 48],
    ]);
    assert.not.equal(await trainingStatistics(set), one);
    const few = { ...set, files: set.files.slice(0, 5) };
    const sample = await trainingStatistics(few, { maxPictures: 3, seed: 2 });
    assert.equal(await trainingStatistics(few, { maxPictures: 3, seed: 2 }), sample);
    assert.not.equal(await trainingStatistics(few, { maxPictures: 3, seed: 3 }), sample);
    const sums = await Promise.all(
      few.files.map(async (file) => {
        const { pixels } = await readPicture(file);
        return [pixels.length / 3, planeSums(pixels, 1, 3)[0]];
      }),
    );
    const [pixels, red] = [0, 1].map((k) => sums.reduce((sum, part) => sum + part[k], 0));
    assert.is((await trainingStatistics(few)).mean[0], red / pixels);
    const controller = new AbortController();
    const stopped = trainingStatistics(set, {
      signal: controller.signal,
      onProgress: () => controller.abort("enough"),
    });
    assert.is(await stopped.catch((reason: unknown) => reason), "enough");
  });
});

test("bad options: no view, padding, threads, prefetch, normalise", async () => {
  await withSet(async (set) => {
    const fails = (
      options: Partial<OpenBatchesOptions>,
      text: string,
      type: typeof UsageError | typeof ShapeError = UsageError,
    ): void => {
      assert.throws(
        () => openBatches(set, { ...TRAINING, ...options }),
        (error: unknown) => error instanceof type && error.message === text,
      );
    };
    fails(
      { view: undefined },
      'loader: pictures in files need a view (set tiny). Pass such as view: { size: 224, scale: 256, place: "random" }.',
    );
    fails(
      { augment: { cropPadding: 4 } },
      "loader: a view crops already (cropPadding 4, size 8). Leave cropPadding out, and make the scale larger than the size.",
    );
    fails(
      { workers: 0 },
      "loader: the number of threads is not a whole number from 1 to 64 (workers 0). Pass 1, or a few.",
    );
    fails(
      { prefetch: 0.5 },
      "loader: the prefetch is not a positive whole number (prefetch 0.5). Pass the number of batches to make ahead.",
    );
    fails(
      { normalise: { mean: [0], std: [1] } },
      "normalise: one mean and one std are needed for each channel (mean 1, std 1, channels 3). " +
        "Pass what pixelStatistics returns for the training pictures.",
      ShapeError,
    );
  });
});

test.run();
