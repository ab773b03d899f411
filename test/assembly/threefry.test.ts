/** The kernels' random words against src/core/random.ts, the generator that Random123's vectors check. */
import { readFile } from "node:fs/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Random, threefry2x32 } from "#src/core/random.js";

const KERNELS = new URL("../../dist/wasm/kernels.wasm", import.meta.url);

type ThreefryWords = (words: number, key0: number, key1: number, block: number, counter: number) => void;

const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
const { instance } = await WebAssembly.instantiate(await readFile(KERNELS), {
  env: { memory, wide: 0 },
});

/** WebAssembly types of exports are not known to TypeScript. */
function isThreefryWords(value: WebAssembly.ExportValue): value is ThreefryWords {
  return typeof value === "function" && value.length === 5;
}

/** The 8 words of blocks [block, block + 4), by the kernels. */
function kernelWords(key0: number, key1: number, block: number, counter: number): number[] {
  const { threefryWords } = instance.exports;
  if (!isThreefryWords(threefryWords)) throw new Error("threefryWords is not exported");
  threefryWords(64, key0, key1, block, counter);
  return [...new Uint32Array(memory.buffer, 64, 8)];
}

/** The same by src/core/random.ts. */
function expectedWords(key0: number, key1: number, block: number, counter: number): number[] {
  const words = new Uint32Array(2);
  return [0, 1, 2, 3].flatMap((i) => {
    threefry2x32(key0, key1, block + i, counter, words);
    return [...words];
  });
}

const EDGES = [0, 1, 3, 0x7ffffffc, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff];

test("threefryWords: Random123's known answer for zeros", () => {
  assert.equal(kernelWords(0, 0, 0, 0).slice(0, 2), [0x6b200159, 0x99ba4efe]);
});

test("threefryWords: keys, blocks and counters at the edges of 32 bits", () => {
  for (const key0 of EDGES) {
    for (const key1 of EDGES) {
      for (const block of EDGES) {
        for (const counter of [0, 1, 0x80000000, 0xffffffff]) {
          const where = `key ${key0} ${key1}, block ${block}, counter ${counter}`;
          assert.equal(kernelWords(key0, key1, block, counter), expectedWords(key0, key1, block, counter), where);
        }
      }
    }
  }
});

test("threefryWords: 1000 random keys, blocks and counters", () => {
  const random = new Random(3, "threefry.test");
  for (let i = 0; i < 1000; i++) {
    const [key0, key1, block, counter] = [random.uint32(), random.uint32(), random.uint32(), random.uint32()];
    assert.equal(kernelWords(key0, key1, block, counter), expectedWords(key0, key1, block, counter));
  }
});

test.run();
