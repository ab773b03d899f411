/** Initialisers by their statistics, and dropout as a layer. What the layers compute: test/ops. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ShapeError, UsageError } from "#src/core/errors.js";
import { Random } from "#src/core/random.js";
import { createEngine } from "#src/engine.js";
import { Conv2d, Dropout, glorotUniform, type Initialiser, Linear, normal } from "#src/nn/index.js";
import { throws } from "../engine/nets.js";

const engine = await createEngine({ threads: 1 });

async function weightsOf(init?: Initialiser, seed = 1): Promise<Float32Array> {
  const options = { inChannels: 32, outChannels: 64, kernelSize: 3, random: new Random(seed, "features.0") };
  const layer = new Conv2d(engine, init ? { ...options, init } : options);
  return layer.weight.read();
}

/** 18,432 samples: the mean of so many is within 0.03 standard deviations of the truth, their spread within 3 %. */
const TOLERANCE = 0.03;

function checkStatistics(weights: Float32Array, std: number): void {
  const mean = weights.reduce((sum, value) => sum + value, 0) / weights.length;
  const variance = weights.reduce((sum, value) => sum + (value - mean) ** 2, 0) / weights.length;
  assert.ok(Math.abs(mean) < TOLERANCE * std, `mean ${mean}`);
  assert.ok(Math.abs(Math.sqrt(variance) / std - 1) < TOLERANCE, `std ${Math.sqrt(variance)}`);
}

/** Share of the weights within `width` of 0. */
function shareWithin(weights: Float32Array, width: number): number {
  return weights.filter((value) => Math.abs(value) < width).length / weights.length;
}

test("heNormal, the default: std sqrt(2 / fanIn), normal", async () => {
  const weights = await weightsOf();
  const std = Math.sqrt(2 / 288);
  checkStatistics(weights, std);
  assert.ok(Math.abs(shareWithin(weights, std) - 0.6827) < 0.01);
  assert.ok(Math.abs(shareWithin(weights, 2 * std) - 0.9545) < 0.01);
});

test("glorotUniform: within sqrt(6 / (fanIn + fanOut)), uniform", async () => {
  const weights = await weightsOf(glorotUniform);
  const limit = Math.sqrt(6 / (288 + 576));
  checkStatistics(weights, limit / Math.sqrt(3));
  assert.is(shareWithin(weights, limit * (1 + 1e-6)), 1);
  assert.ok(Math.abs(shareWithin(weights, limit / 2) - 0.5) < 0.01);
});

test("normal(0.01): that std", async () => {
  checkStatistics(await weightsOf(normal(0.01)), 0.01);
});

test("linear: fanIn is the number of inputs; biases start at 0", async () => {
  const layer = new Linear(engine, { inFeatures: 200, outFeatures: 100, random: new Random(1, "classifier.0") });
  checkStatistics(await layer.weight.read(), 0.1);
  assert.equal(await layer.bias?.read(), new Float32Array(100));
});

test("one seed, one set of weights, on any number of threads; another seed, others", async () => {
  const weights = await weightsOf();
  assert.equal(await weightsOf(), weights);
  assert.not.equal(await weightsOf(undefined, 2), weights);
  const two = await createEngine({ threads: 2 });
  const layer = new Conv2d(two, {
    inChannels: 32,
    outChannels: 64,
    kernelSize: 3,
    random: new Random(1, "features.0"),
  });
  assert.equal(await layer.weight.read(), weights);
  await two.close();
});

test("Dropout: another mask each training pass, the identity in evaluation", async () => {
  const layer = new Dropout(0.5, new Random(1, "classifier.2"));
  const x = engine.tensor(new Float32Array(10_000).fill(1), [100, 100]);
  const first = await layer.forward(x).data();
  const second = await layer.forward(x).data();
  assert.is(layer.passes, 2);
  assert.not.equal(first, second);
  assert.ok(first.every((value) => value === 0 || value === 2));
  const share = first.filter((value) => value === 0).length / first.length;
  assert.ok(Math.abs(share - 0.5) < 0.02, `share ${share}`);

  assert.is(layer.eval().forward(x), x);
  assert.is(layer.passes, 2);
  assert.equal(await new Dropout(0.5, new Random(1, "classifier.2")).forward(x).data(), first);
  assert.is(new Dropout(0).forward(x), x);
});

test("layers built without random have numbers of their own, the same in every run", async () => {
  const build = async (): Promise<Float32Array[]> => {
    const own = await createEngine({ threads: 1 });
    const conv = { inChannels: 3, outChannels: 3, kernelSize: 1 };
    const layers = [0, 1].map(() => new Linear(own, { inFeatures: 3, outFeatures: 3 }));
    const convs = [0, 1].map(() => new Conv2d(own, conv));
    // A stream given to a layer takes none of the others' numbers.
    new Linear(own, { inFeatures: 3, outFeatures: 3, random: new Random(9) });
    const dropouts = [new Dropout(0.5), new Dropout(0.5)];
    const masks = dropouts.map((layer) => layer.forward(own.tensor(new Float32Array(64).fill(1), [64])).data());
    const weights = [...layers, ...convs].map(({ weight }) => weight.read());
    const all = await Promise.all([...weights, ...masks]);
    await own.close();
    return all;
  };
  const first = await build();
  assert.is(new Set(first.map((numbers) => numbers.join())).size, first.length);
  assert.equal(await build(), first);
});

test("options out of range: refused at construction", () => {
  const conv = { inChannels: 1, outChannels: 1, kernelSize: 3 };
  const linear = { inFeatures: 1, outFeatures: 1 };
  const sizes: [() => unknown, string][] = [
    [
      () => new Conv2d(engine, { ...conv, inChannels: 0 }),
      "Conv2d: inChannels must be an integer of at least 1 (inChannels 0). Change inChannels.",
    ],
    [
      () => new Conv2d(engine, { ...conv, outChannels: 1.5 }),
      "Conv2d: outChannels must be an integer of at least 1 (outChannels 1.5). Change outChannels.",
    ],
    [
      () => new Conv2d(engine, { ...conv, stride: 0 }),
      "Conv2d: stride must be an integer of at least 1, or two of them (stride 0). Change stride.",
    ],
    [
      () => new Conv2d(engine, { ...conv, padding: [0, -1] }),
      "Conv2d: padding must be an integer of at least 0, or two of them (padding [0,-1]). Change padding.",
    ],
    [
      () => new Linear(engine, { ...linear, inFeatures: NaN }),
      "Linear: inFeatures must be an integer of at least 1 (inFeatures NaN). Change inFeatures.",
    ],
    [
      () => new Linear(engine, { ...linear, outFeatures: -2 }),
      "Linear: outFeatures must be an integer of at least 1 (outFeatures -2). Change outFeatures.",
    ],
  ];
  for (const [run, text] of sizes) throws(run, ShapeError, text);
  for (const p of [1, -0.1, NaN]) {
    throws(() => new Dropout(p), UsageError, `Dropout: p must be at least 0 and below 1 (p ${p}). Change p.`);
  }
  for (const std of [-1, NaN, Infinity]) {
    throws(() => normal(std), UsageError, `normal: std must be a number of at least 0 (std ${std}). Change std.`);
  }
});

test.run();
