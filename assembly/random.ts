// Random numbers by counter: Threefry-2x32 with 20 rounds (Salmon et al. 2011, Random123), four blocks at a time.
// Element e of a tensor takes word e & 1 of block e >> 1: nothing depends on threads or on order.
// The same generator in TypeScript: src/core/random.ts.
import { cosTurns, log, sinTurns } from "./math";
import { rotateLanes } from "./simd";

/** Elements of one grain; a multiple of 8. */
export const RANDOM_GRAIN: i32 = 8192;

/** Argument record of the random kernels. */
@unmanaged
export class RandomArgs {
  x: usize;
  y: usize;
  length: i32;
  key0: u32;
  key1: u32;
  /** The high counter word: which use of the stream this is. */
  counter: u32;
  /** dropout: keep an element where its word is at least this. */
  threshold: u32;
  /** dropout: 1 / (1 − p). fillNormal: standard deviation. fillUniform: half the width. */
  scale: f32;
}

/** Writes the 8 words of blocks [block, block + 4) to `words`, in element order. */
export function threefryWords(words: usize, key0: u32, key1: u32, block: u32, counter: u32): void {
  const k0 = i32x4.splat(key0);
  const k1 = i32x4.splat(key1);
  const k2 = i32x4.splat(0x1bd11bda ^ key0 ^ key1);
  let a = i32x4.add(i32x4.add(i32x4.splat(block), i32x4(0, 1, 2, 3)), k0);
  let b = i32x4.add(i32x4.splat(counter), k1);
  for (let group = 0; group < 5; group++) {
    if (group & 1) {
      a = i32x4.add(a, b);
      b = v128.xor(rotateLanes(b, 17), a);
      a = i32x4.add(a, b);
      b = v128.xor(rotateLanes(b, 29), a);
      a = i32x4.add(a, b);
      b = v128.xor(rotateLanes(b, 16), a);
      a = i32x4.add(a, b);
      b = v128.xor(rotateLanes(b, 24), a);
    } else {
      a = i32x4.add(a, b);
      b = v128.xor(rotateLanes(b, 13), a);
      a = i32x4.add(a, b);
      b = v128.xor(rotateLanes(b, 15), a);
      a = i32x4.add(a, b);
      b = v128.xor(rotateLanes(b, 26), a);
      a = i32x4.add(a, b);
      b = v128.xor(rotateLanes(b, 6), a);
    }
    // Key injection group + 1: words (group + 1) % 3 and (group + 2) % 3 of (k0, k1, k2).
    const rest = (group + 1) % 3;
    a = i32x4.add(a, rest == 0 ? k0 : rest == 1 ? k1 : k2);
    b = i32x4.add(b, rest == 0 ? k1 : rest == 1 ? k2 : k0);
    b = i32x4.add(b, i32x4.splat(group + 1));
  }
  v128.store(words, v128.shuffle<i32>(a, b, 0, 4, 1, 5));
  v128.store(words, v128.shuffle<i32>(a, b, 2, 6, 3, 7), 16);
}

/** y = x · scale where the element's word reaches the threshold, else 0. Forward and backward alike. */
export function dropout(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<RandomArgs>(args);
  const end = min(s.length, grainEnd * RANDOM_GRAIN);
  for (let i = grainBegin * RANDOM_GRAIN; i < end; i += 8) {
    threefryWords(scratch, s.key0, s.key1, i >> 1, s.counter);
    const count = min(8, end - i);
    for (let lane = 0; lane < count; lane++) {
      const at = (<usize>(i + lane)) << 2;
      const keep = load<u32>(scratch + ((<usize>lane) << 2)) >= s.threshold;
      store<f32>(s.y + at, keep ? load<f32>(s.x + at) * s.scale : <f32>0);
    }
  }
}

/** y = uniform in [−scale, scale), 24 random bits. */
export function fillUniform(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<RandomArgs>(args);
  const end = min(s.length, grainEnd * RANDOM_GRAIN);
  for (let i = grainBegin * RANDOM_GRAIN; i < end; i += 8) {
    threefryWords(scratch, s.key0, s.key1, i >> 1, s.counter);
    const count = min(8, end - i);
    for (let lane = 0; lane < count; lane++) {
      const u = <f64>(load<u32>(scratch + ((<usize>lane) << 2)) >> 8) * (1.0 / 8388608.0) - 1.0;
      store<f32>(s.y + ((<usize>(i + lane)) << 2), <f32>(u * <f64>s.scale));
    }
  }
}

/** y = normal with mean 0 and standard deviation scale (Box and Muller: each block of two words gives two elements). */
export function fillNormal(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<RandomArgs>(args);
  const end = min(s.length, grainEnd * RANDOM_GRAIN);
  for (let i = grainBegin * RANDOM_GRAIN; i < end; i += 8) {
    threefryWords(scratch, s.key0, s.key1, i >> 1, s.counter);
    for (let lane = 0; lane < 8 && i + lane < end; lane += 2) {
      const word = scratch + ((<usize>lane) << 2);
      const u = (<f64>load<u32>(word) + 0.5) * (1.0 / 4294967296.0);
      const turns = <f64>load<u32>(word + 4) * (1.0 / 4294967296.0);
      const radius = sqrt<f64>(-2 * log(u)) * <f64>s.scale;
      const to = s.y + ((<usize>(i + lane)) << 2);
      store<f32>(to, <f32>(radius * cosTurns(turns)));
      if (i + lane + 1 < end) store<f32>(to + 4, <f32>(radius * sinTurns(turns)));
    }
  }
}
