// Adaptive max pooling: window i of n runs from floor(i · in / n) to the ceiling of (i + 1) · in / n, so it may be a whole
// plane; a winner is its place in the plane, as i32. A grain is one plane (image, channel).
import { adaptiveBegin, adaptiveEnd } from "./avg-pool2d";
import { Pool2dArgs } from "./pool2d";

/** y = the largest value of each window (the first of equals wins; NaN wins and stays NaN). */
export function adaptiveMaxPool2dForward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<Pool2dArgs>(args);
  for (let plane = grainBegin; plane < grainEnd; plane++) {
    const x = s.x + ((<usize>plane * s.inH * s.inW) << 2);
    let at = (<usize>plane * s.outH * s.outW) << 2;
    for (let oh = 0; oh < s.outH; oh++) {
      const hEnd = adaptiveEnd(oh, s.inH, s.outH);
      for (let ow = 0; ow < s.outW; ow++) {
        const hBegin = adaptiveBegin(oh, s.inH, s.outH);
        const wBegin = adaptiveBegin(ow, s.inW, s.outW);
        const wEnd = adaptiveEnd(ow, s.inW, s.outW);
        let best: f32 = -Infinity;
        let winner = hBegin * s.inW + wBegin;
        for (let h = hBegin; h < hEnd; h++) {
          for (let w = wBegin; w < wEnd; w++) {
            const place = h * s.inW + w;
            const value = load<f32>(x + ((<usize>place) << 2));
            if (value > best || value != value) {
              best = value;
              winner = place;
            }
          }
        }
        store<f32>(s.y + at, best);
        if (s.winners) store<i32>(s.winners + at, winner);
        at += 4;
      }
    }
  }
}

/** dx = dy at the winners' places, added up where windows overlap, 0 elsewhere; overwrites. */
export function adaptiveMaxPool2dBackward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<Pool2dArgs>(args);
  const inPlane = s.inH * s.inW;
  const outPlane = s.outH * s.outW;
  for (let plane = grainBegin; plane < grainEnd; plane++) {
    const dx = s.dx + ((<usize>plane * inPlane) << 2);
    memory.fill(dx, 0, (<usize>inPlane) << 2);
    let at = (<usize>plane * outPlane) << 2;
    for (let i = 0; i < outPlane; i++) {
      const to = dx + ((<usize>load<i32>(s.winners + at)) << 2);
      store<f32>(to, load<f32>(to) + load<f32>(s.dy + at));
      at += 4;
    }
  }
}
