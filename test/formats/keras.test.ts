/** Keras's files: names of weights, what models of each version say, archives, and damaged files. Whole nets of the fixtures are formats.test.ts's. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { VerydeepError, WeightsError } from "#src/core/errors.js";
import type { Json } from "#src/formats/json-values.js";
import { kerasNet } from "#src/formats/keras/keras-net.js";
import { readTopology, snakeCase } from "#src/formats/keras/keras-topology.js";
import { weightName } from "#src/formats/keras/keras-weights.js";
import { samePool } from "#src/formats/keras/keras-windows.js";
import { openWeights } from "#src/formats/open-weights.js";
import { planNet } from "#src/formats/plan-net.js";
import { openZip } from "#src/formats/zip.js";
import { bytesReader } from "#src/io/byte-reader.js";
import type { FileNet } from "#src/io/weights-file.js";
import { fails, has } from "../io/fails.js";

const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(fileURLToPath(new URL(`../fixtures/formats/${name}`, import.meta.url))));

const NAMES: [group: string, weight: string, name: string][] = [
  ["block1_conv1", "block1_conv1_W_1:0", "block1_conv1/kernel"],
  ["block1_conv1", "block1_conv1_b_1:0", "block1_conv1/bias"],
  ["convolution2d_1", "convolution2d_1_W", "convolution2d_1/kernel"],
  ["bn", "bn_running_std:0", "bn/moving_variance"],
  ["block1_conv1", "block1_conv1/kernel:0", "block1_conv1/kernel"],
  ["block1_conv1", "block1_conv1_3/bias:0", "block1_conv1/bias"],
  ["bn", "bn/moving_mean:0", "bn/moving_mean"],
  ["vgg16", "block1_conv1/kernel:0", "vgg16/block1_conv1/kernel"],
  ["vgg16", "vgg16/block1_conv1/kernel:0", "vgg16/block1_conv1/kernel"],
  ["separable", "separable/depthwise_kernel:0", "separable/depthwise_kernel"],
];
for (const [group, weight, name] of NAMES) {
  test(`${group}: ${weight} is ${name}`, () => assert.is(weightName(group, weight), name));
}

test("Keras's names of classes in files", () => {
  assert.equal(
    ["Conv2D", "MaxPooling2D", "BatchNormalization", "ReLU", "DepthwiseConv2D", "InputLayer"].map(snakeCase),
    ["conv2d", "max_pooling2d", "batch_normalization", "re_lu", "depthwise_conv2d", "input_layer"],
  );
});

const layer = (className: string, name: string, config: Record<string, Json> = {}): Json => ({
  class_name: className,
  config: { name, ...config },
});
const sequential = (name: string, ...layers: Json[]): Json => ({ class_name: "Sequential", config: { name, layers } });
const picture = { batch_input_shape: [null, 8, 8, 3] };

/** Whatever the layers ask for is there. */
const build = (model: Json): FileNet =>
  kerasNet(
    readTopology(model, "made up"),
    ({ path, place }, short) => ({ name: `${path.join("/")}/${short} at ${place}`, shape: SHAPES.shift() ?? [] }),
    "made up",
  );
let SHAPES: number[][] = [];

/** Kind and the parts of a row that matter. */
const rows = (net: FileNet): unknown[] =>
  net.rows.map(({ kind, name, from }) => (from ? [kind, name, from] : [kind, name]));

test("a model within a model is laid flat", () => {
  SHAPES = [[3, 3, 3, 4], [4], [4, 5], [5]];
  const inner = sequential(
    "base",
    layer("Conv2D", "conv", { ...picture, filters: 4, kernel_size: 3, activation: "relu" }),
  );
  const net = build(
    sequential("top", inner, layer("GlobalAveragePooling2D", "pool"), layer("Dense", "fc", { units: 5 })),
  );
  assert.equal(net.inputShape, [3, 8, 8]);
  assert.equal(rows(net), [
    ["conv", "base.conv"],
    ["relu", "base.conv_relu"],
    ["adaptiveAvgPool", "pool"],
    ["flatten", "pool_flatten"],
    ["linear", "fc"],
  ]);
  assert.equal(net.tensors.get("base.conv.weight"), {
    tensor: "base/conv/kernel at layers/sequential/layers/conv2d",
    view: [3, 3, 3, 4],
    permute: [3, 2, 0, 1],
  });
  assert.equal(net.tensors.get("fc.weight"), { tensor: "fc/kernel at layers/dense", permute: [1, 0] });
});

test("the order of a flattened picture goes through what stands before the dense layer", () => {
  SHAPES = [[48], [48], [48], [48, 2], [2]];
  const net = build(
    sequential(
      "s",
      layer("MaxPooling2D", "pool", picture),
      layer("Flatten", "flat"),
      layer("BatchNormalization", "bn", { scale: false, axis: [1], epsilon: 0.01 }),
      layer("Dropout", "drop", { rate: 0.25 }),
      layer("Activation", "act", { activation: "tanh" }),
      layer("Dense", "fc", { units: 2, activation: "softmax" }),
    ),
  );
  assert.equal(net.tensors.get("bn.weight"), { fill: 1 });
  assert.equal(net.tensors.get("bn.running_var"), {
    tensor: "bn/moving_variance at layers/batch_normalization",
    view: [4, 4, 3],
    permute: [2, 0, 1],
  });
  assert.equal(net.tensors.get("fc.weight"), {
    tensor: "fc/kernel at layers/dense",
    view: [4, 4, 3, 2],
    permute: [3, 2, 0, 1],
  });
  assert.ok(net.softmax);
});

test("a vector is a picture of one place", () => {
  SHAPES = [[784, 10], [10]];
  const net = build(sequential("mlp", layer("Dense", "fc", { units: 10, batch_input_shape: [null, 784] })));
  assert.equal(net.inputShape, [784, 1, 1]);
  assert.equal(rows(net), [
    ["flatten", "flatten"],
    ["linear", "fc"],
  ]);
});

test("channels first: weights alike, and nothing to permute behind Flatten", () => {
  SHAPES = [[3, 3, 1, 2], [2], [128, 2], [2]];
  const first = { batch_input_shape: [null, 1, 8, 8], data_format: "channels_first" };
  const conv = layer("Conv2D", "conv", { ...first, filters: 2, kernel_size: [3, 3], padding: "same" });
  const net = build(sequential("s", conv, layer("Flatten", "flat"), layer("Dense", "fc", { units: 2 })));
  assert.equal(net.inputShape, [1, 8, 8]);
  assert.equal(net.tensors.get("fc.weight"), { tensor: "fc/kernel at layers/dense", permute: [1, 0] });
});

test("Keras 1: lists of layers, nb_filter, border_mode, output_dim", () => {
  SHAPES = [[3, 3, 3, 4], [4], [4, 2]];
  const conv = { nb_filter: 4, nb_row: 3, nb_col: 3, subsample: [2, 2], border_mode: "same", dim_ordering: "tf" };
  const layers = [
    layer("Convolution2D", "c", { ...picture, ...conv }),
    layer("Dense", "fc", { output_dim: 2, bias: false }),
  ];
  const net = build({ class_name: "Sequential", config: layers });
  assert.equal(rows(net), [
    ["pad", "c_pad"],
    ["conv", "c"],
    ["conv", "fc"],
  ]);
  const [pad] = net.rows;
  assert.equal(pad.kind === "pad" && pad.sides, [0, 0, 1, 1]);
});

test("same padding of pools: counted like TensorFlow, side by side with its windows", () => {
  for (let side = 1; side <= 12; side++) {
    for (let size = 1; size <= 4; size++) {
      for (let stride = 1; stride <= 4; stride++) {
        const found = samePool([side, side], [size, size], [stride, stride]);
        const count = Math.ceil(side / stride);
        const before = Math.floor(Math.max(0, (count - 1) * stride + size - side) / 2);
        if (found === null) continue;
        assert.equal(found.padding, [before, before], `${side} ${size} ${stride}`);
        const steps = (side + 2 * before - size) / stride;
        let windows = (found.ceilMode ? Math.ceil(steps) : Math.floor(steps)) + 1;
        if (found.ceilMode && (windows - 1) * stride >= side + before) windows--;
        assert.is(windows, count, `${side} ${size} ${stride}`);
      }
    }
  }
  assert.equal(samePool([null, null], [2, 2], [2, 2]), { padding: [0, 0], ceilMode: true });
  assert.is(samePool([7, 7], [2, 2], [1, 1]), null);
  assert.is(samePool([null, null], [3, 3], [2, 2]), null);
});

const WRONG: [name: string, model: Json, text: string][] = [
  [
    "a layer that is used twice",
    {
      class_name: "Model",
      config: {
        name: "m",
        layers: [
          { class_name: "InputLayer", name: "in", config: { name: "in", ...picture }, inbound_nodes: [] },
          {
            class_name: "ReLU",
            name: "r",
            config: { name: "r" },
            inbound_nodes: [[["in", 0, 0, {}]], [["r", 0, 0, {}]]],
          },
        ],
        input_layers: [["in", 0, 0]],
        output_layers: [["r", 1, 0]],
      },
    },
    'is used 2 times (layer "r")',
  ],
  [
    "two outputs",
    {
      class_name: "Model",
      config: {
        layers: [],
        input_layers: [["a", 0, 0]],
        output_layers: [
          ["b", 0, 0],
          ["c", 0, 0],
        ],
      },
    },
    "inputs 1, outputs 2",
  ],
  [
    "an unknown activation",
    sequential("s", layer("Activation", "a", { ...picture, activation: "swish" })),
    'unknown activation "swish" (layer "a", class "Activation", layer 1 of 1)',
  ],
  [
    "strides and same without a size",
    sequential(
      "s",
      layer("Conv2D", "c", {
        batch_input_shape: [null, null, null, 3],
        filters: 1,
        kernel_size: 3,
        strides: 2,
        padding: "same",
      }),
    ),
    'pads by the size of its input ("same" with strides [2,2])',
  ],
  [
    "a rescaling inside",
    sequential("s", layer("ReLU", "r", picture), layer("Rescaling", "x", { scale: 2 })),
    "at the net's beginning alone",
  ],
  [
    "huge sizes",
    sequential("s", layer("Conv2D", "c", { ...picture, filters: 2 ** 60, kernel_size: 3 })),
    "has a wrong number (filters",
  ],
  [
    "huge padding",
    sequential("s", layer("ZeroPadding2D", "z", { ...picture, padding: 2 ** 40 })),
    "has a wrong padding",
  ],
  ["no configuration", null, 'neither Sequential nor Functional (class_name "")'],
];
for (const [name, model, text] of WRONG) {
  test(`${name} is an error`, () => {
    SHAPES = [[3, 3, 3, 1], [1]];
    assert.throws(
      () => build(model),
      (error: unknown) => has(error, WeightsError, text),
    );
  });
}

test("bare weights have the names of all versions, and no net", async () => {
  const file = await openWeights(bytesReader(fixture("keras-old.h5"), "old.h5"));
  assert.is(file.format, "keras");
  assert.is(file.variant, "weights only");
  assert.is(file.net, null);
  assert.equal([...file.tensors.keys()].slice(0, 3), [
    "block1_conv1/kernel",
    "block1_conv1/bias",
    "block1_conv2/kernel",
  ]);
  await fails(file.readFloats("no", 0, new Float32Array(1)), WeightsError, 'has no such tensor (name "no")');
  await fails(file.readFloats("block1_conv1/bias", 1, new Float32Array(1)), WeightsError, "is outside of the tensor");
});

test("an archive's weights alone are bare weights", async () => {
  const zip = await openZip(bytesReader(fixture("keras3.keras"), "keras3.keras"));
  const part = await zip.open("model.weights.h5");
  const file = await openWeights(bytesReader(await part.read(0, part.sizeBytes), "x.weights.h5"));
  assert.is(file.variant, "Keras 3, weights only");
  assert.ok(file.tensors.has("layers/conv2d/vars/0"));
  assert.is(file.net, null);
});

/** Opens, plans and reads all. Only errors of the library may come. */
async function survives(data: Uint8Array, name: string): Promise<boolean> {
  try {
    const file = await openWeights(bytesReader(data, name));
    if (file.net) planNet(file);
    for (const [tensor, { shape }] of file.tensors) {
      const size = shape.reduce((product, side) => product * side, 1);
      await file.readFloats(tensor, 0, new Float32Array(size));
    }
    return true;
  } catch (error) {
    assert.instance(error, VerydeepError, `${error instanceof Error ? error.stack : error}`);
    return false;
  }
}

for (const name of ["layers-keras3.keras", "layers-sequential.h5"]) {
  test(`${name}, cut at every hundredth and changed at random`, async () => {
    const whole = fixture(name);
    assert.ok(await survives(whole, name));
    for (let part = 0; part < 100; part++) {
      assert.not.ok(await survives(whole.subarray(0, Math.floor((whole.length * part) / 100)), name), `${part} %`);
    }
    let seed = 7;
    const next = (below: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    let damaged = 0;
    for (let round = 0; round < 300; round++) {
      const changed = whole.slice();
      for (let i = 0; i < 1 + (round % 4); i++) changed[next(changed.length)] = next(256);
      if (!(await survives(changed, name))) damaged++;
    }
    assert.ok(damaged > 5, `${damaged} were noticed`);
  });
}

test.run();
