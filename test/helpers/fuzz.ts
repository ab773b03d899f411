/**
 * Damaged weights files: makes them from a sound one, and checks that a reader answers each with its tensors or an error of this library,
 * soon, and without filling the memory.
 */
import { VerydeepError } from "#src/core/errors.js";
import { type ByteReader, bytesReader } from "#src/io/byte-reader.js";
import type { WeightsFile } from "#src/io/weights-file.js";

/** What one damaged file may take. */
export interface FuzzLimits {
  readonly timeMs?: number;
  /** How much the process may grow over all. */
  readonly memoryBytes?: number;
}

const TIME_MS = 5000;
const MEMORY_BYTES = 2 ** 29;
/** Elements of a tensor that are read. */
const MAX_ELEMENTS = 2 ** 20;
/** Numbers that readers trip over: limits of types, and small ones. */
const WORDS = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

/** Whole numbers in [0, limit), the same for equal seeds. */
export function randomNumbers(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return Math.floor((((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32) * limit);
  };
}

/** Damaged copies, without end: bytes and numbers changed, parts cut out, repeated or moved, ends missing. Most damage is near the ends. */
export function* mutations(bytes: Uint8Array, seed: number): Generator<Uint8Array> {
  const random = randomNumbers(seed);
  for (;;) {
    let copy: Uint8Array = Uint8Array.from(bytes);
    for (let hits = 1 + random(3); hits > 0; hits--) copy = damage(copy, random);
    yield copy;
  }
}

function damage(bytes: Uint8Array, random: (limit: number) => number): Uint8Array {
  if (bytes.length === 0) return bytes;
  const at = place(bytes.length, random);
  const length = 1 + random(Math.min(64, bytes.length - at));
  switch (random(8)) {
    case 0:
      bytes[at] ^= 1 << random(8);
      return bytes;
    case 1:
      bytes[at] = random(256);
      return bytes;
    case 2: {
      const word = WORDS[random(WORDS.length)];
      for (let i = 0, size = 1 << random(4); i < size && at + i < bytes.length; i++) {
        bytes[at + i] = i < 4 ? word >>> (8 * i) : word > 0x7fffffff ? 255 : 0;
      }
      return bytes;
    }
    case 3:
      // Text: another printable character.
      bytes[at] = 32 + random(95);
      return bytes;
    case 4:
      return join(bytes.subarray(0, at), bytes.subarray(at + length));
    case 5:
      return join(bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at));
    case 6: {
      const from = place(bytes.length, random);
      bytes.copyWithin(at, from, from + length);
      return bytes;
    }
    default:
      return random(4) === 0 ? bytes.slice(0, at) : damage(bytes, random);
  }
}

/** Headers are at the front, directories at the back. */
function place(size: number, random: (limit: number) => number): number {
  const near = Math.min(size, 2048);
  return [() => random(near), () => size - 1 - random(near), () => random(size)][random(3)]();
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

/**
 * Opens a file and reads its tensors.
 * @returns whether that went well or was refused.
 * @throws Error for any other end: an error of another kind, too much time or memory.
 */
export async function survives(
  open: () => Promise<WeightsFile>,
  limits: FuzzLimits = {},
): Promise<"opened" | "refused"> {
  const { timeMs = TIME_MS, memoryBytes = MEMORY_BYTES } = limits;
  const start = performance.now();
  const before = process.resourceUsage().maxRSS;
  let end: "opened" | "refused" = "opened";
  try {
    const file = await open();
    try {
      await readAll(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!(error instanceof VerydeepError))
      throw new Error(`an error of no kind of ours: ${String(error)}`, { cause: error });
    end = "refused";
  }
  const took = performance.now() - start;
  if (took > timeMs) throw new Error(`took ${Math.round(took)} ms`);
  const grown = (process.resourceUsage().maxRSS - before) * 1024;
  if (grown > memoryBytes) throw new Error(`took ${grown} bytes of memory`);
  return end;
}

async function readAll(file: WeightsFile): Promise<void> {
  for (const [name, { shape }] of file.tensors) {
    const elements = shape.reduce((product, size) => product * size, 1);
    const floats = new Float32Array(Math.min(elements, MAX_ELEMENTS));
    await file.readFloats(name, 0, floats);
    await file.readBytes(name, elements - Math.min(elements, 10), elements);
  }
}

/**
 * Reads many damaged copies of a file.
 * @param siblings files beside it, by name, undamaged.
 * @returns how many were opened and how many refused.
 * @throws Error that says which copy did not survive: {@link nthMutation} makes it again.
 */
export async function fuzz(
  bytes: Uint8Array,
  open: (reader: ByteReader) => Promise<WeightsFile>,
  options: { count: number; seed: number; name?: string; siblings?: ReadonlyMap<string, Uint8Array> } & FuzzLimits,
): Promise<{ opened: number; refused: number }> {
  const { count, seed, name = "fuzzed", siblings = new Map() } = options;
  const counts = { opened: 0, refused: 0 };
  let number = 0;
  for (const copy of mutations(bytes, seed)) {
    if (number === count) break;
    try {
      counts[await survives(() => open(bytesReader(copy, name, siblings)), options)]++;
    } catch (error) {
      throw new Error(`${name}, seed ${seed}, copy ${number}: ${String(error)}`, { cause: error });
    }
    number++;
  }
  return counts;
}

/** A copy that {@link fuzz} named. */
export function nthMutation(bytes: Uint8Array, seed: number, number: number): Uint8Array {
  let at = 0;
  for (const copy of mutations(bytes, seed)) if (at++ === number) return copy;
  return bytes;
}
