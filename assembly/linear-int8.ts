// Fully connected layers with int8 weights: y = Σ q · xq · scaleX · scale[o] + bias. Each image is rounded to whole numbers of 16 bits,
// scaleX apart, so that sums are of integers: exact, whatever the order. Record: linear-quantized.ts.
//
//   scaleX = largest |x| / 32767          xq = x / scaleX, to the nearest, ties to even
//
// Where x has an infinity or NaN, scaleX is one, and with it every output NaN: zeros times infinity among them.
import { factorBytes, largestMagnitude, QuantizedLinearArgs, storeScaled } from "./linear-quantized";

const X_MAX: f32 = 32767;
/** Terms that a lane sums in 32 bits: a pair of products every 8; 2 · 128 · 32767 · 256 is below 2^31. */
const BLOCK: i32 = 2048;

/** Bytes of an image in callScratch. */
function imageBytes(inFeatures: i32): usize {
  return (<usize>((inFeatures + 31) / 32)) << 6;
}

/** callScratch = scaleX and xq, image after image. Grain g: image g. */
export function linearRoundInputInt8(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<QuantizedLinearArgs>(args);
  for (let image = grainBegin; image < grainEnd; image++) {
    const x = s.x + ((<usize>image * s.inFeatures) << 2);
    const scaleX = largestMagnitude(x, s.inFeatures) / X_MAX;
    store<f32>(s.callScratch + ((<usize>image) << 2), scaleX);
    const to = s.callScratch + factorBytes(s.batch) + <usize>image * imageBytes(s.inFeatures);
    const scales = f32x4.splat(scaleX);
    const least = i16x8.splat(-32767);
    let i = 0;
    for (; i + 8 <= s.inFeatures; i += 8) {
      const at = x + ((<usize>i) << 2);
      const whole = i16x8.narrow_i32x4_s(divide(v128.load(at), scales), divide(v128.load(at, 16), scales));
      v128.store(to + ((<usize>i) << 1), i16x8.max_s(whole, least));
    }
    for (; i < s.inFeatures; i++) {
      const lanes = divide(v128.load32_splat(x + ((<usize>i) << 2)), scales);
      const whole = i16x8.max_s(i16x8.narrow_i32x4_s(lanes, lanes), least);
      store<i16>(to + ((<usize>i) << 1), i16x8.extract_lane_s(whole, 0));
    }
  }
}

/** The nearest whole numbers; 0 for NaN. */
function divide(values: v128, scales: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.div(values, scales)));
}

/** y for rows [g · block, …) of weight, all images. After linearRoundInputInt8. Rows stay in the cache for the images after the first. */
export function linearForwardInt8(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<QuantizedLinearArgs>(args);
  const rowEnd = min(s.outFeatures, grainEnd * s.block);
  const images = s.callScratch + factorBytes(s.batch);
  let o = grainBegin * s.block;
  for (; o + 4 <= rowEnd; o += 4) {
    for (let image = 0; image < s.batch; image++)
      fourRows(s, image, o, images + <usize>image * imageBytes(s.inFeatures));
  }
  for (; o < rowEnd; o++) {
    const row = s.weight + <usize>o * s.inFeatures;
    for (let image = 0; image < s.batch; image++) {
      storeSum(s, image, o, dotInt8(row, images + <usize>image * imageBytes(s.inFeatures), s.inFeatures));
    }
  }
}

function storeSum(s: QuantizedLinearArgs, image: i32, o: i32, sum: i64): void {
  const scaleX = <f64>load<f32>(s.callScratch + ((<usize>image) << 2));
  storeScaled(s, image, o, <f64>sum * (scaleX * <f64>load<f32>(s.scale + ((<usize>o) << 2))));
}

/** Sum of the four lanes, which may need more than 32 bits. */
function sumIntegers(v: v128): i64 {
  const pairs = i64x2.add(i64x2.extend_low_i32x4_s(v), i64x2.extend_high_i32x4_s(v));
  return i64x2.extract_lane(pairs, 0) + i64x2.extract_lane(pairs, 1);
}

/** Outputs o to o + 3: four streams, and each vector of x is loaded once. */
function fourRows(s: QuantizedLinearArgs, image: i32, o: i32, x: usize): void {
  const rowBytes = <usize>s.inFeatures;
  let a = s.weight + <usize>o * rowBytes;
  let b = a + rowBytes;
  let c = b + rowBytes;
  let d = c + rowBytes;
  let sumA: i64 = 0;
  let sumB: i64 = 0;
  let sumC: i64 = 0;
  let sumD: i64 = 0;
  for (let count = s.inFeatures; count > 0; count -= BLOCK) {
    const block = min(count, BLOCK);
    let a0 = i32x4.splat(0);
    let b0 = a0;
    let c0 = a0;
    let d0 = a0;
    let i = 0;
    for (; i + 16 <= block; i += 16) {
      let value = v128.load(x);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(v128.load8x8_s(a), value));
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(v128.load8x8_s(b), value));
      c0 = i32x4.add(c0, i32x4.dot_i16x8_s(v128.load8x8_s(c), value));
      d0 = i32x4.add(d0, i32x4.dot_i16x8_s(v128.load8x8_s(d), value));
      value = v128.load(x, 16);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(v128.load8x8_s(a, 8), value));
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(v128.load8x8_s(b, 8), value));
      c0 = i32x4.add(c0, i32x4.dot_i16x8_s(v128.load8x8_s(c, 8), value));
      d0 = i32x4.add(d0, i32x4.dot_i16x8_s(v128.load8x8_s(d, 8), value));
      a += 16;
      b += 16;
      c += 16;
      d += 16;
      x += 32;
    }
    sumA += sumIntegers(a0);
    sumB += sumIntegers(b0);
    sumC += sumIntegers(c0);
    sumD += sumIntegers(d0);
    for (; i < block; i++) {
      const value = <i32>load<i16>(x);
      sumA += <i64>(<i32>load<i8>(a) * value);
      sumB += <i64>(<i32>load<i8>(b) * value);
      sumC += <i64>(<i32>load<i8>(c) * value);
      sumD += <i64>(<i32>load<i8>(d) * value);
      a++;
      b++;
      c++;
      d++;
      x += 2;
    }
  }
  storeSum(s, image, o, sumA);
  storeSum(s, image, o + 1, sumB);
  storeSum(s, image, o + 2, sumC);
  storeSum(s, image, o + 3, sumD);
}

/** Dot product of a row of weight and an image. */
function dotInt8(a: usize, x: usize, count: i32): i64 {
  let sum: i64 = 0;
  for (; count > 0; count -= BLOCK) {
    const block = min(count, BLOCK);
    let lanes = i32x4.splat(0);
    let i = 0;
    for (; i + 8 <= block; i += 8) {
      lanes = i32x4.add(lanes, i32x4.dot_i16x8_s(v128.load8x8_s(a), v128.load(x)));
      a += 8;
      x += 16;
    }
    sum += sumIntegers(lanes);
    for (; i < block; i++) {
      sum += <i64>(<i32>load<i8>(a) * <i32>load<i16>(x));
      a++;
      x += 2;
    }
  }
  return sum;
}
