/** SGD against PyTorch's and Caffe's numbers, groups, and options that make no sense. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { UsageError } from "#src/core/errors.js";
import type { Parameter } from "#src/core/tensor.js";
import { createEngine } from "#src/engine.js";
import { add, mul, sum } from "#src/ops/index.js";
import { SGD } from "#src/optim/index.js";
import { throws } from "../engine/nets.js";
import { maxRelativeError } from "../helpers/compare.js";
import { readOpFixtures } from "../helpers/fixtures.js";

/** Against PyTorch in float64, relative to the largest value: a few roundings of float32. */
const TOLERANCE = 1e-6;

const wasm = await createEngine({ threads: 2 });
const reference = await createEngine({ backend: "reference", precision: "float32" });
const fixtures = (await readOpFixtures()).filter(({ op }) => op === "sgd");

async function parameterOf(engine: Engine, data: ArrayLike<number>, name = "w"): Promise<Parameter> {
  const parameter = engine.parameter([data.length], name);
  parameter.name = name;
  await parameter.write(Float32Array.from(data));
  return parameter;
}

/** Makes `gradient` the parameter's gradient. */
function setGradient(parameter: Parameter, gradient: ArrayLike<number>): void {
  const { engine } = parameter;
  parameter.zeroGrad();
  sum(mul(parameter, engine.tensor(Float32Array.from(gradient), parameter.shape))).backward();
}

test("two parameters of one name: their state cannot be saved", async () => {
  const optimiser = new SGD([await parameterOf(wasm, [1]), await parameterOf(wasm, [2])], { lr: 0.1, momentum: 0.9 });
  throws(
    () => optimiser.stateDict(),
    UsageError,
    "SGD: two parameters have one name, so that their state cannot be told apart (name w). Call nameParameters() on the model.",
  );
});

test("the fixtures have both forms", () => {
  assert.equal([...new Set(fixtures.map(({ options }) => options.form))].sort(), ["caffe", "pytorch"]);
});

for (const engine of [wasm, reference]) {
  for (const { name, options, tensors } of fixtures) {
    test(`${engine.backend.name}: ${name}`, async () => {
      const parameter = await parameterOf(engine, tensors.param0.data);
      const { form, lr, momentum, weightDecay } = options;
      const optimiser = new SGD([parameter], { lr: lr[0], momentum, weightDecay, form });
      for (let step = 1; step <= lr.length; step++) {
        optimiser.lr = lr[step - 1];
        setGradient(parameter, tensors[`grad${step}`].data);
        optimiser.step();
        const error = maxRelativeError(await parameter.read(), tensors[`param${step}`].data);
        assert.ok(error <= TOLERANCE, `param${step}: ${error}`);
        if (momentum === 0) continue;
        const velocity = await optimiser.velocityOf(parameter).data();
        const velocityError = maxRelativeError(velocity, tensors[`velocity${step}`].data);
        assert.ok(velocityError <= TOLERANCE, `velocity${step}: ${velocityError}`);
      }
    });
  }
}

test("without momentum there is no momentum buffer", async () => {
  // An engine of its own: what other tests dropped may be collected at any time.
  const engine = await createEngine({ threads: 1 });
  const parameter = await parameterOf(engine, new Float32Array(1000).fill(1));
  setGradient(parameter, new Float32Array(1000).fill(2));
  await parameter.grad?.data();
  const { usedBytes } = engine.memory();
  new SGD([parameter], { lr: 0.5 }).step();
  assert.equal(await parameter.read(0, 2), Float32Array.of(0, 0));
  assert.is(engine.memory().usedBytes, usedBytes);
});

test("groups: rates, momentum and decay of their own; parameters beside groups", async () => {
  const [a, b, c] = await Promise.all(["a", "b", "c"].map((name) => parameterOf(wasm, [1], name)));
  const optimiser = new SGD(
    [{ parameters: [a] }, { parameters: [b], lrScale: 2, weightDecay: 0 }, { parameters: [c], lrScale: 0 }],
    { lr: 0.5, weightDecay: 0.5 },
  );
  sum(add(add(a, b), c)).backward();
  optimiser.step();
  // a: 1 - 0.5 (1 + 0.5); b: 1 - 1 · 1; c stays.
  assert.equal(
    [await a.read(), await b.read(), await c.read()].map(([value]) => value),
    [0.25, 0, 1],
  );
});

test("step() leaves a parameter without gradient alone; zeroGrad() forgets those of all groups", async () => {
  const [a, b] = await Promise.all(["a", "b"].map((name) => parameterOf(wasm, [1], name)));
  const optimiser = new SGD([a, b], { lr: 0.5, weightDecay: 0.5 });
  sum(a).backward();
  optimiser.step();
  assert.equal([(await a.read())[0], (await b.read())[0]], [0.25, 1]);
  assert.ok(a.grad);
  optimiser.zeroGrad();
  assert.is(a.grad, null);
  optimiser.step();
  assert.is((await a.read())[0], 0.25);
});

test("options that make no sense", async () => {
  const a = await parameterOf(wasm, [1], "a");
  const bad: [ConstructorParameters<typeof SGD>, string][] = [
    [[[], { lr: 1 }], "SGD: no parameter, or one twice (parameters 0). Give each parameter once."],
    [[[a, a], { lr: 1 }], "SGD: no parameter, or one twice (parameters 2). Give each parameter once."],
    [
      [[{ parameters: [a] }, { parameters: [a] }], { lr: 1 }],
      "SGD: no parameter, or one twice (parameters 2). Give each parameter once.",
    ],
    [[[a], { lr: -1 }], "SGD: lr must be a number of at least 0 (lr -1). Change it."],
    [[[a], { lr: NaN }], "SGD: lr must be a number of at least 0 (lr NaN). Change it."],
    [[[a], { lr: Infinity }], "SGD: lr must be a number of at least 0 (lr Infinity). Change it."],
    [[[a], { lr: 1, momentum: -0.9 }], "SGD: momentum must be a number of at least 0 (momentum -0.9). Change it."],
    [
      [[{ parameters: [a], lrScale: -2 }], { lr: 1 }],
      "SGD: lrScale must be a number of at least 0 (lrScale -2). Change it.",
    ],
    [
      [[{ parameters: [a], weightDecay: NaN }], { lr: 1 }],
      "SGD: weightDecay must be a number of at least 0 (weightDecay NaN). Change it.",
    ],
  ];
  for (const [args, text] of bad) throws(() => new SGD(...args), UsageError, text);
  // From JavaScript, or from a file.
  const options = JSON.parse('{ "lr": 1, "form": "adam" }');
  throws(() => new SGD([a], options), UsageError, "SGD: there is no such form (form adam). Use pytorch or caffe.");
});

test("a rate set between steps that makes no sense: step() refuses it, and no parameter changes", async () => {
  const a = await parameterOf(wasm, [1], "a");
  const optimiser = new SGD([a], { lr: 0.5 });
  sum(a).backward();
  for (const lr of [NaN, -1, Infinity]) {
    optimiser.lr = lr;
    throws(() => optimiser.step(), UsageError, `SGD: lr must be a number of at least 0 (lr ${lr}). Change it.`);
  }
  assert.equal(await a.read(), Float32Array.of(1));
  optimiser.lr = 0.5;
  optimiser.step();
  assert.equal(await a.read(), Float32Array.of(0.5));
});

test.run();
