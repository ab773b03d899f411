/**
 * What shaders lose easily: a NaN on its way through a whole net to the loss (max, comparisons and drivers' own functions drop it), logits
 * whose exponentials overflow, labels that are no class, ranks among ties and NaN.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import type { Tensor } from "#src/core/tensor.js";
import {
  conv2d,
  crossEntropy,
  flatten,
  labelRank,
  labelsTensor,
  linear,
  localResponseNorm,
  logSoftmax,
  maxPool2d,
  relu,
} from "#src/ops/index.js";
import { maxRelativeError } from "../helpers/compare.js";
import { type Inputs, type OpRun, randomTensor, runOp, type TensorData } from "../helpers/run-op.js";
import { GPU_TOLERANCE } from "../helpers/webgpu.js";
import { compareOnGpu, engines, gpuTest, gpuTests, oracle } from "./gpu-tests.js";

gpuTests();

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

// ---- a NaN reaches the loss ---------------------------------------------------------------------------------------------

const BATCH = 2;
const CLASSES = 5;
const LABELS = [1, 4];
const LAYERS: Readonly<Record<string, TensorData>> = {
  x: randomTensor("x", [BATCH, 3, 16, 16]),
  weight1: randomTensor("weight1", [8, 3, 3, 3]),
  bias1: randomTensor("bias1", [8]),
  weight2: randomTensor("weight2", [8, 8, 3, 3], -0.3, 0.3),
  bias2: randomTensor("bias2", [8]),
  weight3: randomTensor("weight3", [CLASSES, 128], -0.3, 0.3),
  bias3: randomTensor("bias3", [CLASSES]),
};

/** Two blocks of VGG, the first with its response normalisation. */
function logitsOf(t: Inputs): Tensor {
  const first = localResponseNorm(relu(conv2d(t.x, t.weight1, t.bias1, { padding: 1 })), { size: 5, alpha: 0.1 });
  const second = relu(conv2d(maxPool2d(first, { kernelSize: 2 }), t.weight2, t.bias2, { padding: 1 }));
  return linear(flatten(maxPool2d(second, { kernelSize: 2 })), t.weight3, t.bias3);
}

function tensorsOf(engine: Engine, layers: Readonly<Record<string, TensorData>>): Inputs {
  return Object.fromEntries(
    Object.entries(layers).map(([role, { data, shape }]) => [role, engine.tensor(data, shape)]),
  );
}

function withValue(role: string, place: number, value: number): Readonly<Record<string, TensorData>> {
  const { shape, data } = LAYERS[role];
  return { ...LAYERS, [role]: { shape, data: data.map((old, i) => (i === place ? value : old)) } };
}

function training(layers: Readonly<Record<string, TensorData>>): OpRun {
  return {
    inputs: layers,
    forward: (t, engine) => crossEntropy(logitsOf(t), labelsTensor(engine, LABELS, CLASSES)),
    dy: null,
  };
}

compareOnGpu("net without NaN", () => training(LAYERS), 5 * GPU_TOLERANCE);

// In a corner and in the middle of the first image.
for (const [role, place] of [
  ["x", 0],
  ["x", 256 + 8 * 16 + 7],
] as const) {
  for (const value of [nan, infinity]) {
    gpuTest(
      `${value} at ${place} of the first of two images: its logits are NaN, those of the other as ever`,
      async () => {
        const clean = await logitsOf(tensorsOf(oracle, LAYERS)).values();
        for (const engine of engines) {
          const tensors = tensorsOf(engine, withValue(role, place, value));
          const logits = await logitsOf(tensors).values();
          assert.ok(logits.slice(0, CLASSES).every(Number.isNaN), `${logits}`);
          assert.ok(maxRelativeError(logits.slice(CLASSES), clean.slice(CLASSES)) <= 5 * GPU_TOLERANCE, `${logits}`);
          const loss = crossEntropy(logitsOf(tensors), labelsTensor(engine, LABELS, CLASSES));
          assert.ok(Number.isNaN(await loss.item()));
        }
      },
    );
  }
}

for (const [role, place] of [
  ["x", 0],
  ["x", 2 * 3 * 256 - 1],
  ["weight1", 40],
  ["bias1", 7],
  ["weight2", 0],
  ["bias2", 3],
  ["weight3", 639],
  ["bias3", 2],
] as const) {
  gpuTest(`NaN at ${place} of ${role}: loss and gradients are NaN where the plain loops' are`, async () => {
    const run = training(withValue(role, place, nan));
    const expected = await runOp(oracle, run);
    assert.ok(Number.isNaN(expected.y[0]));
    for (const engine of engines) {
      const { y, gradients } = await runOp(engine, run);
      assert.ok(Number.isNaN(y[0]), `loss ${y}`);
      for (const [name, values] of Object.entries(expected.gradients)) {
        const lost = values.findIndex((value, i) => Number.isNaN(value) && !Number.isNaN(gradients[name][i]));
        assert.is(lost, -1, `d${name} at ${lost}: ${gradients[name][lost]}`);
      }
    }
  });
}

// ---- large logits ---------------------------------------------------------------------------------------------------------

for (const [name, rows] of Object.entries({
  "±10000": [
    [10000, -10000, 0],
    [-10000, -10000, -10000],
    [10000, 10000, 9999],
  ],
  "the largest numbers": [
    [3e38, -3e38, 0],
    [-3e38, -3e38, -3e38],
    [1, 2, 3],
  ],
})) {
  const shape = [3, 3];
  gpuTest(`logSoftmax x=[${shape}] of ${name}: as the plain loops`, async () => {
    const expected = await logSoftmax(oracle.tensor(rows.flat(), shape)).values();
    for (const engine of engines) {
      const y = await logSoftmax(engine.tensor(rows.flat(), shape)).values();
      for (let row = 0; row < 3; row++) {
        // In float32 3e38 + 3e38 is infinite.
        const truth = [...expected.slice(row * 3, row * 3 + 3)].map((value) => Math.fround(value));
        assert.ok(maxRelativeError(y.slice(row * 3, row * 3 + 3), truth) <= GPU_TOLERANCE, `${y}`);
      }
    }
  });
}

compareOnGpu("crossEntropy x=[3,3] of ±10000", () => ({
  inputs: {
    x: { shape: [3, 3], data: Float32Array.of(10000, -10000, 0, -10000, -10000, -10000, 10000, 10000, 9999) },
  },
  forward: (t, engine) => crossEntropy(t.x, labelsTensor(engine, [1, 0, 2], 3)),
  dy: null,
}));

// ---- labels and ranks ------------------------------------------------------------------------------------------------------

/** A tensor that a kernel made: its values are not looked at when it is used. */
function computed(engine: Engine, labels: readonly number[]): Tensor {
  const length = labels.length;
  const y = engine.emptyTensor([length], "int32");
  const x = engine.tensor(Int32Array.from(labels), [length]);
  engine.record("copy", { length, xBegin: 0, yBegin: 0 }, { x, y });
  return y;
}

for (const label of [-1, 3, 7, 2 ** 31 - 1, -(2 ** 31)]) {
  gpuTest(`computed label ${label} of 3 classes: loss and the row's gradient are NaN, the rank the last`, async () => {
    for (const engine of engines) {
      const logits = engine.parameter([2, 3], "logits");
      await logits.write(Float32Array.of(1, 2, 3, 4, 5, 6));
      const labels = computed(engine, [label, 1]);
      const loss = crossEntropy(logits, labels);
      const ranks = labelRank(logits, labels);
      loss.backward();
      const [value, rank, gradient] = await Promise.all([loss.item(), ranks.data(), logits.grad?.data()]);
      assert.ok(Number.isNaN(value));
      assert.equal([...rank], [3, 1]);
      assert.equal([...(gradient ?? [])].map(Number.isNaN), [true, true, true, false, false, false]);
    }
  });
}

for (const classes of [1, 2, 63, 64, 65, 1000, 1025]) {
  const shape = [6, classes];
  gpuTest(`labelRank x=[${shape}] with ties, infinities and NaN: as the plain loops`, async () => {
    const some = [nan, infinity, -infinity, -0, 0, 1, 2, 3];
    const x = Array.from(randomTensor(`ranks ${classes}`, shape, 0, 8).data, (value) => some[Math.floor(value)]);
    const labels = [0, classes - 1, classes >> 1, classes >> 2, classes - 1, 0];
    const ranksOf = async (engine: Engine) => [
      ...(await labelRank(engine.tensor(x, shape), labelsTensor(engine, labels, classes)).values()),
    ];
    const expected = await ranksOf(oracle);
    for (const engine of engines) assert.equal(await ranksOf(engine), expected);
  });
}

test.run();
