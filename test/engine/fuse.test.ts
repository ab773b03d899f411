/**
 * Fused programs give the bits of the calls as they were recorded: scope(), which fuses, against steps(), which does not.
 * What is fused: test/core/fuse.test.ts.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { Random } from "#src/core/random.js";
import { sizeOf } from "#src/core/shape.js";
import type { Tensor } from "#src/core/tensor.js";
import { createEngine, type EngineOptions } from "#src/engine.js";
import { auxiliaryCrossEntropy, Net } from "#src/models/net.js";
import { buildNet } from "#src/models/nets.js";
import { vgg } from "#src/models/vgg.js";
import { Conv2d, Flatten, Linear, Module, Sequential } from "#src/nn/index.js";
import { add, channelsLast, concat, conv2d, crossEntropy, labelsTensor, maxPool2d, relu } from "#src/ops/index.js";
import { SGD } from "#src/optim/index.js";
import { BACKENDS } from "../helpers/engines.js";
import { values, weightsHash } from "./nets.js";

/** Records as one program and runs it. */
type Way = (engine: Engine, record: () => void) => Promise<void>;

const fused: Way = (engine, record) => engine.scope(record);
const asRecorded: Way = async (engine, record) => {
  for await (const { index, count } of engine.steps(record)) assert.ok(index < count);
};

const CLASSES = 3;

/** Labels 0, 1, 2, … one a picture, or one a pixel of nets whose logits are maps. */
function lossOf(model: Module, x: Tensor): Tensor {
  const { logits, auxiliary } =
    model instanceof Net ? model.forwardAll(x) : { logits: model.forward(x), auxiliary: [] };
  const rows = logits.shape.length === 4 ? channelsLast(logits) : logits;
  const labels = Array.from({ length: rows.shape[0] }, (_, i) => i % CLASSES);
  return auxiliaryCrossEntropy({ logits: rows, auxiliary }, labelsTensor(x.engine, labels, CLASSES));
}

function picture(engine: Engine, shape: readonly number[], seed: number): Tensor {
  return engine.tensor(values(sizeOf(shape), seed), shape);
}

/** The hash of the weights after two steps of `microBatches` each. */
async function trainedHash(
  options: EngineOptions,
  build: (engine: Engine) => Module,
  x: readonly number[],
  { way, microBatches = 1 }: { way: Way; microBatches?: number },
): Promise<string> {
  const engine = await createEngine(options);
  const model = build(engine);
  const optimiser = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9 });
  const start = await weightsHash(model);
  for (let step = 0; step < 2; step++) {
    await way(engine, () => {
      optimiser.zeroGrad();
      for (let part = 0; part < microBatches; part++) lossOf(model, picture(engine, x, 10 * step + part)).backward();
      optimiser.step();
    });
  }
  const hash = await weightsHash(model);
  assert.is.not(hash, start);
  await engine.close();
  return hash;
}

/** Every way in which values branch: a residual sum, a concatenation, a value that two layers and a pool look at. */
class Branches extends Module {
  private readonly layers: readonly Module[];
  private readonly head: Module;

  constructor(engine: Engine) {
    super();
    const conv = (inChannels: number, name: string): Conv2d =>
      new Conv2d(engine, { inChannels, outChannels: 4, kernelSize: 3, padding: 1, random: new Random(1, name) });
    this.layers = [conv(3, "0"), conv(4, "1"), conv(4, "2"), conv(4, "3"), conv(4, "4")];
    this.head = new Linear(engine, { inFeatures: 8 * 4 * 4, outFeatures: CLASSES, random: new Random(1, "head") });
  }

  override children(): ReadonlyMap<string, Module> {
    return new Map([...this.layers.map((layer, i) => [`${i}`, layer] as const), ["head", this.head]]);
  }

  override forward(x: Tensor): Tensor {
    const [a, b, c, d, e] = this.layers.map((layer) => (t: Tensor) => layer.forward(t));
    const first = relu(a(x));
    const second = relu(add(relu(b(first)), first));
    const plain = c(second);
    const third = add(relu(plain), plain);
    const pooled = maxPool2d(relu(d(third)), { kernelSize: 2 });
    const last = relu(e(pooled));
    return this.head.forward(new Flatten().forward(concat([last, pooled])));
  }
}

const branches = (engine: Engine): Module => new Branches(engine);

for (const { name, options } of BACKENDS) {
  test(`branches, x=[2,3,8,8]: ${name}`, async () => {
    const x = [2, 3, 8, 8];
    const hash = await trainedHash(options, branches, x, { way: fused });
    assert.is(hash, await trainedHash(options, branches, x, { way: asRecorded }));
  });
}

test("branches, x=[2,3,8,8], three micro-batches in a scope", async () => {
  const hashes: string[] = [];
  for (const way of [fused, asRecorded]) {
    hashes.push(await trainedHash({ threads: 1 }, branches, [2, 3, 8, 8], { way, microBatches: 3 }));
  }
  assert.is(hashes[0], hashes[1]);
});

const start = { classes: CLASSES, seed: 3 } as const;
const NETS: Readonly<Record<string, readonly [side: number, build: (engine: Engine) => Module]>> = {
  "vgg A": [32, (engine) => vgg("A", { inputSize: 32, width: 1 / 16, ...start }, engine)],
  "vgg A, batch norm": [32, (engine) => vgg("A", { inputSize: 32, width: 1 / 16, batchNorm: true, ...start }, engine)],
  alexnet: [67, (engine) => buildNet("alexnet", { inputSize: 67, width: 1 / 32, ...start }, engine)],
  googlenet: [80, (engine) => buildNet("googlenet", { inputSize: 80, width: 1 / 8, ...start }, engine)],
  fcn8s: [20, (engine) => buildNet("fcn8s", { inputSize: 20, width: 1 / 16, ...start }, engine)],
};

for (const [name, [side, build]] of Object.entries(NETS)) {
  test(`${name}, x=[2,3,${side},${side}], narrow`, async () => {
    const x = [2, 3, side, side];
    const hash = await trainedHash({ threads: 2 }, build, x, { way: fused });
    assert.is(hash, await trainedHash({ threads: 2 }, build, x, { way: asRecorded }));
  });
}

test("vgg A, x=[2,3,32,32]: the loss awaited before backward(), or a value in the middle awaited or kept", async () => {
  const [side, build] = NETS["vgg A"];
  const hashes: string[] = [];
  for (const seen of ["nothing", "loss", "middle", "kept"] as const) {
    const engine = await createEngine({ threads: 1 });
    const model = build(engine);
    const optimiser = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9 });
    for (let step = 0; step < 2; step++) {
      const x = picture(engine, [2, 3, side, side], step);
      const [features, flatten, classifier] = model.children().values();
      assert.instance(features, Sequential);
      let y = x;
      const held: Tensor[] = [];
      for (const layer of features.children().values()) {
        y = layer.forward(y);
        held.push(seen === "kept" ? y.keep() : y);
      }
      const logits = classifier.forward(flatten.forward(y));
      const loss = crossEntropy(logits, labelsTensor(engine, [0, 1], CLASSES));
      const reads = seen === "middle" ? held.slice(3, 6).map((value) => value.data()) : [];
      if (seen === "loss") await loss.item();
      optimiser.zeroGrad();
      loss.backward();
      optimiser.step();
      await Promise.all(reads);
      await model.parameters()[0].read();
      for (const value of seen === "kept" ? held : []) assert.ok((await value.data()).every(Number.isFinite));
    }
    hashes.push(await weightsHash(model));
    await engine.close();
  }
  assert.is(new Set(hashes).size, 1);
});

/** Channels and maps that no tile divides, rows and columns beyond the last whole tile; a NaN, infinities and zeros of both signs. */
for (const { name, options } of BACKENDS) {
  for (const [batch, inC, outC, height, width] of [
    [2, 3, 5, 14, 10],
    [1, 17, 21, 16, 18],
    [17, 18, 16, 2, 2],
    [3, 16, 70, 8, 4],
  ]) {
    test(`conv2d, relu, maxPool2d in one, x=[${batch},${inC},${height},${width}] w=[${outC},${inC},3,3]: ${name}`, async () => {
      const engine = await createEngine(options);
      const x = values(batch * inC * height * width, 1);
      for (const [at, value] of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0].entries()) {
        if (batch * inC > 2 * at) x[2 * at * height * width + at] = value;
      }
      const input = engine.tensor(x, [batch, inC, height, width]).keep();
      const weight = engine.tensor(values(outC * inC * 9, 2), [outC, inC, 3, 3]).keep();
      const bias = engine.tensor(values(outC, 3), [outC]).keep();
      const found: Float32Array[] = [];
      for (const way of [fused, asRecorded]) {
        let y: Tensor | undefined;
        await way(engine, () => {
          const whole = engine.noGrad(() => relu(conv2d(input, weight, bias, { padding: 1 })));
          y = engine.noGrad(() => maxPool2d(whole, { kernelSize: 2 })).keep();
        });
        found.push(Float32Array.from((await y?.data()) ?? []));
      }
      await engine.close();
      assert.ok(found[0].length === (batch * outC * height * width) / 4 && found[0].some((value) => value > 0));
      assert.ok(found[0].every((value, i) => Object.is(value, found[1][i])));
    });
  }
}

/** Two layers whose sizes are no multiples of the tiles. */
const twoLinear =
  (inFeatures: number) =>
  (engine: Engine): Module => {
    const layer = (from: number, to: number, name: string): Linear =>
      new Linear(engine, { inFeatures: from, outFeatures: to, random: new Random(1, name) });
    return new Sequential({ "0": layer(inFeatures, 9, "a"), "1": layer(9, CLASSES, "b") });
  };

for (const { name, options } of BACKENDS) {
  for (const settings of [{ momentum: 0.9, weightDecay: 0.01 }, {}, { momentum: 0.9, form: "caffe" }] as const) {
    for (const [batch, inFeatures] of [
      [1, 21],
      [3, 8],
      [8, 141],
      [300, 17],
    ]) {
      const shape = `x=[${batch},${inFeatures}] ${JSON.stringify(settings)}`;
      test(`linear, gradient and update in one, ${shape}: ${name}`, async () => {
        const hashes: string[] = [];
        for (const [way, forgets] of [
          [fused, true],
          [fused, false],
          [asRecorded, true],
        ] as const) {
          const engine = await createEngine(options);
          const model = twoLinear(inFeatures)(engine);
          const optimiser = new SGD(model.parameters(), { lr: 0.05, ...settings });
          for (let step = 0; step < 3; step++) {
            await way(engine, () => {
              if (!forgets) optimiser.zeroGrad();
              lossOf(model, picture(engine, [batch, inFeatures], step)).backward();
              optimiser.step();
              if (forgets) optimiser.zeroGrad();
            });
          }
          hashes.push(await weightsHash(model));
          await engine.close();
        }
        assert.is(new Set(hashes).size, 1);
      });
    }
  }
}

test.run();
