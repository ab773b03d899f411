// Fully connected layers with weights as halves: the sums of linear-vector.ts (batch 1) and linear.ts (more), with the same bits as theirs of
// the same weights in float32. Halves become float32 by moving bits, times 2^-112; the input is multiplied by a power of two so that no
// product is too large or too small, and the result by what undoes both. Whoever stores the weights keeps them from being subnormal
// (a power of two a row, in `scale`). Record: linear-quantized.ts.
import { gemmBlock, KC, NR, PANEL_ROW_BYTES } from "./gemm";
import { factorBytes, largestMagnitude, QuantizedLinearArgs, storeScaled } from "./linear-quantized";
import { floorOf } from "./rectify";
import { halfBottoms, halfTops, joinHigh, joinLow, madd, sumLanes } from "./simd";

/** As in linear-vector.ts: sums of so many terms are added in order. */
const BLOCK: i32 = 4096;
/** What moving bits leaves undone. */
const REBIAS: f64 = 5.192296858534828e33; // 2^112
/** Exponent of the largest input, after the multiplication: its products with halves stay below 2^143 · 2^-112. */
const LARGEST: i32 = 126;

/** callScratch = a power of two, and x times it. One grain, one image. */
export function linearScaleInputF16(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<QuantizedLinearArgs>(args);
  const exponent = ((reinterpret<i32>(largestMagnitude(s.x, s.inFeatures)) >> 23) & 255) - 127;
  const steps = min(LARGEST - exponent, 127);
  const power = reinterpret<f32>(max(steps + 127, 1) << 23);
  store<f32>(s.callScratch, power);
  const to = s.callScratch + factorBytes(1);
  const powers = f32x4.splat(power);
  let i = 0;
  for (; i + 4 <= s.inFeatures; i += 4) {
    const at = (<usize>i) << 2;
    v128.store(to + at, f32x4.mul(v128.load(s.x + at), powers));
  }
  for (; i < s.inFeatures; i++) {
    const at = (<usize>i) << 2;
    store<f32>(to + at, load<f32>(s.x + at) * power);
  }
}

/** y for rows [g · block, …) of weight, one image. After linearScaleInputF16. */
export function linearForwardVectorF16(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<QuantizedLinearArgs>(args);
  const rowBytes = (<usize>s.inFeatures) << 1;
  const rowEnd = min(s.outFeatures, grainEnd * s.block);
  const x = s.callScratch + factorBytes(1);
  const factor = REBIAS / <f64>load<f32>(s.callScratch);
  let o = grainBegin * s.block;
  for (; o + 4 <= rowEnd; o += 4) fourRows(s, o, x, rowBytes, factor);
  for (; o < rowEnd; o++) storeProduct(s, o, dotF16(s.weight + <usize>o * rowBytes, x, s.inFeatures), factor);
}

function storeProduct(s: QuantizedLinearArgs, o: i32, sum: f32, factor: f64): void {
  storeScaled(s, 0, o, <f64>sum * factor * <f64>load<f32>(s.scale + ((<usize>o) << 2)));
}

/** A half times 2^-112. */
function half(at: usize): f32 {
  return reinterpret<f32>(((<i32>load<i16>(at)) << 13) & 0x8fffe000);
}

/**
 * Outputs o to o + 3: the sums of dotF16(). Sixteen chains a row would not fit into the registers, so the first eight of all rows come first,
 * then the others, for which the rows are in the cache. VGG-16's three layers, one core of a Granite Rapids, plain: two rows with
 * all of their chains 32 ms, so 24; float32 35.
 */
function fourRows(s: QuantizedLinearArgs, o: i32, x: usize, rowBytes: usize, factor: f64): void {
  let row = s.weight + <usize>o * rowBytes;
  let totalA: f32 = 0;
  let totalB: f32 = 0;
  let totalC: f32 = 0;
  let totalD: f32 = 0;
  for (let count = s.inFeatures; count > 0; count -= BLOCK) {
    const block = min(count, BLOCK);
    const whole = block & ~15;
    let lanesA = f32x4.splat(0);
    let lanesB = f32x4.splat(0);
    let lanesC = f32x4.splat(0);
    let lanesD = f32x4.splat(0);
    for (let half: usize = 0; half < 32; half += 16) {
      let a = row + half;
      let b = a + rowBytes;
      let c = b + rowBytes;
      let d = c + rowBytes;
      let from = x + (half << 1);
      let a0 = f32x4.splat(0);
      let a1 = a0;
      let b0 = f32x4.splat(0);
      let b1 = b0;
      let c0 = f32x4.splat(0);
      let c1 = c0;
      let d0 = f32x4.splat(0);
      let d1 = d0;
      for (let i = 0; i < whole; i += 16) {
        const x0 = v128.load(from);
        const x1 = v128.load(from, 16);
        let halves = v128.load(a);
        let tops = halfTops(halves);
        let bottoms = halfBottoms(halves);
        a0 = madd(a0, joinLow(tops, bottoms), x0);
        a1 = madd(a1, joinHigh(tops, bottoms), x1);
        halves = v128.load(b);
        tops = halfTops(halves);
        bottoms = halfBottoms(halves);
        b0 = madd(b0, joinLow(tops, bottoms), x0);
        b1 = madd(b1, joinHigh(tops, bottoms), x1);
        halves = v128.load(c);
        tops = halfTops(halves);
        bottoms = halfBottoms(halves);
        c0 = madd(c0, joinLow(tops, bottoms), x0);
        c1 = madd(c1, joinHigh(tops, bottoms), x1);
        halves = v128.load(d);
        tops = halfTops(halves);
        bottoms = halfBottoms(halves);
        d0 = madd(d0, joinLow(tops, bottoms), x0);
        d1 = madd(d1, joinHigh(tops, bottoms), x1);
        a += 32;
        b += 32;
        c += 32;
        d += 32;
        from += 64;
      }
      lanesA = f32x4.add(lanesA, f32x4.add(a0, a1));
      lanesB = f32x4.add(lanesB, f32x4.add(b0, b1));
      lanesC = f32x4.add(lanesC, f32x4.add(c0, c1));
      lanesD = f32x4.add(lanesD, f32x4.add(d0, d1));
    }
    const rest = row + ((<usize>whole) << 1);
    const restX = x + ((<usize>whole) << 2);
    totalA += addRest(sumLanes(lanesA), rest, restX, block - whole);
    totalB += addRest(sumLanes(lanesB), rest + rowBytes, restX, block - whole);
    totalC += addRest(sumLanes(lanesC), rest + 2 * rowBytes, restX, block - whole);
    totalD += addRest(sumLanes(lanesD), rest + 3 * rowBytes, restX, block - whole);
    row += (<usize>block) << 1;
    x += (<usize>block) << 2;
  }
  storeProduct(s, o, totalA, factor);
  storeProduct(s, o + 1, totalB, factor);
  storeProduct(s, o + 2, totalC, factor);
  storeProduct(s, o + 3, totalD, factor);
}

/** Dot product of a row of halves and a row of floats: chains and blocks of dot() in linear-vector.ts. */
function dotF16(a: usize, x: usize, count: i32): f32 {
  let total: f32 = 0;
  while (count > 0) {
    const block = min(count, BLOCK);
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    let i = 0;
    for (; i + 16 <= block; i += 16) {
      let halves = v128.load(a);
      let tops = halfTops(halves);
      let bottoms = halfBottoms(halves);
      s0 = madd(s0, joinLow(tops, bottoms), v128.load(x));
      s1 = madd(s1, joinHigh(tops, bottoms), v128.load(x, 16));
      halves = v128.load(a, 16);
      tops = halfTops(halves);
      bottoms = halfBottoms(halves);
      s2 = madd(s2, joinLow(tops, bottoms), v128.load(x, 32));
      s3 = madd(s3, joinHigh(tops, bottoms), v128.load(x, 48));
      a += 32;
      x += 64;
    }
    total += addRest(sumLanes(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3))), a, x, block - i);
    a += (<usize>(block - i)) << 1;
    x += (<usize>(block - i)) << 2;
    count -= block;
  }
  return total;
}

/** sum + `count` more terms, one by one. */
function addRest(sum: f32, a: usize, x: usize, count: i32): f32 {
  for (let i = 0; i < count; i++) sum += half(a + ((<usize>i) << 1)) * load<f32>(x + ((<usize>i) << 2));
  return sum;
}

/** Rows of weight that are turned into floats at a time: those of the register tile. */
const ROWS: i32 = 4;

/**
 * y for rows [g · block, …) of weight, any batch. After linearPackInput. Worker scratch: ROWS rows of KC floats, and ROWS rows of the padded
 * batch. Sums are those of linearForward.
 */
export function linearForwardF16(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<QuantizedLinearArgs>(args);
  const panels = (s.batch + NR - 1) / NR;
  const tileRowBytes = <usize>panels * PANEL_ROW_BYTES;
  const tile = scratch + ((<usize>ROWS * KC) << 2);
  const floor = floorOf(s.relu);
  const rowEnd = min(s.outFeatures, grainEnd * s.block);
  for (let o = grainBegin * s.block; o < rowEnd; o += ROWS) {
    const m = min(ROWS, rowEnd - o);
    for (let k0 = 0; k0 < s.inFeatures; k0 += KC) {
      const k = min(KC, s.inFeatures - k0);
      for (let row = 0; row < m; row++) {
        const from = s.weight + ((<usize>(o + row) * s.inFeatures + k0) << 1);
        const factor = <f32>(REBIAS * <f64>load<f32>(s.scale + ((<usize>(o + row)) << 2)));
        decodeRow(scratch + ((<usize>row * KC) << 2), from, k, factor);
      }
      const packed = s.callScratch + <usize>k0 * tileRowBytes;
      gemmBlock(scratch, (<usize>KC) << 2, packed, tile, tileRowBytes, m, panels, k, k0 > 0);
    }
    for (let row = 0; row < m; row++) {
      const at = (<usize>(o + row)) << 2;
      const bias: f32 = s.bias ? load<f32>(s.bias + at) : 0;
      const from = tile + <usize>row * tileRowBytes;
      let to = s.y + at;
      for (let image = 0; image < s.batch; image++) {
        store<f32>(to, max<f32>(load<f32>(from + ((<usize>image) << 2)) + bias, floor));
        to += (<usize>s.outFeatures) << 2;
      }
    }
  }
}

/** `count` halves as floats, times factor · 2^-112. */
function decodeRow(to: usize, from: usize, count: i32, factor: f32): void {
  const factors = f32x4.splat(factor);
  let i = 0;
  for (; i + 8 <= count; i += 8) {
    const halves = v128.load(from);
    const tops = halfTops(halves);
    const bottoms = halfBottoms(halves);
    v128.store(to, f32x4.mul(joinLow(tops, bottoms), factors));
    v128.store(to, f32x4.mul(joinHigh(tops, bottoms), factors), 16);
    from += 16;
    to += 32;
  }
  for (; i < count; i++) {
    store<f32>(to, half(from) * factor);
    from += 2;
    to += 4;
  }
}
