/** engine.steps(): the same program, one kernel call at a time, every value readable. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { UsageError } from "#src/core/errors.js";
import { Random } from "#src/core/random.js";
import type { Step } from "#src/core/runner.js";
import { createEngine } from "#src/engine.js";
import { Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential } from "#src/nn/index.js";
import { crossEntropy, labelsTensor, relu, scale } from "#src/ops/index.js";
import { SGD } from "#src/optim/index.js";
import { rejects, values, weightsHash } from "./nets.js";

const engine = await createEngine({ threads: 1 });

function convNet(engine: Engine): Sequential {
  return new Sequential({
    features: new Sequential([
      new Conv2d(engine, { inChannels: 2, outChannels: 5, kernelSize: 3, padding: 1, random: new Random(1, "a") }),
      new ReLU(),
      new MaxPool2d({ kernelSize: 2, stride: 2 }),
      new Conv2d(engine, { inChannels: 5, outChannels: 6, kernelSize: 3, padding: 1, random: new Random(1, "b") }),
      new ReLU(),
    ]),
    flatten: new Flatten(),
    classifier: new Sequential([
      new Dropout(0.5, new Random(1, "d")),
      new Linear(engine, { inFeatures: 6 * 4 * 4, outFeatures: 3, random: new Random(1, "c") }),
    ]),
  });
}

/** One training step, to be recorded by scope() or steps(). */
function recordStep(model: Sequential, optimiser: SGD, seed: number): void {
  const { engine } = model.parameters()[0];
  optimiser.zeroGrad();
  const x = engine.tensor(values(3 * 2 * 64, seed), [3, 2, 8, 8]);
  crossEntropy(model.forward(x), labelsTensor(engine, [0, 1, 2], 3)).backward();
  optimiser.step();
}

function optimiserOf(model: Sequential): SGD {
  return new SGD(model.parameters(), { lr: 0.05, momentum: 0.9, weightDecay: 1e-3 });
}

/** `forward conv2d (features.0)` */
function label({ phase, op, module }: Step): string {
  return `${phase} ${op}${module ? ` (${module})` : ""}`;
}

test("each call with its operation, module and phase, in order", async () => {
  const model = convNet(engine);
  await model.parameters()[0].read();
  const optimiser = optimiserOf(model);
  await engine.scope(() => recordStep(model, optimiser, 0));
  const labels: string[] = [];
  for await (const step of engine.steps(() => recordStep(model, optimiser, 1))) {
    assert.is(step.index, labels.length);
    labels.push(label(step));
    if (step.index === step.count - 1) assert.is(labels.length, step.count);
  }
  const updates = model.parameters().map(() => "update sgd");
  assert.equal(labels, [
    "forward conv2d (features.0)",
    "forward relu (features.1)",
    "forward maxPool2d (features.2)",
    "forward conv2d (features.3)",
    "forward relu (features.4)",
    "forward dropout (classifier.0)",
    "forward linear (classifier.1)",
    "forward crossEntropy",
    "forward crossEntropy",
    "backward backward",
    "backward crossEntropy",
    "backward linear (classifier.1)",
    "backward linear (classifier.1)",
    "backward linear (classifier.1)",
    "backward dropout (classifier.0)",
    "backward relu (features.4)",
    "backward conv2d (features.3)",
    "backward conv2d (features.3)",
    "backward conv2d (features.3)",
    "backward maxPool2d (features.2)",
    "backward relu (features.1)",
    "backward conv2d (features.0)",
    "backward conv2d (features.0)",
    ...updates,
  ]);
});

test("values are those of the moment: outputs when they are there, weights before and after the update", async () => {
  const model = convNet(engine);
  const [weight] = model.parameters();
  const before = await weight.read();
  const optimiser = optimiserOf(model);
  const outputs = new Map<string, { step: Step; y: Float32Array }>();
  let gradient: Float32Array = new Float32Array(0);
  for await (const step of engine.steps(() => recordStep(model, optimiser, 1))) {
    const { y, dWeight, param } = step.tensors;
    if (y && step.module) outputs.set(step.module, { step, y: await step.read(y) });
    if (dWeight && step.module === "features.0") gradient = await step.read(dWeight);
    if (param === weight) {
      const after = await step.read(weight);
      const { grad } = step.tensors;
      assert.ok(grad);
      assert.equal(await step.read(grad), gradient);
      after.forEach((value, i) => {
        const expected = before[i] - 0.05 * (gradient[i] + 1e-3 * before[i]);
        assert.ok(Math.abs(value - expected) < 1e-6);
      });
    } else if (step.op !== "sgd") {
      assert.equal(await step.read(weight), before);
    }
    // Nothing is reused: what the first calls wrote can be read to the end.
    for (const { step: earlier, y: value } of outputs.values()) {
      const tensor = earlier.tensors.y;
      assert.ok(tensor);
      assert.equal(await step.read(tensor), value);
    }
  }
  assert.ok(outputs.has("features.0") && outputs.has("classifier.1"));
  assert.ok(gradient.some((value) => value !== 0));
});

test("weights after 6 steps: the same bits one call at a time, left early, and with scope(); 1 and 2 threads", async () => {
  const hashes: string[] = [];
  for (const threads of [1, 2]) {
    for (const way of ["scope", "steps", "left early"]) {
      const own = await createEngine({ threads });
      const model = convNet(own);
      const optimiser = optimiserOf(model);
      for (let i = 0; i < 6; i++) {
        if (way === "scope") {
          await own.scope(() => recordStep(model, optimiser, i));
          continue;
        }
        for await (const step of own.steps(() => recordStep(model, optimiser, i))) {
          if (way === "left early" && step.index === 3 * i) break;
        }
      }
      hashes.push(await weightsHash(model));
      await own.close();
    }
  }
  assert.is(new Set(hashes).size, 1);
});

test("a throw in the loop's body runs the rest, and reaches the caller", async () => {
  const x = engine.tensor([-1, 2], [2]);
  let y = x;
  await rejects(
    async () => {
      for await (const step of engine.steps(() => {
        y = scale(relu(x), 2).keep();
      })) {
        throw new RangeError(`at ${step.op}`);
      }
    },
    RangeError,
    "at relu",
  );
  assert.equal(await y.data(), Float32Array.of(0, 4));
});

test("a throw while recording leaves no trace", async () => {
  const model = convNet(engine);
  const optimiser = optimiserOf(model);
  await rejects(
    async () => {
      for await (const step of engine.steps(() => {
        recordStep(model, optimiser, 0);
        throw new RangeError("on purpose");
      })) {
        assert.unreachable(step.op);
      }
    },
    RangeError,
    "on purpose",
  );
  assert.ok(model.parameters().every((parameter) => parameter.grad === null));
});

test("other programs wait meanwhile", async () => {
  const done: string[] = [];
  let other: Promise<unknown> = Promise.resolve();
  for await (const step of engine.steps(() => scale(relu(engine.tensor([1], [1])), 2))) {
    if (step.index === 0) {
      other = scale(engine.tensor([3], [1]), 2)
        .item()
        .then((value) => done.push(`other ${value}`));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    done.push(step.op);
  }
  await other;
  assert.equal(done, ["relu", "scale", "other 6"]);
});

test("a value of an open program that steps() runs first is delivered", async () => {
  const x = relu(engine.tensor([-1, 2], [2]));
  const reading = x.data();
  const ops: string[] = [];
  for await (const step of engine.steps(() => scale(x, 2))) ops.push(step.op);
  assert.equal(await reading, Float32Array.of(0, 2));
  assert.equal(ops, ["relu", "scale"]);
});

test("reading after the loop is refused", async () => {
  const steps: Step[] = [];
  for await (const step of engine.steps(() => relu(engine.tensor([1], [1])))) steps.push(step);
  const { y } = steps[0].tensors;
  assert.ok(y);
  await rejects(steps[0].read(y), UsageError, "steps: the loop has ended (relu [1]). Read values inside the loop.");
});

test("steps() inside a scope, and an async function, are refused", async () => {
  let inside: Promise<unknown> = Promise.resolve();
  await engine.scope(() => {
    inside = engine.steps(() => undefined).next();
    inside.catch(() => {});
  });
  await rejects(inside, UsageError, "steps: a scope is open. Call steps() outside of scope().");
  await rejects(
    engine.steps(async () => {}).next(),
    UsageError,
    "scope: the function is asynchronous. Record synchronously; await the results outside of scope().",
  );
});

test.run();
