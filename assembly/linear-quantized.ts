// Fully connected layers whose weight [outF × inF] is kept in fewer bits: what linear-f16.ts and linear-int8.ts share. Row o of the weight
// is what is stored times scale[o]. At batch 1 a layer costs what reading its weights costs, so half the bytes are half the time.
import { floorOf } from "./rectify";

/** Argument record of the kernels. */
@unmanaged
export class QuantizedLinearArgs {
  x: usize;
  /** Halves or int8, row-major. */
  weight: usize;
  /** Of each row. */
  scale: usize;
  /** Or 0. */
  bias: usize;
  y: usize;
  callScratch: usize;
  batch: i32;
  inFeatures: i32;
  outFeatures: i32;
  /** 1 where y is max(y, 0). */
  relu: i32;
  /** Rows of weight of one grain. */
  block: i32;
}

/** Bytes before the prepared images in callScratch: a factor for each image, up to a multiple of 64. */
export function factorBytes(batch: i32): usize {
  return (<usize>((batch + 15) / 16)) << 6;
}

/** The largest magnitude of a row; NaN where one is NaN. */
export function largestMagnitude(row: usize, count: i32): f32 {
  let largest = f32x4.splat(0);
  let i = 0;
  for (; i + 4 <= count; i += 4) largest = f32x4.max(largest, f32x4.abs(v128.load(row + ((<usize>i) << 2))));
  let result = max<f32>(
    max<f32>(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1)),
    max<f32>(f32x4.extract_lane(largest, 2), f32x4.extract_lane(largest, 3)),
  );
  for (; i < count; i++) result = max<f32>(result, abs<f32>(load<f32>(row + ((<usize>i) << 2))));
  return result;
}

/** y[image][o] = product, which is rounded once, + bias[o], rectified with relu. */
export function storeScaled(s: QuantizedLinearArgs, image: i32, o: i32, product: f64): void {
  const at = (<usize>o) << 2;
  const bias: f32 = s.bias ? load<f32>(s.bias + at) : 0;
  const to = s.y + ((<usize>image * s.outFeatures) << 2) + at;
  store<f32>(to, max<f32>(<f32>product + bias, floorOf(s.relu)));
}
