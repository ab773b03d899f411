/** Which values can be used when: outside scopes, after an await, across programs. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ShapeError, UsageError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import { add, conv2d, mul, relu, scale, sum } from "#src/ops/index.js";
import { SGD } from "#src/optim/index.js";
import { input, lossOf, rejects, smallNet, throws, weightsHash } from "./nets.js";

const engine = await createEngine({ threads: 1 });

function vector(...numbers: number[]) {
  return engine.tensor(numbers, [numbers.length]);
}

test("data, values, item: the three ways to read", async () => {
  const y = scale(vector(1, 2), 1.5);
  assert.equal(await y.data(), Float32Array.of(1.5, 3));
  assert.equal(await y.values(), Float64Array.of(1.5, 3));
  assert.is(await sum(y).item(), 4.5);
  await rejects(y.item(), UsageError, "item: the tensor has 2 elements (x [2]). Use data(), or reduce it first.");
});

test("an awaited value can be read and used again; the caller may change what was read", async () => {
  const y = relu(vector(-1, 2));
  const first = await y.data();
  first.fill(9);
  assert.equal(await y.data(), Float32Array.of(0, 2));
  assert.equal(await scale(y, 3).data(), Float32Array.of(0, 6));
  assert.is(y.keep(), y);
});

test("an input can be used in any number of programs; changing the array afterwards changes nothing", async () => {
  const array = Float32Array.of(1, 2);
  const x = engine.tensor(array, [2]);
  array.fill(7);
  assert.equal(await scale(x, 2).data(), Float32Array.of(2, 4));
  assert.equal(await scale(x, 3).data(), Float32Array.of(3, 6));
  assert.equal(await x.data(), Float32Array.of(1, 2));
});

test("a value that nobody awaited is gone: the error names its operation and keep()", async () => {
  const hidden = relu(vector(-1, 2));
  const y = scale(hidden, 2);
  await y.data();
  throws(
    () => scale(hidden, 3),
    UsageError,
    "scale: the value of relu is gone (x [2]). Call keep() on it before its program runs, or await it there.",
  );
  await rejects(
    hidden.data(),
    UsageError,
    "data: the value of relu is gone (x [2]). Await it, or call keep(), before its program runs.",
  );
  throws(() => hidden.keep(), UsageError, "keep: the value is gone (relu [2]). Call keep() before its program runs.");
});

test("the error names the module too", async () => {
  const net = smallNet(engine).eval();
  const first = [...net.children().values()][0];
  const hidden = engine.withModule("features.0", () => first.forward(input(engine)));
  await relu(hidden).data();
  throws(() => relu(hidden), UsageError, /^relu: the value of linear \(features\.0\) is gone \(x \[2,8\]\)\./);
});

test("keep(): the value outlives its program, and is the same in later ones", async () => {
  const hidden = relu(vector(-1, 2)).keep();
  await scale(hidden, 2).data();
  assert.equal(await scale(hidden, 3).data(), Float32Array.of(0, 6));
  assert.equal(await hidden.data(), Float32Array.of(0, 2));
});

test("several awaits in one breath run one program", async () => {
  const x = vector(1, 2, 3);
  const [a, b] = [scale(x, 2), scale(x, 3)];
  const c = add(a, b);
  assert.equal(await Promise.all([a.data(), b.data(), sum(c).item()]), [
    Float32Array.of(2, 4, 6),
    Float32Array.of(3, 6, 9),
    30,
  ]);
});

test("two programs of one net, each awaited later, in either order: neither disturbs the other", async () => {
  for (const swapped of [false, true]) {
    const net = smallNet(engine).eval();
    const [a, b] = [net.forward(input(engine, 2, 1)), net.forward(input(engine, 2, 2))];
    const [first, second] = swapped ? [b, a] : [a, b];
    const one = await first.data();
    const two = await second.data();
    const again = await net.forward(input(engine, 2, swapped ? 2 : 1)).data();
    assert.equal(one, again);
    assert.not.equal(one, two);
  }
});

test("a forward pass recorded after an update that nobody awaited yet sees the new weights", async () => {
  const net = smallNet(engine).eval();
  const optimiser = new SGD(net.parameters(), { lr: 0.1 });
  const before = await net.forward(input(engine)).data();
  lossOf(net, engine).backward();
  optimiser.step();
  const [a, b] = [net.forward(input(engine)), net.forward(input(engine))];
  const first = await b.data();
  assert.not.equal(first, before);
  assert.equal(await a.data(), first);
});

test("interleaved async tasks outside scopes: a training loop and predictions with pauses", async () => {
  const net = smallNet(engine).eval();
  const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const reference = smallNet(engine).eval();
  const expected = await reference.forward(input(engine)).data();

  const other = smallNet(engine, 2).eval();
  const optimiser = new SGD(other.parameters(), { lr: 0.1 });
  const losses: number[] = [];
  const training = async (): Promise<void> => {
    for (let step = 0; step < 10; step++) {
      optimiser.zeroGrad();
      const loss = lossOf(other, engine);
      await pause();
      losses.push(await loss.item());
      await pause();
      loss.backward();
      await pause();
      optimiser.step();
      await pause();
    }
  };
  const predicting = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) {
      const y = net.forward(input(engine));
      await pause();
      assert.equal(await y.data(), expected);
    }
  };
  await Promise.all([training(), predicting(), predicting()]);
  assert.is(losses.length, 10);
  assert.ok(losses[9] < losses[0]);
});

test("loss.item(), then backward(): what the tape saved is still there", async () => {
  const grads = [];
  for (const readFirst of [true, false]) {
    const net = smallNet(engine);
    const loss = lossOf(net, engine);
    if (readFirst) assert.is(await loss.item(), await loss.item());
    loss.backward();
    grads.push(await net.parameters()[0].grad?.data());
  }
  assert.ok(grads[0]);
  assert.equal(grads[0], grads[1]);
});

test("the same loss awaited twice in one breath keeps its tape", async () => {
  const net = smallNet(engine);
  const loss = lossOf(net, engine);
  await Promise.all([loss.item(), loss.item()]);
  loss.backward();
  assert.ok(await net.parameters()[0].grad?.data());
});

test("only the newest awaited loss keeps its tape, also what it shares with an older one", async () => {
  const net = smallNet(engine);
  const logits = net.forward(input(engine));
  const [first, second] = [sum(logits), sum(mul(logits, logits))];
  await Promise.all([first.item(), second.item()]);
  second.backward();
  assert.ok(await net.parameters()[0].grad?.data());
  throws(
    () => first.backward(),
    UsageError,
    "backward: the gradient of linear (3) was computed already. Compute the loss again before the next backward().",
  );

  const [older, newer] = [lossOf(net, engine), lossOf(net, engine)];
  await older.item();
  await newer.item();
  throws(() => older.backward(), UsageError, /^crossEntropy: the value of crossEntropy is gone .* Call keep\(\)/);
  newer.backward();
});

test("backward() twice is refused", async () => {
  const net = smallNet(engine);
  const loss = lossOf(net, engine);
  loss.backward();
  throws(
    () => loss.backward(),
    UsageError,
    "backward: the gradient of crossEntropy was computed already. Compute the loss again before the next backward().",
  );
});

test("backward() of what is no scalar, or has no gradient, is refused", async () => {
  const net = smallNet(engine);
  throws(
    () => net.forward(input(engine)).backward(),
    UsageError,
    "backward: the tensor is not a scalar (loss [2,3]). Reduce it first, for example with sum().",
  );
  const nothing =
    "backward: nothing that leads to this tensor needs a gradient. Compute it from parameters, outside noGrad().";
  throws(() => sum(vector(1, 2)).backward(), UsageError, nothing);
  throws(() => engine.noGrad(() => lossOf(net, engine)).backward(), UsageError, nothing);
});

test("a parameter that changed between forward and backward is refused", async () => {
  const net = smallNet(engine);
  const optimiser = new SGD(net.parameters(), { lr: 0.1 });
  lossOf(net, engine).backward();
  const loss = lossOf(net, engine);
  optimiser.step();
  throws(
    () => loss.backward(),
    UsageError,
    "backward: a parameter changed since the forward pass (3.weight [3,8]). " +
      "Call backward() before the optimiser's step() or loadStateDict().",
  );
  const written = lossOf(net, engine);
  await net.parameters()[0].write(new Float32Array(32));
  throws(
    () => written.backward(),
    UsageError,
    /^backward: a parameter changed since the forward pass \(0\.weight \[8,4\]\)/,
  );
});

test("a program whose parameter changed is refused once, and leaves what it was to update as it was", async () => {
  const [w, v] = [engine.parameter([2], "w"), engine.parameter([2], "v")];
  await w.write(Float32Array.of(1, 2));
  await v.write(Float32Array.of(3, 4));
  const y = scale(v, 2);
  await v.write(Float32Array.of(5, 6));
  const stale =
    "scale: a value changed after this was recorded (v version 1, now 2). " +
    "Await the result before you change its inputs, or record both in one scope.";
  await rejects(y.data(), UsageError, stale);

  sum(mul(w, v)).backward();
  new SGD([w], { lr: 1 }).step();
  await v.write(Float32Array.of(7, 8));
  await rejects(w.read(), UsageError, stale.replace("scale", "mul").replace("version 1, now 2", "version 2, now 3"));
  assert.equal(await w.read(), Float32Array.of(1, 2));
  assert.is(w.grad, null);
  assert.equal(await sum(mul(w, v)).item(), 23);
});

test("gradients add up over backward calls until zeroGrad()", async () => {
  const w = engine.parameter([2], "w");
  await w.write(Float32Array.of(1, 2));
  assert.is(w.grad, null);
  sum(mul(w, vector(3, 4))).backward();
  sum(mul(w, vector(10, 20))).backward();
  assert.equal(await w.grad?.data(), Float32Array.of(13, 24));
  w.zeroGrad();
  assert.is(w.grad, null);
  sum(mul(w, vector(3, 4))).backward();
  assert.equal(await w.grad?.data(), Float32Array.of(3, 4));
});

test("zeroGrad() after step() in one program: the gradient is gone with it; a throw brings it back", async () => {
  const w = engine.parameter([2], "w");
  await w.write(Float32Array.of(1, 2));
  const optimiser = new SGD([w], { lr: 1 });
  await engine.scope(() => sum(mul(w, vector(3, 4))).backward());
  await rejects(
    engine.scope(() => {
      optimiser.step();
      optimiser.zeroGrad();
      throw new UsageError("stop: no. Do not.");
    }),
    UsageError,
    "stop: no. Do not.",
  );
  const { grad } = w;
  assert.ok(grad);
  assert.equal(await grad.data(), Float32Array.of(3, 4));
  // Of an earlier program: zeroGrad() leaves its memory alone, and a later backward() starts anew.
  w.zeroGrad();
  assert.equal(await grad.data(), Float32Array.of(3, 4));
  await engine.scope(() => {
    sum(mul(w, vector(5, 6))).backward();
    optimiser.step();
    optimiser.zeroGrad();
  });
  assert.equal(await w.read(), Float32Array.of(-4, -4));
  assert.is(w.grad, null);
  await rejects(
    grad.data(),
    UsageError,
    "data: the value of w.grad is gone (x [2]). Await it, or call keep(), before its program runs.",
  );
  await engine.scope(() => sum(mul(w, vector(7, 8))).backward());
  assert.equal(await w.grad?.data(), Float32Array.of(7, 8));
});

test("zeroGrad() on a program that still records: a gradient that is read, or asked for by another program, stays", async () => {
  const w = engine.parameter([2], "w");
  await w.write(Float32Array.of(1, 2));
  sum(mul(w, vector(3, 4))).backward();
  const { grad } = w;
  assert.ok(grad);
  w.zeroGrad();
  const total = sum(grad);
  const reads = [grad.data(), total.item()] as const;
  assert.equal(await reads[0], Float32Array.of(3, 4));
  assert.is(await reads[1], 7);
});

test("read(begin, end), write(data, begin) of a parameter; out of range is refused", async () => {
  const w = engine.parameter([2, 3], "w");
  await w.write(Float32Array.of(1, 2, 3, 4, 5, 6));
  await w.write(Float32Array.of(8, 9), 3);
  assert.equal(await w.read(2, 5), Float32Array.of(3, 8, 9));
  await rejects(
    w.write(Float32Array.of(1, 2), 5),
    UsageError,
    "write: elements 5 to 7 are not a part of the tensor (w [2,3]). Stay within 0 to 6.",
  );
});

test("a parameter without a value is refused", async () => {
  const w = engine.parameter([2], "w");
  await rejects(
    w.read(),
    UsageError,
    "data: the value of w was never computed (x [2]). Await it, or call keep(), before its program runs.",
  );
  throws(() => scale(w, 2), UsageError, "scale: a tensor has no value yet (w). Initialise or load it first.");
});

test("1,000 steps that await nothing run when the end is awaited, with the same bits as step by step", async () => {
  const hashes: string[] = [];
  for (const every of [1, 1000]) {
    const net = smallNet(engine);
    const optimiser = new SGD(net.parameters(), { lr: 0.01, momentum: 0.9 });
    for (let step = 1; step <= 1000; step++) {
      optimiser.zeroGrad();
      const loss = lossOf(net, engine, 1, step % 5);
      loss.backward();
      optimiser.step();
      if (step % every === 0) await loss.item();
    }
    hashes.push(await weightsHash(net));
  }
  assert.is(hashes[0], hashes[1]);
});

test("inputs of different engines are refused", async () => {
  const other = await createEngine({ backend: "reference" });
  throws(
    () => add(vector(1, 2), other.tensor([1, 2], [2])),
    UsageError,
    "add: the inputs belong to different engines. Create all of them with one engine.",
  );
});

test("a closed engine refuses; what was asked for before runs; close() twice is fine", async () => {
  for (const threads of [1, 2]) {
    const closing = await createEngine({ threads });
    const before = scale(closing.tensor([1, 2], [2]), 2).data();
    const x = closing.tensor([1, 2], [2]);
    await before;
    await Promise.all([closing.close(), closing.close()]);
    await closing.close();
    const text = "engine: it is closed. Create another with createEngine().";
    await rejects(scale(x, 2).data(), UsageError, text);
    await rejects(
      closing.scope(() => scale(x, 2)),
      UsageError,
      text,
    );
    await rejects(
      async () => {
        for await (const step of closing.steps(() => scale(x, 2))) assert.unreachable(step.op);
      },
      UsageError,
      text,
    );
  }
});

test("NaN and infinity in the input: they flow through, the engine goes on", async () => {
  assert.is((await relu(vector(NaN, -Infinity, Infinity)).data()).join(), "NaN,0,Infinity");
  const net = smallNet(engine).eval();
  const x = engine.tensor(new Float32Array(4).fill(NaN), [1, 4]);
  assert.ok((await net.forward(x).data()).every(Number.isNaN));
  assert.ok((await net.forward(input(engine)).data()).every(Number.isFinite));
});

test("tensor: values that do not fill the shape, sizes that are no sizes", () => {
  const cases: [number[], number[], string][] = [
    [[1, 2, 3], [2, 2], "3 values do not fill the shape (x [2,2]). Give 4 values"],
    [[], [0], "0 values do not fill the shape (x [0]). Give 0 values"],
    [[1], [-1, -1], "1 values do not fill the shape (x [-1,-1]). Give 1 values"],
    [[1, 2, 3], [1.5, 2], "3 values do not fill the shape (x [1.5,2]). Give 3 values"],
  ];
  for (const [data, shape, text] of cases) {
    throws(() => engine.tensor(data, shape), UsageError, `tensor: ${text}, all sizes at least 1.`);
  }
});

test("a wrong shape is refused where it is recorded, and nothing is recorded", async () => {
  const net = smallNet(engine);
  throws(() => net.forward(engine.tensor([1, 2], [1, 2])), ShapeError, /^linear: .*x \[1,2\].*weight \[8,4\]/);
  const weight = engine.parameter([4, 3, 3, 3], "w");
  throws(
    () => conv2d(engine.tensor(new Float32Array(2 * 8 * 8), [1, 2, 8, 8]), weight),
    ShapeError,
    "conv2d: input channels differ (x [1,2,8,8] has 2, weight [4,3,3,3] takes 3). Give x 3 channels, or the weight 2.",
  );
  assert.is(weight.storage.state, "empty");
});

test("createEngine: options that make no sense", async () => {
  for (const threads of [0, 257, 10_000, 1.5, NaN]) {
    await rejects(
      createEngine({ threads }),
      UsageError,
      `createEngine: threads must be an integer from 1 to 256 (threads ${threads}). Leave it out to use all cores.`,
    );
  }
});

test.run();
