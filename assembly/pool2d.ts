// Max pooling: any window (at most 255 places), stride and padding. A grain is one plane (image, channel).
// The winner of each window is kept as one byte, kh·kW + kw: the backward pass needs no more.

/** Argument record of the pooling kernels. */
@unmanaged
export class Pool2dArgs {
  x: usize;
  y: usize;
  /** One byte per output, or 0 where no gradient will be asked for. */
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
}

/** y = the largest value of each window (padding never wins; the first of equals wins; NaN wins and stays NaN). */
export function maxPool2dForward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<Pool2dArgs>(args);
  const outPlane = s.outH * s.outW;
  for (let plane = grainBegin; plane < grainEnd; plane++) {
    const x = s.x + ((<usize>plane * s.inH * s.inW) << 2);
    let y = s.y + ((<usize>plane * outPlane) << 2);
    let winners = s.winners + <usize>plane * outPlane;
    for (let oh = 0; oh < s.outH; oh++) {
      const h0 = oh * s.strideH - s.padH;
      const khBegin = max(0, -h0);
      const khEnd = min(s.kH, s.inH - h0);
      for (let ow = 0; ow < s.outW; ow++) {
        const w0 = ow * s.strideW - s.padW;
        const kwBegin = max(0, -w0);
        const kwEnd = min(s.kW, s.inW - w0);
        let best: f32 = -Infinity;
        let winner = khBegin * s.kW + kwBegin;
        for (let kh = khBegin; kh < khEnd; kh++) {
          const row = x + (<usize>((h0 + kh) * s.inW + w0) << 2);
          for (let kw = kwBegin; kw < kwEnd; kw++) {
            const value = load<f32>(row + (<usize>kw << 2));
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

/** dx = dy at the winners' places, added up where windows overlap, 0 elsewhere; overwrites. */
export function maxPool2dBackward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<Pool2dArgs>(args);
  const inPlane = s.inH * s.inW;
  const outPlane = s.outH * s.outW;
  for (let plane = grainBegin; plane < grainEnd; plane++) {
    const dx = s.dx + ((<usize>plane * inPlane) << 2);
    let dy = s.dy + ((<usize>plane * outPlane) << 2);
    let winners = s.winners + <usize>plane * outPlane;
    memory.fill(dx, 0, <usize>inPlane << 2);
    for (let oh = 0; oh < s.outH; oh++) {
      for (let ow = 0; ow < s.outW; ow++) {
        const winner = <i32>load<u8>(winners++);
        const ih = oh * s.strideH - s.padH + winner / s.kW;
        const iw = ow * s.strideW - s.padW + (winner % s.kW);
        const to = dx + (<usize>(ih * s.inW + iw) << 2);
        store<f32>(to, load<f32>(to) + load<f32>(dy));
        dy += 4;
      }
    }
  }
}
