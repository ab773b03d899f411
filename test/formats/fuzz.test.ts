/** Damaged copies of weights files, some thousands of each kind; scripts/long/fuzz-formats.ts takes more. */
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { WeightsError } from "#src/core/errors.js";
import { openPytorch } from "#src/formats/pytorch/pytorch.js";
import { openZip } from "#src/formats/zip.js";
import { bytesReader } from "#src/io/byte-reader.js";
import { openSafetensorsFile } from "#src/io/safetensors-format.js";
import { openSafetensorsIndex } from "#src/io/safetensors-shards.js";
import { fuzz, mutations, nthMutation, survives } from "../helpers/fuzz.js";
import { zipBytes } from "../helpers/zip-writer.js";

const FIXTURES = new URL("../fixtures/", import.meta.url);
const load = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, FIXTURES)));
const first = <T>(count: number, items: Iterable<T>): T[] => {
  const found: T[] = [];
  for (const item of items) if (found.push(item) === count) break;
  return found;
};

for (const name of ["torchvision.safetensors", "torchvision-f16.safetensors", "torchvision-bf16.safetensors"]) {
  test(`${name}: 1000 damaged copies`, async () => {
    const { opened, refused } = await fuzz(load(`formats/${name}`), openSafetensorsFile, {
      count: 1000,
      seed: 3,
      name,
    });
    assert.ok(opened > 100 && refused > 100, `${opened} opened, ${refused} refused`);
  });
}

test("an index of two files: 2000 damaged copies", async () => {
  const siblings = new Map(
    [1, 2].map((i) => `model-0000${i}-of-00002.safetensors`).map((name) => [name, load(`formats/sharded/${name}`)]),
  );
  const bytes = load("formats/sharded/model.safetensors.index.json");
  const { opened, refused } = await fuzz(bytes, openSafetensorsIndex, { count: 2000, seed: 3, siblings });
  assert.ok(opened > 10 && refused > 1000, `${opened} opened, ${refused} refused`);
});

for (const options of [{ zip64: true }, { packed: true }, { zip64: true, packed: true }]) {
  test(`zip.pth as ${JSON.stringify(options)}: 1000 damaged copies`, async () => {
    const zip = await openZip(bytesReader(load("torch/zip.pth")));
    const entries = new Map<string, Uint8Array>();
    for (const name of zip.entries.keys()) {
      const part = await zip.open(name);
      entries.set(name, await part.read(0, part.sizeBytes));
    }
    const { opened, refused } = await fuzz(zipBytes(entries, options), openPytorch, { count: 1000, seed: 3 });
    assert.ok(opened > 100 && refused > 100, `${opened} opened, ${refused} refused`);
  });
}

test("mutations: equal for equal seeds, all of them damage, in many ways", () => {
  const bytes = load("torch/zip.pth");
  const copies = first(300, mutations(bytes, 5));
  assert.equal(first(300, mutations(bytes, 5)), copies);
  assert.equal(nthMutation(bytes, 5, 299), copies[299]);
  assert.not.equal(first(1, mutations(bytes, 6))[0], copies[0]);
  assert.ok(copies.filter((copy) => Buffer.from(copy).equals(bytes)).length < 10);
  assert.ok(copies.some((copy) => copy.length < bytes.length - 200));
  assert.ok(copies.some((copy) => copy.length > bytes.length));
  assert.ok(copies.filter((copy) => copy.length === bytes.length).length > 100);
});

test("survives: says how it ended; an error of another kind, time and memory are failures", async () => {
  const sound = (): ReturnType<typeof openPytorch> => openPytorch(bytesReader(load("torch/zip.pth")));
  assert.is(await survives(sound), "opened");
  assert.is(await survives(() => Promise.reject(new WeightsError("x"))), "refused");
  const failure = async (open: typeof sound, limits: Parameters<typeof survives>[1] = {}): Promise<string> =>
    survives(open, limits).then(
      () => "none",
      (error: Error) => error.message,
    );
  assert.is(await failure(() => Promise.reject(new TypeError("y"))), "an error of no kind of ours: TypeError: y");
  assert.match(await failure(sound, { timeMs: -1 }), /^took \d+ ms$/);
  const large = async (): ReturnType<typeof openPytorch> => {
    // Above the largest that the process has been so far.
    const { rss } = process.memoryUsage();
    new Uint8Array(Math.max(0, process.resourceUsage().maxRSS * 1024 - rss) + 2 ** 27).fill(1);
    return sound();
  };
  assert.match(await failure(large, { memoryBytes: 2 ** 25 }), /^took \d+ bytes of memory$/);
});

test.run();
