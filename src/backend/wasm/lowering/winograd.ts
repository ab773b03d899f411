/** Winograd's convolution: launches of the forward pass (and, exchanged, the input gradient) and of the weight gradient. */

import type { Derived } from "../../backend.js";
import { WINOGRAD_ARGUMENTS, WINOGRAD_GRADIENT_ARGUMENTS } from "../arguments.js";
import {
  type Alpha,
  CHANNEL_BLOCK,
  cutChannels,
  cutWinograd,
  cutWinogradGradient,
  partChannels,
  ROW_BLOCK,
  TILE_BLOCK,
  TRANSFORM_BYTES,
  type WinogradShape,
  winogradFilterBytes,
  winogradInputBytes,
  winogradWeightBytes,
  winogradWorkerBytes,
} from "../winograd-plan.js";
import { type DerivedAddress, type Launch, launch, type Values } from "./launch.js";

/** The fields that the kernels take; a shape may have others. */
function sizesOf({ batch, inC, inH, inW, outC, outH, outW, padH, padW }: WinogradShape): WinogradShape {
  return { batch, inC, inH, inW, outC, outH, outW, padH, padW };
}

/** The convolution of dy that gives dx. */
export function transposed(s: WinogradShape): WinogradShape {
  const { batch, inC, inH, inW, outC, outH, outW, padH, padW } = s;
  return { batch, inC: outC, inH: outH, inW: outW, outC: inC, outH: inH, outW: inW, padH: 2 - padH, padW: 2 - padW };
}

/** Shared scratch memory: the transformed input. */
export function winogradScratchBytes(s: WinogradShape, alpha: Alpha, threads: number): number {
  return winogradInputBytes(s, alpha, cutWinograd(s, alpha, threads));
}

/** The transformed filters; `direction` because those of the input gradient are turned. */
export function winogradFilters(s: WinogradShape, alpha: Alpha, threads: number, direction: string): Derived {
  const part = { ...s, outC: partChannels(s, alpha, cutWinograd(s, alpha, threads)) };
  return {
    key: `winograd${alpha} ${direction}`,
    sizeBytes: winogradWeightBytes(s, alpha),
    partBytes: winogradWeightBytes(part, alpha),
  };
}

export function winogradLaunches(
  s: WinogradShape,
  alpha: Alpha,
  threads: number,
  callScratch: number,
  filters: DerivedAddress,
  values: Values<typeof WINOGRAD_ARGUMENTS>,
): Launch[] {
  const whole = cutWinograd(s, alpha, threads);
  const { inputFirst, tBlock, tBlocks } = whole;
  const u = filters.address;
  const all = { ...sizesOf(s), ...values, alpha, tBlock, tBlocks, u, v: inputFirst ? callScratch : 0, yC: s.outC };
  const channelBlocks = Math.ceil(s.inC / CHANNEL_BLOCK);
  const launches: Launch[] = [];
  if (inputFirst) {
    launches.push(launch("winogradTransformInput", WINOGRAD_ARGUMENTS, all, tBlocks * channelBlocks, TRANSFORM_BYTES));
  }
  const channels = filters.kept ? s.outC : partChannels(s, alpha, whole);
  for (let begin = 0; begin < s.outC; begin += channels) {
    const outC = Math.min(channels, s.outC - begin);
    const cut = outC === s.outC ? whole : { ...whole, ...cutChannels(outC, tBlocks) };
    const { mBlock, mBlocks } = cut;
    const part = { ...all, ...partOf(values, s, begin), outC, mBlock, mBlocks };
    if (!filters.fresh) {
      const grains = Math.ceil(outC / 16) * channelBlocks;
      launches.push(launch("winogradTransformWeight", WINOGRAD_ARGUMENTS, part, grains, winogradFilterBytes(alpha)));
    }
    const workerBytes = winogradWorkerBytes(s, alpha, cut);
    launches.push(launch("winogradConv2d", WINOGRAD_ARGUMENTS, part, mBlocks * tBlocks, workerBytes));
  }
  return launches;
}

/** The addresses of what belongs to output channels from `begin` on. */
function partOf(
  { weight, bias, y, mask, outStride, pool }: Values<typeof WINOGRAD_ARGUMENTS>,
  { outH, outW }: WinogradShape,
  begin: number,
): Values<typeof WINOGRAD_ARGUMENTS> {
  const from = (address: number | null | undefined, floats: number): number =>
    address ? address + begin * floats * 4 : 0;
  const plane = (outH * outW) / (pool ? 4 : 1);
  return { weight: from(weight, outStride ?? 0), bias: from(bias, 1), y: from(y, plane), mask: from(mask, plane) };
}

/** Shared scratch memory of the weight gradient: a chunk's transformed input and gradients, and the sum of products. */
export function winogradGradientScratchBytes(s: WinogradShape, alpha: Alpha): number {
  const { inputBytes, gradientBytes, productBytes } = cutWinogradGradient(s, alpha);
  return align(inputBytes) + align(gradientBytes) + productBytes;
}

export function winogradGradientLaunches(
  s: WinogradShape,
  alpha: Alpha,
  callScratch: number,
  values: Values<typeof WINOGRAD_GRADIENT_ARGUMENTS>,
): Launch[] {
  const { chunk, chunks, tiles, inputBytes, gradientBytes } = cutWinogradGradient(s, alpha);
  const v = callScratch;
  const z = v + align(inputBytes);
  const du = z + align(gradientBytes);
  const all = { ...sizesOf(s), ...values, alpha, chunk, v, z, du };
  const places = alpha ** 2;
  const channelBlocks = Math.ceil(s.inC / CHANNEL_BLOCK) + Math.ceil(s.outC / CHANNEL_BLOCK);
  const launches: Launch[] = [];
  for (let index = 0; index < chunks; index++) {
    const tileBegin = index * chunk;
    const tileCount = Math.min(chunk, tiles - tileBegin);
    const part = { ...all, tileBegin, tileCount, accumulate: Number(index > 0) };
    const tileGrains = Math.ceil(tileCount / TILE_BLOCK) * channelBlocks;
    const productGrains = places * Math.ceil(s.outC / ROW_BLOCK);
    launches.push(launch("winogradGradientTiles", WINOGRAD_GRADIENT_ARGUMENTS, part, tileGrains, TRANSFORM_BYTES));
    launches.push(launch("winogradGradientProduct", WINOGRAD_GRADIENT_ARGUMENTS, part, productGrains));
  }
  launches.push(launch("winogradGradientWeight", WINOGRAD_GRADIENT_ARGUMENTS, all, s.outC, TRANSFORM_BYTES));
  return launches;
}

/** The next cache line. */
function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
