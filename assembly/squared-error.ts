// Squared errors: loss = factor · Σ (a − b)² and its gradient. A grain is GRAIN_FLOATS neighbours; sums are in float64.
import { GRAIN_FLOATS } from "./elementwise";

/** Argument record of the squared error kernels. */
@unmanaged
export class SquaredErrorArgs {
  a: usize;
  b: usize;
  /** One float. */
  loss: usize;
  /** One float: the gradient of the loss. */
  dLoss: usize;
  dx: usize;
  /** One f64 for each grain. */
  callScratch: usize;
  length: i32;
  factor: f32;
}

/** callScratch[g] = Σ (a − b)² of grain g: two chains, even and odd elements. */
export function squaredErrorGrains(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<SquaredErrorArgs>(args);
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const end = min(s.length, (grain + 1) * GRAIN_FLOATS);
    let lanes = f64x2.splat(0);
    let i = grain * GRAIN_FLOATS;
    for (; i + 2 <= end; i += 2) {
      const at = (<usize>i) << 2;
      const a = f64x2.promote_low_f32x4(v128.load64_zero(s.a + at));
      const difference = f64x2.sub(a, f64x2.promote_low_f32x4(v128.load64_zero(s.b + at)));
      lanes = f64x2.add(lanes, f64x2.mul(difference, difference));
    }
    let total = f64x2.extract_lane(lanes, 0) + f64x2.extract_lane(lanes, 1);
    if (i < end) {
      const at = (<usize>i) << 2;
      const difference = <f64>load<f32>(s.a + at) - <f64>load<f32>(s.b + at);
      total += difference * difference;
    }
    store<f64>(s.callScratch + ((<usize>grain) << 3), total);
  }
}

/** loss = factor · the grains' sums, added in order. One grain. */
export function squaredErrorTotal(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<SquaredErrorArgs>(args);
  const grains = (s.length + GRAIN_FLOATS - 1) / GRAIN_FLOATS;
  let total: f64 = 0;
  for (let grain = 0; grain < grains; grain++) total += load<f64>(s.callScratch + ((<usize>grain) << 3));
  store<f32>(s.loss, <f32>(total * <f64>s.factor));
}

/** dx = factor · dLoss · (a − b); overwrites. */
export function squaredErrorBackward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<SquaredErrorArgs>(args);
  const end = min(s.length, grainEnd * GRAIN_FLOATS);
  const factor = s.factor * load<f32>(s.dLoss);
  let i = grainBegin * GRAIN_FLOATS;
  for (; i + 4 <= end; i += 4) {
    const at = (<usize>i) << 2;
    const difference = f32x4.sub(v128.load(s.a + at), v128.load(s.b + at));
    v128.store(s.dx + at, f32x4.mul(f32x4.splat(factor), difference));
  }
  for (; i < end; i++) {
    const at = (<usize>i) << 2;
    store<f32>(s.dx + at, factor * (load<f32>(s.a + at) - load<f32>(s.b + at)));
  }
}
