// 2-D convolution by im2col in blocks and matrix products, any kernel, stride, padding and dilation, all three directions.
// A group is a convolution of its own; below inC and outC mean one group's. With R = inC·kH·kW and P = batch·outH·outW:
//
//   forward          y[outC × P]       = weight[outC × R] · im2col[R × P]             grain: rows × columns of y
//   backwardInput    dcol[R × P]       = weightᵀ[R × outC] · dy[outC × P], col2im     grain: channels × images of dx
//   backwardWeight   dWeight[outC × R] = dy[outC × P] · im2colᵀ[P × R]                grain: tile of dWeight × chunk of P
//   backwardBias     dBias[outC]       = sum of dy over P                             grain: channels
//
// A grain does the same for groupBlock groups, one after the other: where columns read from is the same for all of them,
// and depthwise convolutions have little else to do.
// Every grain owns its part of the output, except in backwardWeight when the sum over P is cut into chunks (few outputs,
// many pixels): then partial sums go to callScratch and reduceChunks adds them in order.
// The cuts are made by src/backend/wasm/conv-plan.ts from the shape alone. Next layers down: im2col.ts, gemm.ts.
import { Conv2dArgs } from "./conv2d-args";
import { gemmBlock, KC, NR, PANEL_ROW_BYTES } from "./gemm";
import { col2imAdd, im2colPackColumns, im2colPackRows, makeOffsetTable } from "./im2col";
import { floorOf, maskRow } from "./rectify";
import { sumLanes } from "./simd";

/**
 * y = conv2d(x, weight) + bias, or max(that, 0) with relu. Grain g computes rows block g % mBlocks of groups block (g / mBlocks) % groupBlocks of
 * columns block g / (mBlocks · groupBlocks).
 * Worker scratch: packed panels (KC × nBlock floats), tile (mBlock × nBlock), offset table.
 */
export function conv2dForward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<Conv2dArgs>(args);
  const plane = s.outH * s.outW;
  const pixels = s.batch * plane;
  const inC = s.inC / s.groups;
  const outC = s.outC / s.groups;
  const rows = inC * s.kH * s.kW;
  const groupBytes = (<usize>inC * s.inH * s.inW) << 2;
  const rowBytes = (<usize>s.nBlock) << 2;
  const packed = scratch;
  const tile = packed + <usize>KC * rowBytes;
  const table = tile + <usize>s.mBlock * rowBytes;
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const m0 = (grain % s.mBlocks) * s.mBlock;
    const m = min(s.mBlock, outC - m0);
    const group0 = ((grain / s.mBlocks) % s.groupBlocks) * s.groupBlock;
    const groupEnd = min(s.groups, group0 + s.groupBlock);
    const p0 = (grain / (s.mBlocks * s.groupBlocks)) * s.nBlock;
    const n = min(s.nBlock, pixels - p0);
    const panels = (n + NR - 1) / NR;
    makeOffsetTable(table, s, p0, n, 0, s.kH * s.kW);
    for (let group = group0; group < groupEnd; group++) {
      const x = s.x + <usize>group * groupBytes;
      const channel0 = group * outC + m0;
      for (let r0 = 0; r0 < rows; r0 += KC) {
        const k = min(KC, rows - r0);
        im2colPackColumns(packed, table, s, x, r0, k, n);
        const a = s.weight + ((<usize>channel0 * rows + r0) << 2);
        gemmBlock(a, (<usize>rows) << 2, packed, tile, rowBytes, m, panels, k, r0 > 0);
      }
      storeOutput(s, tile, rowBytes, channel0, m, p0, n);
    }
  }
}

/** Copies a tile of m channels by n columns to y, adding the bias and rectifying. Columns run over images, so a row may be cut. */
function storeOutput(s: Conv2dArgs, tile: usize, rowBytes: usize, m0: i32, m: i32, p0: i32, n: i32): void {
  const plane = s.outH * s.outW;
  const floor = floorOf(s.relu);
  for (let row = 0; row < m; row++) {
    const channel = m0 + row;
    const bias: f32 = s.bias ? load<f32>(s.bias + ((<usize>channel) << 2)) : 0;
    let from = tile + <usize>row * rowBytes;
    let image = p0 / plane;
    let offset = p0 % plane;
    let rest = n;
    while (rest > 0) {
      const count = min(rest, plane - offset);
      const to = s.y + (((<usize>image * s.outC + channel) * plane + offset) << 2);
      addBias(to, from, bias, floor, count);
      from += (<usize>count) << 2;
      rest -= count;
      offset = 0;
      image++;
    }
  }
}

/** to = max(from + bias, floor) */
function addBias(to: usize, from: usize, bias: f32, floor: f32, count: i32): void {
  const biases = f32x4.splat(bias);
  const floors = f32x4.splat(floor);
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    v128.store(to, f32x4.max(f32x4.add(v128.load(from), biases), floors));
    to += 16;
    from += 16;
  }
  for (; i < count; i++) {
    store<f32>(to, max<f32>(load<f32>(from) + bias, floor));
    to += 4;
    from += 4;
  }
}

/**
 * callScratch[groups][R × outC] = weightᵀ of each group: the left side of backwardInput, with the sum over outC contiguous.
 * Grain g: rows [g · 64, …) of all the transposes.
 */
export function conv2dTransposeWeight(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<Conv2dArgs>(args);
  const outC = s.outC / s.groups;
  const rows = (s.inC / s.groups) * s.kH * s.kW;
  const rowEnd = min(s.groups * rows, grainEnd * 64);
  for (let r = grainBegin * 64; r < rowEnd; r++) {
    const group = r / rows;
    let from = s.weight + ((<usize>group * outC * rows + (r % rows)) << 2);
    let to = s.callScratch + ((<usize>r * outC) << 2);
    for (let o = 0; o < outC; o++) {
      store<f32>(to, load<f32>(from));
      from += (<usize>rows) << 2;
      to += 4;
    }
  }
}

/**
 * dx = conv2d's gradient with respect to its input, plus the bias if there is one, 0 where the mask, if there is one, is not
 * above 0; overwrites. After conv2dTransposeWeight.
 * Grain g owns channels block g % mBlocks (mBlock channels) of groups block (g / mBlocks) % groupBlocks of images chunk
 * g / (mBlocks · groupBlocks) (chunk images), and walks over their output pixels nBlock at a time: product into a tile,
 * tile added into dx.
 * Worker scratch: packed panels (KC × nBlock floats), tile (mBlock·kH·kW × nBlock), offset table.
 */
export function conv2dBackwardInput(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<Conv2dArgs>(args);
  const taps = s.kH * s.kW;
  const outPlane = s.outH * s.outW;
  const inPlane = s.inH * s.inW;
  const inC = s.inC / s.groups;
  const outC = s.outC / s.groups;
  const rowBytes = (<usize>s.nBlock) << 2;
  const packed = scratch;
  const tile = packed + <usize>KC * rowBytes;
  const table = tile + <usize>s.mBlock * taps * rowBytes;
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const c0 = (grain % s.mBlocks) * s.mBlock;
    const channels = min(s.mBlock, inC - c0);
    const group0 = ((grain / s.mBlocks) % s.groupBlocks) * s.groupBlock;
    const groupEnd = min(s.groups, group0 + s.groupBlock);
    const image0 = (grain / (s.mBlocks * s.groupBlocks)) * s.chunk;
    const images = min(s.chunk, s.batch - image0);
    for (let image = image0; image < image0 + images; image++) {
      for (let group = group0; group < groupEnd; group++) startPlanes(s, image, group * inC + c0, channels);
    }
    const pixelEnd = (image0 + images) * outPlane;
    for (let p0 = image0 * outPlane; p0 < pixelEnd; p0 += s.nBlock) {
      const n = min(s.nBlock, pixelEnd - p0);
      const panels = (n + NR - 1) / NR;
      makeOffsetTable(table, s, p0, n, 0, taps);
      for (let group = group0; group < groupEnd; group++) {
        const channel0 = group * inC + c0;
        for (let o0 = 0; o0 < outC; o0 += KC) {
          const k = min(KC, outC - o0);
          packChannels(packed, s, s.dy, group * outC + o0, k, p0, n);
          const a = s.callScratch + ((<usize>channel0 * taps * outC + o0) << 2);
          gemmBlock(a, (<usize>outC) << 2, packed, tile, rowBytes, channels * taps, panels, k, o0 > 0);
        }
        col2imAdd(s.dx + ((<usize>channel0 * inPlane) << 2), table, s, tile, rowBytes, channels, n);
      }
    }
    if (!s.mask) continue;
    for (let image = image0; image < image0 + images; image++) {
      for (let group = group0; group < groupEnd; group++) {
        const at = (<usize>(image * s.inC + group * inC + c0) * inPlane) << 2;
        maskRow(s.dx + at, s.mask + at, channels * inPlane);
      }
    }
  }
}

/** What channels [c0, c0 + channels) of one image of dx hold before anything is added: their bias, or 0. */
function startPlanes(s: Conv2dArgs, image: i32, c0: i32, channels: i32): void {
  const plane = s.inH * s.inW;
  let to = s.dx + (((<usize>image * s.inC + c0) * plane) << 2);
  if (!s.bias) {
    memory.fill(to, 0, (<usize>channels * plane) << 2);
    return;
  }
  for (let channel = c0; channel < c0 + channels; channel++) {
    const bias = load<f32>(s.bias + ((<usize>channel) << 2));
    for (let i = 0; i < plane; i++) {
      store<f32>(to, bias);
      to += 4;
    }
  }
}

/** Packs channels [o0, o0 + k) of dy, pixels [p0, p0 + n) over all images, as panels of B: panel j, channel, 8 pixels. */
function packChannels(packed: usize, s: Conv2dArgs, dy: usize, o0: i32, k: i32, p0: i32, n: i32): void {
  const plane = s.outH * s.outW;
  for (let j = 0; j < n; j += NR) {
    const image = (p0 + j) / plane;
    const offset = (p0 + j) % plane;
    const columns = min(NR, n - j);
    let from = dy + (((<usize>image * s.outC + o0) * plane + offset) << 2);
    const whole = columns == NR && offset + NR <= plane;
    for (let row = 0; row < k; row++) {
      if (whole) {
        v128.store(packed, v128.load(from));
        v128.store(packed, v128.load(from, 16), 16);
      } else {
        let address = from;
        let pixel = offset;
        for (let lane = 0; lane < NR; lane++) {
          store<f32>(packed + ((<usize>lane) << 2), lane < columns ? load<f32>(address) : <f32>0);
          address += 4;
          if (++pixel == plane) {
            pixel = 0;
            address += (<usize>(s.outC - 1) * plane) << 2;
          }
        }
      }
      packed += PANEL_ROW_BYTES;
      from += (<usize>plane) << 2;
    }
  }
}

/**
 * dWeight's tile rows block g % mBlocks (of outC), columns block (g / mBlocks) % nBlocks (of R) of groups block
 * (g / (mBlocks · nBlocks)) % groupBlocks, summed over chunk g / (mBlocks · nBlocks · groupBlocks) of the P pixels (chunk is
 * a multiple of KC). With one chunk the tiles go to dWeight, else to callScratch[chunk], which is like dWeight, and
 * conv2dReduceChunks follows.
 * Worker scratch: packed panels (KC × nBlock floats), a tile per group (groupBlock × mBlock × nBlock), rows of dy
 * (mBlock × KC), offset table.
 */
export function conv2dBackwardWeight(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<Conv2dArgs>(args);
  const inC = s.inC / s.groups;
  const outC = s.outC / s.groups;
  const taps = s.kH * s.kW;
  const rows = inC * taps;
  const groupBytes = (<usize>inC * s.inH * s.inW) << 2;
  const pixels = s.batch * s.outH * s.outW;
  const rowBytes = (<usize>s.nBlock) << 2;
  const tileBytes = <usize>s.mBlock * rowBytes;
  const packed = scratch;
  const tiles = packed + <usize>KC * rowBytes;
  const dyRows = tiles + <usize>s.groupBlock * tileBytes;
  const table = dyRows + ((<usize>s.mBlock * KC) << 2);
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const m0 = (grain % s.mBlocks) * s.mBlock;
    const m = min(s.mBlock, outC - m0);
    const r0 = ((grain / s.mBlocks) % s.nBlocks) * s.nBlock;
    const n = min(s.nBlock, rows - r0);
    const groupsGrain = grain / (s.mBlocks * s.nBlocks);
    const group0 = (groupsGrain % s.groupBlocks) * s.groupBlock;
    const groupEnd = min(s.groups, group0 + s.groupBlock);
    const chunk = groupsGrain / s.groupBlocks;
    const pixelBegin = chunk * s.chunk;
    const pixelEnd = min(pixels, pixelBegin + s.chunk);
    for (let p0 = pixelBegin; p0 < pixelEnd; p0 += KC) {
      const k = min(KC, pixelEnd - p0);
      makeOffsetTable(table, s, p0, k, r0 % taps, min(n, taps));
      let tile = tiles;
      for (let group = group0; group < groupEnd; group++) {
        im2colPackRows(packed, table, s, s.x + <usize>group * groupBytes, r0, n, k);
        copyRows(dyRows, s, group * outC + m0, m, p0, k);
        gemmBlock(dyRows, KC << 2, packed, tile, rowBytes, m, (n + NR - 1) / NR, k, p0 > pixelBegin);
        tile += tileBytes;
      }
    }
    const whole = s.chunks == 1;
    const target = whole ? s.dWeight : s.callScratch + ((<usize>chunk * s.outC * rows) << 2);
    let tile = tiles;
    for (let group = group0; group < groupEnd; group++) {
      for (let row = 0; row < m; row++) {
        const to = target + ((<usize>(group * outC + m0 + row) * rows + r0) << 2);
        storeRow(to, tile + <usize>row * rowBytes, n, whole && s.accumulate != 0);
      }
      tile += tileBytes;
    }
  }
}

/** Copies pixels [p0, p0 + k) of channels [m0, m0 + m) of dy to rows KC floats apart. */
function copyRows(to: usize, s: Conv2dArgs, m0: i32, m: i32, p0: i32, k: i32): void {
  const plane = s.outH * s.outW;
  for (let row = 0; row < m; row++) {
    let image = p0 / plane;
    let offset = p0 % plane;
    let rest = k;
    let address = to;
    while (rest > 0) {
      const count = min(rest, plane - offset);
      const from = s.dy + (((<usize>image * s.outC + m0 + row) * plane + offset) << 2);
      copyFloats(address, from, count);
      address += (<usize>count) << 2;
      rest -= count;
      offset = 0;
      image++;
    }
    to += (<usize>KC) << 2;
  }
}

function copyFloats(to: usize, from: usize, count: i32): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    v128.store(to, v128.load(from));
    to += 16;
    from += 16;
  }
  for (; i < count; i++) {
    store<f32>(to, load<f32>(from));
    to += 4;
    from += 4;
  }
}

/** to = from, or to += from. */
export function storeRow(to: usize, from: usize, count: i32, accumulate: bool): void {
  if (!accumulate) {
    copyFloats(to, from, count);
    return;
  }
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    v128.store(to, f32x4.add(v128.load(to), v128.load(from)));
    to += 16;
    from += 16;
  }
  for (; i < count; i++) {
    store<f32>(to, load<f32>(to) + load<f32>(from));
    to += 4;
    from += 4;
  }
}

/** dWeight (+)= the partial sums of all chunks, in order. Grain g: rows [g · 4, …) of dWeight. */
export function conv2dReduceChunks(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<Conv2dArgs>(args);
  const rows = (s.inC / s.groups) * s.kH * s.kW;
  const size = s.outC * rows;
  const begin = grainBegin * 4 * rows;
  const count = min(size, grainEnd * 4 * rows) - begin;
  const to = s.dWeight + ((<usize>begin) << 2);
  for (let chunk = 0; chunk < s.chunks; chunk++) {
    const from = s.callScratch + ((<usize>chunk * size + begin) << 2);
    storeRow(to, from, count, chunk > 0 || s.accumulate != 0);
  }
}

/** dBias (+)= sum of dy over images and pixels: one float32 sum of four lanes per image and channel, added in order. */
export function conv2dBackwardBias(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<Conv2dArgs>(args);
  const plane = s.outH * s.outW;
  for (let channel = grainBegin; channel < grainEnd; channel++) {
    let total: f32 = 0;
    for (let image = 0; image < s.batch; image++) {
      let from = s.dy + (((<usize>image * s.outC + channel) * plane) << 2);
      let rest = plane;
      while (rest > 0) {
        const count = min(rest, 1024);
        let lanes = f32x4.splat(0);
        let i = 0;
        for (; i + 4 <= count; i += 4) {
          lanes = f32x4.add(lanes, v128.load(from));
          from += 16;
        }
        let sum = sumLanes(lanes);
        for (; i < count; i++) {
          sum += load<f32>(from);
          from += 4;
        }
        total += sum;
        rest -= count;
      }
    }
    const to = s.dBias + ((<usize>channel) << 2);
    store<f32>(to, s.accumulate ? load<f32>(to) + total : total);
  }
}
