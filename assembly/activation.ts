// Activations with a curve or two slopes, element by element: a grain is GRAIN_FLOATS neighbours. The curves are computed in
// float64, two values at a time, from one exponential that cannot overflow, and rounded once. relu is in elementwise.ts.
import { ElementwiseArgs, GRAIN_FLOATS } from "./elementwise";
import { expOfNegative2 } from "./math";

/** y = a > 0 ? a : a · factor; NaN stays NaN. */
export function leakyReluForward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<ElementwiseArgs>(args);
  const end = min(s.length, grainEnd * GRAIN_FLOATS);
  let i = grainBegin * GRAIN_FLOATS;
  for (; i + 4 <= end; i += 4) {
    const at = (<usize>i) << 2;
    const a = v128.load(s.a + at);
    v128.store(s.y + at, chooseBySign(a, a, s.factor));
  }
  for (; i < end; i++) {
    const at = (<usize>i) << 2;
    const a = v128.load32_zero(s.a + at);
    v128.store32_lane(s.y + at, chooseBySign(a, a, s.factor), 0);
  }
}

/** y = b > 0 ? a : a · factor: the gradient of leakyRelu, with a = dy and b = its input. */
export function leakyReluBackward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<ElementwiseArgs>(args);
  const end = min(s.length, grainEnd * GRAIN_FLOATS);
  let i = grainBegin * GRAIN_FLOATS;
  for (; i + 4 <= end; i += 4) {
    const at = (<usize>i) << 2;
    v128.store(s.y + at, chooseBySign(v128.load(s.a + at), v128.load(s.b + at), s.factor));
  }
  for (; i < end; i++) {
    const at = (<usize>i) << 2;
    const value = chooseBySign(v128.load32_zero(s.a + at), v128.load32_zero(s.b + at), s.factor);
    v128.store32_lane(s.y + at, value, 0);
  }
}

/** a where b > 0, else a · factor. */
function chooseBySign(a: v128, b: v128, factor: f32): v128 {
  return v128.bitselect(a, f32x4.mul(a, f32x4.splat(factor)), f32x4.gt(b, f32x4.splat(0)));
}

/** y = tanh a */
export function tanhForward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<ElementwiseArgs>(args);
  const end = min(s.length, grainEnd * GRAIN_FLOATS);
  let i = grainBegin * GRAIN_FLOATS;
  for (; i + 2 <= end; i += 2) {
    const at = (<usize>i) << 2;
    v128.store64_lane(s.y + at, tanh2(v128.load64_zero(s.a + at)), 0);
  }
  for (; i < end; i++) {
    const at = (<usize>i) << 2;
    v128.store32_lane(s.y + at, tanh2(v128.load32_zero(s.a + at)), 0);
  }
}

/** y = a · (1 − b²): the gradient of tanh, with a = dy and b = its output. */
export function tanhBackward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<ElementwiseArgs>(args);
  const end = min(s.length, grainEnd * GRAIN_FLOATS);
  const one = f32x4.splat(1);
  let i = grainBegin * GRAIN_FLOATS;
  for (; i + 4 <= end; i += 4) {
    const at = (<usize>i) << 2;
    const b = v128.load(s.b + at);
    v128.store(s.y + at, f32x4.mul(v128.load(s.a + at), f32x4.sub(one, f32x4.mul(b, b))));
  }
  for (; i < end; i++) {
    const at = (<usize>i) << 2;
    const b = load<f32>(s.b + at);
    store<f32>(s.y + at, load<f32>(s.a + at) * (1 - b * b));
  }
}

/** y = 1 / (1 + e^−a) */
export function sigmoidForward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<ElementwiseArgs>(args);
  const end = min(s.length, grainEnd * GRAIN_FLOATS);
  let i = grainBegin * GRAIN_FLOATS;
  for (; i + 2 <= end; i += 2) {
    const at = (<usize>i) << 2;
    v128.store64_lane(s.y + at, sigmoid2(v128.load64_zero(s.a + at)), 0);
  }
  for (; i < end; i++) {
    const at = (<usize>i) << 2;
    v128.store32_lane(s.y + at, sigmoid2(v128.load32_zero(s.a + at)), 0);
  }
}

/** y = a · b · (1 − b): the gradient of sigmoid, with a = dy and b = its output. */
export function sigmoidBackward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<ElementwiseArgs>(args);
  const end = min(s.length, grainEnd * GRAIN_FLOATS);
  const one = f32x4.splat(1);
  let i = grainBegin * GRAIN_FLOATS;
  for (; i + 4 <= end; i += 4) {
    const at = (<usize>i) << 2;
    const b = v128.load(s.b + at);
    v128.store(s.y + at, f32x4.mul(f32x4.mul(v128.load(s.a + at), b), f32x4.sub(one, b)));
  }
  for (; i < end; i++) {
    const at = (<usize>i) << 2;
    const b = load<f32>(s.b + at);
    store<f32>(s.y + at, load<f32>(s.a + at) * b * (1 - b));
  }
}

/**
 * tanh of the lower two lanes: (1 − t) / (1 + t) with t = e^(−2|x|), and the sign of x. Below 1e-3, where 1 − t loses digits,
 * |x| − |x|³ / 3.
 */
function tanh2(lanes: v128): v128 {
  const x = f64x2.promote_low_f32x4(lanes);
  const size = f64x2.abs(x);
  const one = f64x2.splat(1);
  const t = expOfNegative2(f64x2.mul(size, f64x2.splat(-2)));
  const curve = f64x2.div(f64x2.sub(one, t), f64x2.add(one, t));
  const series = f64x2.sub(size, f64x2.div(f64x2.mul(f64x2.mul(size, size), size), f64x2.splat(3)));
  const value = v128.bitselect(series, curve, f64x2.lt(size, f64x2.splat(1e-3)));
  return f32x4.demote_f64x2_zero(v128.or(value, v128.and(x, f64x2.splat(-0.0))));
}

/** Sigmoid of the lower two lanes: 1 / (1 + t), below 0 t / (1 + t), with t = e^−|x|. */
function sigmoid2(lanes: v128): v128 {
  const x = f64x2.promote_low_f32x4(lanes);
  const one = f64x2.splat(1);
  const t = expOfNegative2(f64x2.neg(f64x2.abs(x)));
  const numerator = v128.bitselect(t, one, f64x2.lt(x, f64x2.splat(0)));
  return f32x4.demote_f64x2_zero(f64x2.div(numerator, f64x2.add(one, t)));
}
