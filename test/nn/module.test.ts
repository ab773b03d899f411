/** Modules: names, state dictionaries, filters, modes. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ShapeError, UsageError, WeightsError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import { vgg } from "#src/models/vgg.js";
import { Conv2d, Dropout, Linear, MaxPool2d, ReLU, Sequential } from "#src/nn/index.js";
import { engineOf, inMode } from "#src/nn/module.js";
import { sum } from "#src/ops/index.js";
import { SGD } from "#src/optim/index.js";
import { rejects, smallNet, throws, weightsHash } from "../engine/nets.js";

const engine = await createEngine({ threads: 1 });

test("stateDict: the names of torchvision's vgg11", () => {
  const model = vgg("A", { classes: 10, inputSize: 32, width: 1 / 32, classifier: [8, 8] }, engine);
  const layers = ["features.0", "features.3", "features.6", "features.8", "features.11", "features.13", "features.16"];
  const all = [...layers, "features.18", "classifier.0", "classifier.3", "classifier.6"];
  assert.equal(
    [...model.stateDict().keys()],
    all.flatMap((name) => [`${name}.weight`, `${name}.bias`]),
  );
  for (const [name, parameter] of model.stateDict()) assert.is(parameter.name, name);
  assert.equal(model.stateDict().get("features.3.weight")?.shape, [4, 2, 3, 3]);
  assert.equal(model.stateDict().get("classifier.6.weight")?.shape, [10, 8]);
});

test("stateDict: a named Sequential, and layers without bias", () => {
  const model = new Sequential({
    body: new Sequential([new Conv2d(engine, { inChannels: 1, outChannels: 2, kernelSize: [3, 1], bias: false })]),
    head: new Linear(engine, { inFeatures: 4, outFeatures: 2 }),
  });
  assert.equal([...model.stateDict().keys()], ["body.0.weight", "head.weight", "head.bias"]);
  assert.equal(model.stateDict().get("body.0.weight")?.shape, [2, 1, 3, 1]);
});

test("parameters: all, and those whose name a filter accepts", () => {
  const net = smallNet(engine);
  assert.equal(
    net.parameters().map(({ name }) => name),
    ["0.weight", "0.bias", "3.weight", "3.bias"],
  );
  assert.equal(
    net.parameters((name) => name.endsWith(".bias")).map(({ size }) => size),
    [8, 3],
  );
});

test("loadStateDict: a Map or an object; what was saved is what is loaded", async () => {
  const [source, target, third] = [smallNet(engine, 1), smallNet(engine, 2), smallNet(engine, 3)];
  const saved = new Map<string, Float32Array>();
  for (const [name, parameter] of source.stateDict()) saved.set(name, await parameter.read());
  assert.is.not(await weightsHash(target), await weightsHash(source));
  await target.loadStateDict(saved);
  await third.loadStateDict(Object.fromEntries(saved));
  assert.is(await weightsHash(target), await weightsHash(source));
  assert.is(await weightsHash(third), await weightsHash(source));
});

test("loadStateDict: unexpected, missing, wrong size: named, and nothing is written", async () => {
  const net = smallNet(engine);
  const before = await weightsHash(net);
  const good = new Map<string, Float32Array>();
  for (const [name, { size }] of net.stateDict()) good.set(name, new Float32Array(size));

  await rejects(
    net.loadStateDict(new Map([...good, ["features.99.weight", new Float32Array(1)]])),
    WeightsError,
    "loadStateDict: the net has no such parameter (unexpected features.99.weight). Load the weights into the net they were saved from.",
  );
  const missing = new Map(good);
  missing.delete("3.weight");
  await rejects(
    net.loadStateDict(missing),
    WeightsError,
    "loadStateDict: a parameter is missing (missing 3.weight [3,8]). Load the weights into the net they were saved from.",
  );
  await rejects(
    net.loadStateDict(new Map([...good, ["3.bias", new Float32Array(4)]])),
    ShapeError,
    "loadStateDict: the number of values differs (3.bias [3], values 4). Give 3 values.",
  );
  assert.is(await weightsHash(net), before);
});

test("train and eval: all modules inside", () => {
  const net = new Sequential({ inner: new Sequential([new Dropout(0.5), new ReLU()]) });
  assert.ok(net.training);
  assert.is(net.eval(), net);
  const inner = net.children().get("inner");
  assert.not(net.training);
  assert.ok(inner && [...inner.children().values()].every((child) => !child.training));
  net.train();
  assert.ok(inner && [...inner.children().values()].every((child) => child.training));
});

test("inMode: during the function alone, also when it throws; each module's own mode comes back", () => {
  const [frozen, layer] = [new Dropout(0.5).eval(), new ReLU()];
  const net = new Sequential([frozen, layer]);
  const modes = (): boolean[] => [net, frozen, layer].map(({ training }) => training);
  assert.equal(inMode(net, false, modes), [false, false, false]);
  assert.equal(inMode(net, true, modes), [true, true, true]);
  assert.equal(modes(), [true, false, true]);
  const fail = (): never => {
    throw new RangeError("stop");
  };
  throws(() => inMode(net, false, fail), RangeError, "stop");
  assert.equal(modes(), [true, false, true]);
});

test("engineOf: a model without parameters has none", () => {
  assert.is(engineOf("test", smallNet(engine)), engine);
  throws(
    () => engineOf("test", new Sequential([new ReLU()])),
    UsageError,
    "test: the model has no parameters (parameters 0). Pass a model with a layer that has weights.",
  );
});

test("Sequential: the order of a list, a Map and an object; whole numbers among other names are refused", () => {
  const [a, b, c] = [new ReLU(), new ReLU(), new ReLU()];
  const order = (net: Sequential): [string, unknown][] => [...net.children()];
  const map = new Map([
    ["conv", a],
    ["1", b],
    ["0", c],
  ]);
  assert.equal(
    order(new Sequential(map)).map(([name]) => name),
    ["conv", "1", "0"],
  );
  assert.ok(order(new Sequential(map)).every(([, layer], i) => layer === [a, b, c][i]));
  assert.equal(
    order(new Sequential([a, b])).map(([name]) => name),
    ["0", "1"],
  );
  assert.equal(
    order(new Sequential({ z: a, a: b, "01": c })).map(([name]) => name),
    ["z", "a", "01"],
  );
  assert.equal(
    order(new Sequential({ "0": a, "3": b, "10": c })).map(([name]) => name),
    ["0", "3", "10"],
  );
  throws(
    () => new Sequential({ conv: a, "1": b, "0": c }),
    UsageError,
    "Sequential: an object loses the order of whole numbers among other names (names 0,1,conv). Pass a Map or a list.",
  );
});

test("shared weights: one parameter under two names; SGD takes it, and a step moves it once", async () => {
  const shared = new Linear(engine, { inFeatures: 2, outFeatures: 2 });
  const net = new Sequential({ first: shared, relu: new ReLU(), second: shared });
  assert.equal([...net.stateDict().keys()], ["first.weight", "first.bias", "second.weight", "second.bias"]);
  assert.equal(net.parameters(), [shared.weight, shared.bias]);
  assert.equal(
    net.parameters((name) => name.startsWith("second")),
    [],
  );
  assert.is(shared.weight.name, "first.weight");
  await shared.weight.write(Float32Array.of(1, 0, 0, 1));
  const optimiser = new SGD(net.parameters(), { lr: 0.5 });
  // y = w (w x): at the identity, the gradient of the sum by w is that of both uses, [2, 4] in each row.
  sum(net.forward(engine.tensor([1, 2], [1, 2]))).backward();
  optimiser.step();
  assert.equal(await shared.weight.read(), Float32Array.of(0, -2, -1, -1));
});

test("loadStateDict: another net's parameters; shapes are compared, and nothing is written before all is read", async () => {
  const other = await createEngine({ threads: 1 });
  const [source, target] = [smallNet(other, 1), smallNet(engine, 2)];
  await target.loadStateDict(source.stateDict());
  assert.is(await weightsHash(target), await weightsHash(source));
  await target.loadStateDict(target.stateDict());
  assert.is(await weightsHash(target), await weightsHash(source));
  await other.close();

  const before = await weightsHash(target);
  const state = smallNet(engine, 3).stateDict();
  await rejects(
    target.loadStateDict(new Map([...state, ["3.weight", engine.parameter([8, 3], "w")]])),
    ShapeError,
    "loadStateDict: the shapes differ (3.weight [3,8], given [8,3]). Load the weights into the net they were saved from.",
  );
  await rejects(
    target.loadStateDict(new Map([...state, ["3.bias", engine.parameter([3], "unset")]])),
    UsageError,
    /^data: the value of unset was never computed/,
  );
  assert.is(await weightsHash(target), before);
});

test("a layer's bad option names the layer", () => {
  throws(
    () => new Conv2d(engine, { inChannels: 1, outChannels: 1, kernelSize: 0 }),
    ShapeError,
    "Conv2d: kernelSize must be an integer of at least 1, or two of them (kernelSize 0). Change kernelSize.",
  );
  throws(
    () => new MaxPool2d({ kernelSize: 3 }).forward(engine.tensor([1, 2, 3, 4], [1, 1, 2, 2])),
    ShapeError,
    "maxPool2d: the window is larger than the padded input (height 2 + 2·0, kernelSize 3). Use a larger input, more padding or a smaller kernel.",
  );
});

test.run();
