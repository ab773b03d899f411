/** Nets whose fully connected layers keep their weights in fewer bits. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { decodeF16, dequantizeRows, encodeF16, quantizeRows } from "#src/core/quantize.js";
import type { Tensor } from "#src/core/tensor.js";
import { createEngine } from "#src/engine.js";
import { buildNet } from "#src/models/nets.js";
import { vgg } from "#src/models/vgg.js";
import { Linear, QuantizedLinear } from "#src/nn/index.js";
import type { Module } from "#src/nn/module.js";

const engine = await createEngine({ threads: 2, tier: "plain" });
const options = { width: 0.125, inputSize: 32, classes: 10, classifier: [40, 30] };
const picture = engine.tensor(
  Float32Array.from({ length: 3 * 32 * 32 }, (_, i) => Math.sin(i)),
  [1, 3, 32, 32],
);
picture.keep();

function layersOf(model: Module): Module[] {
  return [model, ...[...model.children().values()].flatMap(layersOf)];
}

async function roundLinear(
  model: Module,
  round: (weight: Float32Array, columns: number) => Float32Array,
): Promise<void> {
  for (const layer of layersOf(model)) {
    if (layer instanceof Linear) await layer.weight.write(round(await layer.weight.read(), layer.weight.shape[1]));
  }
}

const ROUND = {
  float16: (weight: Float32Array) => decodeF16(encodeF16(weight)),
  int8: (weight: Float32Array, columns: number) => dequantizeRows(quantizeRows(weight, columns)),
};

for (const linearWeights of ["float16", "int8"] as const) {
  test(`vgg A with linear weights as ${linearWeights}: names, shapes and values of the float32 net, rounded`, async () => {
    const net = vgg("A", options, engine).eval();
    const small = vgg("A", { ...options, linearWeights }, engine).eval();
    assert.is(layersOf(small).filter((layer) => layer instanceof QuantizedLinear).length, 3);
    assert.is(layersOf(small).filter((layer) => layer instanceof Linear).length, 0);
    assert.equal([...small.stateDict()].map(shapeOf), [...net.stateDict()].map(shapeOf));

    await small.loadStateDict(net.stateDict());
    await roundLinear(net, ROUND[linearWeights]);
    for (const [name, tensor] of small.stateDict()) {
      assert.equal(await tensor.read(), await net.stateDict().get(name)?.read(), name);
    }
    const [expected, found] = [await net.forward(picture).data(), await small.forward(picture).data()];
    if (linearWeights === "float16") assert.equal(found, expected);
    else
      assert.ok(found.every((logit, i) => Math.abs(logit - expected[i]) < 1e-3 * Math.max(...expected.map(Math.abs))));
  });
}

test("other nets take the same option", () => {
  const net = buildNet("alexnet", { linearWeights: "int8" }, engine);
  assert.is(layersOf(net).filter((layer) => layer instanceof QuantizedLinear).length, 3);
});

function shapeOf([name, { shape }]: [string, Tensor]): string {
  return `${name} [${shape}]`;
}

test.run();
