/** Bytes that go right into tensor memory: values, turns, versions, errors; and nets that are loaded without values before. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { BackendError, UsageError } from "#src/core/errors.js";
import type { Tensor } from "#src/core/tensor.js";
import { createEngine } from "#src/engine.js";
import { loadModel, saveModel } from "#src/io/checkpoint.js";
import { BatchNorm2d, Conv2d, Sequential } from "#src/nn/index.js";
import { scale, sum } from "#src/ops/index.js";
import { SGD } from "#src/optim/index.js";
import { BACKENDS } from "../helpers/engines.js";
import { labelsOf, planningEngine } from "../helpers/plans.js";
import { rejects, throws } from "./nets.js";

const PACKAGE_WEIGHTS = fileURLToPath(new URL("../../weights/shapes-vgg.safetensors", import.meta.url));

/** Puts these values into the bytes, in a turn of its own. */
function giving(...values: number[]): (bytes: Uint8Array) => Promise<void> {
  return async (bytes) => {
    await null;
    bytes.set(new Uint8Array(Float32Array.from(values).buffer));
  };
}

for (const { name, options } of BACKENDS) {
  test(`[3] on ${name}: values, and others over them`, async () => {
    const engine = await createEngine(options);
    const w = engine.parameter([3], "w");
    await w.writeFrom(giving(1, -2, 0.5));
    assert.equal(await w.read(), Float32Array.of(1, -2, 0.5));
    assert.equal(await scale(w, 2).data(), Float32Array.of(2, -4, 1));
    await w.writeFrom(giving(4, 5, 6));
    assert.equal(await scale(w, 2).data(), Float32Array.of(8, 10, 12));
    await engine.close();
  });
}

test("turns: after a write that was not awaited, before one that comes later", async () => {
  const engine = await createEngine({ threads: 1 });
  const w = engine.parameter([2], "w");
  const [, first, , second] = await Promise.all([
    w.write(Float32Array.of(1, 1)),
    w.read(),
    w.writeFrom(giving(2, 2)),
    w.read(),
  ]);
  assert.equal([first, second], [Float32Array.of(1, 1), Float32Array.of(2, 2)]);
  const later = w.writeFrom(giving(3, 3));
  await w.write(Float32Array.of(4), 1);
  await later;
  assert.equal(await w.read(), Float32Array.of(3, 4));
});

test("what was recorded before and not awaited is refused, as after write()", async () => {
  const engine = await createEngine({ threads: 1 });
  const w = engine.parameter([1], "w");
  await w.writeFrom(giving(1));
  const y = scale(w, 2);
  await w.writeFrom(giving(2));
  await rejects(
    y.data(),
    UsageError,
    "scale: a value changed after this was recorded (w version 1, now 2). Await the result before you change its inputs, or record both in one scope.",
  );
});

test("inside of a scope", async () => {
  const engine = await createEngine({ threads: 1 });
  const w = engine.parameter([2, 3], "w");
  const inside: Promise<void>[] = [];
  await engine.scope(() => {
    inside.push(w.writeFrom(giving()));
  });
  await rejects(inside[0], UsageError, "writeFrom: a scope is open (w [2,3]). Call it outside of scope().");
});

test("a source that fails: its error; a new tensor stays without a value, and can be filled later", async () => {
  const engine = await createEngine({ threads: 2 });
  const w = engine.parameter([1], "w");
  const failing = w.writeFrom(async () => {
    throw new Error("the disk is gone");
  });
  throws(() => scale(w, 2), UsageError, "scale: a tensor has no value yet (w). Initialise or load it first.");
  await rejects(failing, Error, "the disk is gone");
  throws(() => scale(w, 2), UsageError, "scale: a tensor has no value yet (w). Initialise or load it first.");
  await w.writeFrom(giving(7));
  assert.equal(await w.read(), Float32Array.of(7));
});

test("full memory: the tensor is named; transformed weights go first", async () => {
  const engine = await createEngine({ threads: 1, convAlgorithm: "winograd4", memoryMaxBytes: 2 ** 22 });
  const layer = { inChannels: 64, outChannels: 64, kernelSize: 3, padding: 1 };
  const net = new Sequential([new Conv2d(engine, layer), new Conv2d(engine, layer)]);
  const forward = (): Tensor => net.forward(engine.tensor(new Float32Array(64 * 16), [1, 64, 4, 4]));
  const before = await forward().data();
  const { usedBytes, maxBytes } = engine.memory();
  // What is left, and half of the transformed filters, which are 1.2 MB.
  const large = engine.parameter([(maxBytes - usedBytes) / 4 + 125_000], "fc6.weight");
  await large.writeFrom(async () => {});
  assert.ok(engine.memory().usedBytes < maxBytes);
  assert.equal(await forward().data(), before);
  const larger = engine.parameter([1_000_000], "fc7.weight");
  await rejects(
    larger.writeFrom(async () => {}),
    BackendError,
    /^wasm: memory is full \(fc7\.weight needs 4 MB, in use \d MB of 5 MB\)\. /,
  );
});

test("initialisers that nobody needed do not run; one whose value was read, or that a program needs, does", async () => {
  const { engine, plans } = planningEngine();
  const build = (): Sequential =>
    new Sequential([
      new Conv2d(engine, { inChannels: 1, outChannels: 2, kernelSize: 1 }),
      new BatchNorm2d(engine, { numFeatures: 2 }),
    ]);
  const fill = async (net: Sequential): Promise<void> => {
    for (const tensor of net.stateDict().values()) {
      await tensor.writeFrom(giving(...new Array<number>(tensor.size).fill(0.5)));
    }
  };
  const net = build();
  await fill(net);
  assert.is(plans.length, 0);
  for (const tensor of net.stateDict().values())
    assert.equal(await tensor.read(), new Float32Array(tensor.size).fill(0.5));
  assert.is(plans.length, 0);

  const other = build();
  const [weight, bias] = other.parameters();
  const y = scale(weight, 2);
  const drawn = await bias.read();
  assert.equal(drawn, new Float32Array(2));
  await bias.writeFrom(giving(1, 2));
  assert.equal(labelsOf(plans.at(-1)), ["init"]);
  assert.ok((await y.data()).every(Number.isFinite));
  await fill(other);
  assert.equal(await weight.read(), Float32Array.of(0.5, 0.5));
});

test("the state of an optimiser that is loaded before its first step is what the step works on", async () => {
  const { engine, plans } = planningEngine();
  const w = engine.parameter([2], "w");
  await w.write(Float32Array.of(1, 1));
  const optimiser = new SGD([w], { lr: 1, momentum: 0.5 });
  const [velocity] = optimiser.stateDict().values();
  await velocity.writeFrom(giving(4, 8));
  assert.is(plans.length, 1);
  await engine.scope(() => {
    sum(w).backward();
    optimiser.step();
  });
  assert.equal([...optimiser.stateDict().values()], [velocity]);
  assert.equal(await velocity.read(), Float32Array.of(3, 5));
  assert.equal(await w.read(), Float32Array.of(-2, -4));
});

test("an initialiser that never runs leaves no value when the source fails", async () => {
  const engine = await createEngine({ threads: 1 });
  const { weight } = new Conv2d(engine, { inChannels: 1, outChannels: 2, kernelSize: 1 });
  const failing = weight.writeFrom(async () => {
    throw new Error("the disk is gone");
  });
  await rejects(failing, Error, "the disk is gone");
  await rejects(
    weight.read(),
    UsageError,
    "data: the value of weight was never computed (x [2,1,1,1]). Await it, or call keep(), before its program runs.",
  );
  await weight.writeFrom(giving(1, 2));
  assert.equal(await weight.read(), Float32Array.of(1, 2));
});

const folder = mkdtempSync(path.join(tmpdir(), "verydeep-write-from-"));
test.after(() => rmSync(folder, { recursive: true }));

for (const threads of [1, 2]) {
  test(`loadModel, ${threads} threads: memory for the weights and for nothing else; the values of the file`, async () => {
    const engine: Engine = await createEngine({ threads });
    // The package's are float16.
    const file = path.join(folder, "float32.safetensors");
    const halves = await loadModel(PACKAGE_WEIGHTS, await createEngine({ threads: 1 }));
    await saveModel(file, halves.model, halves.metadata);
    const { model } = await loadModel(file, engine);
    const state = [...model.stateDict().values()];
    const weightBytes = state.reduce((sum, { size }) => sum + Math.ceil((size * 4) / 64) * 64, 0);
    assert.is(engine.memory().peakBytes, weightBytes);
    const bytes = readFileSync(file);
    const values = Float32Array.from(
      (await Promise.all(state.map((tensor) => tensor.read()))).flatMap((part) => [...part]),
    );
    const data = bytes.subarray(8 + Number(bytes.readBigUInt64LE(0)));
    assert.is(Buffer.from(values.buffer).compare(data), 0);
    await engine.close();
  });
}

test.run();
