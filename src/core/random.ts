/**
 * The project's one random generator: counter-based Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror and Shaw,
 * "Parallel random numbers: as easy as 1, 2, 3", SC 2011), checked against Random123's known-answer vectors.
 *
 * A random number is a function of (seed, stream, counter), not of who drew before: each use of randomness names its own
 * stream, so adding one leaves all others as they were. Next layer down: core/math.ts for `normal`.
 */
import { UsageError } from "./errors.js";
import { cos, log } from "./math.js";

/** Threefish's key-schedule constant for 32-bit words ("Skein" 1.3, as in Random123). */
const KEY_PARITY = 0x1bd11bda;

const TWO_TO_24 = 16777216;
const TWO_TO_32 = 4294967296;
const TWO_PI = 6.283185307179586;

/**
 * Key derivation and drawing encrypt disjoint sets of counters. The second counter word is
 * below 2^21 for a numeric label, 2^30 + position for a character, 2^30 + 2^29 at a string's end, and 2^31 + … for a draw.
 * Kernels that take a stream's `key` (dropout, initialisers) count in the second word from 0, where numeric labels are: a
 * stream whose key a kernel has must not be forked by numbers.
 */
const CHARACTER_DOMAIN = 0x40000000;
const STRING_END_DOMAIN = 0x60000000;
const DRAW_DOMAIN = 0x80000000;

/** What names a stream: words and whole numbers, outermost first, such as ("augment", epoch, picture). */
export type StreamLabel = string | number;

/**
 * One block of Threefry-2x32-20: encrypts the counter (two 32-bit words) with the key (two 32-bit words).
 * Pure; all words are taken modulo 2^32.
 * @param out receives the two words of the result.
 */
export function threefry2x32(key0: number, key1: number, counter0: number, counter1: number, out: Uint32Array): void {
  const key2 = KEY_PARITY ^ key0 ^ key1;
  let a = (counter0 + key0) | 0;
  let b = (counter1 + key1) | 0;

  // Rounds 1-4, then a key word pair with the group's number; the rotations of odd and even groups alternate.
  a = (a + b) | 0;
  b = ((b << 13) | (b >>> 19)) ^ a;
  a = (a + b) | 0;
  b = ((b << 15) | (b >>> 17)) ^ a;
  a = (a + b) | 0;
  b = ((b << 26) | (b >>> 6)) ^ a;
  a = (a + b) | 0;
  b = ((b << 6) | (b >>> 26)) ^ a;
  a = (a + key1) | 0;
  b = (b + key2 + 1) | 0;

  // Rounds 5-8.
  a = (a + b) | 0;
  b = ((b << 17) | (b >>> 15)) ^ a;
  a = (a + b) | 0;
  b = ((b << 29) | (b >>> 3)) ^ a;
  a = (a + b) | 0;
  b = ((b << 16) | (b >>> 16)) ^ a;
  a = (a + b) | 0;
  b = ((b << 24) | (b >>> 8)) ^ a;
  a = (a + key2) | 0;
  b = (b + key0 + 2) | 0;

  // Rounds 9-12.
  a = (a + b) | 0;
  b = ((b << 13) | (b >>> 19)) ^ a;
  a = (a + b) | 0;
  b = ((b << 15) | (b >>> 17)) ^ a;
  a = (a + b) | 0;
  b = ((b << 26) | (b >>> 6)) ^ a;
  a = (a + b) | 0;
  b = ((b << 6) | (b >>> 26)) ^ a;
  a = (a + key0) | 0;
  b = (b + key1 + 3) | 0;

  // Rounds 13-16.
  a = (a + b) | 0;
  b = ((b << 17) | (b >>> 15)) ^ a;
  a = (a + b) | 0;
  b = ((b << 29) | (b >>> 3)) ^ a;
  a = (a + b) | 0;
  b = ((b << 16) | (b >>> 16)) ^ a;
  a = (a + b) | 0;
  b = ((b << 24) | (b >>> 8)) ^ a;
  a = (a + key1) | 0;
  b = (b + key2 + 4) | 0;

  // Rounds 17-20.
  a = (a + b) | 0;
  b = ((b << 13) | (b >>> 19)) ^ a;
  a = (a + b) | 0;
  b = ((b << 15) | (b >>> 17)) ^ a;
  a = (a + b) | 0;
  b = ((b << 26) | (b >>> 6)) ^ a;
  a = (a + b) | 0;
  b = ((b << 6) | (b >>> 26)) ^ a;
  out[0] = a + key2;
  out[1] = b + key0 + 5;
}

/**
 * A stream of random numbers. Two streams with the same seed and labels give the same numbers; any other pair is independent.
 *
 * ```ts
 * const random = new Random(1, "augment", epoch);
 * random.fork(picture).integer(9);
 * ```
 */
export class Random {
  /** 32-bit words drawn so far: the address of the next one. May be set, to go back or skip. */
  counter = 0;

  #key0: number;
  #key1: number;
  /** Block whose two words are in #words; -1 for none. */
  #block = -1;
  readonly #words = new Uint32Array(2);

  /**
   * @param seed whole number from 0 to 2^53 - 1.
   * @param stream labels that name the stream; numbers have the seed's range.
   * @throws UsageError for any other number.
   */
  constructor(seed: number, ...stream: readonly StreamLabel[]) {
    checkWhole("seed", seed);
    this.#key0 = seed | 0;
    this.#key1 = Math.floor(seed / TWO_TO_32);
    for (const label of stream) this.#fold(label);
  }

  /** The stream named by this stream's labels and one more. Draws from this stream neither change it nor are changed by it. */
  fork(label: StreamLabel): Random {
    const child = new Random(0);
    child.#key0 = this.#key0;
    child.#key1 = this.#key1;
    child.#fold(label);
    return child;
  }

  /** The stream's key, two 32-bit words: kernels that draw by counter (dropout, initialisers) take it. */
  get key(): { readonly key0: number; readonly key1: number } {
    return { key0: this.#key0 >>> 0, key1: this.#key1 >>> 0 };
  }

  /** A whole number in [0, 2^32). */
  uint32(): number {
    const block = Math.floor(this.counter / 2);
    if (block !== this.#block) {
      threefry2x32(this.#key0, this.#key1, block >>> 0, DRAW_DOMAIN + Math.floor(block / TWO_TO_32), this.#words);
      this.#block = block;
    }
    return this.#words[this.counter++ % 2];
  }

  /** A multiple of 2^-24 in [0, 1): exact in float32. */
  uniform(): number {
    return (this.uint32() >>> 8) / TWO_TO_24;
  }

  /**
   * A whole number in [0, n), all equally likely: words above the last multiple of n are drawn again.
   * @throws UsageError unless n is a whole number from 1 to 2^32.
   */
  integer(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > TWO_TO_32) {
      throw new UsageError(
        `random.integer: the range is not a whole number from 1 to 2^32 (n ${n}). Pass the count of values.`,
      );
    }
    const limit = TWO_TO_32 - (TWO_TO_32 % n);
    let word = this.uint32();
    while (word >= limit) word = this.uint32();
    return word % n;
  }

  /** A sample of the standard normal distribution (float64; Box and Muller 1958). Always two words; |value| <= 6.66. */
  normal(): number {
    const u = (this.uint32() + 1) / TWO_TO_32; // in (0, 1], so the logarithm is finite
    const v = this.uint32() / TWO_TO_32;
    return Math.sqrt(-2 * log(u)) * cos(TWO_PI * v);
  }

  /** Puts the items in random order, in place (Fisher and Yates). @returns the same array. */
  shuffle<T extends { readonly length: number; [index: number]: unknown }>(items: T): T {
    for (let last = items.length - 1; last > 0; last--) {
      const other = this.integer(last + 1);
      const item = items[last];
      items[last] = items[other];
      items[other] = item;
    }
    return items;
  }

  /** The numbers 0..n-1 in random order. @throws UsageError unless n is a whole number from 0 to 2^31 - 1. */
  permutation(n: number): Int32Array {
    if (!Number.isInteger(n) || n < 0 || n > 0x7fffffff) {
      throw new UsageError(
        `random.permutation: the length is not a whole number from 0 to 2^31 - 1 (n ${n}). Pass the count of items.`,
      );
    }
    const order = new Int32Array(n);
    for (let i = 0; i < n; i++) order[i] = i;
    return this.shuffle(order);
  }

  /** Replaces the key by the key of the sub-stream `label`. */
  #fold(label: StreamLabel): void {
    if (typeof label === "number") {
      checkWhole("stream label", label);
      this.#foldBlock(label >>> 0, Math.floor(label / TWO_TO_32));
      return;
    }
    for (let i = 0; i < label.length; i++) this.#foldBlock(label.charCodeAt(i), CHARACTER_DOMAIN + i);
    this.#foldBlock(label.length, STRING_END_DOMAIN);
  }

  #foldBlock(counter0: number, counter1: number): void {
    threefry2x32(this.#key0, this.#key1, counter0, counter1, this.#words);
    this.#key0 = this.#words[0] | 0; // signed: V8 keeps a 32-bit integer in place, a larger number in a box
    this.#key1 = this.#words[1] | 0;
  }
}

function checkWhole(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new UsageError(`random: the ${name} is not a whole number from 0 to 2^53 - 1 (${name} ${value}). Pass one.`);
  }
}
