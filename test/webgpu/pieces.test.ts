/**
 * Tensors that lie in several pieces, as weights of hundreds of megabytes do where a GPU lets kernels see 128 MiB: here with pieces of a few
 * kilobytes, against the plain loops.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { WebGpuBackend } from "#src/backend/webgpu/webgpu-backend.js";
import { Engine } from "#src/core/engine.js";
import { MemoryFullError } from "#src/core/errors.js";
import type { Parameter, Tensor } from "#src/core/tensor.js";
import { createEngine } from "#src/engine.js";
import { QuantizedWeight } from "#src/nn/index.js";
import { NODE } from "#src/node-host.js";
import { add, linear, linearQuantized, maxPool2d, mul, relu, scale, sum } from "#src/ops/index.js";
import { Adam, AdamW, SGD } from "#src/optim/index.js";
import { maxRelativeError } from "../helpers/compare.js";
import { checkResult, type OpRun, randomTensor, recordParameter, runOp } from "../helpers/run-op.js";
import { GPU_TOLERANCE } from "../helpers/webgpu.js";
import { gpuTest, gpuTests, engines as unlimited } from "./gpu-tests.js";

/** Engines with pieces of these sizes; none where there is no adapter. */
async function enginesWith(...sizes: readonly number[]): Promise<readonly Engine[]> {
  if (unlimited.length === 0) return [];
  const backends = await Promise.all(sizes.map((pieceBytes) => WebGpuBackend.create(NODE, { pieceBytes })));
  return backends.map((backend) => new Engine(backend, async () => {}, { keepTransformedWeights: true }));
}

/** Pieces of 256 and 768 floats. */
const small = await enginesWith(1024, 3072);
/** Of 4096, which sums are computed in. */
const large = await enginesWith(16384);
const oracle = await createEngine({ backend: "reference", precision: "float64" });

gpuTests();
test.after(async () => {
  for (const engine of [...small, ...large]) await engine.close();
});

/** A test that an operation and its gradients agree with the plain loops. */
function compare(name: string, engines: readonly Engine[], run: OpRun): void {
  gpuTest(name, async () => {
    const expected = await runOp(oracle, run);
    for (const engine of engines) checkResult(await runOp(engine, run), expected, GPU_TOLERANCE);
  });
}

/** A test that what `job` computes agrees. */
function compareValues(
  name: string,
  engines: readonly Engine[],
  job: (engine: Engine) => Promise<readonly ArrayLike<number>[]>,
): void {
  gpuTest(name, async () => {
    const expected = await job(oracle);
    for (const engine of engines) {
      const actual = await job(engine);
      assert.is(actual.length, expected.length);
      actual.forEach((values, i) => {
        const error = maxRelativeError(values, expected[i]);
        assert.ok(error <= GPU_TOLERANCE, `value ${i}: relative error ${error.toExponential(2)}`);
      });
    }
  });
}

/** Rows of the weight end inside pieces, on their borders, or are longer than a piece; images few and many. */
const LINEAR: readonly (readonly [batch: number, inFeatures: number, outFeatures: number])[] = [
  [1, 100, 9],
  [2, 67, 21],
  [1, 64, 17],
  [1, 256, 5],
  [9, 28, 28],
  [10, 23, 25],
  [9, 26, 27],
  [12, 20, 19],
];
for (const [batch, inFeatures, outFeatures] of LINEAR) {
  compare(`linear x=[${batch},${inFeatures}] w=[${outFeatures},${inFeatures}]`, small, {
    inputs: {
      x: randomTensor("x", [batch, inFeatures]),
      weight: randomTensor("weight", [outFeatures, inFeatures]),
      bias: randomTensor("bias", [outFeatures]),
    },
    forward: (t) => relu(linear(t.x, t.weight, t.bias)),
    dy: randomTensor("dy", [batch, outFeatures]),
  });
}

compare("linear + relu + linear: dx is masked by the last piece", small, {
  inputs: {
    x: randomTensor("x", [3, 20]),
    first: randomTensor("first", [24, 20]),
    second: randomTensor("second", [33, 24]),
  },
  forward: (t) => linear(relu(linear(t.x, t.first)), t.second),
  dy: randomTensor("dy", [3, 33]),
});

for (const type of ["float16", "int8"] as const) {
  for (const [batch, inFeatures, outFeatures] of [
    [1, 100, 43],
    [2, 99, 45],
    [10, 61, 70],
    [9, 76, 84],
  ]) {
    compareValues(
      `linearQuantized ${type} x=[${batch},${inFeatures}] w=[${outFeatures},${inFeatures}]`,
      batch > 2 ? small.slice(1) : small,
      async (engine) => {
        const weight = new QuantizedWeight(engine, outFeatures, inFeatures, type);
        await weight.write(Float32Array.from(randomTensor("weight", [outFeatures, inFeatures]).data));
        const x = randomTensor("x", [batch, inFeatures]);
        const { data } = randomTensor("bias", [outFeatures]);
        const bias = engine.tensor(data, [outFeatures]);
        return [await linearQuantized(engine.tensor(x.data, x.shape), weight, weight.scale, bias).values()];
      },
    );
  }
}

type Optimiser = SGD | Adam | AdamW;
const OPTIMISERS: Readonly<Record<string, (parameter: Parameter) => Optimiser>> = {
  "sgd with momentum": (p) => new SGD([p], { lr: 0.1, momentum: 0.9, weightDecay: 0.01 }),
  "sgd without momentum": (p) => new SGD([p], { lr: 0.1, weightDecay: 0.01 }),
  "sgd as caffe": (p) => new SGD([p], { lr: 0.1, momentum: 0.9, weightDecay: 0.01, form: "caffe" }),
  adam: (p) => new Adam([p], { lr: 0.1, weightDecay: 0.01 }),
  adamW: (p) => new AdamW([p], { lr: 0.1, weightDecay: 0.01 }),
};
for (const [name, make] of Object.entries(OPTIMISERS)) {
  compareValues(`${name} param=[10003], two steps`, large, async (engine) => {
    const param = await engine.scope(() => recordParameter(engine, "param", randomTensor("param", [10003])));
    const optimiser = make(param);
    for (const lr of [0.1, 0.03]) {
      optimiser.lr = lr;
      await engine.scope(() => {
        optimiser.zeroGrad();
        sum(mul(mul(param, param), param)).backward();
        optimiser.step();
      });
    }
    return [await param.values(), ...(await Promise.all([...optimiser.stateDict().values()].map((t) => t.values())))];
  });
  for (const [batch, inFeatures, outFeatures] of [
    [3, 28, 29],
    [5, 23, 31],
  ]) {
    compareValues(`${name} of linear w=[${outFeatures},${inFeatures}], two steps`, small, async (engine) => {
      const values = randomTensor("weight", [outFeatures, inFeatures]);
      const weight = await engine.scope(() => recordParameter(engine, "weight", values));
      const optimiser = make(weight);
      for (const step of ["first", "second"]) {
        const { data, shape } = randomTensor(step, [batch, inFeatures]);
        await engine.scope(() => {
          const y = linear(engine.tensor(data, shape), weight);
          optimiser.zeroGrad();
          sum(mul(y, y)).backward();
          optimiser.step();
        });
      }
      return [await weight.values()];
    });
  }
}

compareValues("a second backward() adds to the gradient of a weight w=[29,28]", small, async (engine) => {
  const weight = await engine.scope(() => recordParameter(engine, "weight", randomTensor("weight", [29, 28])));
  for (const step of ["first", "second"]) {
    const { data, shape } = randomTensor(step, [3, 28]);
    await engine.scope(() => {
      const y = linear(engine.tensor(data, shape), weight);
      sum(mul(y, y)).backward();
    });
  }
  return [(await weight.grad?.values()) ?? []];
});

for (const length of [4096, 4097, 10003]) {
  const values = (name: string) => randomTensor(`${name} ${length}`, [length]);
  compare(`relu, add, mul, scale, sum x=[${length}]`, large, {
    inputs: { a: values("a"), b: values("b") },
    forward: ({ a, b }) => sum(mul(relu(add(a, b)), scale(a, -0.3))),
    dy: null,
  });
}

compareValues("copy, fill, and parts that are read and written, x=[2000]", small, async (engine) => {
  const { data } = randomTensor("x", [2000]);
  const x = engine.stateTensor([2000], "x");
  await x.write(data);
  const whole = await x.read();
  await x.write(data.subarray(100, 900), 700);
  const y = await engine.scope(() => {
    const y = engine.emptyTensor([1500]);
    engine.record("fill", { length: 1500, factor: 0.5 }, { y });
    engine.record("copy", { length: 1111, xBegin: 333, yBegin: 210 }, { x, y });
    return y;
  });
  return [whole, await x.read(250, 1800), await y.values()];
});

compareValues("a tensor is filled from bytes, x=[1300]", small, async (engine) => {
  const { data } = randomTensor("x", [1300]);
  const x = engine.stateTensor([1300], "x");
  if (engine === oracle) await x.write(data);
  else {
    await x.writeFrom(async (bytes) => {
      bytes.set(new Uint8Array(Float32Array.from(data).buffer));
    });
  }
  return [await x.read()];
});

const TOO_LARGE: Readonly<Record<string, (engine: Engine) => Tensor>> = {
  "linear: x": (engine) =>
    linear(engine.tensor(new Float32Array(800), [2, 400]), engine.tensor(new Float32Array(400), [1, 400])),
  "maxPool2d: x": (engine) => maxPool2d(engine.tensor(new Float32Array(800), [1, 2, 20, 20]), { kernelSize: 2 }),
};
for (const [label, op] of Object.entries(TOO_LARGE)) {
  gpuTest(`${label} does not fit one piece, and the kernel says so`, async () => {
    let thrown: unknown = null;
    await op(small[0])
      .data()
      .catch((error: unknown) => {
        thrown = error;
      });
    assert.instance(thrown, MemoryFullError);
    assert.match(
      String(thrown),
      `webgpu: a tensor is larger than the GPU lets a kernel see (${label} 4 kB, at most 2 kB). Use a smaller batch, a smaller width or input size.`,
    );
  });
}

test.run();
