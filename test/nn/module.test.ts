/** Modules: names, state dictionaries, filters, modes. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ShapeError, WeightsError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import { vgg } from "#src/models/vgg.js";
import { Conv2d, Dropout, Linear, MaxPool2d, ReLU, Sequential } from "#src/nn/index.js";
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
