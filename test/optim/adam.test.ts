/** Adam and AdamW against PyTorch's numbers, groups, state, undo, and options that make no sense. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { UsageError } from "#src/core/errors.js";
import type { Parameter } from "#src/core/tensor.js";
import { createEngine } from "#src/engine.js";
import { add, mul, sum } from "#src/ops/index.js";
import { Adam, AdamW } from "#src/optim/index.js";
import { rejects, throws, values } from "../engine/nets.js";
import { maxRelativeError } from "../helpers/compare.js";
import { readOpFixtures } from "../helpers/fixtures.js";

/** Against PyTorch in float64, relative to the largest value: a few roundings of float32 a step, over five steps. */
const TOLERANCE = 1e-6;

const wasm = await createEngine({ threads: 2 });
const reference = await createEngine({ backend: "reference", precision: "float32" });
const KINDS = { adam: Adam, adamw: AdamW };
const fixtures = (await readOpFixtures()).filter(({ op }) => op === "adam" || op === "adamw");

async function parameterOf(engine: Engine, data: ArrayLike<number>, name = "w"): Promise<Parameter> {
  const parameter = engine.parameter([data.length], name);
  await parameter.write(Float32Array.from(data));
  return parameter;
}

/** Makes `gradient` the parameter's gradient. */
function setGradient(parameter: Parameter, gradient: ArrayLike<number>): void {
  const { engine } = parameter;
  parameter.zeroGrad();
  sum(mul(parameter, engine.tensor(Float32Array.from(gradient), parameter.shape))).backward();
}

test("the fixtures have both kinds", () => {
  assert.equal([...new Set(fixtures.map(({ op }) => op))].sort(), ["adam", "adamw"]);
});

let worst = 0;
test.after(() => {
  console.log(`\n  Adam, AdamW: worst relative error ${worst.toExponential(1)}`);
});

for (const engine of [wasm, reference]) {
  for (const { op, name, options, tensors } of fixtures) {
    test(`${engine.backend.name}: ${op} ${name}`, async () => {
      const parameter = await parameterOf(engine, tensors.param0.data);
      const { lr, ...settings } = options;
      const optimiser = new (op === "adam" ? Adam : AdamW)([parameter], { ...settings, lr: lr[0] });
      const state = optimiser.stateDict();
      assert.equal([...state.keys()], ["w.expAvg", "w.expAvgSq"]);
      for (const [i, rate] of lr.entries()) {
        optimiser.lr = rate;
        setGradient(parameter, tensors[`grad${i + 1}`].data);
        optimiser.step();
        const pairs = { param: parameter, expAvg: state.get("w.expAvg"), expAvgSq: state.get("w.expAvgSq") };
        for (const [role, tensor] of Object.entries(pairs)) {
          const error = maxRelativeError((await tensor?.read()) ?? [], tensors[`${role}${i + 1}`].data);
          assert.ok(error <= TOLERANCE, `${role}${i + 1}: ${error}`);
          worst = Math.max(worst, error);
        }
      }
    });
  }
}

test("wasm on one and two threads, reference: lengths around grains and vectors, 3 steps", async () => {
  const single = await createEngine({ threads: 1 });
  for (const length of [1, 3, 4, 5, 16383, 16385, 40000]) {
    for (const Kind of [Adam, AdamW]) {
      const run = async (engine: Engine): Promise<Float32Array> => {
        const parameter = await parameterOf(engine, values(length));
        const optimiser = new Kind([parameter], { lr: 0.1, weightDecay: 0.1 });
        for (let step = 1; step <= 3; step++) {
          setGradient(parameter, values(length, step));
          optimiser.step();
        }
        return parameter.read();
      };
      const [one, two, plain] = [await run(single), await run(wasm), await run(reference)];
      assert.equal(one, two);
      // All values are below 2; relative to the largest of one or three, which may be near 0, would say nothing.
      for (const [i, value] of plain.entries()) assert.ok(Math.abs(value - one[i]) <= TOLERANCE, `${length}: ${i}`);
    }
  }
  await single.close();
});

test("step 5000: the corrections follow the counter", async () => {
  for (const engine of [wasm, reference]) {
    const parameter = await parameterOf(engine, [1]);
    const optimiser = new Adam([parameter], { lr: 0.01 });
    const counter = optimiser.counters().get("w.step");
    assert.is(counter?.value, 0);
    if (counter) counter.value = 4999;
    setGradient(parameter, [2]);
    optimiser.step();
    assert.is(counter?.value, 5000);
    // m = 0.2, v = 0.004; the first correction is 1, the second 1 - 0.999^5000.
    const expected = 1 - (0.01 * 0.2) / Math.sqrt(0.004 / (1 - 0.999 ** 5000));
    assert.ok(Math.abs((await parameter.read())[0] - expected) < 1e-7);
  }
});

test("a first step is lr long, whatever the size of the gradient", async () => {
  const parameter = await parameterOf(wasm, [1, 1, 1]);
  const optimiser = new Adam([parameter], { lr: 0.125, eps: 0 });
  setGradient(parameter, [1e-6, -3, 1e5]);
  optimiser.step();
  assert.ok(maxRelativeError(await parameter.read(), [0.875, 1.125, 0.875]) < 1e-6);
});

test("a parameter without a gradient takes no step and counts none", async () => {
  const [a, b] = await Promise.all(["a", "b"].map((name) => parameterOf(wasm, [1], name)));
  const optimiser = new AdamW([a, b], { lr: 0.5, weightDecay: 0.5 });
  sum(a).backward();
  optimiser.step();
  const counts = () => [...optimiser.counters()].map(([name, { value }]) => `${name} ${value}`);
  assert.equal(counts(), ["a.step 1", "b.step 0"]);
  assert.equal(await b.read(), Float32Array.of(1));
  sum(add(a, b)).backward();
  optimiser.step();
  assert.equal(counts(), ["a.step 2", "b.step 1"]);
  // Its first step, as long as any first step: 1 - 0.5 · 0.5 - 0.5.
  assert.ok(Math.abs((await b.read())[0] - 0.25) < 1e-6);
});

test("groups: rates, betas and decay of their own", async () => {
  const [a, b, c] = await Promise.all(["a", "b", "c"].map((name) => parameterOf(wasm, [1], name)));
  const optimiser = new AdamW(
    [{ parameters: [a] }, { parameters: [b], lrScale: 0.5, weightDecay: 0 }, { parameters: [c], lrScale: 0, beta1: 0 }],
    { lr: 0.25, weightDecay: 0.5, eps: 0 },
  );
  sum(add(add(a, b), c)).backward();
  optimiser.step();
  const results = await Promise.all([a, b, c].map((parameter) => parameter.read()));
  assert.ok(
    maxRelativeError(
      results.map(([value]) => value),
      [1 - 0.125 - 0.25, 1 - 0.125, 1],
    ) < 1e-6,
  );
});

test("a scope that throws: parameter, state and counter are as before; the next step is the first", async () => {
  for (const engine of [wasm, reference]) {
    const [parameter, twin] = [await parameterOf(engine, [1, -2]), await parameterOf(engine, [1, -2])];
    const [optimiser, other] = [new Adam([parameter], { lr: 0.1 }), new Adam([twin], { lr: 0.1 })];
    const step = (which: Parameter, by: Adam): void => {
      which.zeroGrad();
      sum(mul(which, which)).backward();
      by.step();
    };
    const failure = engine.scope(() => {
      step(parameter, optimiser);
      step(parameter, optimiser);
      throw new Error("on purpose");
    });
    await rejects(failure, Error, "on purpose");
    assert.is(optimiser.counters().get("w.step")?.value, 0);
    assert.equal(await parameter.read(), Float32Array.of(1, -2));
    for (let i = 0; i < 2; i++) {
      await engine.scope(() => step(parameter, optimiser));
      await engine.scope(() => step(twin, other));
    }
    assert.is(optimiser.counters().get("w.step")?.value, 2);
    assert.equal(await parameter.read(), await twin.read());
  }
});

test("options that make no sense", async () => {
  const a = await parameterOf(wasm, [1], "a");
  for (const [name, Kind] of Object.entries({ Adam: KINDS.adam, AdamW: KINDS.adamw })) {
    const bad: [ConstructorParameters<typeof Adam>, string][] = [
      [[[]], "no parameter, or one twice (parameters 0). Give each parameter once."],
      [[[a], { lr: -1 }], "lr must be a number of at least 0 (lr -1). Change it."],
      [[[a], { eps: -1e-8 }], "eps must be a number of at least 0 (eps -1e-8). Change it."],
      [[[a], { weightDecay: NaN }], "weightDecay must be a number of at least 0 (weightDecay NaN). Change it."],
      [[[a], { beta1: 1 }], "beta1 must be below 1 (beta1 1). Change it."],
      [[[a], { beta2: 1.5 }], "beta2 must be below 1 (beta2 1.5). Change it."],
      [[[{ parameters: [a], beta2: 1 }]], "beta2 must be below 1 (beta2 1). Change it."],
      [[[a], { beta1: -0.5 }], "beta1 must be a number of at least 0 (beta1 -0.5). Change it."],
    ];
    for (const [args, text] of bad) throws(() => new Kind(...args), UsageError, `${name}: ${text}`);
  }
});

test.run();
