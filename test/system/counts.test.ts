/**
 * The built modules have the parameters of the paper's table, under torchvision's names. The arithmetic of the table is
 * tested in test/models/vgg-config.test.ts; here are the modules themselves, full size: parameters take no memory before
 * something is computed from them.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createEngine } from "#src/engine.js";
import { vgg } from "#src/models/vgg.js";
import { VGG_CONFIG_NAMES, vggLayers, vggTensorShapes, vggTotals } from "#src/models/vgg-config.js";

/** At 224 with 1000 classes. */
const PARAMETERS: Record<string, number> = {
  A: 132_863_336,
  "A-LRN": 132_863_336,
  B: 133_047_848,
  C: 133_638_952,
  D: 138_357_544,
  E: 143_667_240,
  shallow: 134_503_528,
};

/** torchvision's vgg11().state_dict(): names and shapes. */
const VGG11_STATE: readonly [name: string, shape: readonly number[]][] = [
  ["features.0.weight", [64, 3, 3, 3]],
  ["features.0.bias", [64]],
  ["features.3.weight", [128, 64, 3, 3]],
  ["features.3.bias", [128]],
  ["features.6.weight", [256, 128, 3, 3]],
  ["features.6.bias", [256]],
  ["features.8.weight", [256, 256, 3, 3]],
  ["features.8.bias", [256]],
  ["features.11.weight", [512, 256, 3, 3]],
  ["features.11.bias", [512]],
  ["features.13.weight", [512, 512, 3, 3]],
  ["features.13.bias", [512]],
  ["features.16.weight", [512, 512, 3, 3]],
  ["features.16.bias", [512]],
  ["features.18.weight", [512, 512, 3, 3]],
  ["features.18.bias", [512]],
  ["classifier.0.weight", [4096, 25088]],
  ["classifier.0.bias", [4096]],
  ["classifier.3.weight", [4096, 4096]],
  ["classifier.3.bias", [4096]],
  ["classifier.6.weight", [1000, 4096]],
  ["classifier.6.bias", [1000]],
];

for (const config of VGG_CONFIG_NAMES) {
  test(`parameters of the module ${config}, 224, 1000 classes`, async () => {
    const engine = await createEngine({ threads: 1 });
    const state = vgg(config, {}, engine).stateDict();
    assert.is(
      [...state.values()].reduce((sum, { size }) => sum + size, 0),
      PARAMETERS[config],
    );
    assert.equal(
      [...state].map(([name, { shape }]) => [name, shape]),
      [...vggTensorShapes(vggLayers(config))],
    );
    for (const [name, parameter] of state) assert.is(parameter.name, name);
    await engine.close();
  });
}

for (const config of VGG_CONFIG_NAMES) {
  test(`names and shapes of the module ${config} with batch norm are its table's`, async () => {
    const engine = await createEngine({ threads: 1 });
    const model = vgg(config, { batchNorm: true }, engine);
    const layers = vggLayers(config, { batchNorm: true });
    assert.equal(
      [...model.stateDict()].map(([name, { shape }]) => [name, shape]),
      [...vggTensorShapes(layers)],
    );
    assert.is(
      model.parameters().reduce((sum, { size }) => sum + size, 0),
      vggTotals(layers).params,
    );
    await engine.close();
  });
}

test("names and shapes of A are torchvision's vgg11", async () => {
  const engine = await createEngine({ threads: 1 });
  const state = vgg("A", {}, engine).stateDict();
  assert.equal(
    [...state].map(([name, { shape }]) => [name, shape]),
    VGG11_STATE,
  );
  await engine.close();
});

test("x=[2,3,64,64] through every configuration, width 0.05: logits [2,7]", async () => {
  const engine = await createEngine({ threads: 1 });
  for (const config of VGG_CONFIG_NAMES) {
    const model = vgg(config, { classes: 7, inputSize: 64, width: 0.05, classifier: [12] }, engine).eval();
    const logits = engine.noGrad(() =>
      model.forward(engine.tensor(new Float32Array(2 * 3 * 64 * 64).fill(0.5), [2, 3, 64, 64])),
    );
    assert.equal(logits.shape, [2, 7]);
    const values = await logits.data();
    assert.ok(values.every(Number.isFinite), `${config}: ${values}`);
    assert.equal(values.slice(0, 7), values.slice(7), `${config}: two equal pictures have equal logits`);
  }
  await engine.close();
});

test.run();
