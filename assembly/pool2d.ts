// Max pooling: any window (at most 255 places), stride and padding. A grain is one plane (image, channel).
// The winner of each window is kept as one byte, kh·kW + kw: the backward pass needs no more. Windows may hang over the
// lower and the right border (ceil mode), but each has a place inside the input. With stride 1 or 2 four windows inside the
// input are done at once. 2x2 windows side by side: max-pool2x2.ts. Averages: avg-pool2d.ts.
import { maxOfPairs, spreadPairs } from "./max-pool2x2";
import { touchLines } from "./prefetch";

/** Argument record of all pooling kernels. Adaptive ones have no window: their borders follow from the sizes. */
@unmanaged
export class Pool2dArgs {
  x: usize;
  y: usize;
  /** One byte (adaptive: one i32) per output, or 0 where no gradient will be asked for. */
  winners: usize;
  dx: usize;
  dy: usize;
  /** batch · channels */
  planes: i32;
  inH: i32;
  inW: i32;
  outH: i32;
  outW: i32;
  kH: i32;
  kW: i32;
  strideH: i32;
  strideW: i32;
  padH: i32;
  padW: i32;
  /** Averages: 1 where padding counts in the divisor. */
  countIncludePad: i32;
}

/** y = the largest value of each window (padding never wins; the first of equals wins; NaN wins and stays NaN). */
export function maxPool2dForward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<Pool2dArgs>(args);
  const outPlane = s.outH * s.outW;
  const pairs = pairsInRow(s);
  const inputEnd = s.x + ((<usize>s.planes * s.inH * s.inW) << 2);
  for (let plane = grainBegin; plane < grainEnd; plane++) {
    const x = s.x + ((<usize>plane * s.inH * s.inW) << 2);
    let y = s.y + ((<usize>plane * outPlane) << 2);
    let winners = s.winners + <usize>plane * outPlane;
    for (let oh = 0; oh < s.outH; oh++) {
      const h0 = oh * s.strideH - s.padH;
      const khBegin = max(0, -h0);
      const khEnd = min(s.kH, s.inH - h0);
      let ow = 0;
      if (pairs && khEnd == 2) {
        // [8,64,224,224], one core: 16 ms without, 6.5 with.
        touchLines(x + ((<usize>(h0 + 2) * s.inW) << 2), (<usize>s.inW) << 3, inputEnd);
        maxOfPairs(x + ((<usize>h0 * s.inW) << 2), (<usize>s.inW) << 2, y, s.winners ? winners : 0, pairs);
        ow = pairs;
        y += (<usize>pairs) << 2;
        winners += pairs;
      }
      while (ow < s.outW) {
        const w0 = ow * s.strideW - s.padW;
        if (fourInside(s, ow, w0)) {
          maxOfFour(s, x + ((<usize>(h0 * s.inW + w0)) << 2), khBegin, khEnd, y, winners);
          ow += 4;
          y += 16;
          winners += 4;
          continue;
        }
        const kwBegin = max(0, -w0);
        const kwEnd = min(s.kW, s.inW - w0);
        let best: f32 = -Infinity;
        let winner = khBegin * s.kW + kwBegin;
        for (let kh = khBegin; kh < khEnd; kh++) {
          const row = x + ((<usize>((h0 + kh) * s.inW + w0)) << 2);
          for (let kw = kwBegin; kw < kwEnd; kw++) {
            const value = load<f32>(row + ((<usize>kw) << 2));
            if (value > best || value != value) {
              best = value;
              winner = kh * s.kW + kw;
            }
          }
        }
        store<f32>(y, best);
        y += 4;
        if (s.winners) store<u8>(winners, <u8>winner);
        winners++;
        ow++;
      }
    }
  }
}

/** 2x2 windows side by side: how many of a row of outputs lie inside the input's columns, where there are four; else 0. */
export function pairsInRow(s: Pool2dArgs): i32 {
  const inside = min(s.outW, s.inW >> 1);
  const sideBySide = s.kH == 2 && s.kW == 2 && s.strideH == 2 && s.strideW == 2 && s.padH == 0 && s.padW == 0;
  return sideBySide && inside >= 4 ? inside : 0;
}

/** May output `ow`, whose window begins at column w0, and the three after it be computed at once? */
export function fourInside(s: Pool2dArgs, ow: i32, w0: i32): bool {
  return s.strideW <= 2 && ow + 4 <= s.outW && w0 >= 0 && w0 + 3 * s.strideW + s.kW <= s.inW;
}

/** The same place of four neighbouring windows; reads nothing behind the last. */
export function placeOfFour(x: usize, strideW: i32): v128 {
  const first = v128.load(x);
  return strideW == 1 ? first : v128.shuffle<f32>(first, v128.load(x, 12), 0, 2, 5, 7);
}

/** Four windows at a time; `x` is the first's corner. The same comparisons in the same order as for one. */
function maxOfFour(s: Pool2dArgs, x: usize, khBegin: i32, khEnd: i32, y: usize, winners: usize): void {
  const kW = s.kW;
  const strideW = s.strideW;
  const rowBytes = (<usize>s.inW) << 2;
  let row = x + <usize>khBegin * rowBytes;
  let place = khBegin * kW;
  let best = f32x4.splat(-Infinity);
  let winner = i32x4.splat(place);
  for (let kh = khBegin; kh < khEnd; kh++) {
    for (let kw = 0; kw < kW; kw++) {
      const value = placeOfFour(row + ((<usize>kw) << 2), strideW);
      const takes = v128.or(f32x4.gt(value, best), f32x4.ne(value, value));
      best = v128.bitselect(value, best, takes);
      winner = v128.bitselect(i32x4.splat(place), winner, takes);
      place++;
    }
    row += rowBytes;
  }
  v128.store(y, best);
  if (s.winners) {
    const halfWords = i16x8.narrow_i32x4_s(winner, winner);
    v128.store32_lane(winners, i8x16.narrow_i16x8_u(halfWords, halfWords), 0);
  }
}

/** dx = dy at the winners' places, added up where windows overlap, 0 elsewhere; overwrites. */
export function maxPool2dBackward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<Pool2dArgs>(args);
  const inPlane = s.inH * s.inW;
  const outPlane = s.outH * s.outW;
  const pairs = pairsInRow(s);
  const covered = pairs * 2 == s.inW && s.outH * 2 == s.inH;
  for (let plane = grainBegin; plane < grainEnd; plane++) {
    const dx = s.dx + ((<usize>plane * inPlane) << 2);
    let dy = s.dy + ((<usize>plane * outPlane) << 2);
    let winners = s.winners + <usize>plane * outPlane;
    if (!covered) memory.fill(dx, 0, (<usize>inPlane) << 2);
    for (let oh = 0; oh < s.outH; oh++) {
      let ow = 0;
      if (pairs && oh * 2 + 2 <= s.inH) {
        spreadPairs(dx + ((<usize>oh * 2 * s.inW) << 2), (<usize>s.inW) << 2, dy, winners, pairs);
        ow = pairs;
        dy += (<usize>pairs) << 2;
        winners += pairs;
      }
      for (; ow < s.outW; ow++) {
        const winner = <i32>load<u8>(winners++);
        const ih = oh * s.strideH - s.padH + winner / s.kW;
        const iw = ow * s.strideW - s.padW + (winner % s.kW);
        const to = dx + ((<usize>(ih * s.inW + iw)) << 2);
        store<f32>(to, load<f32>(to) + load<f32>(dy));
        dy += 4;
      }
    }
  }
}
