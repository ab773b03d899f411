/** Transformed weights that are kept: the same bits, made once a version, never stale, and gone when memory is needed. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { collectGarbage } from "#src/collect.js";
import { BackendError, UsageError } from "#src/core/errors.js";
import { Random } from "#src/core/random.js";
import type { Tensor } from "#src/core/tensor.js";
import { createEngine, type EngineOptions } from "#src/engine.js";
import type { Engine } from "#src/index.js";
import { Conv2d, Flatten, Linear, ReLU, Sequential } from "#src/nn/index.js";
import { crossEntropy, mul, relu, sum } from "#src/ops/index.js";
import { SGD } from "#src/optim/index.js";
import { rejects } from "./nets.js";

const SIDE = 12;

/** Transformed filters of F(4x4): 36 places of 8 output and 4 input channels or multiples of that, and a cache line. */
function filterBytes(inChannels: number, outChannels: number): number {
  return 36 * (Math.ceil(outChannels / 8) * 8 * Math.ceil(inChannels / 4) * 4 * 4 + 64);
}
const NET_FILTER_BYTES = filterBytes(3, 16) + filterBytes(16, 16);

const WINOGRAD = { convAlgorithm: "winograd4", threads: 1 } as const;

function randomTensor(engine: Engine, shape: readonly number[], seed = 0): Tensor {
  const random = new Random(seed, "values");
  const size = shape.reduce((product, side) => product * side, 1);
  return engine.tensor(
    Float32Array.from({ length: size }, () => random.uniform() - 0.5),
    shape,
  );
}

function convNet(engine: Engine): Sequential {
  const conv = (inChannels: number, seed: number): Conv2d =>
    new Conv2d(engine, { inChannels, outChannels: 16, kernelSize: 3, padding: 1, random: new Random(seed, "conv") });
  return new Sequential([
    conv(3, 1),
    new ReLU(),
    conv(16, 2),
    new Flatten(),
    new Linear(engine, { inFeatures: 16 * SIDE * SIDE, outFeatures: 4, random: new Random(3, "linear") }),
  ]);
}

function logits(engine: Engine, net: Sequential, seed = 0): Tensor {
  return net.forward(randomTensor(engine, [1, 3, SIDE, SIDE], seed));
}

function recordStep(engine: Engine, net: Sequential, optimiser: SGD, batch = 2): Tensor {
  optimiser.zeroGrad();
  const x = randomTensor(engine, [batch, 3, SIDE, SIDE]);
  const labels = engine.tensor(
    Int32Array.from({ length: batch }, (_, i) => i % 4),
    [batch],
  );
  const loss = crossEntropy(net.forward(x), labels);
  loss.backward();
  optimiser.step();
  return loss;
}

/** How many filters a program transforms. */
async function transformsIn(engine: Engine, fn: () => unknown): Promise<number> {
  const { calls } = await engine.profile(fn);
  return calls.flatMap(({ launches }) => launches).filter(({ kernel }) => kernel === "winogradTransformWeight").length;
}

/** Everything that the cache could get wrong, one after the other: the values that come out. */
async function story(options: EngineOptions): Promise<Float32Array[]> {
  const engine = await createEngine({ ...WINOGRAD, ...options });
  const net = convNet(engine);
  const optimiser = new SGD(net.parameters(), { lr: 0.1, momentum: 0.9 });
  const first = net.parameters()[0];
  const values: Float32Array[] = [];
  const look = async (): Promise<void> => {
    for (let seed = 0; seed < 2; seed++) values.push(await logits(engine, net, seed).data());
  };
  await look();
  await engine.scope(() => recordStep(engine, net, optimiser));
  await look();
  // Recorded on values that are not computed yet.
  const loss = recordStep(engine, net, optimiser);
  const after = logits(engine, net);
  values.push(...(await Promise.all([after.data(), loss.data()])));
  await look();
  await first.write(Float32Array.of(3), 5);
  await look();
  const other = convNet(engine);
  await other.loadStateDict(net.stateDict());
  await first.write(new Float32Array(first.size).fill(0.01));
  await look();
  await net.loadStateDict(other.stateDict());
  await look();
  // In the queue one behind the other.
  const a = engine.scope(() => logits(engine, net));
  const written = first.write(Float32Array.of(2), 7);
  const b = engine.scope(() => logits(engine, net));
  values.push(await (await a).data(), await (await b).data());
  await written;
  // A scope that throws leaves no trace.
  try {
    await engine.scope(() => {
      recordStep(engine, net, optimiser);
      throw new Error("no");
    });
  } catch {
    await look();
  }
  for await (const { index, read, tensors } of engine.steps(() => logits(engine, net))) {
    if (index === 0 && tensors.y) values.push(await read(tensors.y));
  }
  await look();
  await engine.close();
  return values;
}

for (const threads of [1, 2]) {
  test(`inference, steps, writes, loads, queued programs, a throw, steps(): the same bits with and without, ${threads} threads`, async () => {
    const [kept, made] = [await story({ threads }), await story({ threads, keepTransformedWeights: false })];
    assert.is(kept.length, 21);
    assert.equal(kept, made);
  });
}

for (const convAlgorithm of ["winograd4", "winograd6"] as const) {
  for (const threads of [1, 2]) {
    test(`x=[2,512,7,6] w=[200,512,3,3], ${convAlgorithm}, ${threads} threads: in parts where they are not kept, the same bits`, async () => {
      const results: Float32Array[][] = [];
      for (const keepTransformedWeights of [true, false]) {
        const engine = await createEngine({ convAlgorithm, threads, keepTransformedWeights });
        const sizes = { inChannels: 512, outChannels: 200, kernelSize: 3, padding: 1 };
        const layer = new Conv2d(engine, { ...sizes, random: new Random(1, "conv") });
        await layer.bias?.write(Float32Array.from({ length: 200 }, (_, i) => i / 1000));
        const before = engine.parameter([2, 512, 7, 6], "x");
        await before.write(Float32Array.from({ length: before.size }, (_, i) => ((i * 7) % 31) / 31 - 0.5));
        const run = (): Tensor => relu(layer.forward(relu(before)));
        const { calls } = await engine.profile(run);
        const { launches } = calls.filter(({ kernel }) => kernel === "conv2dForward")[0];
        const parts = launches.filter(({ kernel }) => kernel === "winogradTransformWeight").length;
        assert.is(parts, keepTransformedWeights ? 1 : convAlgorithm === "winograd4" ? 2 : 3);
        const y = run();
        sum(mul(y, y)).backward();
        const [values, dx] = await Promise.all([y.keep().data(), before.grad?.read()]);
        results.push([values, dx ?? new Float32Array(0)]);
        await engine.close();
      }
      assert.ok(results[0][1].some((value) => value !== 0));
      assert.equal(results[1], results[0]);
    });
  }
}

test("the filters are transformed by the first call alone, and again after a write", async () => {
  const engine = await createEngine(WINOGRAD);
  const net = convNet(engine);
  const forward = (): Tensor => logits(engine, net);
  assert.is(await transformsIn(engine, forward), 2);
  assert.is(await transformsIn(engine, forward), 0);
  await net.parameters((name) => name === "2.weight")[0].write(Float32Array.of(1));
  assert.is(await transformsIn(engine, forward), 1);
  assert.is(await transformsIn(engine, forward), 0);
  // Twice on the same filters in one program.
  await net.parameters((name) => name === "2.weight")[0].write(Float32Array.of(2));
  assert.is(await transformsIn(engine, () => [forward(), forward()]), 1);
  // The input gradient's filters are others; those of the first layer are not needed.
  const backward = (): void => sum(forward()).backward();
  assert.is(await transformsIn(engine, backward), 1);
  assert.is(await transformsIn(engine, backward), 0);
});

test("a training step, which writes the weights, keeps nothing and drops what was kept", async () => {
  const engine = await createEngine(WINOGRAD);
  const net = convNet(engine);
  const optimiser = new SGD(net.parameters(), { lr: 0.1, momentum: 0.9 });
  const step = (): void => void recordStep(engine, net, optimiser);
  await engine.scope(step);
  const { usedBytes } = engine.memory();
  await logits(engine, net).data();
  assert.is(engine.memory().usedBytes - usedBytes, NET_FILTER_BYTES);
  assert.is(await transformsIn(engine, step), 3);
  assert.is(engine.memory().usedBytes, usedBytes);
});

test("keepTransformedWeights: false keeps nothing; an engine that is closed gives all back", async () => {
  const used: number[] = [];
  for (const keepTransformedWeights of [true, false]) {
    const engine = await createEngine({ ...WINOGRAD, keepTransformedWeights });
    const net = convNet(engine);
    await logits(engine, net).data();
    assert.is(await transformsIn(engine, () => logits(engine, net)), keepTransformedWeights ? 0 : 2);
    await engine.close();
    used.push(engine.memory().usedBytes);
  }
  assert.is(used[0] < used[1] + NET_FILTER_BYTES, true, JSON.stringify(used));
  await rejects(
    createEngine({ keepTransformedWeights: JSON.parse("1") }),
    UsageError,
    "createEngine: keepTransformedWeights must be true or false (keepTransformedWeights 1). Leave it out.",
  );
});

test("full memory: transformed weights go before anything fails, and come back when there is room", async () => {
  const channels = 128;
  const transformedBytes = filterBytes(channels, channels);
  const run = async (options: EngineOptions) => {
    const engine = await createEngine({ ...WINOGRAD, ...options });
    const layer = { inChannels: channels, outChannels: channels, kernelSize: 3, padding: 1 };
    const net = new Sequential([new Conv2d(engine, layer), new Conv2d(engine, layer)]);
    const forward = (side: number): Tensor => net.forward(randomTensor(engine, [1, channels, side, side]));
    const values = [await forward(8).data(), await forward(40).data(), await forward(8).data()];
    const transforms = [];
    for (const side of [8, 40, 40, 8, 8]) transforms.push(await transformsIn(engine, () => void forward(side)));
    return { engine, forward, values, transforms };
  };
  const { engine: unkept, values: expected } = await run({ keepTransformedWeights: false });
  const enough = unkept.memory().peakBytes;
  const { forward, values, transforms } = await run({ memoryMaxBytes: enough + transformedBytes / 2 });
  assert.equal(values, expected);
  // Without the cache the two layers' filters share a slot.
  assert.equal(transforms, [0, 2, 2, 2, 0]);
  await rejects(
    forward(200).data(),
    BackendError,
    /^wasm: memory is full \(a program's activations, the largest in conv2d \(0\), /,
  );
  assert.equal(await forward(8).data(), expected[0]);
});

test("parameters that are dropped take their transformed weights with them", async () => {
  const engine = await createEngine(WINOGRAD);
  const kept = convNet(engine);
  const run = async (): Promise<void> => void (await logits(engine, convNet(engine)).data());
  await logits(engine, kept).data();
  const { usedBytes } = engine.memory();
  for (let i = 0; i < 3; i++) await run();
  assert.is(engine.memory().usedBytes > usedBytes + NET_FILTER_BYTES, true);
  // The newest program is remembered.
  await logits(engine, kept).data();
  await collectGarbage();
  assert.is(engine.memory().usedBytes, usedBytes);
});

test("two engines: each has its own", async () => {
  const engines = [await createEngine(WINOGRAD), await createEngine(WINOGRAD)];
  const nets = engines.map(convNet);
  const before = await Promise.all(engines.map((engine, i) => logits(engine, nets[i]).data()));
  assert.equal(before[0], before[1]);
  await nets[0].parameters()[0].write(Float32Array.of(9));
  const after = await Promise.all(engines.map((engine, i) => logits(engine, nets[i]).data()));
  assert.equal(after[1], before[1]);
  assert.not.equal(after[0], before[0]);
});

test.run();
