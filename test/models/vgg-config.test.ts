import { existsSync, readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import {
  VGG_CONFIG_NAMES,
  vggConfigName,
  vggLayers,
  vggName,
  vggTensorShapes,
  vggTotals,
} from "#src/models/vgg-config.js";

/** Parameters and multiply-accumulates at 224 with 1000 classes, from the paper's table by hand. */
const TOTALS: Record<string, [params: number, macs: number]> = {
  A: [132_863_336, 7_609_090_048],
  "A-LRN": [132_863_336, 7_609_090_048],
  B: [133_047_848, 11_308_466_176],
  C: [133_638_952, 11_770_888_192],
  D: [138_357_544, 15_470_264_320],
  E: [143_667_240, 19_632_062_464],
  shallow: [134_503_528, 9_356_017_664],
};

/** torchvision's places of the convolutions. */
const CONVOLUTIONS: Record<string, number[]> = {
  vgg11: [0, 3, 6, 8, 11, 13, 16, 18],
  vgg13: [0, 2, 5, 7, 10, 12, 15, 17, 20, 22],
  vgg16: [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28],
  vgg19: [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34],
};

/** torchvision's relatives: parameters (running statistics are not), places of convolutions and of batch normalisations. */
const BATCH_NORM: Record<string, [params: number, conv: number[], norm: number[]]> = {
  vgg11_bn: [132_868_840, [0, 4, 8, 11, 15, 18, 22, 25], [1, 5, 9, 12, 16, 19, 23, 26]],
  vgg13_bn: [133_053_736, [0, 3, 7, 10, 14, 17, 21, 24, 28, 31], [1, 4, 8, 11, 15, 18, 22, 25, 29, 32]],
  vgg16_bn: [
    138_365_992,
    [0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40],
    [1, 4, 8, 11, 15, 18, 21, 25, 28, 31, 35, 38, 41],
  ],
  vgg19_bn: [
    143_678_248,
    [0, 3, 7, 10, 14, 17, 20, 23, 27, 30, 33, 36, 40, 43, 46, 49],
    [1, 4, 8, 11, 15, 18, 21, 24, 28, 31, 34, 37, 41, 44, 47, 50],
  ],
};

for (const [alias, [params, conv, norm]] of Object.entries(BATCH_NORM)) {
  test(`${alias}: torchvision's count and names; conv, batch norm, ReLU`, () => {
    const layers = vggLayers(alias);
    assert.is(vggTotals(layers).params, params);
    assert.is(vggTotals(layers).macs, TOTALS[vggName(alias).config][1]);
    const names = (kind: string): string[] => layers.filter((layer) => layer.kind === kind).map(({ name }) => name);
    assert.equal(
      names("conv"),
      conv.map((place) => `features.${place}`),
    );
    assert.equal(
      names("batchNorm"),
      norm.map((place) => `features.${place}`),
    );
    layers.forEach((layer, i) => {
      if (layer.kind !== "batchNorm") return;
      assert.equal([layers[i - 1].kind, layers[i + 1].kind, layer.eps], ["conv", "relu", 1e-5]);
      assert.is(layer.paperName, layers[i - 1].paperName.replace("conv", "bn"));
      assert.is(layer.params, 2 * layer.outChannels);
    });
    assert.equal(layers, vggLayers(vggName(alias).config, { batchNorm: true }));
  });
}

test("tensors of a net with batch normalisation: weight, bias and running statistics", () => {
  const shapes = vggTensorShapes(vggLayers("A", { batchNorm: true, width: 0.125, classifier: [] }));
  assert.equal([...shapes].slice(0, 6), [
    ["features.0.weight", [8, 3, 3, 3]],
    ["features.0.bias", [8]],
    ["features.1.weight", [8]],
    ["features.1.bias", [8]],
    ["features.1.running_mean", [8]],
    ["features.1.running_var", [8]],
  ]);
});

for (const config of VGG_CONFIG_NAMES) {
  test(`totals of ${config}`, () => {
    const { params, macs } = vggTotals(vggLayers(config));
    assert.equal([params, macs], TOTALS[config]);
  });
}

for (const [alias, places] of Object.entries(CONVOLUTIONS)) {
  test(`torchvision's names of ${alias}`, () => {
    const layers = vggLayers(alias);
    const names = layers.filter((layer) => layer.kind === "conv").map((layer) => layer.name);
    assert.equal(
      names,
      places.map((place) => `features.${place}`),
    );
    const linear = layers.filter((layer) => layer.kind === "linear").map((layer) => layer.name);
    assert.equal(linear, ["classifier.0", "classifier.3", "classifier.6"]);
  });
}

const sharedFile = new URL("../../../shared/vgg-configs.json", import.meta.url);

interface SharedLayer {
  name: string;
  type: string;
  outShape: number[];
  params: number;
  macs: number;
  torchvision?: string;
}

if (existsSync(sharedFile)) {
  const shared: {
    configs: Record<string, { summary: { params: number; macs: number; weightLayers: number }; layers: SharedLayer[] }>;
    shallowVariantOfB: { params: number; paramsConv: number; macs: number };
  } = JSON.parse(readFileSync(sharedFile, "utf8"));
  for (const [config, expected] of Object.entries(shared.configs)) {
    test(`each layer of ${config} equals the shared table`, () => {
      const layers = vggLayers(config);
      const { params, macs } = vggTotals(layers);
      assert.is(params, expected.summary.params);
      assert.is(macs, expected.summary.macs);
      const weighted = layers.filter((layer) => layer.params > 0);
      assert.is(weighted.length, expected.summary.weightLayers);
      const compared = layers.filter(({ kind }) => !["relu", "flatten", "dropout"].includes(kind));
      const wanted = expected.layers.filter(({ type }) => type !== "softmax");
      assert.is(compared.length, wanted.length);
      wanted.forEach((layer, i) => {
        const { paperName, outShape, params, macs, name } = compared[i];
        const { name: sharedName, outShape: sharedShape, params: sharedParams, macs: sharedMacs } = layer;
        assert.equal([paperName, outShape, params, macs], [sharedName, sharedShape, sharedParams, sharedMacs]);
        if (layer.torchvision) assert.is(name, layer.torchvision);
      });
    });
  }
  test("the shallow net equals the shared table", () => {
    const layers = vggLayers("shallow");
    const { params, macs } = vggTotals(layers);
    const conv = layers.filter(({ kind }) => kind === "conv").reduce((sum, layer) => sum + layer.params, 0);
    const expected = shared.shallowVariantOfB;
    assert.equal([params, macs, conv], [expected.params, expected.macs, expected.paramsConv]);
  });
} else {
  console.log("SKIPPED each layer of the nets against the shared table: ../shared/vgg-configs.json is missing");
}

test("layers follow each other: the output shape of one is the input shape of the next", () => {
  for (const config of VGG_CONFIG_NAMES) {
    const layers = vggLayers(config, { inputSize: 96, width: 0.3, classes: 7 });
    for (let i = 1; i < layers.length; i++) assert.equal(layers[i].inShape, layers[i - 1].outShape);
    assert.equal(layers[0].inShape, [3, 96, 96]);
    assert.equal(layers[layers.length - 1].outShape, [7]);
    assert.is(new Set(layers.map(({ name }) => name)).size, layers.length);
  }
});

test("A-LRN: the normalisation has a place of its own after the first ReLU", () => {
  const layers = vggLayers("A-LRN").slice(0, 5);
  assert.equal(
    layers.map(({ kind, name, paperName }) => [kind, name, paperName]),
    [
      ["conv", "features.0", "conv1_1"],
      ["relu", "features.1", "relu1_1"],
      ["lrn", "features.2", "norm1"],
      ["pool", "features.3", "pool1"],
      ["conv", "features.4", "conv2_1"],
    ],
  );
});

test("classifier: [4096, 4096] has torchvision's names, [] is one linear layer", () => {
  const names = (classifier: number[]): string[] =>
    vggLayers("A", { classifier, dropout: 0.4 })
      .filter(({ name }) => name.startsWith("classifier"))
      .map(({ name, kind, paperName }) => `${name} ${kind} ${paperName}`);
  assert.equal(names([4096, 4096]), [
    "classifier.0 linear fc6",
    "classifier.1 relu relu6",
    "classifier.2 dropout drop6",
    "classifier.3 linear fc7",
    "classifier.4 relu relu7",
    "classifier.5 dropout drop7",
    "classifier.6 linear fc8",
  ]);
  assert.equal(names([]), ["classifier.0 linear fc6"]);
  assert.equal(names([64]), [
    "classifier.0 linear fc6",
    "classifier.1 relu relu6",
    "classifier.2 dropout drop6",
    "classifier.3 linear fc7",
  ]);
});

test("width scales channels, rounded, at least one; 32x32 ends in 1x1", () => {
  const channels = (width: number): number[] =>
    vggLayers("A", { width, inputSize: 32, classifier: [], classes: 10 })
      .filter(({ kind }) => kind === "conv")
      .map(({ outChannels }) => outChannels);
  assert.equal(channels(0.125), [8, 16, 32, 32, 64, 64, 64, 64]);
  assert.equal(channels(0.001), [1, 1, 1, 1, 1, 1, 1, 1]);
  const small = vggLayers("A", { width: 0.125, inputSize: 32, classifier: [], classes: 10 });
  assert.equal(small[small.length - 1].inShape, [64]);
  assert.is(vggTotals(small).params, 145_210);
});

test("names and shapes of the tensors", () => {
  const shapes = vggTensorShapes(vggLayers("A", { inputSize: 64, classifier: [32], classes: 10 }));
  assert.equal([...shapes.keys()].slice(0, 4), [
    "features.0.weight",
    "features.0.bias",
    "features.3.weight",
    "features.3.bias",
  ]);
  assert.equal(shapes.get("features.3.weight"), [128, 64, 3, 3]);
  assert.equal(shapes.get("classifier.0.weight"), [32, 2048]);
  assert.equal(shapes.get("classifier.3.bias"), [10]);
  assert.is(shapes.size, 20);
});

test("names that people use", () => {
  assert.is(vggConfigName("vgg16"), "D");
  assert.is(vggConfigName("VGG19"), "E");
  assert.is(vggConfigName("a-lrn"), "A-LRN");
  assert.is(vggConfigName("Shallow"), "shallow");
  assert.equal(vggName("VGG16_BN"), { config: "D", batchNorm: true });
  assert.equal(vggName("vgg16"), { config: "D", batchNorm: false });
  assert.equal(vggName("a-lrn"), { config: "A-LRN", batchNorm: false });
  for (const bad of ["", "F", "vgg", "vgg12", "toString", "__proto__", "D_bn", "_bn", "toString_bn"]) {
    throwsUsage(
      () => vggLayers(bad),
      `vgg: there is no such net (config ${JSON.stringify(bad)}). Use one of A, A-LRN, B, C, D, E, shallow, vgg11, vgg13, vgg16, vgg19.`,
    );
  }
});

test("options out of range", () => {
  for (const inputSize of [0, 31, 33, 224.5, -32, Number.NaN]) {
    throwsUsage(
      () => vggLayers("A", { inputSize }),
      `the input size is not a multiple of 32 (inputSize ${inputSize}).`,
    );
  }
  for (const classes of [0, -1, 1.5, Number.NaN]) {
    throwsUsage(
      () => vggLayers("A", { classes }),
      `the number of classes is not a positive whole number (classes ${classes}).`,
    );
  }
  for (const width of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    throwsUsage(() => vggLayers("A", { width }), `the width is not a positive number (width ${width}).`);
  }
  for (const dropout of [-0.1, 1, Number.NaN]) {
    throwsUsage(() => vggLayers("A", { dropout }), `the dropout is not a share below 1 (dropout ${dropout}).`);
  }
  throwsUsage(
    () => vggLayers("A", { classifier: [64, 0] }),
    "a hidden width is not a positive whole number (classifier [64,0]).",
  );
});

function throwsUsage(call: () => unknown, text: string): void {
  assert.throws(call, (error: unknown) => {
    assert.instance(error, UsageError);
    assert.ok(error instanceof Error && error.message.includes(text), String(error));
    return true;
  });
}

test.run();
