/** Dilated, grouped and transposed convolutions where PyTorch's fixtures have no case: sizes around tiles and grains, random ones. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ShapeError } from "#src/core/errors.js";
import { Random } from "#src/core/random.js";
import { Conv2d, ConvTranspose2d } from "#src/nn/index.js";
import {
  type Conv2dOptions,
  type ConvTranspose2dOptions,
  conv2d,
  convTranspose2d,
  mul,
  type Pair,
  sum,
} from "#src/ops/index.js";
import { maxRelativeError } from "../helpers/compare.js";
import { compare, engines, gradients, oracle, refuses, reportAfter } from "../helpers/op-tests.js";
import { type Inputs, type OpRun, randomTensor, recordParameter, runOp } from "../helpers/run-op.js";

reportAfter();

/** Sums of float32 products in chains of at most 256: the square root of 256 times 2^-24, fivefold. */
const TOLERANCE = 5e-6;

const OPS = { conv2d, convTranspose2d };
type Name = keyof typeof OPS;

interface Case {
  readonly x: readonly [batch: number, channels: number, height: number, width: number];
  readonly outC: number;
  readonly kernel: readonly [number, number];
  readonly options?: ConvTranspose2dOptions;
  readonly bias?: boolean;
}

function weightOf(op: Name, { x, outC, kernel, options }: Case): number[] {
  const { groups = 1 } = options ?? {};
  return op === "conv2d" ? [outC, x[1] / groups, ...kernel] : [x[1], outC / groups, ...kernel];
}

function nameOf(op: Name, given: Case): string {
  const words = Object.entries(given.options ?? {}).map(([key, value]) => `${key}=${value}`);
  return [`x=[${given.x}] w=[${weightOf(op, given)}]`, ...words, ...(given.bias === false ? ["no bias"] : [])].join(
    " ",
  );
}

function runOf(op: Name, given: Case): OpRun {
  const name = nameOf(op, given);
  const weight = weightOf(op, given);
  const inputs = {
    x: randomTensor(`x ${name}`, given.x),
    weight: randomTensor(`weight ${name}`, weight),
    ...(given.bias === false ? {} : { bias: randomTensor(`bias ${name}`, [given.outC]) }),
  };
  const forward = (t: Inputs) => OPS[op](t.x, t.weight, t.bias ?? null, given.options);
  const { shape } = forward({
    x: oracle.tensor(inputs.x.data, given.x),
    weight: oracle.tensor(inputs.weight.data, weight),
  });
  return { inputs, forward, dy: randomTensor(`dy ${name}`, shape) };
}

function compareConv(op: Name, given: Case): void {
  compare(op, nameOf(op, given), () => runOf(op, given), TOLERANCE);
}

// ---- groups ------------------------------------------------------------------------------------------------------------

/** Groups in a grain, channels of a group and pixels around vectors, tiles (4 x 8, 32 rows, 96 columns) and chains of 256. */
for (const edge of [1, 3, 4, 5, 8, 9, 31, 32, 33, 65]) {
  compareConv("conv2d", { x: [1, edge, 4, 5], outC: edge, kernel: [3, 3], options: { groups: edge, padding: 1 } });
  compareConv("conv2d", { x: [2, edge * 2, 3, 3], outC: edge * 3, kernel: [1, 1], options: { groups: edge } });
  compareConv("conv2d", { x: [1, edge * 3, 3, 4], outC: 6, kernel: [2, 2], options: { groups: 3 }, bias: false });
  compareConv("conv2d", { x: [1, 4, 3, 3], outC: 2 * edge, kernel: [3, 3], options: { groups: 2, padding: 1 } });
  compareConv("conv2d", { x: [1, 6, 3, edge], outC: 6, kernel: [3, 3], options: { groups: 6, padding: 1 } });
  compareConv("conv2d", { x: [edge, 4, 2, 2], outC: 4, kernel: [2, 2], options: { groups: 2, padding: 1 } });
}
compareConv("conv2d", { x: [1, 514, 2, 2], outC: 514, kernel: [1, 1], options: { groups: 2 } });
// dWeight: several chunks of pixels and several groups, the last chunk short; grains of many groups.
compareConv("conv2d", { x: [3, 6, 17, 19], outC: 6, kernel: [3, 3], options: { groups: 3, padding: 1 } });
compareConv("conv2d", { x: [2, 40, 20, 21], outC: 40, kernel: [3, 3], options: { groups: 40, padding: 1 } });
compareConv("conv2d", { x: [1, 300, 3, 3], outC: 300, kernel: [5, 5], options: { groups: 300, padding: 2 } });
compareConv("conv2d", { x: [1, 128, 9, 9], outC: 128, kernel: [3, 3], options: { groups: 32, padding: 1 } });

// ---- dilation ------------------------------------------------------------------------------------------------------------

for (const dilation of [2, 3, 7]) {
  for (const width of [7, 8, 9, 16, 40]) {
    const options = { dilation, padding: dilation };
    compareConv("conv2d", { x: [1, 3, 9, width], outC: 5, kernel: [3, 3], options });
  }
}

// ---- random shapes -------------------------------------------------------------------------------------------------------

for (let seed = 0, made = 0; made < 60; seed++) {
  const random = new Random(seed, "convolution");
  const upTo = (low: number, high: number): number => low + random.integer(high - low + 1);
  const groups = upTo(1, 6);
  const two = (low: number, high: number): [number, number] => [upTo(low, high), upTo(low, high)];
  const kernel = two(1, 5);
  const options = { stride: two(1, 3), padding: two(0, 3), dilation: two(1, 3), groups };
  const x = [upTo(1, 3), groups * upTo(1, 6), upTo(1, 12), upTo(1, 12)] as const;
  const outC = groups * upTo(1, 6);
  const bias = random.integer(2) === 1;
  const window = kernel.map((size, i) => options.dilation[i] * (size - 1) + 1);
  if (window.some((size, i) => size > x[2 + i] + 2 * options.padding[i])) continue;
  made++;
  compareConv("conv2d", { x, outC, kernel, options, bias });
}

for (let seed = 0, made = 0; made < 60; seed++) {
  const random = new Random(seed, "transposed convolution");
  const upTo = (low: number, high: number): number => low + random.integer(high - low + 1);
  const groups = upTo(1, 4);
  const two = (low: number, high: number): [number, number] => [upTo(low, high), upTo(low, high)];
  const kernel = two(1, 5);
  const [stride, padding, dilation] = [two(1, 4), two(0, 3), two(1, 3)];
  const outputPadding = [0, 1].map((i) => random.integer(Math.max(stride[i], dilation[i]))) as [number, number];
  const x = [upTo(1, 3), groups * upTo(1, 6), upTo(1, 8), upTo(1, 8)] as const;
  const outC = groups * upTo(1, 6);
  const bias = random.integer(2) === 1;
  const left = (i: number): number =>
    (x[2 + i] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (kernel[i] - 1) + outputPadding[i] + 1;
  if (left(0) < 1 || left(1) < 1) continue;
  made++;
  const options = { stride, padding, outputPadding, dilation, groups };
  compareConv("convTranspose2d", { x, outC, kernel, options, bias });
}

for (const edge of [1, 4, 5, 31, 32, 33, 96, 97, 257]) {
  const options = { stride: 2, padding: 1 };
  compareConv("convTranspose2d", { x: [1, edge, 3, 3], outC: 3, kernel: [4, 4], options });
  compareConv("convTranspose2d", { x: [1, 3, 3, 2], outC: edge, kernel: [4, 4], options, bias: false });
  compareConv("convTranspose2d", { x: [2, 3, 1, edge], outC: 2, kernel: [3, 3], options });
}
// FCN-32s' last layer in small: 64x64 filters, stride 32.
compareConv("convTranspose2d", { x: [1, 3, 3, 2], outC: 3, kernel: [64, 64], options: { stride: 32 }, bias: false });

// ---- finite differences ----------------------------------------------------------------------------------------------------

const DIFFERENCES: readonly (readonly [Name, Case])[] = [
  ["conv2d", { x: [1, 2, 5, 6], outC: 3, kernel: [2, 3], options: { dilation: [3, 2], padding: [1, 0] } }],
  ["conv2d", { x: [2, 4, 3, 3], outC: 6, kernel: [2, 2], options: { groups: 2, padding: 1, stride: 2 } }],
  [
    "conv2d",
    { x: [1, 3, 4, 4], outC: 3, kernel: [3, 3], options: { groups: 3, dilation: 2, padding: 2 }, bias: false },
  ],
  ["convTranspose2d", { x: [2, 2, 3, 2], outC: 3, kernel: [3, 2], options: {} }],
  [
    "convTranspose2d",
    { x: [1, 2, 2, 3], outC: 2, kernel: [3, 3], options: { stride: 2, padding: 1, outputPadding: 1 } },
  ],
  [
    "convTranspose2d",
    { x: [1, 4, 2, 2], outC: 2, kernel: [2, 3], options: { groups: 2, dilation: [2, 1], stride: [1, 3] } },
  ],
];
for (const [op, given] of DIFFERENCES) gradients(op, nameOf(op, given), () => runOf(op, given));

// ---- relations -------------------------------------------------------------------------------------------------------------

test("conv2d x=[2,6,5,5] groups=3: each group is a convolution of its own", async () => {
  const run = runOf("conv2d", { x: [2, 6, 5, 5], outC: 9, kernel: [3, 3], options: { groups: 3 }, bias: false });
  for (const engine of engines) {
    const { y } = await runOp(engine, run);
    for (let group = 0; group < 3; group++) {
      for (let image = 0; image < 2; image++) {
        const x = run.inputs.x.data.slice((image * 6 + group * 2) * 25, (image * 6 + group * 2 + 2) * 25);
        const weight = run.inputs.weight.data.slice(group * 54, (group + 1) * 54);
        const alone = conv2d(engine.tensor(x, [1, 2, 5, 5]), engine.tensor(weight, [3, 2, 3, 3]));
        const part = y.slice((image * 9 + group * 3) * 9, (image * 9 + group * 3 + 3) * 9);
        assert.ok(maxRelativeError(part, await alone.values()) <= TOLERANCE);
      }
    }
  }
});

test("convTranspose2d is conv2d's transpose: sum(conv2d(x)·y) = sum(x·convTranspose2d(y))", async () => {
  const options = { stride: 2, padding: 1, dilation: 2 };
  const [x, weight] = [randomTensor("x", [2, 3, 9, 7]), randomTensor("weight", [4, 3, 3, 3])];
  for (const engine of [...engines, oracle]) {
    const tensors = [x, weight].map(({ data, shape }) => engine.tensor(data, shape));
    const forward = conv2d(tensors[0], tensors[1], null, options);
    const y = randomTensor("y", forward.shape);
    const back = convTranspose2d(engine.tensor(y.data, y.shape), tensors[1], null, options);
    assert.equal(back.shape, x.shape);
    const left = sum(mul(forward, engine.tensor(y.data, y.shape)));
    const right = sum(mul(tensors[0], back));
    const values = await Promise.all([left.item(), right.item()]);
    assert.ok(Math.abs(values[0] - values[1]) <= TOLERANCE * Math.abs(values[0]), values.join(" "));
  }
});

test("convTranspose2d, conv2d groups=2: parameters' gradients accumulate over two backward()", async () => {
  for (const engine of engines) {
    const p = await engine.scope(() => ({
      weight: recordParameter(engine, "weight", randomTensor("w", [4, 2, 3, 3])),
      bias: recordParameter(engine, "bias", randomTensor("b", [4])),
    }));
    const step = async (op: Name): Promise<Float64Array[]> => {
      await engine.scope(() => {
        const { data, shape } = randomTensor("x", [1, 4, 5, 5]);
        const y = OPS[op](engine.tensor(data, shape), p.weight, p.bias, { groups: 2 });
        sum(mul(y, y)).backward();
      });
      return Promise.all([p.weight, p.bias].map(async ({ grad }) => (grad ? grad.values() : new Float64Array(0))));
    };
    const first = await step("conv2d");
    const both = await step("convTranspose2d");
    for (const parameter of [p.weight, p.bias]) parameter.zeroGrad();
    const second = await step("convTranspose2d");
    for (const [i, gradient] of both.entries()) {
      const expected = first[i].map((value, j) => value + second[i][j]);
      assert.ok(maxRelativeError(gradient, expected) <= TOLERANCE);
    }
  }
});

test("Conv2d, ConvTranspose2d: layers compute what the operations do", async () => {
  const [engine] = engines;
  const { data, shape } = randomTensor("x", [2, 4, 6, 7]);
  const x = await engine.scope(() => engine.tensor(data, shape));
  const window = { stride: 2, padding: 1, dilation: [2, 1], groups: 2 } satisfies Conv2dOptions;
  const sizes = { inChannels: 4, outChannels: 6, kernelSize: [3, 2] as Pair };
  const down = new Conv2d(engine, { ...sizes, ...window });
  assert.equal(down.weight.shape, [6, 2, 3, 2]);
  const up = new ConvTranspose2d(engine, { ...sizes, ...window, outputPadding: 1 });
  assert.equal(up.weight.shape, [4, 3, 3, 2]);
  assert.equal([...up.stateDict().keys()], ["weight", "bias"]);
  for (const [layer, op] of [
    [down.forward(x), conv2d(x, down.weight, down.bias, window)],
    [up.forward(x), convTranspose2d(x, up.weight, up.bias, { ...window, outputPadding: 1 })],
  ]) {
    assert.equal(layer.shape, op.shape);
    const [ofLayer, ofOp] = await Promise.all([layer.values(), op.values()]);
    assert.equal(ofLayer, ofOp);
  }
  assert.is(new ConvTranspose2d(engine, { ...sizes, bias: false }).bias, null);
});

// ---- errors ------------------------------------------------------------------------------------------------------------------

const x = (...shape: number[]) => oracle.tensor(new Float32Array(shape.reduce((n, size) => n * size, 1)), shape);
const image = x(1, 4, 5, 6);

refuses(ShapeError, "conv2d: groups must be an integer of at least 1 (groups 0). Change groups.", () =>
  conv2d(image, x(4, 4, 3, 3), null, { groups: 0 }),
);
refuses(
  ShapeError,
  "conv2d: groups must divide the channels (groups 3, inChannels 4, outChannels 6). Change groups or the channels.",
  () => conv2d(image, x(6, 1, 3, 3), null, { groups: 3 }),
);
refuses(
  ShapeError,
  "conv2d: groups must divide the channels (groups 2, inChannels 4, outChannels 5). Change groups or the channels.",
  () => conv2d(image, x(5, 2, 3, 3), null, { groups: 2 }),
);
refuses(
  ShapeError,
  "conv2d: input channels differ (x [1,4,5,6] has 4, weight [6,3,3,3] takes 6 in 2 groups). Give x 6 channels, or the weight 2.",
  () => conv2d(image, x(6, 3, 3, 3), null, { groups: 2 }),
);
refuses(
  ShapeError,
  "conv2d: dilation must be an integer of at least 1, or two of them (dilation [1,0]). Change dilation.",
  () => conv2d(image, x(2, 4, 3, 3), null, { dilation: [1, 0] }),
);
refuses(
  ShapeError,
  "conv2d: the window is larger than the padded input (height 5 + 2·1, kernelSize 3, dilation 4). " +
    "Use a larger input, more padding or a smaller dilation.",
  () => conv2d(image, x(2, 4, 3, 3), null, { dilation: 4, padding: 1 }),
);

refuses(
  ShapeError,
  "convTranspose2d: x must have 4 dimensions, [batch, channels, height, width] (x [4,5,6]). Reshape it.",
  () => convTranspose2d(x(4, 5, 6), x(4, 2, 3, 3)),
);
refuses(
  ShapeError,
  "convTranspose2d: weight must have 4 dimensions, [inChannels, outChannels, kernelHeight, kernelWidth] (weight [4,18]). Reshape it.",
  () => convTranspose2d(image, x(4, 18)),
);
refuses(
  ShapeError,
  "convTranspose2d: input channels differ (x [1,4,5,6] has 4, weight [3,2,3,3] takes 3). Give x 3 channels, or the weight 4.",
  () => convTranspose2d(image, x(3, 2, 3, 3)),
);
refuses(
  ShapeError,
  "convTranspose2d: groups must divide the channels (groups 3, inChannels 4, outChannels 6). Change groups or the channels.",
  () => convTranspose2d(image, x(4, 2, 3, 3), null, { groups: 3 }),
);
refuses(
  ShapeError,
  "convTranspose2d: bias must have one value per output, 6 (bias [3]). Give a bias [6] or null.",
  () => convTranspose2d(image, x(4, 3, 3, 3), x(3), { groups: 2 }),
);
refuses(
  ShapeError,
  "convTranspose2d: outputPadding must be below stride or dilation (width: outputPadding 2, stride 2, dilation 1). Use less outputPadding.",
  () => convTranspose2d(image, x(4, 2, 3, 3), null, { stride: [3, 2], outputPadding: 2 }),
);
refuses(
  ShapeError,
  "convTranspose2d: nothing is left of the output (height 0 of input 1, kernelSize 2, padding 1). Use less padding.",
  () => convTranspose2d(x(1, 4, 1, 6), x(4, 2, 2, 3), null, { padding: 1 }),
);
refuses(
  ShapeError,
  "Conv2d: groups must divide the channels (groups 2, inChannels 3, outChannels 4). Change groups or the channels.",
  () => new Conv2d(oracle, { inChannels: 3, outChannels: 4, kernelSize: 1, groups: 2 }),
);
refuses(
  ShapeError,
  "ConvTranspose2d: outputPadding must be an integer of at least 0, or two of them (outputPadding -1). Change outputPadding.",
  () => new ConvTranspose2d(oracle, { inChannels: 4, outChannels: 4, kernelSize: 1, outputPadding: -1 }),
);
refuses(
  ShapeError,
  "ConvTranspose2d: inChannels must be an integer of at least 1 (inChannels 0). Change inChannels.",
  () => new ConvTranspose2d(oracle, { inChannels: 0, outChannels: 4, kernelSize: 1 }),
);

test.run();
