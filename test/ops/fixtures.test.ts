/** Every operation against PyTorch, forward and backward, on every backend. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { BackendError } from "#src/core/errors.js";
import type { Parameter, Tensor } from "#src/core/tensor.js";
import { createEngine } from "#src/engine.js";
import { BatchNorm1d, BatchNorm2d } from "#src/nn/index.js";
import {
  adaptiveAvgPool2d,
  adaptiveMaxPool2d,
  add,
  avgPool2d,
  channelsLast,
  concat,
  conv2d,
  convTranspose2d,
  crop2d,
  crossEntropy,
  euclideanLoss,
  globalAvgPool2d,
  leakyRelu,
  linear,
  localResponseNorm,
  logSoftmax,
  maxPool2d,
  mseLoss,
  mul,
  relu,
  scale,
  sigmoid,
  sum,
  tanh,
  upsampleBilinear2d,
} from "#src/ops/index.js";
import { Adam, AdamW, SGD } from "#src/optim/index.js";
import { maxRelativeError } from "../helpers/compare.js";
import { BACKENDS } from "../helpers/engines.js";
import { FIXTURE_FILES, type FixtureOptions, type OpFixture, readOpFixtures } from "../helpers/fixtures.js";
import { type Inputs, recordParameter, runOp, type TensorData } from "../helpers/run-op.js";
import { GPU_TOLERANCE, onGpu } from "../helpers/webgpu.js";

/**
 * Relative to the largest value of a tensor. Products over 360 terms come to 8e-7. One sum, of 120 terms, nearly cancels (its
 * result is a 400th of its terms' magnitudes) and comes to 9.5e-6, which is 2.4e-8 of those magnitudes. The bits are the same
 * on every machine, so the margin need not be wide; those of a GPU are its driver's.
 */
const TOLERANCE = onGpu() ? GPU_TOLERANCE : 1e-5;
/** Winograd's F(4x4) and F(6x6) multiply by up to 32 and add what nearly cancels. */
const LARGE_TILE_TOLERANCE = 5e-5;

interface FixtureOp {
  forward(inputs: Inputs, options: FixtureOptions): Tensor;
  /** Where PyTorch's results are called something else than y and d<input>. */
  readonly names?: Readonly<Record<string, string>>;
}

const OPS: Readonly<Record<string, FixtureOp>> = {
  conv2d: { forward: ({ x, weight, bias }, options) => conv2d(x, weight, bias ?? null, options) },
  convTranspose2d: { forward: ({ x, weight, bias }, options) => convTranspose2d(x, weight, bias ?? null, options) },
  upsampleBilinear2d: { forward: ({ x }, options) => upsampleBilinear2d(x, options) },
  maxPool2d: { forward: ({ x }, options) => maxPool2d(x, options) },
  avgPool2d: { forward: ({ x }, options) => avgPool2d(x, options) },
  adaptiveAvgPool2d: { forward: ({ x }, { outputSize }) => adaptiveAvgPool2d(x, outputSize) },
  adaptiveMaxPool2d: { forward: ({ x }, { outputSize }) => adaptiveMaxPool2d(x, outputSize) },
  globalAvgPool2d: { forward: ({ x }) => globalAvgPool2d(x) },
  concat: { forward: ({ a, b, c }) => concat(c ? [a, b, c] : [a, b]) },
  crop2d: { forward: ({ x }, options) => crop2d(x, options) },
  channelsLast: { forward: ({ x }) => channelsLast(x) },
  tanh: { forward: ({ x }) => tanh(x) },
  sigmoid: { forward: ({ x }) => sigmoid(x) },
  leakyRelu: { forward: ({ x }, { slope }) => leakyRelu(x, slope) },
  mseLoss: { forward: ({ x, target }) => mseLoss(x, target), names: { y: "loss" } },
  euclideanLoss: { forward: ({ x, target }) => euclideanLoss(x, target), names: { y: "loss" } },
  linear: { forward: ({ x, weight, bias }) => linear(x, weight, bias ?? null) },
  relu: { forward: ({ x }) => relu(x) },
  add: { forward: ({ a, b }) => add(a, b) },
  mul: { forward: ({ a, b }) => mul(a, b) },
  scale: { forward: ({ x }, { factor }) => scale(x, factor) },
  sum: { forward: ({ x }) => sum(x) },
  localResponseNorm: { forward: ({ x }, options) => localResponseNorm(x, options) },
  logSoftmax: { forward: ({ x }) => logSoftmax(x) },
  crossEntropy: { forward: ({ x, labels }) => crossEntropy(x, labels), names: { y: "loss", dx: "dLogits" } },
};

/** Inputs of any operation; all else in a fixture are results. */
const INPUTS = ["x", "weight", "bias", "a", "b", "c", "target", "labels"];

type Results = Record<string, Float64Array>;

/** All that the engine computes of a case, under the fixture's names. */
async function compute(engine: Engine, fixture: OpFixture): Promise<Results> {
  if (fixture.op in OPTIMISERS) return computeUpdates(engine, fixture);
  if (fixture.op === "batchNorm") return computeBatchNorm(engine, fixture);
  if (fixture.op === "batchNormSteps") return computeBatchNormSteps(engine, fixture);
  const { forward, names = {} } = OPS[fixture.op];
  const inputs: Record<string, TensorData> = {};
  for (const role of INPUTS) if (fixture.tensors[role]) inputs[role] = fixture.tensors[role];
  const { y, gradients } = await runOp(engine, {
    inputs,
    forward: (tensors) => forward(tensors, fixture.options),
    dy: fixture.tensors.dy ?? null,
  });
  const results: Results = { [names.y ?? "y"]: y };
  for (const [role, values] of Object.entries(gradients)) {
    const name = role.length === 1 ? `d${role}` : `d${role[0].toUpperCase()}${role.slice(1)}`;
    results[names[name] ?? name] = values;
  }
  return results;
}

/** Makes the optimiser of a case. */
const OPTIMISERS: Readonly<Record<string, (parameter: Parameter, options: FixtureOptions) => SGD | Adam | AdamW>> = {
  sgd: (parameter, { lr, momentum, weightDecay, form }) =>
    new SGD([parameter], { lr: lr[0], momentum, weightDecay, form }),
  adam: (parameter, { lr, ...settings }) => new Adam([parameter], { ...settings, lr: lr[0] }),
  adamw: (parameter, { lr, ...settings }) => new AdamW([parameter], { ...settings, lr: lr[0] }),
};

/** Some steps; the loss is the sum of param · grad<n>, so that the gradient is grad<n>. */
async function computeUpdates(engine: Engine, { op, options, tensors }: OpFixture): Promise<Results> {
  const param = await engine.scope(() => recordParameter(engine, "param", tensors.param0));
  const optimiser = OPTIMISERS[op](param, options);
  const results: Results = {};
  for (const [i, rate] of options.lr.entries()) {
    const grad = tensors[`grad${i + 1}`];
    optimiser.lr = rate;
    await engine.scope(() => {
      optimiser.zeroGrad();
      sum(mul(param, engine.tensor(grad.data, grad.shape))).backward();
      optimiser.step();
    });
    results[`param${i + 1}`] = await param.values();
    for (const [name, state] of optimiser.stateDict()) {
      results[`${name.replace("param.", "")}${i + 1}`] = await state.values();
    }
  }
  return results;
}

/** A layer with the state of the case. */
async function batchNormLayer(engine: Engine, { options, tensors }: OpFixture): Promise<BatchNorm1d | BatchNorm2d> {
  const { momentum, eps } = options;
  const { weight, bias, mean0, var0 } = tensors;
  const Layer = (tensors.x ?? tensors.x1).shape.length === 2 ? BatchNorm1d : BatchNorm2d;
  const layer = new Layer(engine, { numFeatures: weight.shape[0], momentum, eps });
  await layer.weight.write(weight.data);
  await layer.bias.write(bias.data);
  if (mean0) await layer.runningMean.write(mean0.data);
  if (var0) await layer.runningVar.write(var0.data);
  return layer;
}

/** One pass forward and backward. */
async function computeBatchNorm(engine: Engine, fixture: OpFixture): Promise<Results> {
  const { x, dy } = fixture.tensors;
  const layer = (await batchNormLayer(engine, fixture)).train(fixture.options.training);
  const run = await runOp(engine, { inputs: { x }, forward: (t) => layer.forward(t.x), dy });
  const { weight, bias, runningMean, runningVar } = layer;
  if (!weight.grad || !bias.grad) throw new Error("weight and bias got no gradient");
  return {
    y: run.y,
    dx: run.gradients.x,
    dWeight: await weight.grad.values(),
    dBias: await bias.grad.values(),
    mean1: await runningMean.values(),
    var1: await runningVar.values(),
  };
}

/** Three passes in training mode, then one in evaluation. */
async function computeBatchNormSteps(engine: Engine, fixture: OpFixture): Promise<Results> {
  const layer = await batchNormLayer(engine, fixture);
  const forward = ({ data, shape }: TensorData) => layer.forward(engine.tensor(data, shape)).values();
  const results: Results = {};
  for (const step of [1, 2, 3]) {
    results[`y${step}`] = await forward(fixture.tensors[`x${step}`]);
    results[`mean${step}`] = await layer.runningMean.values();
    results[`var${step}`] = await layer.runningVar.values();
  }
  layer.eval();
  results.yEval = await forward(fixture.tensors.xEval);
  return results;
}

/** What a case must compute: everything in the fixture that is neither an input nor an upstream gradient. */
function expectedNames({ op, options, tensors }: OpFixture): string[] {
  const given = (name: string): boolean => {
    // Without momentum neither PyTorch nor this library keeps a velocity.
    if (op in OPTIMISERS) return /^(param0|grad\d)$/.test(name) || (options.momentum === 0 && /^velocity/.test(name));
    if (op.startsWith("batchNorm") && /^(mean0|var0|x\d|xEval)$/.test(name)) return true;
    return name === "dy" || INPUTS.includes(name);
  };
  return Object.keys(tensors).filter((name) => !given(name));
}

const fixtures = await readOpFixtures();
const worst = new Map<string, number[]>(fixtures.map(({ op }) => [op, BACKENDS.map(() => 0)]));

for (const [backend, { name, options, largeTiles }] of BACKENDS.entries()) {
  const test = suite(`fixtures, ${name}`);
  let engine: Engine;
  const ran = new Map<string, number>();

  test.before(async () => {
    engine = await createEngine(options);
  });

  test.after(async () => {
    await engine.close();
    if (backend === BACKENDS.length - 1) printWorst();
  });

  for (const fixture of fixtures) {
    test(`${name}: ${fixture.op} ${fixture.name}`, async () => {
      const results = await compute(engine, fixture);
      assert.equal(Object.keys(results).sort(), expectedNames(fixture).sort());
      for (const [tensor, values] of Object.entries(results)) {
        const error = maxRelativeError(values, fixture.tensors[tensor].data);
        assert.ok(
          error <= (largeTiles ? LARGE_TILE_TOLERANCE : TOLERANCE),
          `${tensor}: relative error ${error.toExponential(2)}`,
        );
        const row = worst.get(fixture.op);
        if (row) row[backend] = Math.max(row[backend], error);
      }
      ran.set(fixture.file, (ran.get(fixture.file) ?? 0) + 1);
    });
  }

  for (const [file, cases] of Object.entries(FIXTURE_FILES)) {
    test(`${name}: ${cases} cases of ${file} ran`, () => {
      assert.is(ran.get(file), cases);
    });
  }

  test.run();
}

// Addresses are wasm's.
if (!onGpu()) {
  const arena = suite("fixtures, arena");

  arena("arenaBaseBytes takes effect: 64 KiB below 4 GiB, 128 KiB do not fit", async () => {
    const engine = await createEngine({ threads: 1, arenaBaseBytes: 2 ** 32 - 2 ** 16 });
    const x = engine.tensor(new Float32Array(2 ** 15), [2 ** 15]);
    let thrown: unknown = null;
    await relu(x)
      .data()
      .catch((error: unknown) => {
        thrown = error;
      });
    assert.instance(thrown, BackendError);
    assert.match(String(thrown), /^MemoryFullError: wasm: memory is full /);
    await engine.close();
  });

  arena.run();
}

/** Worst relative error of each operation and backend. */
function printWorst(): void {
  const line = (op: string, cells: readonly string[]): string =>
    `  ${op.padEnd(18)}${cells.map((cell) => cell.padStart(13)).join("")}`;
  const heads = BACKENDS.map(({ short }) => short);
  const rows = [...worst].map(([op, errors]) =>
    line(
      op,
      errors.map((error) => error.toExponential(1)),
    ),
  );
  console.log(["", line("relative errors", heads), ...rows].join("\n"));
}
