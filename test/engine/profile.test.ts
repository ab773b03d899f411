/** engine.profile(): a program as scope() runs it, and what each of its calls took. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { MemoryFullError, UsageError } from "#src/core/errors.js";
import type { ProfiledCall } from "#src/core/profile.js";
import { Random } from "#src/core/random.js";
import { createEngine, type EngineOptions } from "#src/engine.js";
import { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } from "#src/nn/index.js";
import { crossEntropy, labelsTensor, relu, scale } from "#src/ops/index.js";
import { SGD } from "#src/optim/index.js";
import { rejects, values, weightsHash } from "./nets.js";

/** Microseconds are stored whole. */
const RESOLUTION_MS = 0.002;

function convNet(engine: Engine): Sequential {
  return new Sequential({
    features: new Sequential([
      new Conv2d(engine, { inChannels: 3, outChannels: 8, kernelSize: 3, padding: 1, random: new Random(1, "a") }),
      new ReLU(),
      new MaxPool2d({ kernelSize: 2, stride: 2 }),
      new Conv2d(engine, { inChannels: 8, outChannels: 8, kernelSize: 3, padding: 1, random: new Random(1, "b") }),
    ]),
    flatten: new Flatten(),
    classifier: new Sequential([
      new Linear(engine, { inFeatures: 8 * 8 * 8, outFeatures: 3, random: new Random(1, "c") }),
    ]),
  });
}

function recordStep(model: Sequential, optimiser: SGD, seed: number) {
  const { engine } = model.parameters()[0];
  optimiser.zeroGrad();
  const x = engine.tensor(values(2 * 3 * 256, seed), [2, 3, 16, 16]);
  const loss = crossEntropy(model.forward(x), labelsTensor(engine, [0, 1], 3));
  loss.backward();
  optimiser.step();
  return { loss };
}

function checkTimes(calls: readonly ProfiledCall[], wallMs: number): void {
  let now = 0;
  for (const { beginMs, ms, launches, kernel } of calls) {
    assert.ok(ms >= 0, kernel);
    assert.ok(beginMs >= now - RESOLUTION_MS, `${kernel} begins at ${beginMs}, before ${now}`);
    assert.ok(launches.length > 0, kernel);
    assert.ok(Math.abs(launches[0].beginMs - beginMs) < RESOLUTION_MS, kernel);
    now = beginMs;
    for (const launch of launches) {
      assert.ok(launch.beginMs >= now - RESOLUTION_MS && launch.ms >= 0, launch.kernel);
      now = launch.beginMs + launch.ms;
    }
    assert.ok(Math.abs(now - (beginMs + ms)) < RESOLUTION_MS, kernel);
  }
  const sum = calls.reduce((total, { ms }) => total + ms, 0);
  assert.ok(sum > 0 && sum <= now + RESOLUTION_MS * calls.length, `${sum} of ${now} ms`);
  assert.ok(now <= wallMs + 1, `${now} of ${wallMs} ms`);
}

const ENGINES: [name: string, options: EngineOptions][] = [
  ["wasm 1 thread", { threads: 1 }],
  ["wasm 3 threads", { threads: 3 }],
  ["reference", { backend: "reference" }],
];

for (const [name, options] of ENGINES) {
  test(`${name}: a training step x=[2,3,16,16], every call timed, one after the other`, async () => {
    const engine = await createEngine(options);
    const model = convNet(engine);
    const optimiser = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9 });
    await engine.scope(() => recordStep(model, optimiser, 0));
    const start = performance.now();
    const { result, calls } = await engine.profile(() => recordStep(model, optimiser, 1));
    checkTimes(calls, performance.now() - start);
    assert.ok(Number.isFinite(await result.loss.item()));

    const forward = calls.find(({ module, phase }) => module === "features.3" && phase === "forward");
    assert.ok(forward);
    assert.equal([forward.op, forward.kernel], ["conv2d", "conv2dForward"]);
    assert.is(forward.flops, 2 * (2 * 8 * 8 * 8) * (8 * 9));
    assert.is(forward.bytes, 4 * (2 * 8 * 8 * 8 + 8 * 8 * 9 + 8 + 2 * 8 * 8 * 8));
    assert.match(forward.shape, /^x=\[2,8,8,8\] weight=\[8,8,3,3\] bias=\[8\] y=\[2,8,8,8\]/);
    assert.is(forward.algorithm !== "", options.backend !== "reference");
    for (const module of ["features.0", "features.3", "classifier.0"]) {
      for (const phase of ["forward", "backward", "update"]) {
        const found = calls.filter((call) => call.module === module && call.phase === phase);
        assert.ok(found.length > 0, `${phase} of ${module}`);
      }
    }
    await engine.close();
  });

  test(`${name}: the bits of scope()`, async () => {
    const hashes: string[] = [];
    for (const way of ["scope", "profile"] as const) {
      const engine = await createEngine(options);
      const model = convNet(engine);
      const optimiser = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9 });
      for (let i = 0; i < 3; i++) await engine[way](() => recordStep(model, optimiser, i));
      hashes.push(await weightsHash(model));
      await engine.close();
    }
    assert.is(hashes[0], hashes[1]);
  });
}

test("convAlgorithm: each call says how it was computed, and by which launches", async () => {
  for (const [convAlgorithm, launches] of [
    ["im2col", ["conv2dForward"]],
    ["winograd4", null],
  ] as const) {
    const engine = await createEngine({ threads: 1, convAlgorithm });
    const model = convNet(engine).eval();
    const { calls } = await engine.profile(() =>
      engine.noGrad(() => model.forward(engine.tensor(values(768), [1, 3, 16, 16]))),
    );
    const call = calls.find(({ kernel, module }) => kernel === "conv2dForward" && module === "features.3");
    assert.ok(call);
    assert.match(call.algorithm, convAlgorithm);
    if (launches)
      assert.equal(
        call.launches.map(({ kernel }) => kernel),
        launches,
      );
    else assert.ok(call.launches.every(({ kernel }) => kernel.startsWith("winograd")));
    await engine.close();
  }
});

const engine = await createEngine({ threads: 1 });

test("what the result holds is kept; a program without calls has no times", async () => {
  const { result, calls } = await engine.profile(() => scale(relu(engine.tensor([-1, 2], [2])), 2));
  assert.equal(await result.data(), Float32Array.of(0, 4));
  assert.is(calls.length, 2);
  assert.equal(await engine.profile(() => 7), { result: 7, calls: [] });
});

test("a throw while recording leaves no trace; inside a scope, and an async function, are refused", async () => {
  const model = convNet(engine);
  const optimiser = new SGD(model.parameters(), { lr: 0.05 });
  await rejects(
    engine.profile(() => {
      recordStep(model, optimiser, 0);
      throw new RangeError("on purpose");
    }),
    RangeError,
    "on purpose",
  );
  assert.ok(model.parameters().every((parameter) => parameter.grad === null));
  let inside: Promise<unknown> = Promise.resolve();
  await engine.scope(() => {
    inside = engine.profile(() => undefined);
    inside.catch(() => {});
  });
  await rejects(inside, UsageError, "profile: a scope is open. Call profile() outside of scope().");
  await rejects(
    engine.profile(async () => {}),
    UsageError,
    "scope: the function is asynchronous. Record synchronously; await the results outside of scope().",
  );
});

test("a program that does not fit into memory: the error of scope(), and the engine goes on", async () => {
  const small = await createEngine({ threads: 1, memoryMaxBytes: 1 << 20 });
  const large = new Float32Array(1 << 18);
  await rejects(
    small.profile(() => relu(small.tensor(large, [large.length]))),
    MemoryFullError,
    /^wasm: memory is full \(relu needs /,
  );
  const { calls } = await small.profile(() => relu(small.tensor([1], [1])));
  assert.is(calls.length, 1);
  await small.close();
});

test.run();
