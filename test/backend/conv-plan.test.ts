/** The cuts of convolutions and matrix products: whole, small enough, enough of them, and functions of the shape alone. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Conv2dShape, LinearShape } from "#src/backend/backend.js";
import {
  type Cut,
  conv2dAlgorithm,
  cutConv2dBackwardInput,
  cutConv2dBackwardWeight,
  cutConv2dForward,
  cutLinearColumns,
  cutLinearColumnsInPlace,
  cutLinearRows,
  KC,
} from "#src/backend/wasm/conv-plan.js";
import { scratchBytes } from "#src/backend/wasm/lowering.js";
import {
  cutChannels,
  cutWinograd,
  cutWinogradGradient,
  partChannels,
  winogradWeightBytes,
} from "#src/backend/wasm/winograd-plan.js";
import { Random } from "#src/core/random.js";
import { sidesOf } from "#src/models/net-config.js";
import { vggLayers } from "#src/models/vgg-config.js";

/** Partial sums of a weight gradient, in memory that all workers share. */
const MAX_PARTIAL_BYTES = 16 << 20;
/** The transformed tiles that a weight gradient holds at a time. */
const MAX_CHUNK_BYTES = 66 << 20;
/** Packed panels and tile of one grain stay in a second-level cache of 512 KB. */
const MAX_WORKER_BYTES = 512 << 10;
/** Fewer leave cores of a 16-core machine without work. */
const WANTED_GRAINS = 16;
/** A hundred million products take one core some 5 ms; with less to gain, C's 1x1 layers at 14x14 make do with 12 grains. */
const ENOUGH_WORK = 100e6;
/** What the smaller layers have. */
const LEAST_GRAINS = 8;
/** Ten million products take one core half a millisecond: there grains do not matter. */
const SMALL_WORK = 10e6;

interface Named {
  readonly name: string;
  readonly s: Conv2dShape;
}

function shapeOf(
  [batch, inC, inH, inW]: readonly [number, number, number, number],
  outC: number,
  [kH, kW]: readonly [number, number],
  [strideH, strideW]: readonly [number, number],
  [padH, padW]: readonly [number, number],
  [dilationH, dilationW]: readonly [number, number] = [1, 1],
  groups = 1,
): Named {
  const outH = Math.floor((inH + 2 * padH - dilationH * (kH - 1) - 1) / strideH) + 1;
  const outW = Math.floor((inW + 2 * padW - dilationW * (kW - 1) - 1) / strideW) + 1;
  const name = `x=[${batch},${inC},${inH},${inW}] w=[${outC},${inC / groups},${kH},${kW}] stride=[${strideH},${strideW}] pad=[${padH},${padW}] dilation=[${dilationH},${dilationW}] groups=${groups}`;
  const window = { kH, kW, strideH, strideW, padH, padW, dilationH, dilationW };
  return { name, s: { batch, inC, inH, inW, outC, outH, outW, ...window, groups } };
}

/** The different convolutions of all nets at this size. */
function vggShapes(inputSize: number, batch: number): Named[] {
  const shapes = new Map<string, Named>();
  for (const config of ["A", "C", "E", "shallow"]) {
    for (const layer of vggLayers(config, { inputSize })) {
      if (layer.kind !== "conv") continue;
      const [inC, inH, inW] = layer.inShape;
      const [kernel, padding] = [sidesOf(layer.kernelSize), sidesOf(layer.padding)];
      const shape = shapeOf([batch, inC, inH, inW], layer.outShape[0], kernel, [1, 1], padding);
      shapes.set(shape.name, shape);
    }
  }
  return [...shapes.values()];
}

const VGG = [...vggShapes(224, 1), ...vggShapes(224, 8), ...vggShapes(32, 64)];

const TINY: readonly Named[] = [
  ...vggShapes(32, 1),
  shapeOf([1, 1, 1, 1], 1, [1, 1], [1, 1], [0, 0]),
  shapeOf([1, 1, 1, 97], 3, [1, 1], [1, 1], [0, 0]),
  shapeOf([97, 1, 1, 1], 257, [1, 1], [1, 1], [0, 0]),
  shapeOf([3, 257, 2, 2], 1, [3, 3], [1, 1], [1, 1]),
  shapeOf([1, 2, 40, 40], 2, [17, 19], [3, 2], [4, 0]),
  shapeOf([2000, 1, 2, 2], 5, [2, 2], [2, 2], [0, 0]),
];

const RANDOM = Array.from({ length: 300 }, (_, seed) => {
  const random = new Random(seed, "conv-plan");
  const upTo = (most: number): number => 1 + random.integer(most);
  const [kH, kW] = [upTo(7), upTo(7)];
  return shapeOf(
    [upTo(20), upTo(600), 7 + upTo(60), 7 + upTo(60)],
    upTo(600),
    [kH, kW],
    [upTo(4), upTo(4)],
    [random.integer(4), random.integer(4)],
  );
});

const GROUPED = Array.from({ length: 200 }, (_, seed) => {
  const random = new Random(seed, "conv-plan groups");
  const upTo = (most: number): number => 1 + random.integer(most);
  const groups = upTo(seed % 2 === 0 ? 600 : 8);
  const [inC, outC] = seed % 4 === 0 ? [1, 1] : [upTo(40), upTo(40)];
  return shapeOf(
    [upTo(20), groups * inC, 20 + upTo(60), 20 + upTo(60)],
    groups * outC,
    [upTo(7), upTo(7)],
    [upTo(4), upTo(4)],
    [random.integer(4), random.integer(4)],
    [upTo(3), upTo(3)],
    groups,
  );
});

const ALL: readonly Named[] = [...VGG, ...TINY, ...RANDOM, ...GROUPED];

/** Asserts that blocks of `block` cover [0, total) exactly once with none left over. */
function checkBlocks(what: string, block: number, count: number, total: number, unit: number): void {
  const text = `${what}: ${count} blocks of ${block}, total ${total}`;
  assert.ok(Number.isInteger(block) && block >= 1 && Number.isInteger(count) && count >= 1, text);
  assert.is(block % unit, 0, `${text}: whole units of ${unit}`);
  assert.ok(block * count >= total && block * (count - 1) < total, text);
}

/** Floats of packed panels and tile, as lowering.ts counts them. */
function workerBytes(cut: Cut, rows: number): number {
  return (KC + rows) * cut.nBlock * 4;
}

test("forward: every output once, tiles inside the cache", () => {
  for (const { name, s } of ALL) {
    const cut = cutConv2dForward(s);
    checkBlocks(`${name} groups`, cut.groupBlock, cut.groupBlocks, s.groups, 1);
    checkBlocks(`${name} rows`, cut.mBlock, cut.mBlocks, s.outC / s.groups, 4);
    checkBlocks(`${name} columns`, cut.nBlock, cut.nBlocks, s.batch * s.outH * s.outW, 8);
    assert.ok(workerBytes(cut, cut.mBlock) <= MAX_WORKER_BYTES, name);
  }
});

test("backward, input: every channel of every image once, tiles inside the cache", () => {
  for (const { name, s } of ALL) {
    const cut = cutConv2dBackwardInput(s);
    const plane = s.outH * s.outW;
    checkBlocks(`${name} groups`, cut.groupBlock, cut.groupBlocks, s.groups, 1);
    checkBlocks(`${name} channels`, cut.mBlock, cut.mBlocks, s.inC / s.groups, 1);
    checkBlocks(`${name} images`, cut.chunk, cut.chunks, s.batch, 1);
    // A grain walks over its pixels nBlock at a time.
    assert.ok(cut.nBlock % 8 === 0 && cut.nBlock <= 96 && cut.nBlock < cut.chunk * plane + 8, name);
    assert.is(cut.nBlocks, 1, name);
    // At least one channel, whatever the number of taps.
    const taps = s.kH * s.kW;
    assert.ok(workerBytes(cut, cut.mBlock * taps) <= MAX_WORKER_BYTES || cut.mBlock === 1, name);
  }
});

test("backward, weight: every weight and every pixel once, chunks whole K blocks, partial sums at most 16 MB", () => {
  for (const { name, s } of ALL) {
    const cut = cutConv2dBackwardWeight(s);
    const columns = (s.inC / s.groups) * s.kH * s.kW;
    checkBlocks(`${name} groups`, cut.groupBlock, cut.groupBlocks, s.groups, 1);
    checkBlocks(`${name} rows`, cut.mBlock, cut.mBlocks, s.outC / s.groups, 4);
    checkBlocks(`${name} columns`, cut.nBlock, cut.nBlocks, columns, 8);
    checkBlocks(`${name} pixels`, cut.chunk, cut.chunks, s.batch * s.outH * s.outW, KC);
    const floats = workerBytes(cut, cut.groupBlock * cut.mBlock) + cut.mBlock * KC * 4;
    assert.ok(floats <= MAX_WORKER_BYTES, name);
    const tensors = { x: null, dy: null, dWeight: null };
    const scratch = scratchBytes(
      { kernel: "conv2dBackwardWeight", shape: { ...s, accumulate: false }, tensors },
      { convAlgorithm: "im2col", threads: 2 },
    );
    assert.is(scratch, cut.chunks === 1 ? 0 : cut.chunks * s.outC * columns * 4, name);
    assert.ok(scratch <= MAX_PARTIAL_BYTES, `${name}: ${scratch} bytes`);
  }
});

test("winograd: every output channel and every tile once, whole vectors of tiles", () => {
  for (const { name, s } of ALL) {
    for (const alpha of [3, 4, 6, 8] as const) {
      const outputs = alpha === 3 ? 2 : alpha - 2;
      const tiles = s.batch * Math.ceil(s.outH / outputs) * Math.ceil(s.outW / outputs);
      for (const threads of [1, 2, 3, 16]) {
        const cut = cutWinograd(s, alpha, threads);
        checkBlocks(`${name} rows`, cut.mBlock, cut.mBlocks, s.outC, cut.mBlocks === 1 ? 1 : 8);
        checkBlocks(`${name} tiles`, cut.tBlock, cut.tBlocks, tiles, 4);
      }
      const gradient = cutWinogradGradient(s, alpha);
      assert.is(gradient.tiles, tiles, name);
      checkBlocks(`${name} chunks`, gradient.chunk, gradient.chunks, tiles, 4);
      assert.ok(gradient.inputBytes + gradient.gradientBytes <= MAX_CHUNK_BYTES, name);
    }
  }
});

test("winograd: parts of filters that are not kept: at least 64 channels, whole panels, 10 MB where more channels would take more", () => {
  for (const { s } of ALL) {
    for (const alpha of [3, 4, 6, 8] as const) {
      const cut = cutWinograd(s, alpha, 2);
      const channels = partChannels(s, alpha, cut);
      if (!cut.inputFirst) assert.is(channels, s.outC);
      if (channels === s.outC) continue;
      assert.is(channels % 16, 0);
      assert.ok(channels === 64 || winogradWeightBytes({ ...s, outC: channels }, alpha) <= 10 * 2 ** 20 + 64 * 64);
      assert.ok(winogradWeightBytes({ ...s, outC: channels + 16 }, alpha) > 10 * 2 ** 20);
      const { mBlock, mBlocks } = cutChannels(channels, cut.tBlocks);
      checkBlocks("rows of a part", mBlock, mBlocks, channels, mBlocks === 1 ? 1 : 8);
    }
  }
  const conv5 = { batch: 1, inC: 512, outC: 512, inH: 14, inW: 14, outH: 14, outW: 14, padH: 1, padW: 1 };
  assert.is(partChannels(conv5, 6, cutWinograd(conv5, 6, 2)), 128);
});

test("algorithm: winograd is forced where it is possible and nowhere else; im2col always is", () => {
  for (const { name, s } of ALL) {
    const square = s.kH === 3 && s.kW === 3 && s.padH <= 2 && s.padW <= 2;
    const possible = square && [s.strideH, s.strideW, s.dilationH, s.dilationW, s.groups].every((n) => n === 1);
    for (const algorithm of ["winograd2", "winograd4", "winograd6"] as const) {
      for (const direction of ["forward", "backwardInput", "backwardWeight"] as const) {
        assert.is(conv2dAlgorithm(s, algorithm, direction), possible ? algorithm : "im2col", name);
      }
    }
    assert.is(conv2dAlgorithm(s, "im2col"), "im2col", name);
    if (!possible) assert.is(conv2dAlgorithm(s, "auto"), "im2col", name);
    assert.ok(["im2col", "winograd2"].includes(conv2dAlgorithm(s, "exact")), name);
    assert.is(conv2dAlgorithm(s, "exact", "backwardWeight"), "im2col", name);
  }
});

for (const [size, channels, batch, expected] of [
  [224, 64, 1, "winograd6"],
  [96, 16, 1, "winograd6"],
  [95, 16, 1, "winograd4"],
  [14, 512, 1, "winograd4"],
  [7, 512, 1, "winograd4"],
  [3, 512, 4, "winograd4"],
  [2, 512, 16, "winograd2map"],
  [2, 512, 15, "im2col"],
  [56, 15, 8, "im2col"],
] as const) {
  test(`algorithm: ${channels} channels at ${size}x${size}, batch ${batch}: ${expected}`, () => {
    const shape = { ...VGG[0].s, batch, inC: channels, outC: channels, inH: size, inW: size, outH: size, outW: size };
    for (const direction of ["forward", "backwardInput", "backwardWeight"] as const) {
      assert.is(conv2dAlgorithm(shape, "auto", direction), expected);
    }
  });
}

for (const [direction, cutOf, grainsOf] of [
  ["forward", cutConv2dForward, (cut: Cut) => cut.mBlocks * cut.nBlocks],
  ["backward, input", cutConv2dBackwardInput, (cut: Cut) => cut.mBlocks * cut.chunks],
  ["backward, weight", cutConv2dBackwardWeight, (cut: Cut) => cut.mBlocks * cut.nBlocks * cut.chunks],
] as const) {
  for (const { name, s } of VGG) {
    const products = s.batch * s.outC * s.outH * s.outW * s.inC * s.kH * s.kW;
    // The first layer's input is the picture: nobody asks for its gradient.
    if (products < SMALL_WORK || (s.inC === 3 && direction === "backward, input")) continue;
    const least = products < ENOUGH_WORK ? LEAST_GRAINS : WANTED_GRAINS;
    test(`${direction}: at least ${least} grains for ${name}`, () => {
      const grains = grainsOf(cutOf(s));
      assert.ok(grains >= least, `${grains} grains`);
    });
  }
}

test("groups: depthwise layers have grains enough, and no more offset tables than that takes", () => {
  for (const [channels, size] of [
    [32, 112],
    [512, 14],
    [1024, 7],
  ]) {
    const { name, s } = shapeOf([1, channels, size, size], channels, [3, 3], [1, 1], [1, 1], [1, 1], channels);
    const forward = cutConv2dForward(s);
    const input = cutConv2dBackwardInput(s);
    const weight = cutConv2dBackwardWeight(s);
    for (const grains of [
      forward.nBlocks * forward.groupBlocks,
      input.chunks * input.groupBlocks,
      weight.chunks * weight.groupBlocks,
    ]) {
      assert.ok(grains >= WANTED_GRAINS && grains <= 140, `${name}: ${grains} grains`);
    }
  }
});

const LINEAR: readonly LinearShape[] = [1, 2, 8, 9, 64, 300].flatMap((batch) =>
  [1, 3, 9, 96, 97, 512, 4096, 25088].flatMap((inFeatures) =>
    [1, 4, 5, 10, 64, 65, 1000, 4096].map((outFeatures) => ({ batch, inFeatures, outFeatures })),
  ),
);

test("linear: every row of the weight and every column of dx once; VGG's layers in at least 16 grains", () => {
  for (const s of LINEAR) {
    const name = `x=[${s.batch},${s.inFeatures}] w=[${s.outFeatures},${s.inFeatures}]`;
    const rows = cutLinearRows(s);
    checkBlocks(`${name} rows`, rows.block, rows.count, s.outFeatures, 4);
    const columns = cutLinearColumns(s);
    checkBlocks(`${name} columns`, columns.block, columns.count, s.inFeatures, 8);
    const inPlace = cutLinearColumnsInPlace(s);
    checkBlocks(`${name} columns in place`, inPlace.block, inPlace.count, s.inFeatures, 8);
    if (s.inFeatures >= 4096) assert.ok(inPlace.count >= 16, `${name}: ${inPlace.count} grains`);
    if (s.outFeatures >= 1000) assert.ok(rows.count >= WANTED_GRAINS, `${name}: ${rows.count} grains`);
    if (s.inFeatures >= 512) assert.ok(columns.count >= WANTED_GRAINS, `${name}: ${columns.count} grains`);
  }
});

test("all cuts: the same every time, and the shape is left alone", () => {
  const winograd = (s: Conv2dShape): object => cutWinograd(s, 6, 2);
  const gradient = (s: Conv2dShape): object => cutWinogradGradient(s, 4);
  const convolution = [cutConv2dForward, cutConv2dBackwardInput, cutConv2dBackwardWeight];
  const cuts = [...convolution, winograd, gradient, (s: Conv2dShape) => conv2dAlgorithm(s)];
  const first = ALL.map(({ s }) => cuts.map((cut) => cut(Object.freeze({ ...s }))));
  const again = [...ALL].reverse().map(({ s }) => cuts.map((cut) => cut({ ...s })));
  assert.equal(again.reverse(), first);
  for (const s of LINEAR) {
    const frozen = Object.freeze({ ...s });
    assert.equal(cutLinearRows(frozen), cutLinearRows(s));
    assert.equal(cutLinearColumns(frozen), cutLinearColumns(s));
    assert.equal(cutLinearColumnsInPlace(frozen), cutLinearColumnsInPlace(s));
  }
});

test.run();
