// The weight gradient of fully connected layers, dWeight[outF × inF] = dyᵀ · x, and the update of the weight by it. The weight is the
// big operand (fc6: 411 MB), so what counts is how often memory of its size is touched: the gradient alone writes it once, straight from
// registers; with the update weight and velocity are read and written once, and the gradient is nowhere. Fc6, 8 images, one core of a
// Zen 4, relaxed: gradient 55 ms, by tiles of 192 columns 107; with the update in the same loop 66, sgd alone 52. Grain: rows of
// dWeight. Record: linear.ts; next layers down: gemm-micro-packed.ts, optimizer.ts.
//
//   callScratch   dy packed in groups of four outputs, the form Columns of gemm-micro-packed.ts: | o0 o1 o2 o3 of image 0 | of image 1 | …
//   scratch       x of a block of columns in panels of 8, every image of the batch
import { storeRow } from "./conv2d";
import { KC, NR, PANEL_ROW_BYTES, packRows } from "./gemm";
import { gemmMicroColumns4x8 } from "./gemm-micro-packed";
import { LinearArgs } from "./linear";
import { sgdRange } from "./optimizer";
import { madd, sgdVector } from "./simd";

/** Columns of the tile between product and update where the two do not go together. */
const STRIP: i32 = 128;
/** Rows of the tile: not at a power of two, where they would share sets of the first-level cache. */
const STRIP_ROW_BYTES: usize = ((<usize>STRIP) << 2) + 64;

/** callScratch = dy in groups of four outputs, those beyond the last 0. Grain g: groups [g · 16, …). */
export function linearPackGradient(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<LinearArgs>(args);
  const groupEnd = min((s.outFeatures + 3) / 4, grainEnd * 16);
  for (let group = grainBegin * 16; group < groupEnd; group++) {
    const o = group * 4;
    let from = s.dy + ((<usize>o) << 2);
    let to = s.callScratch + ((<usize>o * s.batch) << 2);
    for (let image = 0; image < s.batch; image++) {
      if (o + 4 <= s.outFeatures) v128.store(to, v128.load(from));
      else {
        for (let lane = 0; lane < 4; lane++) {
          const at = (<usize>lane) << 2;
          store<f32>(to + at, o + lane < s.outFeatures ? load<f32>(from + at) : <f32>0);
        }
      }
      from += (<usize>s.outFeatures) << 2;
      to += 16;
    }
  }
}

/** dWeight rows [g · block, …) (+)= dyᵀ · x. After linearPackGradient. Worker scratch: panels (batch × nBlock floats), tile (4 × STRIP). */
export function linearBackwardWeight(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<LinearArgs>(args);
  for (let grain = grainBegin; grain < grainEnd; grain++) gradientRows(s, scratch, grain, false);
}

/** Rows [g · block, …) of weight and velocity, updated as sgd does by that gradient: the bits of the two kernels. Scratch as above. */
export function linearUpdateWeight(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<LinearArgs>(args);
  for (let grain = grainBegin; grain < grainEnd; grain++) gradientRows(s, scratch, grain, true);
}

function gradientRows(s: LinearArgs, scratch: usize, grain: i32, update: bool): void {
  const rowBytes = (<usize>s.inFeatures) << 2;
  const panelBytes = <usize>s.batch * PANEL_ROW_BYTES;
  const rowBegin = grain * s.block;
  const rowEnd = min(s.outFeatures, rowBegin + s.block);
  // One chain a sum, and the default form of the update: from registers to weight and velocity.
  const direct = update && s.batch <= KC && s.velocity != 0 && !s.caffe;
  for (let i0 = 0; i0 < s.inFeatures; i0 += s.nBlock) {
    const n = min(s.nBlock, s.inFeatures - i0);
    const whole = n / NR;
    packRows(scratch, s.x + ((<usize>i0) << 2), rowBytes, s.batch, n);
    for (let row = rowBegin; row < rowEnd; row += 4) {
      const a = s.callScratch + ((<usize>row * s.batch) << 2);
      const at = <usize>row * rowBytes + ((<usize>i0) << 2);
      const four = row + 4 <= rowEnd;
      let done = 0;
      if (four && direct) {
        for (; done < whole; done++) {
          const b = scratch + <usize>done * panelBytes;
          const to = at + <usize>done * PANEL_ROW_BYTES;
          linearMicroUpdate4x8(
            a,
            b,
            s.weight + to,
            s.velocity + to,
            rowBytes,
            s.batch,
            s.lr,
            s.momentum,
            s.weightDecay,
          );
        }
      } else if (four && !update && (s.batch <= KC || !s.accumulate)) {
        product(a, scratch, s.dWeight + at, rowBytes, whole, s.batch, s.accumulate != 0);
        done = whole;
      }
      const tile = scratch + <usize>((n + NR - 1) / NR) * panelBytes;
      gradientStrips(s, a, scratch, tile, at, min(4, rowEnd - row), done * NR, n, update);
    }
  }
}

/** Columns [column, columnEnd) of four rows (or the last), by a tile. */
function gradientStrips(
  s: LinearArgs,
  a: usize,
  panels: usize,
  tile: usize,
  at: usize,
  rows: i32,
  column: i32,
  columnEnd: i32,
  update: bool,
): void {
  const rowBytes = (<usize>s.inFeatures) << 2;
  const panelBytes = <usize>s.batch * PANEL_ROW_BYTES;
  for (; column < columnEnd; column += STRIP) {
    const columns = min(STRIP, columnEnd - column);
    const b = panels + <usize>(column / NR) * panelBytes;
    product(a, b, tile, STRIP_ROW_BYTES, (columns + NR - 1) / NR, s.batch, false);
    for (let row = 0; row < rows; row++) {
      const grad = tile + <usize>row * STRIP_ROW_BYTES;
      const to = at + <usize>row * rowBytes + ((<usize>column) << 2);
      if (update) {
        const velocity: usize = s.velocity ? s.velocity + to : 0;
        sgdRange(s.weight + to, grad, velocity, columns, s.lr, s.momentum, s.weightDecay, s.caffe != 0);
      } else storeRow(s.dWeight + to, grad, columns, s.accumulate != 0);
    }
  }
}

/** C[4 × 8·panels] = (accumulate ? C : 0) + A[4×k] · B[k × 8·panels], chains of KC; accumulating, at most one. */
function product(a: usize, b: usize, c: usize, cRowBytes: usize, panels: i32, k: i32, accumulate: bool): void {
  for (let panel = 0; panel < panels; panel++) {
    for (let k0 = 0; k0 < k; k0 += KC) {
      const kBlock = min(KC, k - k0);
      gemmMicroColumns4x8(a + ((<usize>k0) << 4), b, c, cRowBytes, kBlock, k0 > 0 || accumulate);
      b += <usize>kBlock * PANEL_ROW_BYTES;
    }
    c += PANEL_ROW_BYTES;
  }
}

/**
 * Four rows of eight elements of sgd with momentum in PyTorch's form, rows rowBytes apart, by the gradient A[4×k] · B[k×8]: gemmMicroColumns4x8
 * whose C goes no further. Exported from index.ts for the same reason.
 */
export function linearMicroUpdate4x8(
  a: usize,
  b: usize,
  param: usize,
  velocity: usize,
  rowBytes: usize,
  k: i32,
  lr: f32,
  momentum: f32,
  weightDecay: f32,
): void {
  let c00 = f32x4.splat(0);
  let c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0);
  let c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0);
  let c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0);
  let c31 = f32x4.splat(0);
  for (;;) {
    let b0 = v128.load(b);
    let b1 = v128.load(b, 16);
    let splat = v128.load32_splat(a);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    splat = v128.load32_splat(a, 4);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    splat = v128.load32_splat(a, 8);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    splat = v128.load32_splat(a, 12);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    if (k == 1) break;
    b0 = v128.load(b, 32);
    b1 = v128.load(b, 48);
    splat = v128.load32_splat(a, 16);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    splat = v128.load32_splat(a, 20);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    splat = v128.load32_splat(a, 24);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    splat = v128.load32_splat(a, 28);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    if (k == 2) break;
    b0 = v128.load(b, 64);
    b1 = v128.load(b, 80);
    splat = v128.load32_splat(a, 32);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    splat = v128.load32_splat(a, 36);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    splat = v128.load32_splat(a, 40);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    splat = v128.load32_splat(a, 44);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    if (k == 3) break;
    b0 = v128.load(b, 96);
    b1 = v128.load(b, 112);
    splat = v128.load32_splat(a, 48);
    c00 = madd(c00, splat, b0);
    c01 = madd(c01, splat, b1);
    splat = v128.load32_splat(a, 52);
    c10 = madd(c10, splat, b0);
    c11 = madd(c11, splat, b1);
    splat = v128.load32_splat(a, 56);
    c20 = madd(c20, splat, b0);
    c21 = madd(c21, splat, b1);
    splat = v128.load32_splat(a, 60);
    c30 = madd(c30, splat, b0);
    c31 = madd(c31, splat, b1);
    k -= 4;
    if (k <= 0) break;
    a += 64;
    b += 128;
  }
  const rates = f32x4.splat(lr);
  const momenta = f32x4.splat(momentum);
  const decays = f32x4.splat(weightDecay);
  sgdVector(param, velocity, c00, rates, momenta, decays);
  sgdVector(param + 16, velocity + 16, c01, rates, momenta, decays);
  param += rowBytes;
  velocity += rowBytes;
  sgdVector(param, velocity, c10, rates, momenta, decays);
  sgdVector(param + 16, velocity + 16, c11, rates, momenta, decays);
  param += rowBytes;
  velocity += rowBytes;
  sgdVector(param, velocity, c20, rates, momenta, decays);
  sgdVector(param + 16, velocity + 16, c21, rates, momenta, decays);
  param += rowBytes;
  velocity += rowBytes;
  sgdVector(param, velocity, c30, rates, momenta, decays);
  sgdVector(param + 16, velocity + 16, c31, rates, momenta, decays);
}
