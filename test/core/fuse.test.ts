/** What is fused and what is not, by the calls that reach the backend. The bits: test/engine/fuse.test.ts. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { Random } from "#src/core/random.js";
import type { Parameter, Tensor } from "#src/core/tensor.js";
import { Conv2d, Dropout, Flatten, Linear, MaxPool2d, QuantizedWeight, ReLU, Sequential } from "#src/nn/index.js";
import {
  add,
  concat,
  conv2d,
  convTranspose2d,
  crossEntropy,
  labelsTensor,
  linear,
  linearQuantized,
  maxPool2d,
  relu,
  sum,
} from "#src/ops/index.js";
import { Adam, SGD } from "#src/optim/index.js";
import { values } from "../engine/nets.js";
import { labelsOf, planningEngine } from "../helpers/plans.js";

function random(engine: Engine, shape: readonly number[], seed = 0): Tensor {
  return engine.tensor(
    values(
      shape.reduce((a, b) => a * b),
      seed,
    ),
    shape,
  );
}

const convolve = (x: Tensor, seed = 1): Tensor =>
  conv2d(x, random(x.engine, [x.shape[1], x.shape[1], 3, 3], seed), null, { padding: 1 });

/** The labels of the program in which `record` records and its result is asked for. */
async function labels(record: (x: Tensor, engine: Engine) => unknown): Promise<string[]> {
  const { engine, plans } = planningEngine();
  await engine.scope(() => record(random(engine, [1, 2, 4, 4]), engine));
  return labelsOf(plans.at(-1));
}

test("conv2d, relu: one call, also where the ReLU's value is returned or looked at twice", async () => {
  assert.equal(await labels((x) => relu(convolve(x))), ["conv2d + relu"]);
  assert.equal(
    await labels((x) => {
      const y = relu(convolve(x));
      return [add(y, y), y];
    }),
    ["conv2d + relu", "add"],
  );
});

test("conv2d, relu, maxPool2d 2x2 of an even map: one call; not without relu, with winners, a second look, or other windows", async () => {
  const pool = (x: Tensor, kernelSize = 2): Tensor => maxPool2d(x, { kernelSize });
  const wide = (x: Tensor): Tensor => random(x.engine, [1, 2, 6, 6]);
  const odd = (x: Tensor): Tensor => random(x.engine, [1, 2, 6, 7]);
  const inference = (record: (x: Tensor) => unknown): Promise<string[]> =>
    labels((x, engine) => engine.noGrad(() => record(x)));
  assert.equal(await inference((x) => pool(relu(convolve(wide(x))))), ["conv2d + relu + maxPool2d"]);
  assert.equal(await inference((x) => pool(convolve(x))), ["conv2d", "maxPool2d"]);
  assert.equal(await inference((x) => pool(relu(convolve(odd(x))))), ["conv2d + relu", "maxPool2d"]);
  assert.equal(await inference((x) => pool(relu(convolve(wide(x))), 3)), ["conv2d + relu", "maxPool2d"]);
  assert.equal(
    await inference((x) => {
      const y = relu(convolve(x));
      return [pool(y), y];
    }),
    ["conv2d + relu", "maxPool2d"],
  );
  assert.equal(
    await labels((x, engine) => {
      const model = new Sequential([new Conv2d(engine, { inChannels: 2, outChannels: 2, kernelSize: 3, padding: 1 })]);
      return pool(relu(model.forward(x)));
    }),
    ["init", "init", "conv2d + relu (0)", "maxPool2d"],
  );
});

test("linear, relu: one call", async () => {
  const record = (x: Tensor): Tensor => relu(linear(x.viewAs([2, 16]), random(x.engine, [3, 16])));
  assert.equal(await labels(record), ["linear + relu"]);
});

test("linearQuantized, relu: one call", async () => {
  const { engine, plans } = planningEngine();
  const weight = new QuantizedWeight(engine, 3, 16, "int8");
  await weight.write(new Float32Array(48));
  const x = engine.tensor(new Float32Array(32), [2, 16]);
  await engine.scope(() => relu(linearQuantized(x, weight, weight.scale)));
  assert.equal(labelsOf(plans.at(-1)), ["linearQuantized + relu"]);
});

test("the convolution's value is kept, returned, or has a second consumer, before or after: two calls", async () => {
  assert.equal(await labels((x) => relu(convolve(x).keep())), ["conv2d", "relu"]);
  assert.equal(
    await labels((x) => {
      const y = convolve(x);
      return [y, relu(y)];
    }),
    ["conv2d", "relu"],
  );
  assert.equal(
    await labels((x) => {
      const y = convolve(x);
      return add(relu(y), y);
    }),
    ["conv2d", "relu", "add"],
  );
  assert.equal(
    await labels((x) => {
      const y = convolve(x);
      const z = add(x, y);
      return add(relu(y), z);
    }),
    ["conv2d", "add", "relu", "add"],
  );
});

test("the convolution's value is awaited: two calls", async () => {
  const { engine, plans } = planningEngine();
  const y = convolve(random(engine, [1, 2, 4, 4]));
  const z = relu(y);
  const [before, after] = await Promise.all([y.data(), z.data()]);
  assert.equal(labelsOf(plans.at(-1)), ["conv2d", "relu"]);
  assert.equal(
    after,
    before.map((value) => Math.max(value, 0)),
  );
});

test("two programs that became one, the adopted one first", async () => {
  const { engine, plans } = planningEngine();
  const y = convolve(random(engine, [1, 2, 4, 4]));
  const other = convolve(random(engine, [1, 2, 4, 4], 2));
  await add(relu(y), other).data();
  assert.equal(labelsOf(plans.at(-1)), ["conv2d", "conv2d + relu", "add"]);
});

test("ReLUs after anything else, and a ReLU's ReLU, stay", async () => {
  assert.equal(await labels((x) => relu(relu(convolve(x)))), ["conv2d + relu", "relu"]);
  assert.equal(await labels((x) => relu(add(x, x))), ["add", "relu"]);
  assert.equal(await labels((x) => relu(concat([convolve(x), x]))), ["conv2d", "concat", "concat", "relu"]);
  const up = (x: Tensor): Tensor => relu(convTranspose2d(x, random(x.engine, [2, 2, 3, 3])));
  assert.equal(await labels(up), ["convTranspose2d", "relu"]);
});

test("kernels on the same tensors in other orders: what would change a value is left alone", async () => {
  const length = 32;
  const s = {
    ...{ batch: 1, inC: 2, inH: 4, inW: 4, outC: 2, outH: 4, outW: 4, kH: 1, kW: 1, strideH: 1, strideW: 1 },
    ...{ padH: 0, padW: 0, dilationH: 1, dilationW: 1, groups: 1 },
  };
  /** The kernels that run, where `others` are recorded around a convolution's input gradient and a ReLU's. */
  const kernels = async (others: "none" | "mask changes" | "target is read"): Promise<string[]> => {
    const { engine, plans } = planningEngine();
    await engine.scope(() => {
      const [dy, mask, old] = [1, 2, 3].map((seed) => random(engine, [1, 2, 4, 4], seed));
      const weight = random(engine, [2, 2, 1, 1]);
      const [dx, target, seen] = [0, 1, 2].map(() => engine.emptyTensor(dy.shape));
      engine.record("copy", { length, xBegin: 0, yBegin: 0 }, { x: old, y: target });
      engine.record("conv2dBackwardInput", s, { dy, weight, bias: null, mask: null, dx });
      if (others === "mask changes") engine.record("copy", { length, xBegin: 0, yBegin: 0 }, { x: old, y: mask });
      if (others === "target is read") engine.record("copy", { length, xBegin: 0, yBegin: 0 }, { x: target, y: seen });
      if (others === "none") engine.record("copy", { length, xBegin: 0, yBegin: 0 }, { x: old, y: seen });
      const result = others === "none" ? engine.emptyTensor(dy.shape) : target;
      engine.record("reluBackward", { length }, { dy: dx, y: mask, dx: result });
      return [result, target, seen];
    });
    return plans.at(-1)?.calls.map(({ call }) => call.kernel) ?? [];
  };
  assert.equal(await kernels("none"), ["copy", "conv2dBackwardInput", "copy"]);
  assert.equal(await kernels("mask changes"), ["copy", "conv2dBackwardInput", "copy", "reluBackward"]);
  assert.equal(await kernels("target is read"), ["copy", "conv2dBackwardInput", "copy", "reluBackward"]);
});

function vgg(engine: Engine): Sequential {
  const conv = (inChannels: number, name: string): Conv2d =>
    new Conv2d(engine, { inChannels, outChannels: 3, kernelSize: 3, padding: 1, random: new Random(1, name) });
  const fc = (inFeatures: number, name: string): Linear =>
    new Linear(engine, { inFeatures, outFeatures: 3, random: new Random(1, name) });
  return new Sequential({
    features: new Sequential([
      conv(2, "a"),
      new ReLU(),
      conv(3, "b"),
      new ReLU(),
      new MaxPool2d({ kernelSize: 2, stride: 2 }),
    ]),
    flatten: new Flatten(),
    classifier: new Sequential([
      fc(12, "c"),
      new ReLU(),
      fc(3, "d"),
      new ReLU(),
      new Dropout(0.5, new Random(1, "e")),
      fc(3, "f"),
    ]),
  });
}

function lossOf(model: Sequential, engine: Engine): Tensor {
  return crossEntropy(model.forward(random(engine, [1, 2, 4, 4])), labelsTensor(engine, [1], 3));
}

const VGG_FORWARD = [
  "conv2d + relu (features.0)",
  "conv2d + relu (features.2)",
  "maxPool2d (features.4)",
  "linear + relu (classifier.0)",
  "linear + relu (classifier.2)",
  "dropout (classifier.4)",
  "linear (classifier.5)",
];
const parameterGradients = (label: string): string[] => [label, label];
const VGG_BACKWARD = [
  "backward",
  "crossEntropy",
  "linear (classifier.5)",
  ...parameterGradients("linear (classifier.5)"),
  "dropout (classifier.4)",
  "relu (classifier.3)",
  "linear + relu (classifier.2)",
  ...parameterGradients("linear (classifier.2)"),
  "linear (classifier.0)",
  ...parameterGradients("linear (classifier.0)"),
  "maxPool2d (features.4)",
  "relu (features.3)",
  "conv2d + relu (features.2)",
  ...parameterGradients("conv2d (features.2)"),
  ...parameterGradients("conv2d (features.0)"),
];

test("a training step of a VGG net in one scope: ReLUs in layers and in their input gradients", async () => {
  const { engine, plans } = planningEngine();
  const model = vgg(engine);
  const optimiser = new SGD(model.parameters(), { lr: 0.1 });
  for (let i = 0; i < 2; i++) {
    await engine.scope(() => {
      lossOf(model, engine).backward();
      optimiser.step();
    });
  }
  const updates = model.parameters().map(() => "sgd");
  assert.equal(labelsOf(plans.at(-1)), [...VGG_FORWARD, "crossEntropy", "crossEntropy", ...VGG_BACKWARD, ...updates]);
});

test("a training step whose loss is awaited first: the tape's values stay, both halves are fused", async () => {
  const { engine, plans } = planningEngine();
  const model = vgg(engine);
  await model.parameters()[0].read();
  await Promise.all(model.parameters().map((parameter) => parameter.read()));
  const loss = lossOf(model, engine);
  await loss.item();
  assert.equal(labelsOf(plans.at(-1)), [...VGG_FORWARD, "crossEntropy", "crossEntropy"]);
  loss.backward();
  await model.parameters()[0].grad?.read();
  assert.equal(labelsOf(plans.at(-1)), VGG_BACKWARD);
});

interface Trained {
  readonly engine: Engine;
  readonly parameters: readonly Parameter[];
  readonly optimiser: Pick<SGD, "step" | "zeroGrad">;
  backward(): void;
}

/** How many of two weights of linear layers are updated by the call that makes the gradient. */
async function fusedUpdates(
  record: (trained: Trained) => unknown,
  optimiserOf: (parameters: readonly Parameter[]) => Trained["optimiser"] = (parameters) =>
    new SGD(parameters, { lr: 0.1, momentum: 0.9 }),
): Promise<number> {
  const { engine, plans } = planningEngine();
  const layer = (name: string): Linear =>
    new Linear(engine, { inFeatures: 4, outFeatures: 4, random: new Random(1, name) });
  const model = new Sequential({ "0": layer("a"), "1": layer("b") });
  const parameters = model.parameters();
  const backward = (): void => sum(model.forward(random(engine, [2, 4]))).backward();
  await engine.scope(() => record({ engine, parameters, optimiser: optimiserOf(parameters), backward }));
  return labelsOf(plans.at(-1)).filter((label) => /^linear \+ sgd \([01]\)$/.test(label)).length;
}

test("linear, backward(), step(), zeroGrad(): the weights' gradients are never stored", async () => {
  const record = ({ backward, optimiser, parameters }: Trained): void => {
    backward();
    optimiser.step();
    optimiser.zeroGrad();
    for (const { grad } of parameters) assert.is(grad, null);
  };
  assert.is(await fusedUpdates(record), 2);
  assert.is(await fusedUpdates(record, (parameters) => new SGD(parameters, { lr: 0.1, form: "caffe" })), 2);
  assert.is(await fusedUpdates(record, (parameters) => new Adam(parameters, { lr: 0.1 })), 0);
});

test("linear, backward(), step(): gradients that somebody may look at are stored", async () => {
  const step = ({ backward, optimiser }: Trained): void => {
    backward();
    optimiser.step();
  };
  assert.is(await fusedUpdates(step), 0);
  // Of the first weight: returned by the scope, written anew, looked at by another call.
  const returned = (trained: Trained): Tensor | null => {
    step(trained);
    const { grad } = trained.parameters[0];
    trained.optimiser.zeroGrad();
    return grad;
  };
  assert.is(await fusedUpdates(returned), 1);
  const again = (trained: Trained): void => {
    step(trained);
    trained.optimiser.zeroGrad();
    trained.backward();
  };
  assert.is(await fusedUpdates(again), 0);
  const seen = (trained: Trained): Tensor => {
    trained.backward();
    const { grad } = trained.parameters[0];
    assert.ok(grad);
    const total = sum(grad);
    trained.optimiser.step();
    trained.optimiser.zeroGrad();
    return total;
  };
  assert.is(await fusedUpdates(seen), 1);
});

test("linear, two backward() before a step: the sums are stored", async () => {
  const record = ({ backward, optimiser }: Trained): void => {
    backward();
    backward();
    optimiser.step();
    optimiser.zeroGrad();
  };
  assert.is(await fusedUpdates(record), 0);
});

test("steps() shows the calls as they were recorded", async () => {
  const { engine } = planningEngine();
  const ops: string[] = [];
  for await (const { op } of engine.steps(() => sum(relu(convolve(random(engine, [1, 2, 4, 4])))))) ops.push(op);
  assert.equal(ops, ["conv2d", "relu", "sum"]);
});

test.run();
