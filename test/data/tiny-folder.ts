/** Folders of small pictures for the tests, removed after use. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { Random } from "#src/core/random.js";
import { encodePng, type Picture } from "#src/io/picture.js";

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
