// Log-softmax and cross-entropy over rows of classes. Sums are in float64: rows are short, so it costs nothing.
import { exp, log } from "./math";

/** Argument record of the loss kernels; x, y, dx, dy are [rows, classes]. */
@unmanaged
export class LossArgs {
  x: usize;
  /** Log-probabilities. */
  y: usize;
  dx: usize;
  dy: usize;
  /** i32 class of each row. */
  labels: usize;
  /** One float. */
  loss: usize;
  /** One float: the gradient of the loss. */
  dLoss: usize;
  /** i32 rank of the true class in each row. */
  ranks: usize;
  rows: i32;
  classes: i32;
}

/** y = x − max − log Σ exp(x − max), row by row. A grain is a row. NaN or +∞ in a row makes all of it NaN. */
export function logSoftmaxForward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<LossArgs>(args);
  for (let row = grainBegin; row < grainEnd; row++) {
    const x = s.x + ((<usize>row * s.classes) << 2);
    const y = s.y + ((<usize>row * s.classes) << 2);
    let largest: f32 = -Infinity;
    for (let c = 0; c < s.classes; c++) largest = max<f32>(largest, load<f32>(x + ((<usize>c) << 2)));
    let sum: f64 = 0;
    for (let c = 0; c < s.classes; c++) sum += exp(<f64>load<f32>(x + ((<usize>c) << 2)) - <f64>largest);
    const shift = <f64>largest + (sum == sum ? log(sum) : sum);
    for (let c = 0; c < s.classes; c++) {
      store<f32>(y + ((<usize>c) << 2), <f32>(<f64>load<f32>(x + ((<usize>c) << 2)) - shift));
    }
  }
}

/** dx = dy − exp(y) · Σ dy, row by row. */
export function logSoftmaxBackward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<LossArgs>(args);
  for (let row = grainBegin; row < grainEnd; row++) {
    const at = (<usize>row * s.classes) << 2;
    let sum: f64 = 0;
    for (let c = 0; c < s.classes; c++) sum += <f64>load<f32>(s.dy + at + ((<usize>c) << 2));
    for (let c = 0; c < s.classes; c++) {
      const here = at + ((<usize>c) << 2);
      store<f32>(s.dx + here, <f32>(<f64>load<f32>(s.dy + here) - exp(<f64>load<f32>(s.y + here)) * sum));
    }
  }
}

/** loss = −mean of y[row][label]: y holds log-probabilities; NaN for a label outside [0, classes). One grain: rows are added in order, in float64. */
export function nllForward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<LossArgs>(args);
  let sum: f64 = 0;
  for (let row = 0; row < s.rows; row++) {
    const label = load<i32>(s.labels + ((<usize>row) << 2));
    // A label that is no class makes the loss NaN, never a read of other memory.
    sum += <u32>label < <u32>s.classes ? <f64>load<f32>(s.y + ((<usize>row * s.classes + label) << 2)) : NaN;
  }
  store<f32>(s.loss, <f32>(-sum / <f64>s.rows));
}

/** dx = (exp(y) − [class is the label]) · dLoss / rows: the gradient of the mean cross-entropy. A grain is a row. */
export function crossEntropyBackward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<LossArgs>(args);
  const scale = <f64>load<f32>(s.dLoss) / <f64>s.rows;
  for (let row = grainBegin; row < grainEnd; row++) {
    const at = (<usize>row * s.classes) << 2;
    const label = load<i32>(s.labels + ((<usize>row) << 2));
    const factor = <u32>label < <u32>s.classes ? scale : NaN;
    for (let c = 0; c < s.classes; c++) {
      const here = at + ((<usize>c) << 2);
      const probability = exp(<f64>load<f32>(s.y + here));
      store<f32>(s.dx + here, <f32>((c == label ? probability - 1 : probability) * factor));
    }
  }
}

/** ranks[row] = number of classes ahead of the true one (a larger value, or an equal one with a smaller index; NaN is ahead). */
export function labelRank(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<LossArgs>(args);
  for (let row = grainBegin; row < grainEnd; row++) {
    const x = s.x + ((<usize>row * s.classes) << 2);
    const label = load<i32>(s.labels + ((<usize>row) << 2));
    const own: f32 = <u32>label < <u32>s.classes ? load<f32>(x + ((<usize>label) << 2)) : <f32>NaN;
    let rank = 0;
    for (let c = 0; c < s.classes; c++) {
      const value = load<f32>(x + ((<usize>c) << 2));
      if (c != label && !(value < own || (value == own && c > label))) rank++;
    }
    store<i32>(s.ranks + ((<usize>row) << 2), rank);
  }
}
