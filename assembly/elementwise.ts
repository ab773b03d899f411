// Element by element: a grain is GRAIN_FLOATS neighbours. Outputs may be the same memory as inputs.

/** Elements of one grain; src/backend/wasm/lowering.ts counts with the same number. */
export const GRAIN_FLOATS: i32 = 16384;

/** Argument record of the element-wise kernels. */
@unmanaged
export class ElementwiseArgs {
  a: usize;
  b: usize;
  y: usize;
  callScratch: usize;
  length: i32;
  factor: f32;
  /** Elements to skip before a (copy) or y (copy). */
  aBegin: i32;
  yBegin: i32;
}

/** y = max(a, 0); NaN stays NaN. */
export function reluForward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<ElementwiseArgs>(args);
  const end = min(s.length, grainEnd * GRAIN_FLOATS);
  const zero = f32x4.splat(0);
  let i = grainBegin * GRAIN_FLOATS;
  for (; i + 4 <= end; i += 4) {
    const at = (<usize>i) << 2;
    v128.store(s.y + at, f32x4.max(v128.load(s.a + at), zero));
  }
  for (; i < end; i++) {
    const at = (<usize>i) << 2;
    store<f32>(s.y + at, max<f32>(load<f32>(s.a + at), 0));
  }
}

/** y = a where b > 0, else 0: the gradient of ReLU, with a = dy and b = ReLU's output. */
export function reluBackward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<ElementwiseArgs>(args);
  const end = min(s.length, grainEnd * GRAIN_FLOATS);
  const zero = f32x4.splat(0);
  let i = grainBegin * GRAIN_FLOATS;
  for (; i + 4 <= end; i += 4) {
    const at = (<usize>i) << 2;
    v128.store(s.y + at, v128.and(v128.load(s.a + at), f32x4.gt(v128.load(s.b + at), zero)));
  }
  for (; i < end; i++) {
    const at = (<usize>i) << 2;
    store<f32>(s.y + at, load<f32>(s.b + at) > 0 ? load<f32>(s.a + at) : <f32>0);
  }
}

/** y = a + b */
export function add(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<ElementwiseArgs>(args);
  const end = min(s.length, grainEnd * GRAIN_FLOATS);
  let i = grainBegin * GRAIN_FLOATS;
  for (; i + 4 <= end; i += 4) {
    const at = (<usize>i) << 2;
    v128.store(s.y + at, f32x4.add(v128.load(s.a + at), v128.load(s.b + at)));
  }
  for (; i < end; i++) {
    const at = (<usize>i) << 2;
    store<f32>(s.y + at, load<f32>(s.a + at) + load<f32>(s.b + at));
  }
}

/** y = a · b */
export function mul(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<ElementwiseArgs>(args);
  const end = min(s.length, grainEnd * GRAIN_FLOATS);
  let i = grainBegin * GRAIN_FLOATS;
  for (; i + 4 <= end; i += 4) {
    const at = (<usize>i) << 2;
    v128.store(s.y + at, f32x4.mul(v128.load(s.a + at), v128.load(s.b + at)));
  }
  for (; i < end; i++) {
    const at = (<usize>i) << 2;
    store<f32>(s.y + at, load<f32>(s.a + at) * load<f32>(s.b + at));
  }
}

/** y = a · factor */
export function scale(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<ElementwiseArgs>(args);
  const end = min(s.length, grainEnd * GRAIN_FLOATS);
  const factor = f32x4.splat(s.factor);
  let i = grainBegin * GRAIN_FLOATS;
  for (; i + 4 <= end; i += 4) {
    const at = (<usize>i) << 2;
    v128.store(s.y + at, f32x4.mul(v128.load(s.a + at), factor));
  }
  for (; i < end; i++) {
    const at = (<usize>i) << 2;
    store<f32>(s.y + at, load<f32>(s.a + at) * s.factor);
  }
}

/** y[yBegin …] = a[aBegin …], length elements. */
export function copy(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<ElementwiseArgs>(args);
  const begin = grainBegin * GRAIN_FLOATS;
  const count = min(s.length, grainEnd * GRAIN_FLOATS) - begin;
  memory.copy(s.y + ((<usize>(s.yBegin + begin)) << 2), s.a + ((<usize>(s.aBegin + begin)) << 2), (<usize>count) << 2);
}

/** y = factor, everywhere. */
export function fill(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<ElementwiseArgs>(args);
  const end = min(s.length, grainEnd * GRAIN_FLOATS);
  for (let i = grainBegin * GRAIN_FLOATS; i < end; i++) store<f32>(s.y + ((<usize>i) << 2), s.factor);
}

/** y = a[0] · factor, everywhere: the gradient of sum. */
export function expand(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<ElementwiseArgs>(args);
  const end = min(s.length, grainEnd * GRAIN_FLOATS);
  const value = load<f32>(s.a) * s.factor;
  for (let i = grainBegin * GRAIN_FLOATS; i < end; i++) store<f32>(s.y + ((<usize>i) << 2), value);
}

/** callScratch[g] = sum of grain g, in float64: two chains, even and odd elements. */
export function sumGrains(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<ElementwiseArgs>(args);
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const end = min(s.length, (grain + 1) * GRAIN_FLOATS);
    let lanes = f64x2.splat(0);
    let i = grain * GRAIN_FLOATS;
    for (; i + 2 <= end; i += 2) {
      lanes = f64x2.add(lanes, f64x2.promote_low_f32x4(v128.load64_zero(s.a + ((<usize>i) << 2))));
    }
    let total = f64x2.extract_lane(lanes, 0) + f64x2.extract_lane(lanes, 1);
    if (i < end) total += <f64>load<f32>(s.a + ((<usize>i) << 2));
    store<f64>(s.callScratch + ((<usize>grain) << 3), total);
  }
}

/** y[0] = the sum of the grains' sums, in order. One grain. */
export function sumTotal(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<ElementwiseArgs>(args);
  const grains = (s.length + GRAIN_FLOATS - 1) / GRAIN_FLOATS;
  let total: f64 = 0;
  for (let grain = 0; grain < grains; grain++) total += load<f64>(s.callScratch + ((<usize>grain) << 3));
  store<f32>(s.y, <f32>total);
}
