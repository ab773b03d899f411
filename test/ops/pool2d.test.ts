/** Poolings where PyTorch's fixtures have no case: ceil mode's borders, random sizes, ties, NaN, large windows, errors. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ShapeError } from "#src/core/errors.js";
import { Random } from "#src/core/random.js";
import { AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, GlobalAvgPool2d, MaxPool2d } from "#src/nn/index.js";
import {
  type AvgPool2dOptions,
  adaptiveAvgPool2d,
  adaptiveMaxPool2d,
  avgPool2d,
  globalAvgPool2d,
  maxPool2d,
} from "#src/ops/index.js";
import { sameValues } from "../helpers/compare.js";
import { apart } from "../helpers/finite-differences.js";
import { compare, engines, gradients, oracle, refuses, reportAfter, valuesOf } from "../helpers/op-tests.js";
import { type Inputs, type OpRun, randomTensor, runOp } from "../helpers/run-op.js";

reportAfter();

type Two = readonly [number, number];

const OPS = { maxPool2d, avgPool2d };
type Windowed = keyof typeof OPS;

function windowName(x: readonly number[], options: AvgPool2dOptions): string {
  const { kernelSize, stride = kernelSize, padding = 0, ceilMode, countIncludePad = true } = options;
  const flags = `${ceilMode ? " ceil" : ""}${countIncludePad ? "" : " without pad"}`;
  return `x=[${x}] kernel=${kernelSize} stride=${stride} pad=${padding}${flags}`;
}

/** The operation on `x` with a random upstream gradient of the output's shape. */
function windowRun(op: Windowed, x: readonly number[], options: AvgPool2dOptions, ties = false): OpRun {
  const name = windowName(x, options);
  const values = randomTensor(name, x, 0, 6);
  const forward = (t: Inputs) => OPS[op](t.x, options);
  const { shape } = forward({ x: oracle.tensor(values.data, x) });
  const data = ties ? values.data.map(Math.floor) : values.data;
  return { inputs: { x: { shape: x, data } }, forward, dy: randomTensor(`dy ${name}`, shape) };
}

function compareWindows(op: Windowed, x: readonly number[], options: AvgPool2dOptions): void {
  compare(op, windowName(x, options), () => windowRun(op, x, options, op === "maxPool2d"));
}

// ---- sizes in ceil mode ------------------------------------------------------------------------------------------------

/** [input, kernel, stride, padding, output], by PyTorch's rule. */
const CEIL_SIZES: readonly (readonly number[])[] = [
  [4, 2, 2, 0, 2],
  [5, 2, 2, 0, 3],
  [7, 3, 2, 0, 3],
  [8, 3, 2, 0, 4],
  [2, 3, 2, 0, 1],
  // The last window would start behind the input and its padding: left out.
  [3, 1, 3, 0, 1],
  [4, 1, 3, 0, 2],
  [5, 2, 3, 1, 2],
  [6, 2, 5, 1, 2],
  [5, 2, 5, 1, 2],
  [4, 2, 5, 1, 1],
  [112, 3, 2, 0, 56],
];

for (const [size, kernelSize, stride, padding, out] of CEIL_SIZES) {
  test(`ceil mode: in=${size} kernel=${kernelSize} stride=${stride} pad=${padding} out=${out}`, () => {
    const x = oracle.tensor(new Float32Array(size), [1, 1, size, 1]);
    const options = {
      kernelSize: [kernelSize, 1],
      stride: [stride, 1],
      padding: [padding, 0],
      ceilMode: true,
    } as const;
    assert.equal(maxPool2d(x, options).shape, [1, 1, out, 1]);
    assert.equal(avgPool2d(x, options).shape, [1, 1, out, 1]);
  });
}

// ---- kernels against the plain loops -----------------------------------------------------------------------------------

for (const op of ["maxPool2d", "avgPool2d"] as const) {
  for (let seed = 0, made = 0; made < 40; seed++) {
    const random = new Random(seed, op);
    const upTo = (low: number, high: number): number => low + random.integer(high - low + 1);
    const kernelSize = [upTo(1, 5), upTo(1, 5)] as const;
    const stride = [upTo(1, 4), upTo(1, 4)] as const;
    const padding = [upTo(0, Math.floor(kernelSize[0] / 2)), upTo(0, Math.floor(kernelSize[1] / 2))] as const;
    const x = [upTo(1, 3), upTo(1, 5), upTo(1, 12), upTo(1, 12)];
    const ceilMode = random.integer(2) === 1;
    const countIncludePad = random.integer(2) === 1;
    if (kernelSize.some((size, i) => size > x[2 + i] + 2 * padding[i])) continue;
    made++;
    compareWindows(op, x, { kernelSize, stride, padding, ceilMode, countIncludePad });
  }
  // VGG's pools at odd sizes: the last row and column hang over. AlexNet's and GoogLeNet's overlap.
  for (const width of [7, 8, 9, 15, 17, 25]) {
    compareWindows(op, [2, 3, 5, width], { kernelSize: 2, ceilMode: true });
    compareWindows(op, [2, 3, 7, width], { kernelSize: 3, stride: 2, ceilMode: true });
  }
  // The window is larger than the input.
  compareWindows(op, [1, 2, 2, 2], { kernelSize: 3, stride: 2, ceilMode: true });
  compareWindows(op, [1, 2, 1, 3], { kernelSize: [3, 4], stride: 2, padding: 1, ceilMode: true });
}
compareWindows("avgPool2d", [1, 2, 40, 41], { kernelSize: [37, 39], stride: 1, padding: 3 });

const ADAPTIVE: readonly (readonly [x: readonly number[], outputSize: Two])[] = [
  [
    [1, 1, 1, 1],
    [1, 1],
  ],
  [
    [2, 3, 7, 7],
    [1, 1],
  ],
  [
    [2, 3, 7, 9],
    [2, 4],
  ],
  [
    [1, 2, 13, 13],
    [6, 6],
  ],
  [
    [1, 5, 13, 10],
    [3, 4],
  ],
  [
    [3, 2, 4, 5],
    [4, 5],
  ],
  [
    [2, 2, 3, 2],
    [7, 5],
  ],
  // More places than a byte counts.
  [
    [2, 3, 33, 31],
    [1, 2],
  ],
  [
    [1, 2, 80, 81],
    [1, 1],
  ],
];
const ADAPTIVE_OPS = { adaptiveAvgPool2d, adaptiveMaxPool2d };

function adaptiveRun(op: keyof typeof ADAPTIVE_OPS, x: readonly number[], outputSize: Two, ties: boolean): OpRun {
  const values = randomTensor(`${op} ${x} ${outputSize}`, x, 0, 6);
  return {
    inputs: { x: { shape: x, data: ties ? values.data.map(Math.floor) : values.data } },
    forward: (t) => ADAPTIVE_OPS[op](t.x, outputSize),
    dy: randomTensor(`dy ${x} ${outputSize}`, [x[0], x[1], ...outputSize]),
  };
}

for (const [x, outputSize] of ADAPTIVE) {
  compare("adaptiveAvgPool2d", `x=[${x}] out=[${outputSize}]`, () =>
    adaptiveRun("adaptiveAvgPool2d", x, outputSize, false),
  );
  for (const ties of [false, true]) {
    compare("adaptiveMaxPool2d", `x=[${x}] out=[${outputSize}]${ties ? " ties" : ""}`, () =>
      adaptiveRun("adaptiveMaxPool2d", x, outputSize, ties),
    );
  }
}

for (const x of [
  [1, 1, 1, 1],
  [3, 5, 7, 7],
  [2, 2, 65, 64],
]) {
  compare("globalAvgPool2d", `x=[${x}]`, () => ({
    inputs: { x: randomTensor("x", x, 0, 1) },
    forward: (t) => globalAvgPool2d(t.x),
    dy: randomTensor("dy", [x[0], x[1], 1, 1]),
  }));
}

// ---- special values ----------------------------------------------------------------------------------------------------

const { NaN: nan, NEGATIVE_INFINITY: minus } = Number;

test("poolings x=[1,1,2,6]: NaN reaches the windows that hold it, and no others; -∞ is a value", async () => {
  const x = [nan, 1, 2, 3, minus, minus, 4, 5, 6, 7, minus, minus];
  const shape = [1, 1, 2, 6];
  assert.equal(await valuesOf(x, shape, (t) => adaptiveMaxPool2d(t, [1, 3])), [nan, 7, minus]);
  assert.equal(await valuesOf(x, shape, (t) => adaptiveAvgPool2d(t, [1, 3])), [nan, 4.5, minus]);
  assert.equal(await valuesOf(x, shape, (t) => avgPool2d(t, { kernelSize: 2 })), [nan, 4.5, minus]);
  assert.equal(await valuesOf(x, shape, (t) => maxPool2d(t, { kernelSize: [2, 4], ceilMode: true })), [nan, minus]);
});

// Windows inside the input are done four at a time, with stride 1 or 2; those at the borders one by one.
for (const stride of [1, 2, 3]) {
  for (const width of [6, 9, 10, 11, 12, 13, 21]) {
    const x = [1, 2, 5, width];
    const options = { kernelSize: 3, stride, padding: 1, ceilMode: true };
    const special = [nan, minus, 1, 2, 3, 4];
    compare("maxPool2d", `${windowName(x, options)}, NaN and -∞`, () => {
      const run = windowRun("maxPool2d", x, options);
      return {
        ...run,
        inputs: { x: { shape: x, data: run.inputs.x.data.map((value) => special[Math.floor(value)]) } },
      };
    });
    compareWindows("maxPool2d", x, options);
    compareWindows("avgPool2d", x, options);
    compareWindows("avgPool2d", x, { ...options, countIncludePad: false });
  }
}

test("maxPool2d x=[2,3,4,8]: whole windows have the same bits with and without ceil mode", async () => {
  const x = randomTensor("x", [2, 3, 4, 8]);
  for (const engine of engines) {
    const run = (ceilMode: boolean): OpRun => ({
      inputs: { x },
      forward: (t) => maxPool2d(t.x, { kernelSize: 2, ceilMode }),
      dy: randomTensor("dy", [2, 3, 2, 4]),
    });
    const [floor, ceil] = [await runOp(engine, run(false)), await runOp(engine, run(true))];
    assert.ok(sameValues(floor.y, ceil.y) && sameValues(floor.gradients.x, ceil.gradients.x));
  }
});

test("layers compute what the operations do", async () => {
  const { data, shape } = randomTensor("x", [2, 3, 7, 6]);
  const x = await oracle.scope(() => oracle.tensor(data, shape));
  const options = { kernelSize: 3, stride: 2, padding: 1, ceilMode: true };
  const pairs = [
    [new MaxPool2d(options).forward(x), maxPool2d(x, options)],
    [
      new AvgPool2d({ ...options, countIncludePad: false }).forward(x),
      avgPool2d(x, { ...options, countIncludePad: false }),
    ],
    [new AdaptiveAvgPool2d([2, 3]).forward(x), adaptiveAvgPool2d(x, [2, 3])],
    [new AdaptiveMaxPool2d(2).forward(x), adaptiveMaxPool2d(x, 2)],
    [new GlobalAvgPool2d().forward(x), adaptiveAvgPool2d(x, 1)],
  ];
  for (const [layer, op] of pairs) {
    assert.equal(layer.shape, op.shape);
    const [ofLayer, ofOp] = await Promise.all([layer.values(), op.values()]);
    assert.equal(ofLayer, ofOp);
  }
});

// ---- finite differences ------------------------------------------------------------------------------------------------

const DIFFERENCES: readonly (readonly [Windowed, readonly number[], AvgPool2dOptions])[] = [
  ["maxPool2d", [1, 2, 5, 6], { kernelSize: 2, ceilMode: true }],
  ["maxPool2d", [1, 1, 4, 5], { kernelSize: 3, stride: 2, padding: 1, ceilMode: true }],
  ["avgPool2d", [1, 2, 5, 6], { kernelSize: 2 }],
  ["avgPool2d", [1, 2, 5, 6], { kernelSize: 3, stride: 2, padding: 1, ceilMode: true }],
  ["avgPool2d", [1, 2, 5, 6], { kernelSize: 3, stride: 2, padding: 1, ceilMode: true, countIncludePad: false }],
];
for (const [op, x, options] of DIFFERENCES) {
  gradients(op, windowName(x, options), () => ({ ...windowRun(op, x, options), inputs: { x: apart(x) } }));
}
for (const outputSize of [
  [2, 3],
  [7, 4],
] as const) {
  const x = [1, 2, 5, 4];
  for (const op of ["adaptiveAvgPool2d", "adaptiveMaxPool2d"] as const) {
    gradients(op, `x=[${x}] out=[${outputSize}]`, () => ({
      ...adaptiveRun(op, x, outputSize, false),
      inputs: { x: apart(x) },
    }));
  }
}

// ---- errors ------------------------------------------------------------------------------------------------------------

const flat = oracle.tensor(new Float32Array(6), [2, 3]);
const image = oracle.tensor(new Float32Array(60), [1, 2, 5, 6]);
for (const [name, op] of Object.entries({ avgPool2d, maxPool2d })) {
  refuses(
    ShapeError,
    `${name}: x must have 4 dimensions, [batch, channels, height, width] (x [2,3]). Reshape it.`,
    () => op(flat, { kernelSize: 2 }),
  );
  refuses(
    ShapeError,
    `${name}: padding is more than half the window (padding [1,2], kernelSize [3,3]). Use less padding.`,
    () => op(image, { kernelSize: 3, padding: [1, 2] }),
  );
  refuses(
    ShapeError,
    `${name}: the window is larger than the padded input (height 5 + 2·0, kernelSize 7). ` +
      "Use a larger input, more padding or a smaller kernel.",
    () => op(image, { kernelSize: 7, stride: 2, ceilMode: true }),
  );
}
for (const [name, op] of Object.entries({ adaptiveAvgPool2d, adaptiveMaxPool2d })) {
  refuses(
    ShapeError,
    `${name}: x must have 4 dimensions, [batch, channels, height, width] (x [2,3]). Reshape it.`,
    () => op(flat, 2),
  );
  refuses(
    ShapeError,
    `${name}: outputSize must be an integer of at least 1, or two of them (outputSize [2,0]). Change outputSize.`,
    () => op(image, [2, 0]),
  );
}
refuses(
  ShapeError,
  "globalAvgPool2d: x must have 4 dimensions, [batch, channels, height, width] (x [2,3]). Reshape it.",
  () => globalAvgPool2d(flat),
);

test.run();
