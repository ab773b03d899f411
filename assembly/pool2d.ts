// Max pooling: any window (at most 255 places), stride and padding. A grain is one plane (image, channel).
// The winner of each window is kept as one byte, kh·kW + kw: the backward pass needs no more. Windows may hang over the
// lower and the right border (ceil mode), but each has a place inside the input. Averages: avg-pool2d.ts.

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
  // VGG's pools: 2x2 windows side by side; those that hang over the border go the general way.
  const halves = s.kH == 2 && s.kW == 2 && s.strideH == 2 && s.strideW == 2 && s.padH == 0 && s.padW == 0;
  for (let plane = grainBegin; plane < grainEnd; plane++) {
    const x = s.x + ((<usize>plane * s.inH * s.inW) << 2);
    let y = s.y + ((<usize>plane * outPlane) << 2);
    let winners = s.winners + <usize>plane * outPlane;
    for (let oh = 0; oh < s.outH; oh++) {
      const h0 = oh * s.strideH - s.padH;
      const khBegin = max(0, -h0);
      const khEnd = min(s.kH, s.inH - h0);
      let ow = 0;
      if (halves && h0 + 2 <= s.inH) {
        const whole = min(s.outW, s.inW >> 1);
        ow = maxOfHalves(x + ((<usize>(h0 * s.inW)) << 2), (<usize>s.inW) << 2, y, winners, whole, s.winners != 0);
        y += (<usize>ow) << 2;
        winners += ow;
      }
      for (; ow < s.outW; ow++) {
        const w0 = ow * s.strideW - s.padW;
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
        if (s.winners) store<u8>(winners++, <u8>winner);
      }
    }
  }
}

/**
 * Four 2x2 windows at a time along one row of outputs; `x` is the upper of the two input rows.
 * Returns how many outputs are done. The same comparisons in the same order as the general loop.
 */
function maxOfHalves(x: usize, rowBytes: usize, y: usize, winners: usize, outW: i32, keepWinners: bool): i32 {
  let ow = 0;
  for (; ow + 4 <= outW; ow += 4) {
    const upper0 = v128.load(x);
    const upper1 = v128.load(x, 16);
    const lower0 = v128.load(x + rowBytes);
    const lower1 = v128.load(x + rowBytes, 16);
    let best = v128.shuffle<f32>(upper0, upper1, 0, 2, 4, 6);
    let winner = i32x4.splat(0);
    for (let place = 1; place < 4; place++) {
      const value =
        place == 1
          ? v128.shuffle<f32>(upper0, upper1, 1, 3, 5, 7)
          : place == 2
            ? v128.shuffle<f32>(lower0, lower1, 0, 2, 4, 6)
            : v128.shuffle<f32>(lower0, lower1, 1, 3, 5, 7);
      const takes = v128.or(f32x4.gt(value, best), f32x4.ne(value, value));
      best = v128.bitselect(value, best, takes);
      winner = v128.bitselect(i32x4.splat(place), winner, takes);
    }
    v128.store(y, best);
    if (keepWinners) {
      const halfWords = i16x8.narrow_i32x4_s(winner, winner);
      v128.store32_lane(winners, i8x16.narrow_i16x8_u(halfWords, halfWords), 0);
    }
    x += 32;
    y += 16;
    winners += 4;
  }
  return ow;
}

/** dx = dy at the winners' places, added up where windows overlap, 0 elsewhere; overwrites. */
export function maxPool2dBackward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<Pool2dArgs>(args);
  const inPlane = s.inH * s.inW;
  const outPlane = s.outH * s.outW;
  for (let plane = grainBegin; plane < grainEnd; plane++) {
    const dx = s.dx + ((<usize>plane * inPlane) << 2);
    let dy = s.dy + ((<usize>plane * outPlane) << 2);
    let winners = s.winners + <usize>plane * outPlane;
    memory.fill(dx, 0, (<usize>inPlane) << 2);
    for (let oh = 0; oh < s.outH; oh++) {
      for (let ow = 0; ow < s.outW; ow++) {
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
