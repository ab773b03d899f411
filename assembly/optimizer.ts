// Stochastic gradient descent with momentum and weight decay, one pass over parameter, gradient and velocity.
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
 * A grain is GRAIN_FLOATS neighbours; 16 bytes read and 8 written per element.
 */
export function sgd(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<SgdArgs>(args);
  const end = min(s.length, grainEnd * GRAIN_FLOATS);
  const lr = f32x4.splat(s.lr);
  const momentum = f32x4.splat(s.momentum);
  const weightDecay = f32x4.splat(s.weightDecay);
  let i = grainBegin * GRAIN_FLOATS;
  for (; i + 4 <= end; i += 4) {
    const at = (<usize>i) << 2;
    const param = v128.load(s.param + at);
    let step = f32x4.add(v128.load(s.grad + at), f32x4.mul(weightDecay, param));
    if (s.caffe) step = f32x4.mul(lr, step);
    if (s.velocity) {
      step = f32x4.add(f32x4.mul(momentum, v128.load(s.velocity + at)), step);
      v128.store(s.velocity + at, step);
    }
    v128.store(s.param + at, f32x4.sub(param, s.caffe ? step : f32x4.mul(lr, step)));
  }
  for (; i < end; i++) {
    const at = (<usize>i) << 2;
    const param = load<f32>(s.param + at);
    let step = load<f32>(s.grad + at) + s.weightDecay * param;
    if (s.caffe) step = s.lr * step;
    if (s.velocity) {
      step = s.momentum * load<f32>(s.velocity + at) + step;
      store<f32>(s.velocity + at, step);
    }
    store<f32>(s.param + at, param - (s.caffe ? step : s.lr * step));
  }
}
