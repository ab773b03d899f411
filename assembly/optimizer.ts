// Updates of parameters: stochastic gradient descent with momentum and weight decay; Adam. One pass over all that a step
// reads and writes.
import { GRAIN_FLOATS } from "./elementwise";

/** Argument record of sgd. */
@unmanaged
export class SgdArgs {
  param: usize;
  grad: usize;
  /** 0 without momentum. */
  velocity: usize;
  length: i32;
  lr: f32;
  momentum: f32;
  weightDecay: f32;
  /** 0: PyTorch's form, 1: Caffe's (the rate is inside the velocity). */
  caffe: i32;
}

/**
 * g = grad + weightDecay · param, then
 *   PyTorch   v = momentum · v + g        param −= lr · v
 *   Caffe     v = momentum · v + lr · g   param −= v
 * A grain is GRAIN_FLOATS neighbours; 12 bytes read and 8 written per element.
 */
export function sgd(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<SgdArgs>(args);
  const begin = grainBegin * GRAIN_FLOATS;
  const count = min(s.length, grainEnd * GRAIN_FLOATS) - begin;
  const at = (<usize>begin) << 2;
  const velocity: usize = s.velocity ? s.velocity + at : 0;
  sgdRange(s.param + at, s.grad + at, velocity, count, s.lr, s.momentum, s.weightDecay, s.caffe != 0);
}

/** The same for `count` neighbours. */
export function sgdRange(
  param: usize,
  grad: usize,
  velocity: usize,
  count: i32,
  lr: f32,
  momentum: f32,
  weightDecay: f32,
  caffe: bool,
): void {
  const rates = f32x4.splat(lr);
  const momenta = f32x4.splat(momentum);
  const decays = f32x4.splat(weightDecay);
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const at = (<usize>i) << 2;
    const value = v128.load(param + at);
    let step = f32x4.add(v128.load(grad + at), f32x4.mul(decays, value));
    if (caffe) step = f32x4.mul(rates, step);
    if (velocity) {
      step = f32x4.add(f32x4.mul(momenta, v128.load(velocity + at)), step);
      v128.store(velocity + at, step);
    }
    v128.store(param + at, f32x4.sub(value, caffe ? step : f32x4.mul(rates, step)));
  }
  for (; i < count; i++) {
    const at = (<usize>i) << 2;
    const value = load<f32>(param + at);
    let step = load<f32>(grad + at) + weightDecay * value;
    if (caffe) step = lr * step;
    if (velocity) {
      step = momentum * load<f32>(velocity + at) + step;
      store<f32>(velocity + at, step);
    }
    store<f32>(param + at, value - (caffe ? step : lr * step));
  }
}

/** Argument record of adam: factors that are the same for all elements, each rounded once. */
@unmanaged
export class AdamArgs {
  param: usize;
  grad: usize;
  expAvg: usize;
  expAvgSq: usize;
  length: i32;
  beta1: f32;
  /** 1 − beta1 */
  ofGrad: f32;
  beta2: f32;
  /** 1 − beta2 */
  ofSquare: f32;
  /** lr / (1 − beta1^t) */
  stepSize: f32;
  /** √(1 − beta2^t) */
  rootCorrection: f32;
  eps: f32;
  /** Into the gradient; 0 for AdamW. */
  weightDecay: f32;
  /** Of the parameter before the step: 1, for AdamW 1 − lr · weightDecay. */
  keep: f32;
}

/**
 * g = grad + weightDecay · param, then
 *   m = beta1 · m + (1 − beta1) · g        v = beta2 · v + (1 − beta2) · g²
 *   param = keep · param − stepSize · m / (√v / rootCorrection + eps)
 * A grain is GRAIN_FLOATS neighbours; 16 bytes read and 12 written per element.
 */
export function adam(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<AdamArgs>(args);
  const end = min(s.length, grainEnd * GRAIN_FLOATS);
  let i = grainBegin * GRAIN_FLOATS;
  for (; i + 4 <= end; i += 4) {
    const at = (<usize>i) << 2;
    const param = v128.load(s.param + at);
    const g = f32x4.add(v128.load(s.grad + at), f32x4.mul(f32x4.splat(s.weightDecay), param));
    const m = f32x4.add(f32x4.mul(f32x4.splat(s.beta1), v128.load(s.expAvg + at)), f32x4.mul(f32x4.splat(s.ofGrad), g));
    const v = f32x4.add(
      f32x4.mul(f32x4.splat(s.beta2), v128.load(s.expAvgSq + at)),
      f32x4.mul(f32x4.splat(s.ofSquare), f32x4.mul(g, g)),
    );
    v128.store(s.expAvg + at, m);
    v128.store(s.expAvgSq + at, v);
    const root = f32x4.add(f32x4.div(f32x4.sqrt(v), f32x4.splat(s.rootCorrection)), f32x4.splat(s.eps));
    const step = f32x4.div(f32x4.mul(f32x4.splat(s.stepSize), m), root);
    v128.store(s.param + at, f32x4.sub(f32x4.mul(f32x4.splat(s.keep), param), step));
  }
  for (; i < end; i++) {
    const at = (<usize>i) << 2;
    const param = load<f32>(s.param + at);
    const g = load<f32>(s.grad + at) + s.weightDecay * param;
    const m = s.beta1 * load<f32>(s.expAvg + at) + s.ofGrad * g;
    const v = s.beta2 * load<f32>(s.expAvgSq + at) + s.ofSquare * (g * g);
    store<f32>(s.expAvg + at, m);
    store<f32>(s.expAvgSq + at, v);
    const root = sqrt<f32>(v) / s.rootCorrection + s.eps;
    store<f32>(s.param + at, s.keep * param - (s.stepSize * m) / root);
  }
}
