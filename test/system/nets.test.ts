/**
 * The nets that the paper compares with, as modules, narrow: parameters as in their tables, some training steps of each, and for
 * three of them loss and all gradients against PyTorch in float64 (test/fixtures/make-nets.py).
 */
import { readFile } from "node:fs/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import type { Tensor } from "#src/core/tensor.js";
import { createEngine } from "#src/engine.js";
import { parseSafetensors } from "#src/io/safetensors-format.js";
import { auxiliaryCrossEntropy, type Net } from "#src/models/net.js";
import { netTensorShapes } from "#src/models/net-config.js";
import { buildNet, NET_NAMES, type NetName, netLayers } from "#src/models/nets.js";
import { channelsLast, crossEntropy, labelsTensor } from "#src/ops/index.js";
import { SGD } from "#src/optim/index.js";
import { formulaFill } from "../fixtures/formula.js";
import { maxRelativeError, sameValues } from "../helpers/compare.js";

const BATCH = 2;

/** Labels 0, 1, 2, … one a picture, or one a pixel of the fcn nets, whose logits are maps. */
function lossOf(net: Net, x: Tensor): Tensor {
  const { logits, auxiliary } = net.forwardAll(x);
  const rows = logits.shape.length === 4 ? channelsLast(logits) : logits;
  const [count, classes] = rows.shape;
  const labels = labelsTensor(
    x.engine,
    Array.from({ length: count }, (_, i) => i % classes),
    classes,
  );
  return auxiliaryCrossEntropy({ logits: rows, auxiliary }, labels);
}

function picture(engine: Engine, side: number): Tensor {
  const values = new Float32Array(BATCH * 3 * side * side);
  formulaFill(values, 1000, 4);
  return engine.tensor(values, [BATCH, 3, side, side]);
}

/** Small input sizes that all layers fit. */
const SIDES: Partial<Record<NetName, number>> = {
  ...{ alexnet: 67, "alexnet-torchvision": 63, zfnet: 65, "overfeat-fast": 71, "overfeat-accurate": 77, nin: 67 },
  ...{ googlenet: 80, "googlenet-torchvision": 40, "cnn-f": 67, "cnn-m": 63, "cnn-s": 67, sppnet: 64 },
  ...{ fcn32s: 20, fcn16s: 20, fcn8s: 20 },
};

/** 1/32, but for nets in which so few channels die behind their ReLUs at the start. */
const WIDTHS: Partial<Record<NetName, number>> = { googlenet: 1 / 8, fcn32s: 1 / 16 };

for (const name of NET_NAMES) {
  const inputSize = SIDES[name] ?? 0;
  test(`${name}, x=[2,3,${inputSize},${inputSize}], narrow: every parameter learns, the loss falls`, async () => {
    // Whether so few steps of so narrow a net go down hangs on its roundings.
    const engine = await createEngine({ threads: 1, deterministic: true });
    const options = { inputSize, width: WIDTHS[name] ?? 1 / 32, classes: 3, dropout: 0, seed: 3 } as const;
    const net = buildNet(name, options, engine);
    assert.equal(
      [...net.stateDict()].map(([tensor, { shape }]) => [tensor, shape]),
      [...netTensorShapes(netLayers(name, options))],
    );
    const before = new Map<string, Float32Array>();
    for (const parameter of net.parameters()) before.set(parameter.name, await parameter.read());
    const optimiser = new SGD(net.parameters(), { lr: 0.005, momentum: 0.9 });
    const losses: number[] = [];
    for (let step = 0; step < 6; step++) {
      const loss = await engine.scope(() => {
        optimiser.zeroGrad();
        const loss = lossOf(net, picture(engine, inputSize));
        loss.backward();
        optimiser.step();
        return loss;
      });
      losses.push(await loss.item());
    }
    for (const parameter of net.parameters()) {
      const values = await parameter.grad?.values();
      assert.ok(values?.every(Number.isFinite), `${parameter.name} has a finite gradient`);
      assert.not(sameValues(await parameter.read(), before.get(parameter.name) ?? []), `${parameter.name} moves`);
    }
    assert.ok(losses.every(Number.isFinite), `losses ${losses}`);
    assert.ok(losses[losses.length - 1] < losses[0], `losses ${losses}`);
    await engine.close();
  });
}

test("googlenet, x=[2,3,80,80]: forward is the main classifier; auxiliary classifiers give two more, off by option", async () => {
  const engine = await createEngine({ threads: 1 });
  const net = buildNet("googlenet", { inputSize: 80, width: 1 / 32, classes: 4, dropout: 0 }, engine);
  const found = await engine.scope(() => {
    const { logits, auxiliary } = net.forwardAll(picture(engine, 80));
    const labels = labelsTensor(engine, [1, 3], 4);
    const parts = [logits, ...auxiliary].map((output) => crossEntropy(output, labels));
    const total = auxiliaryCrossEntropy({ logits, auxiliary }, labels);
    for (const tensor of [logits, total, ...parts]) tensor.keep();
    return { logits, auxiliary, parts, total };
  });
  const { logits, auxiliary, parts } = found;
  assert.equal(
    [logits, ...auxiliary].map(({ shape }) => shape),
    [
      [2, 4],
      [2, 4],
      [2, 4],
    ],
  );
  assert.equal(await net.forward(picture(engine, 80)).data(), await logits.data());
  const [main, first, second] = await Promise.all(parts.map((part) => part.item()));
  const total = await found.total.item();
  assert.ok(Math.abs(total - (main + 0.3 * first + 0.3 * second)) < 1e-6 * total, `${total}`);
  const bare = buildNet("googlenet", { inputSize: 80, width: 1 / 32, classes: 4, auxiliary: false }, engine);
  assert.ok([...bare.stateDict().keys()].every((tensor) => !tensor.startsWith("aux")));
  assert.is(bare.forwardAll(picture(engine, 80)).auxiliary.length, 0);
  await engine.close();
});

test("fcn8s, x=[1,3,33,20]: scores of a picture of any size and shape; it starts at 0", async () => {
  const engine = await createEngine({ threads: 1 });
  const net = buildNet("fcn8s", { width: 1 / 64, classes: 3 }, engine).eval();
  const scores = engine.noGrad(() => net.forward(engine.tensor(new Float32Array(3 * 33 * 20).fill(1), [1, 3, 33, 20])));
  assert.equal(scores.shape, [1, 3, 33, 20]);
  assert.ok((await scores.data()).every((value) => value === 0));
  await engine.close();
});

interface Case {
  readonly net: NetName;
  readonly options: { width: number; inputSize: number; classes: number; firstTensor: number };
  readonly names: readonly (readonly [name: string, scale: number])[];
  readonly loss: number;
}

/** Float32 against float64, largest difference of a tensor by its largest value: up to 60 layers deep, and no kink between them. */
const TOLERANCE = 2e-4;

const fixture = parseSafetensors(
  new Uint8Array(await readFile(new URL("../fixtures/net-gradients.safetensors", import.meta.url))),
  "net-gradients.safetensors",
);
const cases: readonly Case[] = JSON.parse(fixture.metadata.cases);

for (const { net: name, options, names, loss } of cases) {
  const { width, inputSize, classes, firstTensor } = options;
  for (const threads of [1, 2]) {
    test(`${name}, width ${width}, x=[2,3,${inputSize},${inputSize}], ${threads} threads: PyTorch's loss and gradients`, async () => {
      const engine = await createEngine({ threads });
      const net = buildNet(name, { width, inputSize, classes, dropout: 0 }, engine);
      const state = net.stateDict();
      assert.equal([...state.keys()].sort(), names.map(([tensor]) => tensor).sort());
      for (const [i, [tensor, scale]] of names.entries()) {
        const target = state.get(tensor);
        if (!target) throw new Error(tensor);
        const values = new Float32Array(target.size);
        formulaFill(values, firstTensor + i, scale);
        await target.write(values);
      }
      const ours = await engine.scope(() => {
        const loss = lossOf(net, picture(engine, inputSize));
        loss.backward();
        return loss;
      });
      assert.ok(Math.abs((await ours.item()) - loss) <= 1e-5 * loss, `loss ${await ours.item()}, PyTorch's ${loss}`);
      for (const parameter of net.parameters()) {
        const truth = await fixture.read(`${name}/${parameter.name}`);
        const values = await parameter.grad?.values();
        if (!values) throw new Error(`${parameter.name} got no gradient`);
        const error = maxRelativeError(values, Float64Array.from(truth));
        assert.ok(error <= TOLERANCE, `${parameter.name}: relative error ${error}`);
      }
      await engine.close();
    });
  }
}

test.run();
