/**
 * The kernels against the plain loops of the reference backend, where PyTorch's fixtures have no case: sizes around every
 * tile and grain, random shapes, NaN, accumulation. Every run is on one and on two threads and must give the same bits.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { Random } from "#src/core/random.js";
import type { Parameter, Tensor } from "#src/core/tensor.js";
import { createEngine, type EngineOptions } from "#src/engine.js";
import {
  add,
  conv2d,
  crossEntropy,
  dropout,
  flatten,
  labelRank,
  labelsTensor,
  linear,
  localResponseNorm,
  logSoftmax,
  maxPool2d,
  mul,
  relu,
  scale,
  sum,
} from "#src/ops/index.js";
import { maxRelativeError } from "../helpers/compare.js";
import { toleranceOf } from "../helpers/op-tests.js";
import { checkOp, type OpRun, randomTensor, recordParameter, runOp } from "../helpers/run-op.js";
import { gpuEngines, isTaken, onGpu, shareOf } from "../helpers/webgpu.js";

/** Sums of float32 products in chains of at most 256: the square root of 256 times 2^-24, fivefold. */
const TOLERANCE = 5e-6;
/** Winograd's F(4x4) and F(6x6) multiply by up to 32 and add what nearly cancels. */
const LARGE_TILE_TOLERANCE = 5e-5;
/** One float32 rounding of a value that both compute in double precision. */
const ROUNDING = 1e-6;

/** M, N and K around the register tile (4 x 8), the row blocks (32), the column blocks (96) and the K blocks (256). */
const TILE_EDGES = [1, 3, 4, 5, 7, 8, 9, 31, 32, 33, 95, 96, 97, 255, 256, 257];
/** Lengths around a grain of 16384 elements, and around vectors of 4. */
const GRAIN_EDGES = [1, 2, 3, 4, 5, 16383, 16384, 16385, 40000];
/** Lengths around a grain of 8192 random numbers, and around blocks of 8. */
const RANDOM_EDGES = [1, 2, 7, 8, 9, 8191, 8192, 8193, 20001];

/** One thread and two: they must give the same bits. */
let engines: readonly Engine[];
/** The same for every choice of convolution algorithm. */
let convEngines: readonly (readonly Engine[])[];
/** Those with larger tiles, whose rounding errors are larger. */
let largeTileEngines: readonly (readonly Engine[])[];
let oracle: Engine;
type ConvAlgorithm = NonNullable<EngineOptions["convAlgorithm"]>;
const worst = new Map<string, number>();

test.before(async () => {
  const pair = (convAlgorithm: ConvAlgorithm): Promise<readonly Engine[]> =>
    Promise.all([1, 2].map((threads) => createEngine({ threads, convAlgorithm })));
  if (onGpu()) {
    // Exact is im2col there, and F(6x6) F(4x4). Of each limits once: software takes half a second for every pipeline of every engine.
    const limited = (gpuLimits: "adapter" | "default", convAlgorithm: ConvAlgorithm): Promise<Engine> =>
      createEngine({ backend: "webgpu", gpuLimits, convAlgorithm });
    engines = await gpuEngines();
    convEngines = [[await limited("adapter", "im2col")], [await limited("default", "winograd2")]];
    largeTileEngines = [[engines[1]], [await limited("adapter", "winograd4")]];
  } else {
    engines = await pair("auto");
    convEngines = await Promise.all([pair("exact"), pair("im2col"), pair("winograd2")]);
    largeTileEngines = [engines, ...(await Promise.all([pair("winograd4"), pair("winograd6")]))];
  }
  oracle = await createEngine({ backend: "reference", precision: "float64" });
});

test.after(async () => {
  const all = new Set([...engines, ...convEngines.flat(), ...largeTileEngines.flat(), oracle]);
  for (const engine of all) await engine.close();
  console.log(`\n  worst relative errors: ${[...worst].map(([op, e]) => `${op} ${e.toExponential(1)}`).join(", ")}`);
});

/** Groups that must agree to the bit: threads, but not GPUs of other limits. */
function apart(groups: readonly (readonly Engine[])[]): readonly (readonly Engine[])[] {
  return onGpu() ? groups.flat().map((engine) => [engine]) : groups;
}

/** A test that runs the operation on all engines: one of each number of threads, for convolutions also of each algorithm. */
function compare(op: string, name: string, run: () => OpRun, tolerance = TOLERANCE): void {
  if (!isTaken(`${op} ${name}`, shareOf(op))) return;
  test(`${op} ${name}`, async () => {
    const groups = op === "conv2d" ? convEngines : apart([engines]);
    worst.set(op, Math.max(worst.get(op) ?? 0, await checkOp(groups, oracle, run(), toleranceOf(tolerance))));
    if (op !== "conv2d") return;
    const large = `${op} in tiles of 4x4 and 6x6`;
    worst.set(
      large,
      Math.max(worst.get(large) ?? 0, await checkOp(largeTileEngines, oracle, run(), LARGE_TILE_TOLERANCE)),
    );
  });
}

// ---- conv2d ----------------------------------------------------------------------------------------------------------

interface ConvCase {
  readonly x: readonly [batch: number, inC: number, inH: number, inW: number];
  readonly outC: number;
  readonly kernel: readonly [number, number];
  readonly stride?: readonly [number, number];
  readonly padding?: readonly [number, number];
  readonly bias?: boolean;
}

function compareConv2d({ x, outC, kernel, stride = [1, 1], padding = [0, 0], bias = true }: ConvCase): void {
  const w = [outC, x[1], ...kernel];
  const outputs = [0, 1].map((i) => Math.floor((x[2 + i] + 2 * padding[i] - kernel[i]) / stride[i]) + 1);
  const name = `x=[${x}] w=[${w}] stride=[${stride}] pad=[${padding}]${bias ? "" : " no bias"}`;
  compare("conv2d", name, () => ({
    inputs: {
      x: randomTensor(`x ${name}`, x),
      weight: randomTensor(`weight ${name}`, w),
      ...(bias ? { bias: randomTensor(`bias ${name}`, [outC]) } : {}),
    },
    forward: (t) => conv2d(t.x, t.weight, t.bias ?? null, { stride, padding }),
    dy: randomTensor(`dy ${name}`, [x[0], outC, ...outputs]),
  }));
}

// Each of output channels, sum length and pixels at every edge. In the three directions they are rows, terms and columns;
// terms, rows and columns; rows, columns and terms.
for (const edge of TILE_EDGES) {
  compareConv2d({ x: [1, 2, 3, 4], outC: edge, kernel: [3, 3], padding: [1, 1] });
  compareConv2d({ x: [1, edge, 3, 3], outC: 5, kernel: [1, 1] });
  compareConv2d({ x: [1, 3, 1, edge], outC: 6, kernel: [1, 3], padding: [0, 1] });
  compareConv2d({ x: [3, 2, edge, 1], outC: 5, kernel: [3, 1], padding: [1, 0], bias: false });
}
// 3x3 with stride 1, which Winograd's algorithm can do: channels in, and tiles of 2x2 outputs in rows and over images.
for (const edge of TILE_EDGES) {
  compareConv2d({ x: [1, edge, 4, 5], outC: 5, kernel: [3, 3], padding: [1, 1] });
  compareConv2d({ x: [1, 2, 3, 2 * edge], outC: 5, kernel: [3, 3], padding: [1, 1] });
  compareConv2d({ x: [edge, 3, 2, 2], outC: 4, kernel: [3, 3], padding: [1, 1], bias: false });
}
// Maps of 2x2 with channels and tiles enough for their own algorithm, in `auto`.
for (const [batch, inC, outC] of [
  [16, 16, 16],
  [17, 19, 22],
  [70, 37, 65],
  [21, 70, 130],
] as const) {
  compareConv2d({ x: [batch, inC, 2, 2], outC, kernel: [3, 3], padding: [1, 1] });
}
// Two and three edges at once.
compareConv2d({ x: [2, 260, 3, 5], outC: 35, kernel: [3, 3], padding: [1, 1] });
compareConv2d({ x: [1, 33, 5, 7], outC: 33, kernel: [3, 3], padding: [1, 1] });
compareConv2d({ x: [3, 29, 4, 8], outC: 97, kernel: [3, 3], padding: [1, 1] });
compareConv2d({ x: [1, 257, 3, 5], outC: 257, kernel: [1, 1] });
compareConv2d({ x: [1, 260, 2, 2], outC: 33, kernel: [2, 2], padding: [1, 1] });
// dWeight: several chunks of pixels (256 each) over several images, the last chunk short.
compareConv2d({ x: [3, 3, 17, 19], outC: 4, kernel: [3, 3], padding: [1, 1] });
compareConv2d({ x: [13, 2, 7, 7], outC: 3, kernel: [3, 3], padding: [1, 1] });
compareConv2d({ x: [1, 1, 64, 65], outC: 2, kernel: [3, 3], padding: [1, 1] });
// dx: several images in one block of columns, the last block short; rows of dy that end inside a panel.
compareConv2d({ x: [5, 3, 5, 8], outC: 4, kernel: [3, 3], padding: [1, 1] });
compareConv2d({ x: [50, 4, 1, 2], outC: 5, kernel: [1, 1] });
compareConv2d({ x: [97, 3, 2, 2], outC: 4, kernel: [2, 2], stride: [2, 2] });
// A window of 225 places; more images than columns.
compareConv2d({ x: [1, 2, 15, 16], outC: 3, kernel: [15, 15], padding: [3, 2] });

for (let seed = 0, made = 0; made < 60; seed++) {
  const random = new Random(seed, "conv2d");
  const of = (values: readonly number[]): number => values[random.integer(values.length)];
  const upTo = (low: number, high: number): number => low + random.integer(high - low + 1);
  const x = [of([1, 3]), upTo(1, 10), upTo(1, 13), upTo(1, 13)] as const;
  const kernel = [upTo(1, 7), upTo(1, 7)] as const;
  const padding = [upTo(0, 3), upTo(0, 3)] as const;
  const stride = [upTo(1, 4), upTo(1, 4)] as const;
  const outC = upTo(1, 13);
  const bias = random.integer(2) === 1;
  if (kernel.some((size, i) => size > x[2 + i] + 2 * padding[i])) continue;
  made++;
  compareConv2d({ x, outC, kernel, stride, padding, bias });
}

for (let seed = 0; seed < 30; seed++) {
  const random = new Random(seed, "conv2d 3x3");
  const upTo = (low: number, high: number): number => low + random.integer(high - low + 1);
  const x = [upTo(1, 3), upTo(1, 36), upTo(3, 11), upTo(3, 11)] as const;
  const padding = [upTo(0, 3), upTo(0, 3)] as const;
  compareConv2d({ x, outC: upTo(1, 36), kernel: [3, 3], padding, bias: random.integer(2) === 1 });
}

// ---- linear ----------------------------------------------------------------------------------------------------------

function compareLinear(batch: number, inFeatures: number, outFeatures: number, bias = true): void {
  const name = `x=[${batch},${inFeatures}] w=[${outFeatures},${inFeatures}]${bias ? "" : " no bias"}`;
  compare("linear", name, () => ({
    inputs: {
      x: randomTensor(`x ${name}`, [batch, inFeatures]),
      weight: randomTensor(`weight ${name}`, [outFeatures, inFeatures]),
      ...(bias ? { bias: randomTensor(`bias ${name}`, [outFeatures]) } : {}),
    },
    forward: (t) => linear(t.x, t.weight, t.bias ?? null),
    dy: randomTensor(`dy ${name}`, [batch, outFeatures]),
  }));
}

for (const edge of TILE_EDGES) {
  for (const batch of [1, 3]) {
    compareLinear(batch, edge, 5);
    compareLinear(batch, 6, edge, false);
  }
  compareLinear(edge, 7, 9);
}
// The gradient of the weight works on 192 columns at a time; the vector path on 16 and on 4096 terms; rows in blocks of 64.
for (const inFeatures of [191, 192, 193, 385, 512, 513]) compareLinear(3, inFeatures, 10);
for (const inFeatures of [15, 16, 17, 4095, 4096, 4097, 8200]) compareLinear(1, inFeatures, 3);
for (const outFeatures of [63, 64, 65, 511, 513, 2049]) compareLinear(2, 9, outFeatures);
compareLinear(1, 300, 513);
compareLinear(300, 20, 33);
compareLinear(5, 700, 129);
// The gradient of the input reads weights in place up to 32 images, 64 rows and at most 1024 columns at a time.
for (const inFeatures of [255, 257, 521]) compareLinear(7, inFeatures, 65);
for (const batch of [31, 32, 33]) compareLinear(batch, 21, 331);

// ---- element by element, sums ------------------------------------------------------------------------------------------

for (const length of GRAIN_EDGES) {
  const x = (low = -1): ReturnType<typeof randomTensor> => randomTensor(`x ${length}`, [length], low);
  const other = randomTensor(`b ${length}`, [length]);
  const dy = randomTensor(`dy ${length}`, [length]);
  compare("relu", `x=[${length}]`, () => ({ inputs: { x: x() }, forward: (t) => relu(t.x), dy }), ROUNDING);
  compare(
    "add",
    `a=[${length}] b=[${length}]`,
    () => ({ inputs: { a: x(), b: other }, forward: (t) => add(t.a, t.b), dy }),
    ROUNDING,
  );
  compare(
    "mul",
    `a=[${length}] b=[${length}]`,
    () => ({ inputs: { a: x(), b: other }, forward: (t) => mul(t.a, t.b), dy }),
    ROUNDING,
  );
  compare(
    "scale",
    `x=[${length}] factor=-0.3`,
    () => ({ inputs: { x: x() }, forward: (t) => scale(t.x, -0.3), dy }),
    ROUNDING,
  );
  // Of one sign: the error of a sum is relative to the sum of magnitudes.
  compare("sum", `x=[${length}]`, () => ({ inputs: { x: x(0) }, forward: (t) => sum(t.x), dy: null }));
}

// ---- pooling, normalisation, losses ------------------------------------------------------------------------------------

for (let seed = 0, made = 0; made < 30; seed++) {
  const random = new Random(seed, "maxPool2d");
  const upTo = (low: number, high: number): number => low + random.integer(high - low + 1);
  const kernelSize = [upTo(1, 5), upTo(1, 5)] as const;
  const stride = [upTo(1, 4), upTo(1, 4)] as const;
  const padding = [upTo(0, Math.floor(kernelSize[0] / 2)), upTo(0, Math.floor(kernelSize[1] / 2))] as const;
  const x = [upTo(1, 3), upTo(1, 5), upTo(1, 12), upTo(1, 12)];
  const outputs = [0, 1].map((i) => Math.floor((x[2 + i] + 2 * padding[i] - kernelSize[i]) / stride[i]) + 1);
  if (outputs.some((size) => size < 1)) continue;
  made++;
  const name = `x=[${x}] kernel=[${kernelSize}] stride=[${stride}] pad=[${padding}]`;
  compare("maxPool2d", name, () => ({
    // Few different values: ties are frequent.
    inputs: { x: { shape: x, data: randomTensor(name, x, 0, 6).data.map(Math.floor) } },
    forward: (t) => maxPool2d(t.x, { kernelSize, stride, padding }),
    dy: randomTensor(`dy ${name}`, [x[0], x[1], ...outputs]),
  }));
}

// VGG's pools, which are done four windows at a time: ties, NaN and -∞ there, and widths that leave windows over.
for (const [height, width] of [7, 8, 9, 10, 16, 18, 25].flatMap((size) => [
  [5, size],
  [6, size],
])) {
  const x = [2, 3, height, width];
  const name = `x=[${x}] kernel=2 stride=2`;
  for (const values of ["different", "ties", "NaN and -∞"]) {
    compare("maxPool2d", `${name}, ${values}`, () => {
      const special = [Number.NaN, Number.NEGATIVE_INFINITY, 1, 2];
      const data = randomTensor(name, x, 0, 4).data.map((value) => {
        if (values === "ties") return Math.floor(value);
        return values === "different" ? value : special[Math.floor(value)];
      });
      return {
        inputs: { x: { shape: x, data } },
        forward: (t) => maxPool2d(t.x, { kernelSize: 2 }),
        dy: randomTensor(`dy ${name}`, [2, 3, Math.floor(height / 2), Math.floor(width / 2)]),
      };
    });
  }
}

for (const beta of [0.75, 0.5, 1.1]) {
  for (const size of [1, 2, 3, 4, 5, 9]) {
    for (const x of [
      [1, 1, 1, 1],
      [2, 6, 3, 3],
      [1, 9, 7],
    ]) {
      compare("localResponseNorm", `x=[${x}] size=${size} beta=${beta}`, () => ({
        inputs: { x: randomTensor("x", x, -3, 3) },
        forward: (t) => localResponseNorm(t.x, { size, alpha: 0.7, beta, k: 1.5 }),
        dy: randomTensor("dy", x),
      }));
    }
  }
}

for (const [rows, classes] of [
  [1, 2],
  [3, 5],
  [33, 10],
  [2, 1001],
]) {
  compare("logSoftmax", `x=[${rows},${classes}]`, () => ({
    inputs: { x: randomTensor("x", [rows, classes], -8, 8) },
    forward: (t) => logSoftmax(t.x),
    dy: randomTensor("dy", [rows, classes]),
  }));
  compare("crossEntropy", `x=[${rows},${classes}]`, () => ({
    inputs: {
      x: randomTensor("x", [rows, classes], -8, 8),
      labels: { shape: [rows], data: Int32Array.from({ length: rows }, (_, row) => (row * 7) % classes) },
    },
    forward: (t) => crossEntropy(t.x, t.labels),
    dy: null,
  }));
}

test("crossEntropy, logSoftmax x=[3,4] with logits of ±10000: finite, as the reference", async () => {
  const data = Float32Array.of(1e4, -1e4, 0, 5, -1e4, -1e4, -1e4, -1e4, 1e4, 1e4, -1e4, 1);
  const labels = { shape: [3], data: Int32Array.of(1, 2, 0) };
  const inputs = { x: { shape: [3, 4], data } };
  const loss: OpRun = { inputs: { ...inputs, labels }, forward: (t) => crossEntropy(t.x, t.labels), dy: null };
  const logs: OpRun = { inputs, forward: (t) => logSoftmax(t.x), dy: randomTensor("dy", [3, 4]) };
  for (const run of [loss, logs]) {
    await checkOp(apart([engines]), oracle, run, toleranceOf(ROUNDING));
    const { y, gradients } = await runOp(engines[0], run);
    for (const value of [...y, ...gradients.x]) assert.ok(Number.isFinite(value), String(value));
  }
  // −log p of rows 0, 1, 2: 20000, log 4, log 2.
  const { y } = await runOp(engines[0], loss);
  assert.ok(Math.abs(y[0] - (20000 + Math.log(4) + Math.log(2)) / 3) < 1e-3);
});

/** Ranks on all engines, which must agree. */
async function ranksOf(logits: readonly number[], classes: number, labels: readonly number[]): Promise<number[]> {
  const rows = logits.length / classes;
  const all: number[][] = [];
  for (const engine of [...engines, oracle]) {
    const ranks = labelRank(engine.tensor(logits, [rows, classes]), labelsTensor(engine, labels, classes));
    assert.is(ranks.dtype, "int32");
    all.push([...(await ranks.values())]);
  }
  assert.equal(all[0], all[2]);
  assert.equal(all[1], all[2]);
  return all[0];
}

test("labelRank x=[4,4]: in order, and the smaller index wins a tie", async () => {
  const row = [3, 1, 3, 2];
  assert.equal(await ranksOf([...row, ...row, ...row, ...row], 4, [0, 1, 2, 3]), [0, 3, 1, 2]);
  assert.equal(await ranksOf([5, 5, 5, 5], 4, [2]), [2]);
});

test("labelRank x=[1,4]: NaN is ahead of every number, and a NaN of one's own behind all others", async () => {
  assert.equal(await ranksOf([Number.NaN, 1, 9, Number.NaN], 4, [2]), [2]);
  assert.equal(await ranksOf([Number.NaN, 1, 9, 4], 4, [0]), [3]);
  assert.equal(await ranksOf([Number.NaN, Number.NaN, Number.NaN, Number.NaN], 4, [1]), [3]);
  const { POSITIVE_INFINITY: plus, NEGATIVE_INFINITY: minus } = Number;
  assert.equal(await ranksOf([plus, minus, 0, plus], 4, [1]), [3]);
  assert.equal(await ranksOf([plus, minus, 0, plus], 4, [3]), [1]);
});

// ---- NaN and infinities -------------------------------------------------------------------------------------------------

/** Runs forward on all engines; they must agree on every value, NaN included. */
async function valuesOf(x: readonly number[], shape: readonly number[], op: (x: Tensor) => Tensor): Promise<number[]> {
  const expected = await op(oracle.tensor(x, shape)).values();
  for (const engine of engines) {
    assert.is(maxRelativeError(await op(engine.tensor(x, shape)).values(), expected) <= toleranceOf(ROUNDING), true);
  }
  return [...expected];
}

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

test("relu x=[9]: NaN stays NaN, in vectors and in the rest", async () => {
  const y = await valuesOf([nan, -1, 2, -infinity, infinity, nan, -0, 3, nan], [9], relu);
  assert.equal(
    y,
    [nan, 0, 2, 0, infinity, nan, 0, 3, nan].map((v, i) => (i === 6 ? y[6] : v)),
  );
  assert.is(y[6] === 0, true);
});

test("maxPool2d x=[1,1,2,6]: NaN wins wherever it stands; -∞ is a value", async () => {
  const x = [nan, 1, 2, 3, -infinity, -infinity, 4, 5, 6, nan, -infinity, -infinity];
  const y = await valuesOf(x, [1, 1, 2, 6], (t) => maxPool2d(t, { kernelSize: 2 }));
  assert.equal(y, [nan, nan, -infinity]);
  const padded = await valuesOf([-infinity], [1, 1, 1, 1], (t) => maxPool2d(t, { kernelSize: 3, padding: 1 }));
  assert.equal(padded, [-infinity]);
});

test("maxPool2d x=[1,1,2,8]: the first of equals wins, the sign of zero too", async () => {
  const x = [0, -0, -0, 0, 1, -0, -0, -1, -0, 0, -0, -0, 1, 1, -0, -0];
  const y = await valuesOf(x, [1, 1, 2, 8], (t) => maxPool2d(t, { kernelSize: 2 }));
  assert.ok(
    y.every((value, i) => Object.is(value, [0, -0, 1, -0][i])),
    `${y}`,
  );
});

compare("maxPool2d", "x=[1,1,4,4] with NaN and -∞: the gradient", () => ({
  inputs: {
    x: {
      shape: [1, 1, 4, 4],
      data: Float32Array.of(nan, 1, -infinity, -infinity, 2, nan, -infinity, -infinity, 1, 1, nan, 3, 0, 1, 2, 9),
    },
  },
  forward: (t) => maxPool2d(t.x, { kernelSize: 2 }),
  dy: randomTensor("dy", [1, 1, 2, 2]),
}));

test("logSoftmax x=[5,3]: NaN or +∞ makes its row NaN and no other; -∞ stays", async () => {
  const x = [1, nan, 2, infinity, 0, 0, 0, 0, -infinity, -infinity, -infinity, -infinity, 0, 0, 0];
  const y = await valuesOf(x, [5, 3], logSoftmax);
  assert.equal(y.slice(0, 6), [nan, nan, nan, nan, nan, nan]);
  assert.ok(Math.abs(y[6] + Math.log(2)) < ROUNDING);
  assert.is(y[8], -infinity);
  assert.equal(y.slice(9, 12), [nan, nan, nan]);
  assert.ok(Math.abs(y[12] + Math.log(3)) < ROUNDING);
});

test("crossEntropy x=[2,3]: NaN anywhere makes the loss NaN", async () => {
  for (let i = 0; i < 6; i++) {
    const x = [1, 2, 3, 4, 5, 6].map((value, j) => (j === i ? nan : value));
    const y = await valuesOf(x, [2, 3], (t) => crossEntropy(t, labelsTensor(t.engine, [0, 2], 3)));
    assert.equal(y, [nan]);
  }
});

for (const beta of [0.75, 0.6]) {
  test(`localResponseNorm x=[1,5,5] beta=${beta}: NaN reaches its window`, async () => {
    const x = Array.from({ length: 25 }, (_, i) => (i === 10 || i === 14 ? nan : i / 10));
    const y = await valuesOf(x, [1, 5, 5], (t) => localResponseNorm(t, { size: 3, alpha: 1, beta }));
    assert.equal(
      y.map((value, i) => (Number.isNaN(value) ? i : -1)).filter((i) => i >= 0),
      [5, 9, 10, 14, 15, 19],
    );
  });
}

test("conv2d, linear: NaN reaches the outputs that read it, and no others", async () => {
  const y = await valuesOf([1, 2, 3, nan, 5, 6, 7, 8, 9], [1, 1, 3, 3], (x) =>
    conv2d(x, x.engine.tensor([1, 1, 1, 1], [1, 1, 2, 2])),
  );
  assert.equal(y, [nan, 16, nan, 28]);
  const z = await valuesOf([1, nan, 3, 4], [2, 2], (x) => linear(x, x.engine.tensor([1, 0, 0, 1, 1, 1], [3, 2])));
  assert.equal(z, [nan, nan, nan, 3, 4, 7]);
});

// ---- random numbers -------------------------------------------------------------------------------------------------------

const STREAM = { key0: 0xfedcba98, key1: 0x89abcdef, counter: 0x80000001 };

for (const length of RANDOM_EDGES) {
  const x = randomTensor("x", [length], 1, 2);
  for (const p of [0.5, 0.2, 0.9]) {
    test(`dropout x=[${length}] p=${p}: the reference's mask, forward and backward`, async () => {
      const dy = randomTensor("dy", [length], 1, 2);
      const run: OpRun = { inputs: { x }, forward: (t) => dropout(t.x, { p, random: STREAM }), dy };
      await checkOp(apart([engines]), oracle, run, toleranceOf(ROUNDING));
      const expected = await runOp(oracle, run);
      const actual = await runOp(engines[0], run);
      const mask = (values: Float64Array): boolean[] => Array.from(values, (value) => value !== 0);
      assert.equal(mask(actual.y), mask(expected.y));
      assert.equal(mask(actual.gradients.x), mask(expected.y));
    });
  }
  test(`dropout x=[${length}] p=0: x itself`, async () => {
    for (const engine of [...engines, oracle]) {
      const { y, gradients } = await runOp(engine, {
        inputs: { x },
        forward: (t) => dropout(t.x, { p: 0, random: STREAM }),
        dy: x,
      });
      assert.equal(y, Float64Array.from(x.data));
      assert.equal(gradients.x, Float64Array.from(x.data));
    }
  });
}

test("dropout x=[40000]: the share that is kept is 1 - p within 3 sigma; another counter, another mask", async () => {
  const length = 40000;
  const ones = new Float32Array(length).fill(1);
  for (const p of [0.1, 0.5, 0.75, 0.999]) {
    const masks: Float64Array[] = [];
    for (const counter of [1, 2]) {
      const y = dropout(engines[1].tensor(ones, [length]), { p, random: { ...STREAM, counter } });
      masks.push(await y.values());
      const kept = masks[masks.length - 1].filter((value) => value !== 0).length;
      const sigma = Math.sqrt(length * p * (1 - p));
      assert.ok(Math.abs(kept - length * (1 - p)) <= 3 * sigma, `p ${p}: ${kept} kept`);
    }
    assert.not.equal(masks[0], masks[1]);
  }
});

/** Fills a tensor with random numbers. */
async function randomFill(
  engine: Engine,
  kernel: "fillNormal" | "fillUniform",
  length: number,
  scaleOfFill: number,
): Promise<Float64Array> {
  const y = engine.emptyTensor([length]);
  engine.record(kernel, { length, ...STREAM, scale: scaleOfFill }, { y });
  return y.values();
}

for (const kernel of ["fillNormal", "fillUniform"] as const) {
  for (const length of RANDOM_EDGES) {
    test(`${kernel} y=[${length}] scale=0.3: as the reference`, async () => {
      const expected = await randomFill(oracle, kernel, length, 0.3);
      for (const engine of engines) {
        const error = maxRelativeError(await randomFill(engine, kernel, length, 0.3), expected);
        assert.ok(error <= ROUNDING, `relative error ${error.toExponential(2)}`);
      }
    });
  }
}

/** Mean, variance and kurtosis. */
function moments(values: Float64Array): { mean: number; variance: number; kurtosis: number } {
  const average = (power: number, centre: number): number =>
    values.reduce((total, value) => total + (value - centre) ** power, 0) / values.length;
  const mean = average(1, 0);
  const variance = average(2, mean);
  return { mean, variance, kurtosis: average(4, mean) / variance ** 2 };
}

test("fillNormal y=[100000] scale=2: mean 0, variance 4, kurtosis 3, within 4 sigma", async () => {
  const n = 100000;
  const { mean, variance, kurtosis } = moments(await randomFill(engines[1], "fillNormal", n, 2));
  assert.ok(Math.abs(mean) <= (4 * 2) / Math.sqrt(n), `mean ${mean}`);
  assert.ok(Math.abs(variance - 4) <= 4 * 4 * Math.sqrt(2 / n), `variance ${variance}`);
  assert.ok(Math.abs(kurtosis - 3) <= 4 * Math.sqrt(24 / n), `kurtosis ${kurtosis}`);
});

test("fillUniform y=[100000] scale=2: in [-2, 2), mean 0, variance 4/3, kurtosis 1.8, within 4 sigma", async () => {
  const n = 100000;
  const values = await randomFill(engines[1], "fillUniform", n, 2);
  const { mean, variance, kurtosis } = moments(values);
  assert.ok(values.every((value) => value >= -2 && value < 2));
  assert.ok(Math.abs(mean) <= (4 * 2) / Math.sqrt(3 * n), `mean ${mean}`);
  // The variance of (x - mean)² is the fourth moment less the variance squared: 16/5 - 16/9.
  assert.ok(Math.abs(variance - 4 / 3) <= 4 * Math.sqrt((16 / 5 - 16 / 9) / n), `variance ${variance}`);
  assert.ok(Math.abs(kurtosis - 1.8) <= 0.03, `kurtosis ${kurtosis}`);
});

// ---- gradients that add up --------------------------------------------------------------------------------------------------

/** Runs `job` on every engine; the values it returns must agree. */
async function onEveryEngine(job: (engine: Engine) => Promise<Record<string, Tensor | null>>): Promise<void> {
  const read = async (engine: Engine): Promise<Record<string, Float64Array>> => {
    const values: Record<string, Float64Array> = {};
    for (const [name, tensor] of Object.entries(await job(engine))) {
      if (tensor === null) throw new Error(`${name} is missing`);
      values[name] = await tensor.values();
    }
    return values;
  };
  const expected = await read(oracle);
  for (const engine of engines) {
    for (const [name, values] of Object.entries(await read(engine))) {
      const error = maxRelativeError(values, expected[name]);
      assert.ok(error <= TOLERANCE, `${name}: relative error ${error.toExponential(2)}`);
    }
  }
}

const X = randomTensor("x", [2, 3, 5, 5]);
const WEIGHT = randomTensor("weight", [3, 3, 3, 3]);
const BIAS = randomTensor("bias", [3]);

interface Layer {
  readonly weight: Parameter;
  readonly bias: Parameter;
}

async function gradientOf({ name, grad }: Parameter): Promise<Float64Array> {
  if (grad === null) throw new Error(`${name} has no gradient`);
  return grad.values();
}

test("conv2d + linear: a second backward() adds to the gradients, zeroGrad() starts anew", async () => {
  await onEveryEngine(async (engine) => {
    const params = await engine.scope(() => ({
      weight: recordParameter(engine, "weight", WEIGHT),
      bias: recordParameter(engine, "bias", BIAS),
      matrix: recordParameter(engine, "matrix", randomTensor("matrix", [4, 75])),
      offset: recordParameter(engine, "offset", randomTensor("offset", [4])),
    }));
    const list = Object.values(params);
    const step = (factor: number): Promise<void> =>
      engine.scope(() => {
        const x = scale(engine.tensor(X.data, X.shape), factor);
        const h = relu(conv2d(x, params.weight, params.bias, { padding: 1 }));
        crossEntropy(linear(flatten(h), params.matrix, params.offset), labelsTensor(engine, [1, 3], 4)).backward();
      });
    const gradients = (): Promise<Float64Array[]> => Promise.all(list.map(gradientOf));
    await step(1);
    const first = await gradients();
    for (const parameter of list) parameter.zeroGrad();
    assert.is(params.weight.grad, null);
    await step(-2);
    const second = await gradients();
    await step(1);
    const both = await gradients();
    for (let i = 0; i < list.length; i++) {
      const expected = first[i].map((value, j) => value + second[i][j]);
      assert.ok(maxRelativeError(both[i], expected) <= TOLERANCE, list[i].name);
    }
    return {
      weight: params.weight.grad,
      bias: params.bias.grad,
      matrix: params.matrix.grad,
      offset: params.offset.grad,
    };
  });
});

test("conv2d with chunks: a second backward() in the same scope adds up", async () => {
  await onEveryEngine(async (engine) => {
    const weight = await engine.scope(() => recordParameter(engine, "weight", randomTensor("w", [2, 1, 3, 3])));
    await engine.scope(() => {
      for (const name of ["first", "second"]) {
        const { data, shape } = randomTensor(name, [2, 1, 20, 20]);
        const y = conv2d(engine.tensor(data, shape), weight, null, { padding: 1 });
        sum(mul(y, y)).backward();
      }
    });
    return { weight: weight.grad };
  });
});

test("a weight and a bias that two layers share get the sum of both gradients", async () => {
  await onEveryEngine(async (engine) => {
    const make = (): Promise<Layer> =>
      engine.scope(() => ({
        weight: recordParameter(engine, "weight", WEIGHT),
        bias: recordParameter(engine, "bias", BIAS),
      }));
    const run = (first: Layer, second: Layer): Promise<void> =>
      engine.scope(() => {
        const h = relu(conv2d(engine.tensor(X.data, X.shape), first.weight, first.bias, { padding: 1 }));
        const y = conv2d(h, second.weight, second.bias, { padding: 1 });
        sum(mul(y, y)).backward();
      });
    const [one, two, shared] = [await make(), await make(), await make()];
    await run(one, two);
    await run(shared, shared);
    for (const role of ["weight", "bias"] as const) {
      const [a, b] = [await gradientOf(one[role]), await gradientOf(two[role])];
      const expected = a.map((value, i) => value + b[i]);
      const error = maxRelativeError(await gradientOf(shared[role]), expected);
      assert.ok(error <= TOLERANCE, `${role}: relative error ${error.toExponential(2)}`);
    }
    return { weight: shared.weight.grad, bias: shared.bias.grad };
  });
});

test("linear: one parameter is input, weight and a term of the loss at once", async () => {
  await onEveryEngine(async (engine) => {
    const p = await engine.scope(() => recordParameter(engine, "p", randomTensor("p", [4, 4])));
    await engine.scope(() => add(sum(linear(p, p)), sum(mul(p, p))).backward());
    return { p: p.grad };
  });
});

test("an activation with two consumers gets the sum of their gradients", async () => {
  await onEveryEngine(async (engine) => {
    const x = await engine.scope(() => recordParameter(engine, "x", X));
    await engine.scope(() => {
      const h = relu(x);
      const left = scale(h, 3);
      const right = maxPool2d(h, { kernelSize: 2 });
      const squares = mul(h, h);
      add(add(sum(mul(left, squares)), sum(mul(right, right))), sum(h)).backward();
    });
    return { x: x.grad };
  });
});

test("add, mul x=[5]: parameters as plain inputs, the same one twice, and twice backward()", async () => {
  for (const engine of [...engines, oracle]) {
    const [a, b] = [
      [1, 2, 3, 4, 5],
      [5, -1, 0, 2, 7],
    ].map((data) => ({ shape: [5], data: Float32Array.from(data) }));
    const { p, q } = await engine.scope(() => ({
      p: recordParameter(engine, "p", a),
      q: recordParameter(engine, "q", b),
    }));
    await engine.scope(() => sum(mul(add(p, q), p)).backward());
    assert.equal([...(await gradientOf(p))], [7, 3, 6, 10, 17], "2p + q");
    assert.equal([...(await gradientOf(q))], [1, 2, 3, 4, 5], "p");
    await engine.scope(() => sum(add(add(p, p), mul(q, q))).backward());
    assert.equal([...(await gradientOf(p))], [9, 5, 8, 12, 19], "2p + q, and 2");
    assert.equal([...(await gradientOf(q))], [11, 0, 3, 8, 19], "p, and 2q");
  }
});

test.run();
