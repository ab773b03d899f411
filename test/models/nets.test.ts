/**
 * The tables of the nets that the paper compares with: counts as published, and layer by layer what PyTorch makes of the
 * published definitions (test/fixtures/make-nets.py). The modules themselves: test/system/nets.test.ts.
 */
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import { conv, netTensorShapes, netTotals, relu, tableLayers } from "#src/models/net-config.js";
import { isNetName, NET_NAMES, type NetName, type NetOptions, netFacts, netLayers } from "#src/models/nets.js";

/** Parameters, and where the number is published or how it follows. */
const PUBLISHED: Record<NetName, [params: number, source: string]> = {
  alexnet: [60_965_224, "BVLC's bvlc_alexnet"],
  "alexnet-torchvision": [61_100_840, "torchvision"],
  zfnet: [62_357_608, "imgclsmob's zfnet"],
  "overfeat-fast": [145_920_872, "HPE's Deep Learning Cookbook; the paper's 145 M"],
  "overfeat-accurate": [144_656_488, "the paper's 144 M"],
  nin: [7_595_176, "the authors' Caffe file"],
  googlenet: [13_378_280, "bvlc_googlenet in training"],
  "googlenet-torchvision": [13_004_888, "torchvision with aux_logits"],
  "cnn-f": [60_834_536, "arithmetic"],
  "cnn-m": [102_908_520, "arithmetic"],
  "cnn-s": [102_908_520, "arithmetic"],
  sppnet: [77_037_672, "arithmetic"],
  fcn32s: [136_152_917, "arithmetic; the paper says 134 M"],
  fcn16s: [134_815_994, "arithmetic"],
  fcn8s: [134_489_759, "arithmetic"],
};

interface Expected {
  readonly params: number;
  readonly paramsWithoutAuxiliary?: number;
  readonly outputs: readonly (readonly number[])[];
  readonly layers: readonly (readonly [kind: string, outShape: readonly number[], params: number])[];
}

const expected: Record<string, Expected> = JSON.parse(
  readFileSync(new URL("../fixtures/nets.json", import.meta.url), "utf8"),
);
const COMPARED = new Set(Object.values(expected).flatMap(({ layers }) => layers.map(([kind]) => kind)));

for (const name of NET_NAMES) {
  const [params, source] = PUBLISHED[name];
  test(`${name}: ${params} parameters (${source})`, () => {
    assert.is(netTotals(netLayers(name)).params, params);
    assert.is(expected[name].params, params);
  });
  test(`${name}: each layer's kind, output and parameters are PyTorch's`, () => {
    const layers = netLayers(name).filter(({ kind }) => COMPARED.has(kind));
    assert.is(layers.length, expected[name].layers.length);
    assert.equal(
      layers.map(({ kind, outShape, params }) => [kind, outShape, params]),
      expected[name].layers,
    );
    const main = netLayers(name).filter(({ auxiliary }) => !auxiliary);
    assert.equal(main.at(-1)?.outShape, expected[name].outputs[0]);
  });
  test(`${name}: counts follow from the shapes of the tensors`, () => {
    const layers = netLayers(name, { width: 0.3, classes: 7 });
    const sizes = [...netTensorShapes(layers)].filter(([tensor]) => !tensor.includes("running"));
    const sum = sizes.reduce((total, [, shape]) => total + shape.reduce((product, side) => product * side, 1), 0);
    assert.is(netTotals(layers).params, sum);
    assert.is(new Set(layers.map((layer) => layer.name)).size, layers.length);
  });
}

for (const [name, params] of [
  ["googlenet", 6_998_552],
  ["googlenet-torchvision", 6_624_904],
] as const) {
  test(`${name} without auxiliary classifiers: ${params} parameters`, () => {
    const layers = netLayers(name, { auxiliary: false });
    assert.is(netTotals(layers).params, params);
    assert.is(expected[name].paramsWithoutAuxiliary, params);
    assert.is(layers.at(-1)?.name, "fc");
  });
}

/** Multiply-accumulates of the main path that are published or well known, to the digits that are. */
test("multiply-accumulates: alexnet-torchvision 0.71 G, googlenet-torchvision 1.50 G, as torchvision says", () => {
  const gigas = (name: NetName, options?: NetOptions): string =>
    (netTotals(netLayers(name, options)).macs / 1e9).toFixed(2);
  assert.is(gigas("alexnet-torchvision"), "0.71");
  assert.is(gigas("googlenet-torchvision", { auxiliary: false }), "1.50");
});

const MAPS: Partial<Record<NetName, Record<string, number>>> = {
  alexnet: { conv1: 55, pool1: 27, pool2: 13, pool5: 6 },
  zfnet: { conv1: 110, pool1: 55, conv2: 26, pool2: 13, pool5: 6 },
  "overfeat-fast": { conv1: 56, pool1: 28, conv2: 24, pool2: 12, pool5: 6 },
  "overfeat-accurate": { conv1: 108, pool1: 36, conv2: 30, pool2: 15, pool6: 5 },
  nin: { conv1: 54, pool0: 27, pool2: 13, pool3: 6, pool4: 1 },
  googlenet: { "conv1.conv": 112, maxpool1: 56, maxpool2: 28, maxpool3: 14, maxpool4: 7, "aux1.pool": 4 },
  "cnn-f": { conv1: 54, pool1: 27, pool2: 13, pool5: 6 },
  "cnn-m": { conv1: 109, pool1: 54, conv2: 26, pool2: 13, pool5: 6 },
  "cnn-s": { conv1: 109, pool1: 37, conv2: 33, pool2: 17, pool5: 6 },
  sppnet: { pool1: 55, conv2: 27, pool2: 13, spp6: 6, spp1: 1 },
  fcn8s: {
    conv1_1: 422,
    pool3: 53,
    pool4: 27,
    pool5: 14,
    fc6: 8,
    upscore2: 18,
    upscore_pool4: 38,
    upscore8: 312,
    score: 224,
  },
};

for (const [name, sides] of Object.entries(MAPS)) {
  test(`${name}: sides of the maps ${Object.values(sides).join(", ")}`, () => {
    if (!isNetName(name)) throw new Error(name);
    const layers = new Map(netLayers(name).map((layer) => [layer.name, layer.outShape]));
    const found = Object.fromEntries(Object.keys(sides).map((layer) => [layer, layers.get(layer)?.[1]]));
    assert.equal(found, sides);
  });
}

test("torchvision's names: alexnet, googlenet", () => {
  const names = (name: NetName): string[] => [...netTensorShapes(netLayers(name)).keys()];
  const places = [...[0, 3, 6, 8, 10].map((i) => `features.${i}`), ...[1, 4, 6].map((i) => `classifier.${i}`)];
  assert.equal(
    names("alexnet-torchvision"),
    places.flatMap((place) => [`${place}.weight`, `${place}.bias`]),
  );
  const googlenet = new Set(names("googlenet-torchvision"));
  for (const name of [
    "conv1.conv.weight",
    "conv1.bn.running_mean",
    "inception3a.branch1.conv.weight",
    "inception3a.branch2.1.bn.weight",
    "inception5b.branch4.1.conv.weight",
    "aux1.conv.bn.bias",
    "aux2.fc2.bias",
    "fc.weight",
  ]) {
    assert.ok(googlenet.has(name), name);
  }
  assert.is(googlenet.has("conv1.conv.bias"), false);
  assert.is(netTensorShapes(netLayers("googlenet-torchvision")).get("inception3a.branch3.1.conv.weight")?.[3], 3);
  assert.is(netTensorShapes(netLayers("googlenet")).get("inception3a.branch3.1.conv.weight")?.[3], 5);
});

test("sppnet: fc6 takes 50 bins a channel whatever the input size; fcn gives the input's size back", () => {
  for (const inputSize of [180, 224, 301]) {
    const spp = netLayers("sppnet", { inputSize }).find(({ name }) => name === "fc6");
    assert.equal(spp?.inShape, [12_800]);
    for (const name of ["fcn32s", "fcn16s", "fcn8s"] as const) {
      assert.equal(netLayers(name, { inputSize }).at(-1)?.outShape, [21, inputSize, inputSize], name);
    }
  }
});

test("width scales all but the classes, to even numbers where there are groups", () => {
  const outputs = (name: NetName, width: number): number[] =>
    netLayers(name, { width, classes: 9 })
      .filter(({ kind }) => kind === "conv" || kind === "linear")
      .map(({ outChannels }) => outChannels);
  assert.equal(outputs("alexnet", 0.02), [2, 6, 8, 8, 6, 82, 82, 9]);
  assert.equal(outputs("alexnet-torchvision", 0.001), [1, 1, 1, 1, 1, 4, 4, 9]);
});

test("options out of range, an unknown net, a picture that is too small", () => {
  const cases: [call: () => unknown, text: string][] = [
    [() => netLayers("nin", { classes: 0 }), "nin: the number of classes is not a positive whole number (classes 0)."],
    [() => netLayers("nin", { width: -1 }), "nin: the width is not a positive number (width -1)."],
    [() => netLayers("nin", { dropout: 1 }), "nin: the dropout is not a share below 1 (dropout 1)."],
    [
      () => netLayers("alexnet", { inputSize: 1.5 }),
      "alexnet: the input size is not a positive whole number (inputSize 1.5). The net's own is 227.",
    ],
    [
      () => netLayers("zfnet", { inputSize: 20 }),
      "zfnet: the picture is too small (x of conv2 [96,4,4]). Use a larger inputSize.",
    ],
    [
      () => netFacts(JSON.parse('"resnet"')),
      `net: there is no such net (net "resnet"). Use one of ${NET_NAMES.join(", ")}.`,
    ],
    [
      () => tableLayers([{ ...relu, from: ["later"] }], [3, 8, 8], { net: "mine", classes: 1 }),
      "mine: a row takes a layer that is not above it (from later). Reorder the rows.",
    ],
    [
      () => tableLayers([conv(1, 1, { name: "a" }), { ...relu, name: "a" }], [3, 8, 8], { net: "mine", classes: 1 }),
      "mine: two layers have one name (name a). Rename one.",
    ],
  ];
  for (const [call, text] of cases) {
    assert.throws(call, (error: unknown) => {
      assert.instance(error, UsageError);
      assert.ok(error instanceof Error && error.message.includes(text), String(error));
      return true;
    });
  }
});

test.run();
