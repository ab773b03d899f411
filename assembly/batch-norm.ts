// Batch normalisation of [batch, channels, plane] (plane = 1 for [batch, channels]), the statistics of a channel being over
// its count = batch · plane elements:
//
//   mean = Σ x / count       var = Σ (x − mean)² / count       invStd = 1 / √(var + eps)
//   y = (x − mean) · invStd · weight + bias
//   dBias = Σ dy             dWeight = Σ dy · (x − mean) · invStd
//   dx = weight · invStd · (dy − dBias / count − (x − mean) · invStd · dWeight / count)
//
// A channel's elements, counted image by image, are cut into chunks; a grain is one chunk of `block` channels. Sums are in
// float64: two passes for the variance, chunk sums to scratch memory, chunks added in order. So few channels keep all
// threads busy too, and the order of a sum depends on the shape alone.

/** Argument record of the batch norm kernels. */
@unmanaged
export class BatchNormArgs {
  x: usize;
  y: usize;
  dx: usize;
  dy: usize;
  /** Of this pass, [channels]. */
  mean: usize;
  invStd: usize;
  weight: usize;
  /** 0: none. */
  bias: usize;
  runningMean: usize;
  runningVar: usize;
  /** batchNormBackwardInput reads these two; 0 where mean and invStd are constants. */
  dWeight: usize;
  dBias: usize;
  /** Two f64 for each chunk of each channel: all first ones, then all second ones. */
  callScratch: usize;
  batch: i32;
  channels: i32;
  plane: i32;
  /** Channels of a grain; grain g has block g % blocks of chunk g / blocks. */
  block: i32;
  blocks: i32;
  /** Elements of a channel in a chunk. */
  chunk: i32;
  chunks: i32;
  momentum: f32;
  eps: f32;
}

// ---- where a grain's elements lie --------------------------------------------------------------------------------------

function countOf(s: BatchNormArgs): i32 {
  return s.batch * s.plane;
}

/** Byte offset of element `element` of a channel. */
function offsetOf(s: BatchNormArgs, channel: i32, element: i32): usize {
  const image = element / s.plane;
  return ((<usize>image * s.channels + channel) * s.plane + (element - image * s.plane)) << 2;
}

/** How many elements from `element` on lie side by side, up to `end`. */
function runOf(s: BatchNormArgs, element: i32, end: i32): i32 {
  return min(s.plane - (element % s.plane), end - element);
}

/** Address of the first (index 0) or second (1) sum of a chunk. */
function sumAt(s: BatchNormArgs, index: i32, channel: i32, chunk: i32): usize {
  return s.callScratch + ((<usize>(index * s.channels + channel) * s.chunks + chunk) << 3);
}

/** A channel's sum: its chunks in order. */
function totalOf(s: BatchNormArgs, index: i32, channel: i32): f64 {
  let total: f64 = 0;
  for (let chunk = 0; chunk < s.chunks; chunk++) total += load<f64>(sumAt(s, index, channel, chunk));
  return total;
}

/** Four float32 as two vectors of float64: the lower two. */
function lower(v: v128): v128 {
  return f64x2.promote_low_f32x4(v);
}

/** The upper two. */
function upper(v: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<f32>(v, v, 2, 3, 2, 3));
}

function sumOfLanes(v: v128): f64 {
  return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1);
}

// ---- statistics ----------------------------------------------------------------------------------------------------------

/** First sums: Σ x of each chunk. */
export function batchNormSums(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<BatchNormArgs>(args);
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const chunk = grain / s.blocks;
    const first = (grain % s.blocks) * s.block;
    const end = min(countOf(s), (chunk + 1) * s.chunk);
    for (let channel = first; channel < min(first + s.block, s.channels); channel++) {
      let sum: f64 = 0;
      for (let e = chunk * s.chunk; e < end; ) {
        const run = runOf(s, e, end);
        sum += sumOf(s.x + offsetOf(s, channel, e), run);
        e += run;
      }
      store<f64>(sumAt(s, 0, channel, chunk), sum);
    }
  }
}

/** Second sums: Σ (x − mean)² of each chunk. After batchNormSums. */
export function batchNormSquares(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<BatchNormArgs>(args);
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const chunk = grain / s.blocks;
    const first = (grain % s.blocks) * s.block;
    const end = min(countOf(s), (chunk + 1) * s.chunk);
    for (let channel = first; channel < min(first + s.block, s.channels); channel++) {
      const mean = totalOf(s, 0, channel) / <f64>countOf(s);
      let sum: f64 = 0;
      for (let e = chunk * s.chunk; e < end; ) {
        const run = runOf(s, e, end);
        sum += productsOf(s.x + offsetOf(s, channel, e), s.x + offsetOf(s, channel, e), run, mean, mean);
        e += run;
      }
      store<f64>(sumAt(s, 1, channel, chunk), sum);
    }
  }
}

/** mean and invStd; running statistics move towards mean and unbiased variance. After batchNormSquares. One grain. */
export function batchNormTotals(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<BatchNormArgs>(args);
  const count = <f64>countOf(s);
  const momentum = <f64>s.momentum;
  for (let channel = 0; channel < s.channels; channel++) {
    const at = (<usize>channel) << 2;
    const mean = totalOf(s, 0, channel) / count;
    const squares = totalOf(s, 1, channel);
    store<f32>(s.mean + at, <f32>mean);
    store<f32>(s.invStd + at, <f32>(1 / sqrt<f64>(squares / count + <f64>s.eps)));
    const runningMean = <f64>load<f32>(s.runningMean + at);
    const runningVar = <f64>load<f32>(s.runningVar + at);
    store<f32>(s.runningMean + at, <f32>((1 - momentum) * runningMean + momentum * mean));
    store<f32>(s.runningVar + at, <f32>((1 - momentum) * runningVar + momentum * (squares / (count - 1))));
  }
}

/** Evaluation mode: mean and invStd from the running statistics. One grain. */
export function batchNormRunning(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<BatchNormArgs>(args);
  for (let channel = 0; channel < s.channels; channel++) {
    const at = (<usize>channel) << 2;
    store<f32>(s.mean + at, load<f32>(s.runningMean + at));
    store<f32>(s.invStd + at, <f32>(1 / sqrt<f64>(<f64>load<f32>(s.runningVar + at) + <f64>s.eps)));
  }
}

/** Σ x of neighbours: four float64 chains, then the rest. */
function sumOf(x: usize, count: i32): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const value = v128.load(x + ((<usize>i) << 2));
    low = f64x2.add(low, lower(value));
    high = f64x2.add(high, upper(value));
  }
  let sum = sumOfLanes(f64x2.add(low, high));
  for (; i < count; i++) sum += <f64>load<f32>(x + ((<usize>i) << 2));
  return sum;
}

/** Σ (a − aMean) · (b − bMean) of neighbours: four float64 chains, then the rest. */
function productsOf(a: usize, b: usize, count: i32, aMean: f64, bMean: f64): f64 {
  const aMeans = f64x2.splat(aMean);
  const bMeans = f64x2.splat(bMean);
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const at = (<usize>i) << 2;
    const left = v128.load(a + at);
    const right = v128.load(b + at);
    low = f64x2.add(low, f64x2.mul(f64x2.sub(lower(left), aMeans), f64x2.sub(lower(right), bMeans)));
    high = f64x2.add(high, f64x2.mul(f64x2.sub(upper(left), aMeans), f64x2.sub(upper(right), bMeans)));
  }
  let sum = sumOfLanes(f64x2.add(low, high));
  for (; i < count; i++) {
    const at = (<usize>i) << 2;
    sum += (<f64>load<f32>(a + at) - aMean) * (<f64>load<f32>(b + at) - bMean);
  }
  return sum;
}

// ---- forward ---------------------------------------------------------------------------------------------------------------

/** y = (x − mean) · (invStd · weight) + bias. */
export function batchNormForward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<BatchNormArgs>(args);
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const chunk = grain / s.blocks;
    const first = (grain % s.blocks) * s.block;
    const end = min(countOf(s), (chunk + 1) * s.chunk);
    for (let channel = first; channel < min(first + s.block, s.channels); channel++) {
      const at = (<usize>channel) << 2;
      const mean = load<f32>(s.mean + at);
      const scale = load<f32>(s.invStd + at) * load<f32>(s.weight + at);
      const bias: f32 = s.bias ? load<f32>(s.bias + at) : 0;
      for (let e = chunk * s.chunk; e < end; ) {
        const run = runOf(s, e, end);
        const offset = offsetOf(s, channel, e);
        normalise(s.x + offset, s.y + offset, run, mean, scale, bias);
        e += run;
      }
    }
  }
}

function normalise(x: usize, y: usize, count: i32, mean: f32, scale: f32, bias: f32): void {
  const means = f32x4.splat(mean);
  const scales = f32x4.splat(scale);
  const biases = f32x4.splat(bias);
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const at = (<usize>i) << 2;
    v128.store(y + at, f32x4.add(f32x4.mul(f32x4.sub(v128.load(x + at), means), scales), biases));
  }
  for (; i < count; i++) {
    const at = (<usize>i) << 2;
    store<f32>(y + at, (load<f32>(x + at) - mean) * scale + bias);
  }
}

// ---- backward --------------------------------------------------------------------------------------------------------------

/** First sums: Σ dy, second: Σ dy · (x − mean), of each chunk. */
export function batchNormBackwardSums(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<BatchNormArgs>(args);
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const chunk = grain / s.blocks;
    const first = (grain % s.blocks) * s.block;
    const end = min(countOf(s), (chunk + 1) * s.chunk);
    for (let channel = first; channel < min(first + s.block, s.channels); channel++) {
      const mean = <f64>load<f32>(s.mean + ((<usize>channel) << 2));
      let sum: f64 = 0;
      let products: f64 = 0;
      for (let e = chunk * s.chunk; e < end; ) {
        const run = runOf(s, e, end);
        const offset = offsetOf(s, channel, e);
        sum += sumOf(s.dy + offset, run);
        products += productsOf(s.dy + offset, s.x + offset, run, 0, mean);
        e += run;
      }
      store<f64>(sumAt(s, 0, channel, chunk), sum);
      store<f64>(sumAt(s, 1, channel, chunk), products);
    }
  }
}

/** dBias and dWeight; overwrites. After batchNormBackwardSums. One grain. */
export function batchNormBackwardTotals(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<BatchNormArgs>(args);
  for (let channel = 0; channel < s.channels; channel++) {
    const at = (<usize>channel) << 2;
    store<f32>(s.dBias + at, <f32>totalOf(s, 0, channel));
    store<f32>(s.dWeight + at, <f32>(totalOf(s, 1, channel) * <f64>load<f32>(s.invStd + at)));
  }
}

/** dx; overwrites. Without dWeight and dBias: weight · invStd · dy. */
export function batchNormBackwardInput(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<BatchNormArgs>(args);
  const count = <f32>countOf(s);
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const chunk = grain / s.blocks;
    const first = (grain % s.blocks) * s.block;
    const end = min(countOf(s), (chunk + 1) * s.chunk);
    for (let channel = first; channel < min(first + s.block, s.channels); channel++) {
      const at = (<usize>channel) << 2;
      const invStd = load<f32>(s.invStd + at);
      const scale = load<f32>(s.weight + at) * invStd;
      const ofMean: f32 = s.dBias ? load<f32>(s.dBias + at) / count : 0;
      const ofVariance: f32 = s.dWeight ? (load<f32>(s.dWeight + at) * invStd) / count : 0;
      const mean = load<f32>(s.mean + at);
      for (let e = chunk * s.chunk; e < end; ) {
        const run = runOf(s, e, end);
        inputGradient(s, offsetOf(s, channel, e), run, mean, scale, ofMean, ofVariance);
        e += run;
      }
    }
  }
}

/** dx = (dy − ofMean − (x − mean) · ofVariance) · scale, for neighbours. */
function inputGradient(
  s: BatchNormArgs,
  offset: usize,
  count: i32,
  mean: f32,
  scale: f32,
  ofMean: f32,
  ofVariance: f32,
): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const at = offset + ((<usize>i) << 2);
    const centred = f32x4.sub(v128.load(s.x + at), f32x4.splat(mean));
    const gradient = f32x4.sub(
      f32x4.sub(v128.load(s.dy + at), f32x4.splat(ofMean)),
      f32x4.mul(centred, f32x4.splat(ofVariance)),
    );
    v128.store(s.dx + at, f32x4.mul(gradient, f32x4.splat(scale)));
  }
  for (; i < count; i++) {
    const at = offset + ((<usize>i) << 2);
    const gradient = load<f32>(s.dy + at) - ofMean - (load<f32>(s.x + at) - mean) * ofVariance;
    store<f32>(s.dx + at, gradient * scale);
  }
}
