/** Folders of small pictures for the tests, removed after use. */
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { Random } from "#src/core/random.js";
import type { Batch } from "#src/data/batch-source.js";
import type { ColourShift } from "#src/data/colour.js";
import type { FolderDataset } from "#src/data/dataset.js";
import { folderReader } from "#src/data/folder-loader.js";
import { openBatches } from "#src/data/open-batches.js";
import type { OpenBatchesOptions } from "#src/data/picture-reader.js";
import { encodePng, type Picture } from "#src/pictures/picture.js";

export const NORMALISE = { mean: [120, 121, 122], std: [60, 61, 62] };
const SHIFT: ColourShift = {
  components: [
    [0.6, 0.8, 0],
    [0.8, -0.6, 0],
    [0, 0, 1],
  ],
  deviations: [30, 10, 5],
  std: 0.1,
};
export const TRAINING = {
  batch: 20,
  seed: 5,
  shuffle: true,
  normalise: NORMALISE,
  view: { size: 8, scale: [8, 13], place: "random" },
  augment: { flip: true, colourShift: SHIFT },
} as const;
export const JPEG = readFileSync(fileURLToPath(new URL("../fixtures/pictures/baseline.jpg", import.meta.url)));

/** The set of these files; the label is 0 for those in `cat/`. */
export function setOf(directory: string, files: readonly string[]): FolderDataset {
  return {
    name: "tiny",
    classNames: ["cat", "dog"],
    channels: 3,
    labels: Uint16Array.from(files, (file) => (file.startsWith("cat/") ? 0 : 1)),
    files: files.map((file) => path.join(directory, ...file.split("/"))),
    reader: folderReader,
  };
}

const WEBP = readFileSync(fileURLToPath(new URL("../fixtures/pictures/lossy.webp", import.meta.url)));

/** Runs with a set of 24 cats and 24 dogs, one of them a JPEG, one a WebP. */
export async function withSet(run: (set: FolderDataset, directory: string) => Promise<void>): Promise<void> {
  const files = { ...(await twoClasses(24)), "cat/005.png": JPEG, "dog/005.png": WEBP };
  await withFolder(files, (directory) => run(setOf(directory, Object.keys(files).sort()), directory));
}

export async function read(
  set: FolderDataset,
  options: OpenBatchesOptions,
  epoch = 1,
  firstStep = 0,
  batches: Batch[] = [],
): Promise<Batch[]> {
  const source = openBatches(set, options);
  try {
    for await (const batch of source.epoch(epoch, firstStep)) batches.push(batch);
  } finally {
    await source.close();
  }
  return batches;
}

/** All files of a folder and its folders. */
export async function filesOf(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name));
}

/** Noise of any size; the same for the same number. */
export function noise(number: number, width: number, height: number): Picture {
  const random = new Random(7, "noise", number);
  return { width, height, pixels: Uint8Array.from({ length: width * height * 3 }, () => random.integer(256)) };
}

/** Runs with a new folder that holds these files (path in it -> content), and removes it. */
export async function withFolder(
  files: Readonly<Record<string, Uint8Array | string>>,
  run: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), "verydeep-folder-"));
  try {
    for (const [name, content] of Object.entries(files)) {
      const file = path.join(directory, ...name.split("/"));
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, content);
    }
    await run(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** `count` PNGs of each of the classes "cat" and "dog", all sizes from 9x12 to 16x11. */
export async function twoClasses(count: number): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {};
  for (let i = 0; i < count; i++) {
    files[`cat/${String(i).padStart(3, "0")}.png`] = await encodePng(noise(2 * i, 9 + (i % 8), 12));
    files[`dog/${String(i).padStart(3, "0")}.png`] = await encodePng(noise(2 * i + 1, 16, 11 + (i % 3)));
  }
  return files;
}

/** Awaits the failure of a promise; its class and its whole text. */
export async function failsWith(
  promise: Promise<unknown>,
  type: new (text: string) => Error,
  text: string,
): Promise<void> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.instance(error, type, String(error));
  assert.is(error instanceof Error ? error.message : "", text);
}
