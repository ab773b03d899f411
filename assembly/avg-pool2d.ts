// Average pooling: any window, stride and padding, and windows whose borders follow from the sizes (adaptive). A grain is
// one plane (image, channel). Sums are in float64, row by row: a window may be a whole plane.
import { fourInside, pairsInRow, Pool2dArgs, placeOfFour } from "./pool2d";

/** Begin of adaptive window i: floor(i · in / out). Its end is the ceiling of (i + 1) · in / out. */
export function adaptiveBegin(i: i32, input: i32, output: i32): i32 {
  return <i32>((<i64>i * input) / output);
}

export function adaptiveEnd(i: i32, input: i32, output: i32): i32 {
  return <i32>((<i64>(i + 1) * input + output - 1) / output);
}

/** Sum of the places [hBegin, hEnd) x [wBegin, wEnd) of a plane. */
function windowSum(x: usize, inW: i32, hBegin: i32, hEnd: i32, wBegin: i32, wEnd: i32): f64 {
  let sum: f64 = 0;
  for (let h = hBegin; h < hEnd; h++) {
    const row = x + ((<usize>(h * inW)) << 2);
    for (let w = wBegin; w < wEnd; w++) sum += <f64>load<f32>(row + ((<usize>w) << 2));
  }
  return sum;
}

/** Adds a value to the places [hBegin, hEnd) x [wBegin, wEnd) of a plane. */
function addToWindow(dx: usize, inW: i32, hBegin: i32, hEnd: i32, wBegin: i32, wEnd: i32, value: f32): void {
  for (let h = hBegin; h < hEnd; h++) {
    const row = dx + ((<usize>(h * inW)) << 2);
    let w = wBegin;
    for (; w + 4 <= wEnd; w += 4) {
      const to = row + ((<usize>w) << 2);
      v128.store(to, f32x4.add(v128.load(to), f32x4.splat(value)));
    }
    for (; w < wEnd; w++) {
      const to = row + ((<usize>w) << 2);
      store<f32>(to, load<f32>(to) + value);
    }
  }
}

/**
 * What a window's sum is divided by: its places inside the input; where padding counts, those inside the padded input
 * (what hangs over the padding in ceil mode never counts).
 */
function divisor(s: Pool2dArgs, h0: i32, w0: i32): i32 {
  if (s.countIncludePad) return (min(h0 + s.kH, s.inH + s.padH) - h0) * (min(w0 + s.kW, s.inW + s.padW) - w0);
  return (min(h0 + s.kH, s.inH) - max(h0, 0)) * (min(w0 + s.kW, s.inW) - max(w0, 0));
}

/** y = the mean of each window. */
export function avgPool2dForward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<Pool2dArgs>(args);
  for (let plane = grainBegin; plane < grainEnd; plane++) {
    const x = s.x + ((<usize>plane * s.inH * s.inW) << 2);
    let y = s.y + ((<usize>plane * s.outH * s.outW) << 2);
    for (let oh = 0; oh < s.outH; oh++) {
      const h0 = oh * s.strideH - s.padH;
      const hEnd = min(h0 + s.kH, s.inH);
      for (let ow = 0; ow < s.outW; ) {
        const w0 = ow * s.strideW - s.padW;
        if (fourInside(s, ow, w0)) {
          v128.store(y, meanOfFour(s, x, max(h0, 0), hEnd, w0, <f64>divisor(s, h0, w0)));
          ow += 4;
          y += 16;
          continue;
        }
        const sum = windowSum(x, s.inW, max(h0, 0), hEnd, max(w0, 0), min(w0 + s.kW, s.inW));
        store<f32>(y, <f32>(sum / <f64>divisor(s, h0, w0)));
        ow++;
        y += 4;
      }
    }
  }
}

/** Four windows at a time, from column w0 on. The same sums in the same order as for one. */
function meanOfFour(s: Pool2dArgs, x: usize, hBegin: i32, hEnd: i32, w0: i32, count: f64): v128 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  for (let h = hBegin; h < hEnd; h++) {
    const row = x + ((<usize>(h * s.inW + w0)) << 2);
    for (let kw = 0; kw < s.kW; kw++) {
      const value = placeOfFour(row + ((<usize>kw) << 2), s.strideW);
      low = f64x2.add(low, f64x2.promote_low_f32x4(value));
      high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<f32>(value, value, 2, 3, 2, 3)));
    }
  }
  const counts = f64x2.splat(count);
  const lowMeans = f32x4.demote_f64x2_zero(f64x2.div(low, counts));
  return v128.shuffle<f32>(lowMeans, f32x4.demote_f64x2_zero(f64x2.div(high, counts)), 0, 1, 4, 5);
}

/** dx = dy / divisor at every place of each window, added up where windows overlap, 0 elsewhere; overwrites. */
export function avgPool2dBackward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<Pool2dArgs>(args);
  const inPlane = s.inH * s.inW;
  const pairs = pairsInRow(s);
  const covered = pairs * 2 == s.inW && s.outH * 2 == s.inH;
  for (let plane = grainBegin; plane < grainEnd; plane++) {
    const dx = s.dx + ((<usize>plane * inPlane) << 2);
    let dy = s.dy + ((<usize>plane * s.outH * s.outW) << 2);
    if (!covered) memory.fill(dx, 0, (<usize>inPlane) << 2);
    for (let oh = 0; oh < s.outH; oh++) {
      const h0 = oh * s.strideH - s.padH;
      const hEnd = min(h0 + s.kH, s.inH);
      let ow = 0;
      if (pairs && h0 + 2 <= s.inH) {
        quarterPairs(dx + ((<usize>h0 * s.inW) << 2), (<usize>s.inW) << 2, dy, pairs);
        ow = pairs;
        dy += (<usize>pairs) << 2;
      }
      for (; ow < s.outW; ow++) {
        const w0 = ow * s.strideW - s.padW;
        const value = load<f32>(dy) / <f32>divisor(s, h0, w0);
        addToWindow(dx, s.inW, max(h0, 0), hEnd, max(w0, 0), min(w0 + s.kW, s.inW), value);
        dy += 4;
      }
    }
  }
}

/** 2x2 windows side by side, the first `count` >= 4 of a row: a quarter of dy goes to each place. The last four may overlap those before. */
function quarterPairs(dx: usize, rowBytes: usize, dy: usize, count: i32): void {
  for (let ow = 0; ow < count; ow += 4) {
    if (ow + 4 > count) ow = count - 4;
    // Added to 0 as where windows overlap: −0 becomes 0.
    const value = f32x4.add(f32x4.splat(0), f32x4.div(v128.load(dy + ((<usize>ow) << 2)), f32x4.splat(4)));
    const left = v128.shuffle<f32>(value, value, 0, 0, 1, 1);
    const right = v128.shuffle<f32>(value, value, 2, 2, 3, 3);
    const upper = dx + ((<usize>ow) << 3);
    v128.store(upper, left);
    v128.store(upper, right, 16);
    v128.store(upper + rowBytes, left);
    v128.store(upper + rowBytes, right, 16);
  }
}

/** y = the mean of each adaptive window. */
export function adaptiveAvgPool2dForward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<Pool2dArgs>(args);
  for (let plane = grainBegin; plane < grainEnd; plane++) {
    const x = s.x + ((<usize>plane * s.inH * s.inW) << 2);
    let y = s.y + ((<usize>plane * s.outH * s.outW) << 2);
    for (let oh = 0; oh < s.outH; oh++) {
      const hBegin = adaptiveBegin(oh, s.inH, s.outH);
      const hEnd = adaptiveEnd(oh, s.inH, s.outH);
      for (let ow = 0; ow < s.outW; ow++) {
        const wBegin = adaptiveBegin(ow, s.inW, s.outW);
        const wEnd = adaptiveEnd(ow, s.inW, s.outW);
        const sum = windowSum(x, s.inW, hBegin, hEnd, wBegin, wEnd);
        store<f32>(y, <f32>(sum / <f64>((hEnd - hBegin) * (wEnd - wBegin))));
        y += 4;
      }
    }
  }
}

/** dx = dy / size of the window, added up where windows overlap; overwrites. */
export function adaptiveAvgPool2dBackward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<Pool2dArgs>(args);
  const inPlane = s.inH * s.inW;
  for (let plane = grainBegin; plane < grainEnd; plane++) {
    const dx = s.dx + ((<usize>plane * inPlane) << 2);
    let dy = s.dy + ((<usize>plane * s.outH * s.outW) << 2);
    memory.fill(dx, 0, (<usize>inPlane) << 2);
    for (let oh = 0; oh < s.outH; oh++) {
      const hBegin = adaptiveBegin(oh, s.inH, s.outH);
      const hEnd = adaptiveEnd(oh, s.inH, s.outH);
      for (let ow = 0; ow < s.outW; ow++) {
        const wBegin = adaptiveBegin(ow, s.inW, s.outW);
        const wEnd = adaptiveEnd(ow, s.inW, s.outW);
        const value = load<f32>(dy) / <f32>((hEnd - hBegin) * (wEnd - wBegin));
        addToWindow(dx, s.inW, hBegin, hEnd, wBegin, wEnd, value);
        dy += 4;
      }
    }
  }
}
