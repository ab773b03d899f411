/** Scopes: one synchronous function, one program; a throw leaves no trace; programs run first in, first out. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import { Dropout, type Sequential } from "#src/nn/index.js";
import { relu, scale, sum } from "#src/ops/index.js";
import { SGD } from "#src/optim/index.js";
import { input, lossOf, rejects, smallNet, throws, weightsHash } from "./nets.js";

const engine = await createEngine({ threads: 1 });

function dropoutOf(net: Sequential): Dropout {
  const layer = [...net.children().values()].find((child) => child instanceof Dropout);
  if (!(layer instanceof Dropout)) throw new Error("smallNet has no dropout");
  return layer;
}

function vector(...numbers: number[]) {
  return engine.tensor(numbers, [numbers.length]);
}

test("scope: returned tensors are kept: one, an array, an object; others are gone", async () => {
  const one = await engine.scope(() => scale(vector(1, 2), 2));
  assert.equal(await one.data(), Float32Array.of(2, 4));

  const [a, b] = await engine.scope(() => [scale(vector(1), 2), scale(vector(1), 3)]);
  assert.equal([await a.item(), await b.item()], [2, 3]);

  let hidden = vector(0);
  const { y, count } = await engine.scope(() => {
    hidden = relu(vector(-1, 2));
    return { y: scale(hidden, 2), count: 7 };
  });
  assert.equal(await y.data(), Float32Array.of(0, 4));
  assert.is(count, 7);
  throws(() => relu(hidden), UsageError, /^relu: the value of relu is gone \(x \[2\]\)\. Call keep\(\)/);

  assert.is(await engine.scope(() => undefined), undefined);
  assert.equal(await engine.scope(() => null), null);
});

test("scope: an input that came from outside can be returned", async () => {
  const x = vector(1, 2);
  await relu(x).data();
  const result = await engine.scope(() => ({ x, y: scale(vector(3), 2) }));
  assert.equal(await result.x.data(), Float32Array.of(1, 2));
});

test("scope: reading inside is refused", async () => {
  let reading: Promise<unknown> = Promise.resolve();
  await engine.scope(() => {
    reading = relu(vector(1)).data();
    reading.catch(() => {});
  });
  await rejects(
    reading,
    UsageError,
    "data: the scope is still recording (relu). Return the tensor from the scope and await it there.",
  );
});

test("scope, noGrad: an async function is refused, and nothing of a scope is recorded", async () => {
  const net = smallNet(engine);
  await net.parameters()[0].read();
  const hash = await weightsHash(net);
  const optimiser = new SGD(net.parameters(), { lr: 0.1, momentum: 0.9 });
  await rejects(
    engine.scope(async () => {
      lossOf(net, engine).backward();
      optimiser.step();
      await null;
      throw new Error("this part still runs, after the refusal");
    }),
    UsageError,
    "scope: the function is asynchronous. Record synchronously; await the results outside of scope().",
  );
  assert.is(dropoutOf(net).passes, 0);
  assert.ok(net.parameters().every((parameter) => parameter.grad === null));
  assert.is(await weightsHash(net), hash);

  throws(
    () => engine.noGrad(async () => {}),
    UsageError,
    "noGrad: the function is asynchronous. Record synchronously; await the results outside of noGrad().",
  );
  assert.ok(engine.gradEnabled);
});

test("noGrad: no tape inside, also when nested; a throw ends it", () => {
  const net = smallNet(engine);
  engine.noGrad(() => {
    engine.noGrad(() => assert.not(engine.gradEnabled));
    assert.not(engine.gradEnabled);
    assert.is(lossOf(net, engine).node, null);
  });
  throws(
    () =>
      engine.noGrad(() => {
        throw new RangeError("on purpose");
      }),
    RangeError,
    "on purpose",
  );
  assert.ok(engine.gradEnabled);
  assert.ok(lossOf(net, engine).node);
});

/** One training step in a scope; `throwAt` throws after that many of its parts. */
function trainingStep(net: Sequential, optimiser: SGD, step: number, throwAt = 9): Promise<unknown> {
  return engine.scope(() => {
    const check = (part: number): void => {
      if (part === throwAt) throw new RangeError(`part ${part}`);
    };
    optimiser.zeroGrad();
    check(0);
    const loss = lossOf(net, engine, 3, step);
    check(1);
    loss.backward();
    check(2);
    optimiser.step();
    check(3);
    return loss;
  });
}

test("a throw in mid-scope leaves no trace: the next steps give the same bits", async () => {
  const run = async (throwAt: number, throwBefore: number): Promise<string> => {
    const net = smallNet(engine);
    const optimiser = new SGD(net.parameters(), { lr: 0.1, momentum: 0.9, weightDecay: 1e-3 });
    for (let step = 0; step < 4; step++) {
      if (step === throwBefore) {
        const grads = net.parameters().map((parameter) => parameter.hasGrad);
        const { passes } = dropoutOf(net);
        await rejects(trainingStep(net, optimiser, step, throwAt), RangeError, `part ${throwAt}`);
        assert.equal(
          net.parameters().map((parameter) => parameter.hasGrad),
          grads,
        );
        assert.is(dropoutOf(net).passes, passes);
      }
      await trainingStep(net, optimiser, step);
    }
    return weightsHash(net);
  };
  const expected = await run(9, -1);
  // Before step 0 the initialisers are not run yet, and there is no momentum; before step 2 all is there.
  for (const throwBefore of [0, 2]) {
    for (const throwAt of [0, 1, 2, 3]) assert.is(await run(throwAt, throwBefore), expected);
  }
});

test("a throw in mid-scope: the open program that it used runs as if it had not been used", async () => {
  const y = scale(vector(1, 2), 2);
  await rejects(
    engine.scope(() => {
      sum(y);
      throw new RangeError("on purpose");
    }),
    RangeError,
    "on purpose",
  );
  const z = scale(y, 2);
  assert.equal(await Promise.all([y.data(), z.data()]), [Float32Array.of(2, 4), Float32Array.of(4, 8)]);
});

test("a throw in mid-scope: the tape can be used afterwards", async () => {
  const net = smallNet(engine);
  const loss = lossOf(net, engine);
  await loss.item();
  await rejects(
    engine.scope(() => {
      loss.backward();
      throw new RangeError("on purpose");
    }),
    RangeError,
    "on purpose",
  );
  loss.backward();
  assert.ok(await net.parameters()[0].grad?.data());
});

test("nested scopes are one program; a throw in the inner one undoes the inner one alone", async () => {
  let inner: Promise<unknown> = Promise.resolve();
  const net = smallNet(engine);
  const y = await engine.scope(() => {
    const x = net.forward(input(engine));
    inner = engine.scope(() => {
      net.forward(input(engine));
      throw new RangeError("inner");
    });
    inner.catch(() => {});
    return x;
  });
  await rejects(inner, RangeError, "inner");
  assert.is(dropoutOf(net).passes, 1);
  assert.ok((await y.data()).every(Number.isFinite));
});

test("scopes run first in, first out", async () => {
  const w = engine.parameter([1], "w");
  await w.write(Float32Array.of(1));
  const order: string[] = [];
  const doubled = (name: string): Promise<unknown> => {
    const value = engine.scope(() => {
      engine.record("scale", { length: 1, factor: 2 }, { x: w, y: w });
      return scale(w, 1);
    });
    return value.then(async (tensor) => order.push(`${name} ${await tensor.item()}`));
  };
  await Promise.all([doubled("a"), doubled("b"), doubled("c")]);
  assert.equal(order, ["a 2", "b 4", "c 8"]);
});

test("predictions take their turn while a training run waits, and see whole updates only", async () => {
  const net = smallNet(engine).eval();
  const optimiser = new SGD(net.parameters(), { lr: 0.1 });
  const known: string[] = [];
  const seen: string[] = [];
  const predict = async (): Promise<string> => {
    const y = await engine.scope(() => engine.noGrad(() => net.forward(input(engine))));
    return (await y.data()).join();
  };
  known.push(await predict());
  let training = true;
  const server = async (): Promise<void> => {
    while (training) seen.push(await predict());
  };
  const servers = [server(), server()];
  for (let step = 0; step < 20; step++) {
    const update = trainingStep(net, optimiser, step);
    const after = predict();
    await update;
    known.push(await after);
  }
  training = false;
  await Promise.all(servers);
  assert.ok(seen.length >= 20);
  assert.ok(seen.every((prediction) => known.includes(prediction)));
});

test.run();
