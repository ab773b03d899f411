/** Nets as JSON: defaults are PyTorch's, errors name layer and field, and nothing that JSON can say is a crash. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError, VerydeepError, WeightsError } from "#src/core/errors.js";
import { decodeNetMetadata, encodeNetMetadata } from "#src/formats/net-metadata.js";
import { planNet } from "#src/formats/plan-net.js";
import { type NetLayer, netTensorShapes, tableLayers } from "#src/models/net-config.js";
import { parseDescription, parseRows, rowsOf } from "#src/models/net-description.js";
import { NET_NAMES, netFacts, netLayers } from "#src/models/nets.js";
import { VGG_CONFIG_NAMES, vggLayers } from "#src/models/vgg-config.js";
import { fakeFile } from "../helpers/weights-file.js";
import { has } from "../io/fails.js";

const row = (value: object): object => parseRows([value], "test")[0];

/** The shortest row of each kind, and all that it means: the defaults of PyTorch 1.13's modules. */
const KINDS: readonly (readonly [short: object, rest: object])[] = [
  [
    { kind: "conv", outputs: 8, kernelSize: 3 },
    { stride: 1, padding: 0, groups: 1, bias: true },
  ],
  [
    { kind: "convTranspose", outputs: 8, kernelSize: [3, 2] },
    { stride: 1, padding: 0, groups: 1, bias: true },
  ],
  [
    { kind: "pool", kernelSize: 2 },
    { stride: 2, padding: 0, ceilMode: false },
  ],
  [
    { kind: "avgPool", kernelSize: [3, 2] },
    { stride: [3, 2], padding: 0, ceilMode: false },
  ],
  [{ kind: "adaptiveMaxPool", outputSize: 1 }, {}],
  [{ kind: "adaptiveAvgPool", outputSize: [7, 7] }, {}],
  // Krizhevsky's, as all tables here: alpha is not divided by the size.
  [{ kind: "lrn" }, { size: 5, alpha: 1e-4, beta: 0.75, k: 2 }],
  [{ kind: "dropout" }, { p: 0.5 }],
  [{ kind: "batchNorm" }, { eps: 1e-5 }],
  [{ kind: "crop", from: ["a", "b"] }, { offset: 0 }],
  [{ kind: "pad", sides: [1, 2, 3, 0] }, {}],
  [{ kind: "leakyRelu" }, { slope: 0.01 }],
  [{ kind: "upsample", size: 8 }, { alignCorners: false }],
  [{ kind: "upsample", scaleFactor: [1.5, 2] }, { alignCorners: false }],
  [{ kind: "linear", outputs: 10 }, {}],
  [{ kind: "relu" }, {}],
  [{ kind: "tanh" }, {}],
  [{ kind: "sigmoid" }, {}],
  [{ kind: "flatten" }, {}],
  [{ kind: "concat", from: ["a", "b"] }, {}],
  [{ kind: "add", from: ["a", "b"] }, {}],
  [{ kind: "mul", from: ["a", "b"] }, {}],
];

for (const [short, rest] of KINDS) {
  test(JSON.stringify(short), () => {
    assert.equal(row(short), { ...short, ...rest });
    // Null is as good as nothing.
    const nulls = Object.fromEntries(Object.keys(rest).map((field) => [field, null]));
    assert.equal(row({ ...nulls, ...short }), { ...short, ...rest });
    assert.equal(row({ ...short, ...rest }), { ...short, ...rest });
  });
}

test("all options of a layer, and where it stands", () => {
  const full = [
    {
      kind: "conv",
      outputs: 8,
      kernelSize: [3, 5],
      stride: [2, 1],
      padding: [1, 2],
      dilation: 2,
      groups: 4,
      bias: false,
      init: "zeros",
    },
    {
      kind: "convTranspose",
      outputs: 8,
      kernelSize: 4,
      stride: 2,
      padding: 1,
      outputPadding: [1, 0],
      dilation: [1, 2],
      groups: 1,
      bias: true,
      init: "bilinear",
    },
    { kind: "pool", kernelSize: 3, stride: 2, padding: 1, ceilMode: true },
    { kind: "avgPool", kernelSize: 3, stride: 1, padding: 1, ceilMode: false, countIncludePad: false },
    { kind: "linear", outputs: 1, bias: false },
    { kind: "relu", name: "features.1", paperName: "relu1_1", from: ["input"], auxiliary: true },
  ];
  assert.equal(parseRows(full, "test"), full);
  assert.equal(row({ kind: "relu", auxiliary: false }), { kind: "relu" });
});

const INPUT_TEXT = 'Write "input": [channels, height, width].';
const LAYERS_TEXT = 'Write "layers": [{"kind": "conv", …}, …].';
const ALL_KINDS =
  "conv, convTranspose, pool, avgPool, adaptiveMaxPool, adaptiveAvgPool, lrn, dropout, batchNorm, crop, pad, leakyRelu, upsample, linear, relu, tanh, sigmoid, flatten, concat, add, mul";
const relu = { kind: "relu" };
const conv = { kind: "conv", outputs: 1, kernelSize: 1 };

for (const [description, text] of [
  [null, "x.json: the description is no JSON object (null). Write { … }."],
  [[], "x.json: the description is no JSON object ([]). Write { … }."],
  ["net", 'x.json: the description is no JSON object ("net"). Write { … }.'],
  [{}, `x.json: the input is not three positive whole numbers (input undefined). ${INPUT_TEXT}`],
  ...[[3, 8], [3, 8, 8, 8], [3, 0, 8], [3, 8.5, 8], ["3", 8, 8], [3, 1e30, 8], "3x8x8", { 0: 3, length: 3 }].map(
    (input) => [
      { input, layers: [relu] },
      `x.json: the input is not three positive whole numbers (input ${JSON.stringify(input)}). ${INPUT_TEXT}`,
    ],
  ),
  ...[[], {}, "relu", 3].map((layers) => [
    { input: [3, 8, 8], layers },
    `x.json: the layers are no list of 1 to 10000 (layers ${JSON.stringify(layers)}). ${LAYERS_TEXT}`,
  ]),
  [
    { input: [3, 8, 8], layers: new Array(10_001).fill(relu) },
    `x.json: the layers are no list of 1 to 10000 (layers a list of 10001). ${LAYERS_TEXT}`,
  ],
  [{ input: [3, 8, 8], layers: [relu, 7] }, "x.json: layer 2: it is no JSON object (7). Write { … }."],
] as [unknown, string][]) {
  test(text.slice(0, 120), () => {
    assert.throws(
      () => parseDescription(description, "x.json"),
      (error: unknown) => has(error, UsageError, text),
    );
  });
}

for (const [value, text] of [
  [{}, `test: layer 1 is of a kind that verydeep has not (kind undefined). Use one of ${ALL_KINDS}.`],
  ...[
    "Conv",
    "softmax",
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    7,
    null,
    ["conv"],
    { kind: "conv" },
  ].map((kind) => [
    { kind },
    `test: layer 1 is of a kind that verydeep has not (kind ${JSON.stringify(kind)}). Use one of ${ALL_KINDS}.`,
  ]),
  [{ kind: "relu", p: 1 }, 'test: layer 1, relu: there is no such option (option "p"). It has none.'],
  [
    { ...conv, strides: 2 },
    'test: layer 1, conv: there is no such option (option "strides"). It has kernelSize, stride, padding, outputs, groups, bias, dilation, init.',
  ],
  [
    JSON.parse('{"kind": "relu", "__proto__": {"kind": "conv"}}'),
    'test: layer 1, relu: there is no such option (option "__proto__"). It has none.',
  ],
  [{ kind: "relu", constructor: 1 }, 'layer 1, relu: there is no such option (option "constructor").'],
  ...["", 7, [], "x".repeat(1001)].map((name) => [
    { kind: "relu", name },
    `test: layer 1: the name is no text (name ${JSON.stringify(name).slice(0, 77)}`,
  ]),
  [
    { kind: "relu", paperName: {} },
    'test: layer 1: the paperName is no text (paperName {}). Write "paperName": "conv1".',
  ],
  ...["input", [], {}, 1].map((from) => [
    { kind: "relu", from },
    `test: layer 1: from is no list of names (from ${JSON.stringify(from)}). Write "from": ["conv1"].`,
  ]),
  [{ kind: "relu", from: ["a", 1] }, "test: layer 1: the from is no text (from 1)."],
  [
    { kind: "relu", auxiliary: "yes" },
    'test: layer 1: auxiliary is not true or false (auxiliary "yes"). Leave it out.',
  ],
  [
    { kind: "conv", kernelSize: 3 },
    "test: layer 1, conv: outputs is not a positive whole number (outputs undefined). Change outputs.",
  ],
  ...[0, -1, 1.5, "3", 1e300, true, [1], "classes"].map((outputs) => [
    { ...conv, outputs },
    `test: layer 1, conv: outputs is not a positive whole number (outputs ${JSON.stringify(outputs)}). Change outputs.`,
  ]),
  [{ kind: "pool" }, "test: layer 1, pool: kernelSize is not a positive whole number, or two (kernelSize undefined)."],
  ...[0, [1], [1, 2, 3], [1, 0], [[1], 2], "3"].map((kernelSize) => [
    { ...conv, kernelSize },
    `layer 1, conv: kernelSize is not a positive whole number, or two (kernelSize ${JSON.stringify(kernelSize)}).`,
  ]),
  [{ ...conv, padding: -1 }, "layer 1, conv: padding is not a whole number of at least 0, or two (padding -1)."],
  [{ ...conv, groups: 0 }, "layer 1, conv: groups is not a positive whole number (groups 0)."],
  [{ ...conv, bias: 1 }, "layer 1, conv: bias is not true or false (bias 1)."],
  [{ ...conv, init: "he" }, 'layer 1, conv: init is not "zeros" or "bilinear" (init "he").'],
  [{ kind: "dropout", p: "half" }, 'layer 1, dropout: p is not a number (p "half").'],
  [{ kind: "crop", offset: -1 }, "layer 1, crop: offset is not a whole number of at least 0 (offset -1)."],
  [{ kind: "pad" }, "layer 1, pad: sides is not four whole numbers of at least 0 (sides undefined)."],
  [{ kind: "pad", sides: [1, 1, 1] }, "layer 1, pad: sides is not four whole numbers of at least 0 (sides [1,1,1])."],
  [
    { kind: "upsample", scaleFactor: 0 },
    "layer 1, upsample: scaleFactor is not a positive number, or two (scaleFactor 0).",
  ],
] as [object, string][]) {
  test(text.slice(0, 120), () => {
    assert.throws(
      () => row(value),
      (error: unknown) => has(error, UsageError, text),
    );
  });
}

const throwsUsage = (run: () => unknown): void => assert.throws(run, (error: unknown) => has(error, UsageError, ""));

test("JSON that is nested a hundred thousand deep, wherever it stands", () => {
  const deep: unknown = JSON.parse(`${"[".repeat(100_000)}${"]".repeat(100_000)}`);
  for (const value of [
    deep,
    { input: deep },
    { input: [3, 8, 8], layers: deep },
    { input: [3, 8, 8], layers: [deep] },
  ]) {
    throwsUsage(() => parseDescription(value, "x.json"));
  }
  for (const key of ["kind", "name", "from", "kernelSize", "auxiliary", "x"]) {
    throwsUsage(() => row({ ...conv, [key]: deep }));
  }
});

/** What JSON can put in any place. */
const JUNK: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1,
  2,
  7,
  1e9,
  2 ** 53 - 1,
  1e308,
  0.5,
  "",
  "input",
  "__proto__",
  "conv",
  [],
  [1, 1],
  [1e9, 1e9],
  ["input"],
  ["l0", "l0"],
  ["__proto__"],
  [0, 0, 1e15, 1e15],
  {},
  JSON.parse('{"__proto__": null}'),
];

test("5,000 nets of junk: a plan, or an error of the library", () => {
  let seed = 1;
  const draw = (n: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
  const fields = [
    "outputs",
    "kernelSize",
    "stride",
    "padding",
    "groups",
    "bias",
    "p",
    "size",
    "scaleFactor",
    "sides",
    "offset",
    "from",
    "name",
    "outputSize",
    "dilation",
    "auxiliary",
  ];
  let plans = 0;
  for (let round = 0; round < 5000; round++) {
    const layers = Array.from({ length: 1 + draw(4) }, (_, i) => {
      const [short] = KINDS[draw(KINDS.length)];
      const changed = {
        name: `l${i}`,
        ...short,
        ...(draw(2) === 0 ? { from: [i === 0 ? "input" : `l${draw(i)}`] } : {}),
      };
      for (let n = draw(3); n > 0; n--)
        Object.assign(changed, { [fields[draw(fields.length)]]: JUNK[draw(JUNK.length)] });
      return changed;
    });
    try {
      const net = parseDescription({ input: [3, 8, 8], layers }, "junk");
      const shapes = netTensorShapes(tableLayers(net.layers, net.input, { net: "junk", classes: 1 }));
      planNet(fakeFile(shapes), { net });
      plans++;
    } catch (error) {
      assert.instance(
        error,
        VerydeepError,
        `${JSON.stringify(layers)}: ${error instanceof Error ? error.stack : error}`,
      );
    }
  }
  assert.ok(plans > 100, `${plans} plans`);
});

test("a crop of one layer", () => {
  assert.throws(
    () => tableLayers(parseRows([{ kind: "crop" }], "test"), [3, 8, 8], { net: "load", classes: 1 }),
    (error: unknown) =>
      has(
        error,
        UsageError,
        "load: a crop takes two layers (crop0, from []). Name the one it cuts and the one it is cut to.",
      ),
  );
});

const throughJson = (layers: readonly NetLayer[]): unknown => JSON.parse(JSON.stringify(rowsOf(layers)));

for (const name of NET_NAMES) {
  for (const options of [{}, { width: 0.3, classes: 7 }]) {
    test(`${name} ${JSON.stringify(options)}: the same layers after JSON`, () => {
      const layers = netLayers(name, options);
      const { inputSize } = netFacts(name);
      assert.equal(
        tableLayers(parseRows(throughJson(layers), "test"), [3, inputSize, inputSize], { net: "test", classes: 1 }),
        layers,
      );
    });
  }
}

for (const config of VGG_CONFIG_NAMES) {
  for (const batchNorm of [false, true]) {
    test(`VGG ${config}${batchNorm ? " with batch norm" : ""}: the same layers after JSON`, () => {
      const layers = vggLayers(config, { batchNorm, width: 0.25, inputSize: 64, classes: 10 });
      assert.equal(
        tableLayers(parseRows(throughJson(layers), "test"), [3, 64, 64], { net: "test", classes: 1 }),
        layers,
      );
    });
  }
}

const metadata = {
  inputShape: [1, 28, 28] as const,
  classes: ["zero", "one"],
  preprocessing: { mean: [33.3], std: [78.5], scale: 28 },
};
const layers = tableLayers(
  parseRows([conv, { kind: "flatten" }, { kind: "linear", outputs: 2 }], "test"),
  metadata.inputShape,
  { net: "test", classes: 1 },
);

test("metadata of a file: there and back", () => {
  const texts = encodeNetMetadata(layers, metadata);
  assert.equal([texts.format, texts.version], ["verydeep-net", "1"]);
  const { rows, ...rest } = decodeNetMetadata(texts, "x.safetensors");
  assert.equal(rest, metadata);
  assert.equal(tableLayers(rows, metadata.inputShape, { net: "test", classes: 1 }), layers);
});

for (const [key, bad] of [
  ["inputShape", [undefined, "", "7", "[1,28]", "[1,28,28,28]", "[0,28,28]", '["1",28,28]', "{", "[1,28,1e99]"]],
  ["mean", [undefined, "[]", "[1,2]", "[null]", '["1"]', "1", "[1e999]"]],
  ["std", [undefined, "[]", "[0]", "[-1]", "[1,1]", "{}"]],
  ["scale", [undefined, "0", "-28", "28.5", '"28"', "1e99", "[28]"]],
  ["classes", [undefined, "[]", "[1]", '"zero"', "{}", '["zero",null]']],
] as const) {
  for (const text of bad) {
    test(`metadata: ${key} ${text}`, () => {
      const { [key]: _, ...others } = encodeNetMetadata(layers, metadata);
      assert.throws(
        () => decodeNetMetadata(text === undefined ? others : { ...others, [key]: text }, "x.safetensors"),
        (error: unknown) =>
          has(
            error,
            WeightsError,
            `load: the metadata of x.safetensors is wrong (${key} ${text}). Download or save the file again.`,
          ),
      );
    });
  }
}

test("metadata: layers that are none, and versions to come, are the file's fault", () => {
  const texts = encodeNetMetadata(layers, metadata);
  for (const [change, text] of [
    [{ version: "2" }, "load: x.safetensors is of another version (version 2, known 1). Update verydeep."],
    [{ layers: "{" }, "load: the metadata of x.safetensors is wrong (layers {). Download or save the file again."],
    [{ layers: "[]" }, "load: the metadata of x.safetensors: the layers are no list of 1 to 10000 (layers [])."],
    [
      { layers: '[{"kind":"x"}]' },
      'load: the metadata of x.safetensors: layer 1 is of a kind that verydeep has not (kind "x").',
    ],
  ] as const) {
    assert.throws(
      () => decodeNetMetadata({ ...texts, ...change }, "x.safetensors"),
      (error: unknown) => has(error, WeightsError, text),
    );
  }
  // Classes and outputs that do not agree.
  const file = fakeFile(netTensorShapes(layers), { metadata: { ...texts, classes: '["a"]' } });
  assert.throws(
    () => planNet(file),
    (error: unknown) => has(error, WeightsError, "(names 1, outputs 2)"),
  );
});

test.run();
