/** Plain loops stay flat; dropped models make room; full memory is an error that one can go on from. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BackendError, UsageError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import { Dropout } from "#src/nn/index.js";
import { relu, scale, sum } from "#src/ops/index.js";
import { SGD } from "#src/optim/index.js";
import { runScript } from "./child.js";
import { input, lossOf, rejects, smallNet, throws, weightsHash } from "./nets.js";

interface Sample {
  readonly step: number;
  readonly usedBytes: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
}

/** A leak of 200 bytes a step would be 1.6 MB from step 2,000 to 10,000; compiled code and caches change by some 0.3 MB. */
const MOST_HEAP_GROWTH_BYTES = 1e6;
/** Resident memory goes up and down by so much with the garbage collector's moods. */
const MOST_RSS_GROWTH_BYTES = 64e6;

async function samplesOf(args: readonly string[], flags: readonly string[] = ["--expose-gc"]): Promise<Sample[]> {
  const { code, timedOut, stdout, stderr } = await runScript("memory-worker.js", args, { flags });
  assert.is(stderr, "");
  assert.not(timedOut);
  assert.is(code, 0);
  const { samples }: { samples: Sample[] } = JSON.parse(stdout);
  assert.is(samples.length, 10);
  return samples;
}

for (const [task, threads] of [
  ["forward", 1],
  ["train", 2],
] as const) {
  test(`10,000 x ${task} in a plain loop, ${threads} threads: memory is flat after the first 2,000`, async () => {
    const samples = (await samplesOf([task, "10000", String(threads)])).slice(1);
    const [warm, last] = [samples[0], samples[samples.length - 1]];
    assert.is(last.step, 10_000);
    for (const { usedBytes } of samples) assert.is(usedBytes, warm.usedBytes);
    assert.ok(last.heapBytes - warm.heapBytes < MOST_HEAP_GROWTH_BYTES, JSON.stringify(samples));
    assert.ok(last.rssBytes - warm.rssBytes < MOST_RSS_GROWTH_BYTES, JSON.stringify(samples));
  });
}

test("50 models made and dropped in turn, in a memory for 8, with garbage collected after each", async () => {
  const samples = await samplesOf(["models", "50"]);
  for (const { usedBytes } of samples) assert.ok(usedBytes < 3 * samples[0].usedBytes, JSON.stringify(samples));
});

test("50 models made and dropped in turn, in a memory for 8: when it is full, the engine collects garbage", async () => {
  const samples = await samplesOf(["models", "50"], []);
  assert.is(samples[samples.length - 1].step, 50);
});

const MIB = 2 ** 20;

for (const threads of [1, 2]) {
  test(`full memory in the first training step, ${threads} threads: named, and a smaller batch gives the same bits`, async () => {
    const hashes: string[] = [];
    for (const overfill of [false, true]) {
      const engine = await createEngine({ threads, memoryMaxBytes: 4 * MIB });
      const net = smallNet(engine);
      const optimiser = new SGD(net.parameters(), { lr: 0.1, momentum: 0.9 });
      const step = (batch: number, seed: number): Promise<unknown> =>
        engine.scope(() => {
          const loss = lossOf(net, engine, batch, seed);
          loss.backward();
          optimiser.step();
          return loss;
        });
      for (let i = 0; i < 3; i++) {
        if (overfill) {
          const grads = net.parameters().map(({ grad }) => grad !== null);
          await rejects(
            step(100_000, i),
            BackendError,
            /^wasm: memory is full \(a program's activations, the largest in [a-zA-Z +]+ \([03]\), needs \d+ MB, in use \d+ kB of 5 MB\)\. Use a smaller batch, a smaller width or input size, or drop tensors and models that you keep\.$/,
          );
          // As if the step had not been recorded: no gradient, no momentum, no pass of dropout.
          assert.equal(
            net.parameters().map(({ grad }) => grad !== null),
            grads,
          );
          for (const layer of net.children().values()) if (layer instanceof Dropout) assert.is(layer.passes, i);
        }
        await step(3, i);
      }
      hashes.push(await weightsHash(net));
      await engine.close();
    }
    assert.is(hashes[0], hashes[1]);
  });
}

test("full memory in a plain forward pass, in steps(), and in a kept tensor: each names itself, and the next works", async () => {
  const engine = await createEngine({ threads: 1, memoryMaxBytes: MIB });
  const net = smallNet(engine).eval();
  await rejects(
    net.forward(input(engine, 50_000)).data(),
    BackendError,
    /^wasm: memory is full \(a program's activations, /,
  );
  const expected = await net.forward(input(engine)).data();
  assert.ok(expected.every(Number.isFinite));

  await rejects(
    engine.steps(() => net.forward(input(engine, 50_000))).next(),
    BackendError,
    /^wasm: memory is full \(a program's activations, /,
  );
  assert.equal(await net.forward(input(engine)).data(), expected);

  const large = engine.parameter([1000, 1000], "features.0.weight");
  await rejects(
    large.write(new Float32Array(1_000_000)),
    BackendError,
    /^wasm: memory is full \(features\.0\.weight needs 4 MB, in use \d kB of 2 MB\)\. Use a smaller batch, a smaller width or input size, or drop tensors and models that you keep\.$/,
  );
  throws(
    () => relu(large),
    UsageError,
    "relu: a tensor has no value yet (features.0.weight). Initialise or load it first.",
  );
  assert.equal(await net.forward(input(engine)).data(), expected);
});

test("full memory: a program that builds on one that does not fit fails too; the engine goes on", async () => {
  const engine = await createEngine({ threads: 1, memoryMaxBytes: MIB });
  const net = smallNet(engine).eval();
  // Both need the initialisers, which run with the first.
  const [tooLarge, small] = [net.forward(input(engine, 50_000)).data(), net.forward(input(engine)).data()];
  await rejects(tooLarge, BackendError, /^wasm: memory is full/);
  await rejects(small, BackendError, "engine: a program that this one builds on could not run. See its error.");
  assert.ok((await net.forward(input(engine)).data()).every(Number.isFinite));
});

test("full memory after work was recorded on the results: the engine says that it is lost", async () => {
  const engine = await createEngine({ threads: 1, memoryMaxBytes: MIB });
  const w = engine.parameter([1], "w");
  await w.write(Float32Array.of(1));
  const failing = engine.scope(() => {
    engine.record("scale", { length: 1, factor: 2 }, { x: w, y: w });
    return sum(relu(engine.tensor(new Float32Array(1_000_000), [1_000_000])));
  });
  const y = scale(w, 3);
  await rejects(failing, BackendError, /^wasm: memory is full \(/);
  await rejects(
    y.data(),
    BackendError,
    /^engine: a program failed after others were recorded on its results \(wasm: memory is full .*\)\. Create a new engine, and await each program before you record the next\.$/,
  );
});

test("memory(): kept tensors count, and a gradient and a momentum each as much as the parameter", async () => {
  const engine = await createEngine({ threads: 1 });
  const w = engine.parameter([1000], "w");
  await w.write(new Float32Array(1000));
  const { usedBytes, maxBytes } = engine.memory();
  assert.is(maxBytes, 2 ** 32);
  const y = relu(w).keep();
  await y.data();
  // 1,000 floats in units of 64 bytes.
  assert.is(engine.memory().usedBytes - usedBytes, 4032);
  assert.ok(engine.memory().peakBytes >= engine.memory().usedBytes);
});

test.run();
