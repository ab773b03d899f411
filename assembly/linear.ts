// Fully connected layers: y[batch × outF] = x[batch × inF] · weightᵀ + bias, weight [outF × inF] row-major as stored.
// The big operand is the weight (fc6: 411 MB), so it is read in place, once, and split over its rows: no thread holds a
// copy of it or of its gradient.
//
//   forward         C[outF × batch] = weight · xᵀ      xᵀ packed once for all grains; C stored transposed
//   batch 1         y = weight · x                     linear-vector.ts: dot products at the speed of memory
//   backwardInput   dx[batch × inF] = dy · weight      grain: columns of dx; few images: linear-rows.ts
//   backwardWeight  dWeight[outF × inF] = dyᵀ · x      linear-weight.ts, with or without the update of the weight
//   backwardBias    dBias = column sums of dy
// Next layer down: gemm.ts.
import { storeRow } from "./conv2d";
import { gemmBlock, KC, NR, PANEL_ROW_BYTES, packRows, packTransposed } from "./gemm";
import { floorOf, maskRow } from "./rectify";

/** Argument record of the linear kernels; addresses are 0 where a kernel does not use one. */
@unmanaged
export class LinearArgs {
  x: usize;
  weight: usize;
  bias: usize;
  y: usize;
  dx: usize;
  dWeight: usize;
  dBias: usize;
  dy: usize;
  /** backwardInput: like dx, which is 0 where it is not above 0; or 0. */
  mask: usize;
  callScratch: usize;
  batch: i32;
  inFeatures: i32;
  outFeatures: i32;
  /** forward: 1 where y is max(y, 0). */
  relu: i32;
  /** 1: gradients are added to dWeight / dBias; 0: they overwrite. */
  accumulate: i32;
  /** Rows (forward, backwardWeight: of weight) or columns (backwardInput: of dx) of one grain. */
  block: i32;
  /** Columns of the tile that backwardWeight works on at a time. */
  nBlock: i32;
  /** updateWeight: like weight, or 0; and the settings of SgdArgs. */
  velocity: usize;
  lr: f32;
  momentum: f32;
  weightDecay: f32;
  caffe: i32;
}

/** callScratch = xᵀ in packed panels, K block after K block. Grain g: K block g. */
export function linearPackInput(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<LinearArgs>(args);
  const panels = (s.batch + NR - 1) / NR;
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const k0 = grain * KC;
    const to = s.callScratch + <usize>k0 * panels * PANEL_ROW_BYTES;
    packTransposed(to, s.x + ((<usize>k0) << 2), (<usize>s.inFeatures) << 2, min(KC, s.inFeatures - k0), s.batch);
  }
}

/** y, rectified with relu, for rows [g · block, …) of weight, any batch. After linearPackInput. Worker scratch: block × padded batch floats. */
export function linearForward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<LinearArgs>(args);
  const panels = (s.batch + NR - 1) / NR;
  const rowBytes = <usize>panels * PANEL_ROW_BYTES;
  const weightRowBytes = (<usize>s.inFeatures) << 2;
  const floor = floorOf(s.relu);
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const m0 = grain * s.block;
    const m = min(s.block, s.outFeatures - m0);
    // Few images: four rows to their ends, then the next four, which are as many streams as the machine's prefetcher follows.
    // Fc6, 8 images, one core of a Zen 4, relaxed: 39 ms, all rows of the grain together 54; 32 images: 150, 175.
    const together = panels <= 4 ? 4 : m;
    for (let row = 0; row < m; row += together) {
      const aRow = s.weight + <usize>(m0 + row) * weightRowBytes;
      const tile = scratch + <usize>row * rowBytes;
      for (let k0 = 0; k0 < s.inFeatures; k0 += KC) {
        const b = s.callScratch + <usize>k0 * rowBytes;
        const k = min(KC, s.inFeatures - k0);
        gemmBlock(
          aRow + ((<usize>k0) << 2),
          weightRowBytes,
          b,
          tile,
          rowBytes,
          min(together, m - row),
          panels,
          k,
          k0 > 0,
        );
      }
    }
    for (let row = 0; row < m; row++) {
      const bias: f32 = s.bias ? load<f32>(s.bias + ((<usize>(m0 + row)) << 2)) : 0;
      const from = scratch + <usize>row * rowBytes;
      let to = s.y + ((<usize>(m0 + row)) << 2);
      for (let image = 0; image < s.batch; image++) {
        store<f32>(to, max<f32>(load<f32>(from + ((<usize>image) << 2)) + bias, floor));
        to += (<usize>s.outFeatures) << 2;
      }
    }
  }
}

/**
 * dx columns [g · block, …) = dy · weight, 0 where the mask, if there is one, is not above 0; overwrites.
 * Worker scratch: packed panels (KC × block floats), tile (batch × block).
 */
export function linearBackwardInput(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<LinearArgs>(args);
  const rowBytes = (<usize>s.block) << 2;
  const tile = scratch + <usize>KC * rowBytes;
  const dyRowBytes = (<usize>s.outFeatures) << 2;
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const i0 = grain * s.block;
    const n = min(s.block, s.inFeatures - i0);
    for (let o0 = 0; o0 < s.outFeatures; o0 += KC) {
      const k = min(KC, s.outFeatures - o0);
      const from = s.weight + ((<usize>o0 * s.inFeatures + i0) << 2);
      packRows(scratch, from, (<usize>s.inFeatures) << 2, k, n);
      const a = s.dy + ((<usize>o0) << 2);
      gemmBlock(a, dyRowBytes, scratch, tile, rowBytes, s.batch, (n + NR - 1) / NR, k, o0 > 0);
    }
    for (let image = 0; image < s.batch; image++) {
      const at = (<usize>image * s.inFeatures + i0) << 2;
      storeRow(s.dx + at, tile + <usize>image * rowBytes, n, false);
      if (s.mask) maskRow(s.dx + at, s.mask + at, n);
    }
  }
}

/** dBias[o] (+)= sum of dy[·][o]: chains of KC images, added in order. Grain g: outputs [g · 64, …). */
export function linearBackwardBias(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<LinearArgs>(args);
  const end = min(s.outFeatures, grainEnd * 64);
  for (let o = grainBegin * 64; o < end; o++) {
    let sum: f32 = 0;
    let from = s.dy + ((<usize>o) << 2);
    for (let image = 0; image < s.batch; image += KC) {
      const chainEnd = min(s.batch, image + KC);
      let chain: f32 = 0;
      for (let i = image; i < chainEnd; i++) {
        chain += load<f32>(from);
        from += (<usize>s.outFeatures) << 2;
      }
      sum += chain;
    }
    const to = s.dBias + ((<usize>o) << 2);
    store<f32>(to, s.accumulate ? load<f32>(to) + sum : sum);
  }
}
