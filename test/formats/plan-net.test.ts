/**
 * What net a file's header means. VGG nets of full size by the names that each publisher gives to their tensors; the names are made here
 * from the table of torchvision's source, apart from src/.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError, WeightsError } from "#src/core/errors.js";
import type { NetTensorPlace } from "#src/formats/fill-net.js";
import { type NetPlan, type PlanOptions, planNet } from "#src/formats/plan-net.js";
import { PREPROCESSING_NAMES, PREPROCESSINGS, type PreprocessingName } from "#src/io/preprocessing.js";
import type { FileNet, WeightsFile } from "#src/io/weights-file.js";
import { netTensorShapes } from "#src/models/net-config.js";
import { parseDescription } from "#src/models/net-description.js";
import { netLayers } from "#src/models/nets.js";
import { vggLayers, vggTensorShapes } from "#src/models/vgg-config.js";
import { fakeFile } from "../helpers/weights-file.js";
import { has } from "../io/fails.js";

type Shapes = [name: string, shape: readonly number[]][];

/** torchvision's cfgs and, for C, the paper's table: output channels, M a pool, negative a 1x1 convolution. */
const TABLES: Readonly<Record<string, readonly (number | "M")[]>> = {
  A: [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
  B: [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
  C: [64, 64, "M", 128, 128, "M", 256, 256, -256, "M", 512, 512, -512, "M", 512, 512, -512, "M"],
  D: [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"],
  E: [
    64,
    64,
    "M",
    128,
    128,
    "M",
    ...[256, 256, 256, 256],
    "M",
    ...[512, 512, 512, 512],
    "M",
    ...[512, 512, 512, 512],
    "M",
  ],
};

/** Weights and biases, as torchvision's documentation has them; C's as the paper rounds it to 134 M. */
const PARAMS: Readonly<Record<string, readonly [plain: number, batchNorm: number]>> = {
  A: [132_863_336, 132_868_840],
  B: [133_047_848, 133_053_736],
  C: [133_638_952, 133_647_400],
  D: [138_357_544, 138_365_992],
  E: [143_667_240, 143_678_248],
};

interface Size {
  readonly width: number;
  readonly side: number;
  readonly hidden: readonly number[];
  readonly classes: number;
}

const FULL: Size = { width: 1, side: 7, hidden: [4096, 4096], classes: 1000 };

/** torchvision's state_dict. */
function torchvision(config: string, batchNorm: boolean, { width, side, hidden, classes }: Size): Shapes {
  const shapes: Shapes = [];
  let [index, inputs] = [0, 3];
  for (const cell of TABLES[config]) {
    if (cell === "M") {
      index++;
      continue;
    }
    const [outputs, kernel] = [Math.abs(cell) * width, cell < 0 ? 1 : 3];
    shapes.push([`features.${index}.weight`, [outputs, inputs, kernel, kernel]], [`features.${index}.bias`, [outputs]]);
    if (batchNorm) {
      for (const part of ["weight", "bias", "running_mean", "running_var"])
        shapes.push([`features.${index + 1}.${part}`, [outputs]]);
      shapes.push([`features.${index + 1}.num_batches_tracked`, []]);
    }
    index += batchNorm ? 3 : 2;
    inputs = outputs;
  }
  const widths = [512 * width * side * side, ...hidden, classes];
  for (let i = 1; i < widths.length; i++) {
    shapes.push(
      [`classifier.${3 * i - 3}.weight`, [widths[i], widths[i - 1]]],
      [`classifier.${3 * i - 3}.bias`, [widths[i]]],
    );
  }
  return shapes;
}

/** Names by number: the paper's and Caffe's conv3_1, and what others make of them. */
function paperNames(config: string, batchNorm: boolean): Map<string, string> {
  const names = new Map<string, string>();
  let [index, block, conv] = [0, 1, 0];
  for (const cell of TABLES[config]) {
    if (cell === "M") {
      [block, conv] = [block + 1, 0];
      index++;
      continue;
    }
    names.set(`features.${index}`, `conv${block}_${++conv}`);
    if (batchNorm) names.set(`features.${index + 1}`, `bn${block}_${conv}`);
    index += batchNorm ? 3 : 2;
  }
  for (const i of [0, 1, 2]) names.set(`classifier.${3 * i}`, `fc${6 + i}`);
  return names;
}

const split = (name: string): [layer: string, part: string] => {
  const dot = name.lastIndexOf(".");
  return [name.slice(0, dot), name.slice(dot + 1)];
};

interface NamingCase {
  readonly about: string;
  readonly batchNorms: readonly boolean[];
  /** What a tensor of torchvision's is called, and how it lies. */
  readonly stored: (name: string, shape: readonly number[], paper: string) => [string, readonly number[]];
  /** Where it must be found, first convolution aside. */
  readonly place: (tensor: string, shape: readonly number[], side: number) => NetTensorPlace;
  readonly bgr: boolean;
}

const asItIs = (tensor: string): NetTensorPlace => ({ tensor });
const OLD: Readonly<Record<string, string>> = { "classifier.0": "classifier.1", "classifier.3": "classifier.4" };
const TIMM: Readonly<Record<string, string>> = {
  "classifier.0": "pre_logits.fc1",
  "classifier.3": "pre_logits.fc2",
  "classifier.6": "head.fc",
};
const KERAS: Readonly<Record<string, string>> = { fc6: "fc1", fc7: "fc2", fc8: "predictions" };

const NAMINGS: readonly NamingCase[] = [
  {
    about: "torchvision's names",
    batchNorms: [false, true],
    stored: (name, shape) => [name, shape],
    place: asItIs,
    bgr: false,
  },
  {
    about: "old torchvision's names",
    batchNorms: [false, true],
    stored: (name, shape) => [`${OLD[split(name)[0]] ?? split(name)[0]}.${split(name)[1]}`, shape],
    place: asItIs,
    bgr: false,
  },
  {
    about: "timm's names",
    batchNorms: [false, true],
    stored: (name, shape) => {
      const [layer, part] = split(name);
      const as4d = layer === "classifier.0" && part === "weight" ? [shape[0], 512, 7, 7] : [shape[0], shape[1], 1, 1];
      const isConv = part === "weight" && (layer === "classifier.0" || layer === "classifier.3");
      return [`${TIMM[layer] ?? layer}.${part}`, isConv ? as4d : shape];
    },
    place: asItIs,
    bgr: false,
  },
  {
    about: "Caffe's names",
    batchNorms: [false, true],
    stored: (name, shape, paper) => [`${paper}.${split(name)[1]}`, shape],
    place: asItIs,
    bgr: true,
  },
  {
    about: "Keras's names",
    batchNorms: [false],
    stored: (name, shape, paper) => {
      const layer = KERAS[paper] ?? `block${paper.slice(4, 5)}_conv${paper.slice(6)}`;
      const part = split(name)[1] === "weight" ? "kernel" : "bias";
      const kernel = shape.length === 4 ? [shape[2], shape[3], shape[1], shape[0]] : [...shape].reverse();
      return [`${layer}/${part}`, kernel];
    },
    place: (tensor, shape, side) => {
      if (shape.length === 1) return { tensor };
      if (shape.length === 4) return { tensor, permute: [3, 2, 0, 1] };
      if (tensor !== "fc1/kernel") return { tensor, permute: [1, 0] };
      return { tensor, view: [side, side, shape[1] / side / side, shape[0]], permute: [3, 2, 0, 1] };
    },
    bgr: true,
  },
];

test("widths whose channels are rounded, and fewer hidden layers", () => {
  for (const [width, classifier] of [
    [0.05, [16]],
    [0.3, []],
    [1 / 64, [12, 9]],
    [1.7, [5]],
  ] as const) {
    const net = { width, classifier, classes: 4, inputSize: 64 };
    const { vgg, layers } = planNet(fakeFile([...vggTensorShapes(vggLayers("B", net))]));
    assert.equal([vgg?.config, vgg?.width, vgg?.classifier], ["B", width, classifier]);
    assert.is(layers.at(-1)?.outChannels, 4);
  }
});

test("an inputSize that the file contradicts is refused; its own is not", () => {
  const net = { width: 0.1, classifier: [], classes: 4, inputSize: 64 };
  const file = fakeFile([...vggTensorShapes(vggLayers("B", net))]);
  assert.equal(planNet(file, { inputSize: 64 }).inputShape, [3, 64, 64]);
  assert.throws(
    () => planNet(file, { inputSize: 10 }),
    (error: unknown) =>
      error instanceof WeightsError &&
      error.message.includes(
        "fixes the size of the input (inputSize 10, input 3x64x64). Leave inputSize out (--input).",
      ),
  );
});

/** Keras 3 counts the layers of a class: the names follow from the order. */
test("VGG A and E, Keras 3's names", () => {
  for (const config of ["A", "E"]) {
    const counts = { conv2d: 0, dense: 0 };
    const stored = torchvision(config, false, FULL).map(([name, shape]): [string, readonly number[]] => {
      const [layer, part] = split(name);
      const kind = layer.startsWith("features") ? "conv2d" : "dense";
      if (part === "weight") counts[kind]++;
      const index = counts[kind] - 1;
      const kernel = shape.length === 4 ? [shape[2], shape[3], shape[1], shape[0]] : [...shape].reverse();
      return [`layers/${kind}${index === 0 ? "" : `_${index}`}/vars/${part === "weight" ? 0 : 1}`, kernel];
    });
    const plan = planNet(fakeFile(stored));
    assert.is(plan.about, `VGG ${config}, Keras 3's names`);
    assert.equal(plan.places.get("features.0.weight"), {
      tensor: "layers/conv2d/vars/0",
      permute: [3, 2, 0, 1],
      reversedAxis: 1,
    });
    assert.equal(plan.places.get("classifier.0.weight"), {
      tensor: "layers/dense/vars/0",
      view: [7, 7, 512, 4096],
      permute: [3, 2, 0, 1],
    });
    assert.equal(plan.places.get("classifier.6.bias"), { tensor: "layers/dense_2/vars/1" });
  }
});

function namedAs({ stored }: NamingCase, config: string, batchNorm: boolean, size: Size): Shapes {
  const papers = paperNames(config, batchNorm);
  return torchvision(config, batchNorm, size).map(([name, shape]) =>
    stored(name, shape, papers.get(split(name)[0]) ?? ""),
  );
}

const IMAGENET_MEAN = [123.675, 116.28, 103.53];
const CAFFE_MEAN = [123.68, 116.779, 103.939];
const close = (found: readonly number[], expected: readonly number[]): void =>
  assert.ok(
    found.length === expected.length && found.every((one, i) => Math.abs(one - expected[i]) < 1e-9),
    `[${found}]`,
  );

test("the names that this test makes are torchvision's", () => {
  const weights = (batchNorm: boolean): string =>
    torchvision("D", batchNorm, FULL)
      .filter(([name, shape]) => shape.length === 4 && name.startsWith("features"))
      .map(([name]) => name.split(".")[1])
      .join(" ");
  assert.is(weights(false), "0 2 5 7 10 12 14 17 19 21 24 26 28");
  assert.is(weights(true), "0 3 7 10 14 17 20 24 27 30 34 37 40");
  for (const [config, params] of Object.entries(PARAMS)) {
    for (const batchNorm of [false, true]) {
      const trained = torchvision(config, batchNorm, FULL).filter(([name]) => /\.(weight|bias)$/.test(name));
      const count = trained.reduce((sum, [, shape]) => sum + shape.reduce((a, b) => a * b, 1), 0);
      assert.is(count, params[batchNorm ? 1 : 0], `${config} ${batchNorm}`);
    }
  }
});

for (const naming of NAMINGS) {
  for (const config of Object.keys(TABLES)) {
    for (const batchNorm of naming.batchNorms) {
      test(`VGG ${config}${batchNorm ? " with batch norm" : ""}, ${naming.about}`, () => {
        const stored = namedAs(naming, config, batchNorm, FULL);
        // The order in a file means nothing.
        const plan = planNet(fakeFile([...stored].reverse()));
        assert.is(plan.about, `VGG ${config}${batchNorm ? " with batch norm" : ""}, ${naming.about}`);
        assert.equal(plan.vgg, {
          config,
          batchNorm,
          width: 1,
          inputSize: 224,
          classifier: [4096, 4096],
          classes: 1000,
          dropout: 0.5,
        });
        assert.equal([plan.inputShape, plan.outputs, plan.classes, plan.notes], [[3, 224, 224], 1000, null, []]);
        const expected = torchvision(config, batchNorm, FULL).flatMap(
          ([name, shape], i): [string, NetTensorPlace][] => {
            if (name.endsWith("num_batches_tracked")) return [];
            const place = naming.place(stored[i][0], shape, 7);
            return [[name, naming.bgr && name === "features.0.weight" ? { ...place, reversedAxis: 1 } : place]];
          },
        );
        assert.equal([...plan.places], expected);
        close(plan.preprocessing.mean, naming.bgr ? CAFFE_MEAN : IMAGENET_MEAN);
        close(plan.preprocessing.std, naming.bgr ? [1, 1, 1] : [58.395, 57.12, 57.375]);
        assert.is(plan.preprocessing.scale, 256);
      });
    }
  }
  test(`${naming.about}: a quarter of the width, 64x64, 10 classes, hidden 24 and 16`, () => {
    const size = { width: 0.25, side: 2, hidden: [24, 16], classes: 10 };
    const stored = namedAs(naming, "A", false, size).map(([name, shape]): [string, readonly number[]] =>
      // timm's first fully connected layer is as large as the map.
      name === "pre_logits.fc1.weight" ? [name, [24, 128, 2, 2]] : [name, shape],
    );
    const { vgg, outputs, inputShape, preprocessing, places } = planNet(fakeFile(stored));
    const { width, hidden, classes } = size;
    assert.equal(vgg, {
      config: "A",
      batchNorm: false,
      width,
      inputSize: 64,
      classifier: hidden,
      classes,
      dropout: 0.5,
    });
    assert.equal([outputs, inputShape, preprocessing.scale, places.size], [10, [3, 64, 64], 73, 22]);
    assert.equal(places.get("classifier.0.weight"), naming.place(stored[16][0], [24, 512], 2));
  });
}

test("a classifier of one layer, as VGG nets for CIFAR have", () => {
  const size = { width: 0.5, side: 1, hidden: [], classes: 10 };
  for (const batchNorm of [false, true]) {
    const { vgg } = planNet(fakeFile(torchvision("E", batchNorm, size)));
    assert.equal(
      [vgg?.config, vgg?.batchNorm, vgg?.classifier, vgg?.inputSize, vgg?.width],
      ["E", batchNorm, [], 32, 0.5],
    );
  }
});

const caffe = NAMINGS[3];

const planError = (
  file: WeightsFile,
  options: PlanOptions,
  type: typeof UsageError | typeof WeightsError,
  text: string,
) =>
  assert.throws(
    () => planNet(file, options),
    (error: unknown) => has(error, type, text),
  );

for (const naming of NAMINGS) {
  test(`${naming.about}: one tensor too many, one missing, one of another shape are no VGG`, () => {
    const shapes = namedAs(naming, "D", false, FULL);
    const refused = (near: Shapes): void => {
      const [first] = near;
      planError(
        fakeFile(near),
        {},
        WeightsError,
        `load: net.bin does not say what net its tensors belong to, and it is no VGG that verydeep knows (tensors ${near.length}, the first ` +
          `${first[0]} [${first[1]}]). Say which by a config (vgg16, alexnet, …; --config) or by a description of the net as JSON (--net).`,
      );
    };
    refused([...shapes, ["more.weight", [1]]]);
    for (const i of [0, 1, 12, 26, shapes.length - 1]) {
      refused(shapes.filter((_, j) => j !== i));
      refused(
        shapes.map(([name, shape], j) => [name, j === i ? [...shape.slice(0, -1), (shape.at(-1) ?? 0) + 1] : shape]),
      );
      refused(shapes.map(([name, shape], j) => [name, j === i ? [...shape, 2] : shape]));
    }
  });
}

test("no tensors at all", () => {
  planError(fakeFile([]), {}, WeightsError, "(tensors none)");
});

test("config: the file is measured by the net that is named", () => {
  const D = torchvision("D", false, FULL);
  for (const config of ["vgg16", "D", "d", "VGG16"]) assert.is(planNet(fakeFile(D), { config }).vgg?.config, "D");
  // A-LRN has A's tensors in Caffe: only by its name.
  const A = namedAs(caffe, "A", false, FULL);
  assert.is(planNet(fakeFile(A)).vgg?.config, "A");
  assert.is(planNet(fakeFile(A), { config: "A-LRN" }).vgg?.config, "A-LRN");
  assert.is(planNet(fakeFile(torchvision("C", true, FULL)), { config: "C" }).vgg?.batchNorm, true);
  const remedy = "Use the file with the net that it was saved from.";
  planError(
    fakeFile(D),
    { config: "C" },
    WeightsError,
    `loadState: a shape in net.bin differs from the net's (features.14.weight [256,256,3,3], net [256,256,1,1]). ${remedy}`,
  );
  planError(
    fakeFile(D),
    { config: "vgg19" },
    WeightsError,
    "loadState: net.bin lacks 12 tensors of the net (missing features.16.weight, unexpected features.17.weight).",
  );
  planError(
    fakeFile(D.slice(0, -1)),
    { config: "vgg16" },
    WeightsError,
    `loadState: net.bin lacks a tensor of the net (missing classifier.6.bias). ${remedy}`,
  );
  planError(
    fakeFile([...D, ["more", [1]]]),
    { config: "vgg16" },
    WeightsError,
    `loadState: net.bin has a tensor that the net has not (unexpected more). ${remedy}`,
  );
  for (const config of ["resnet50", "__proto__", "constructor", " "]) {
    planError(
      fakeFile(D),
      { config },
      UsageError,
      `load: there is no such net (config ${JSON.stringify(config)}). Use one of A, A-LRN, B,`,
    );
  }
});

test("config alexnet: layers of the table, pictures as guessed, and a note that says so", () => {
  const shapes = [...netTensorShapes(netLayers("alexnet"))];
  const plan = planNet(fakeFile([...shapes, ["bn.num_batches_tracked", []]]), { config: "AlexNet" });
  assert.equal([plan.about, plan.vgg, plan.inputShape, plan.outputs], ["alexnet", null, [3, 227, 227], 1000]);
  assert.equal(plan.preprocessing, { mean: [0, 0, 0], std: [255, 255, 255], scale: 227 });
  assert.equal(plan.notes, ["The file does not say how pictures are prepared: taken as unit (RGB in 0 to 1)."]);
  assert.equal(
    [...plan.places],
    shapes.map(([name]) => [name, { tensor: name }]),
  );
  const ten = [...netTensorShapes(netLayers("nin", { classes: 10, inputSize: 200 }))];
  const classes = Array.from("abcdefghij");
  const nin = planNet(fakeFile(ten), { config: "nin", classes, inputSize: 200 });
  assert.equal([nin.inputShape, nin.outputs, nin.classes], [[3, 200, 200], 10, classes]);
  planError(fakeFile(ten), { config: "nin" }, WeightsError, "net.bin differs from the net's (");
});

const small = {
  input: [3, 8, 8],
  layers: [{ kind: "conv", outputs: 2, kernelSize: 3 }, { kind: "flatten" }, { kind: "linear", outputs: 5 }],
};
const SMALL: Shapes = [
  ["conv1.weight", [2, 3, 3, 3]],
  ["conv1.bias", [2]],
  ["fc2.weight", [5, 72]],
  ["fc2.bias", [5]],
];

test("net: the file is measured by the description", () => {
  const net = parseDescription(small, "small.json");
  const plan = planNet(fakeFile(SMALL), { net });
  assert.equal([plan.about, plan.inputShape, plan.outputs], ["a net as described", [3, 8, 8], 5]);
  assert.equal(
    [...plan.places.keys()],
    SMALL.map(([name]) => name),
  );
  planError(
    fakeFile(SMALL),
    { net, config: "vgg16" },
    UsageError,
    "load: a config and a net are given (config vgg16). Give one of them.",
  );
  planError(
    fakeFile(SMALL.slice(1)),
    { net },
    WeightsError,
    "loadState: net.bin lacks a tensor of the net (missing conv1.weight).",
  );
  planError(
    fakeFile(SMALL),
    { net: parseDescription({ ...small, input: [3, 2, 8] }, "small.json") },
    WeightsError,
    "load: the picture is too small (x of conv1 [3,2,8]). Use a larger inputSize. The net is that of net.bin.",
  );
});

test("classes: one name for each output", () => {
  const net = parseDescription(small, "small.json");
  const classes = ["a", "b", "c", "d", "e"];
  assert.equal(planNet(fakeFile(SMALL), { net, classes }).classes, classes);
  for (const wrong of [[], ["a"], [...classes, "f"]]) {
    planError(
      fakeFile(SMALL),
      { net, classes: wrong },
      UsageError,
      `load: there are not as many class names as the net of net.bin has outputs (names ${wrong.length}, outputs 5). Give one for each.`,
    );
  }
});

test("preprocessing: every name, or numbers that fit the net", () => {
  const net = parseDescription(small, "small.json");
  const scales: Record<PreprocessingName, number> = { torchvision: 9, caffe: 9, features: 9, unit: 8, tf: 8, none: 8 };
  for (const name of PREPROCESSING_NAMES) {
    const { preprocessing, places, notes } = planNet(fakeFile(SMALL), { net, preprocessing: name });
    assert.is(preprocessing.scale, scales[name], name);
    assert.equal(notes, []);
    // The means are told R, G, B; the weights are turned where they take B, G, R.
    assert.ok(preprocessing.mean[0] >= preprocessing.mean[2]);
    assert.equal(places.get("conv1.weight"), { tensor: "conv1.weight", ...(name === "caffe" && { reversedAxis: 1 }) });
  }
  const own = { mean: [1, 2, 3], std: [4, 5, 6], scale: 10 };
  assert.equal(planNet(fakeFile(SMALL), { net, preprocessing: own }).preprocessing, own);
  const remedy = "Give a mean and a std above 0 for each channel, and a scale of at least the input's side.";
  for (const wrong of [
    { ...own, mean: [1, 2] },
    { ...own, mean: [1, 2, Number.NaN] },
    { ...own, std: [1, 1, 0] },
    { ...own, std: [1, 1, -1] },
    { ...own, std: [1] },
    { ...own, scale: 7 },
    { ...own, scale: 8.5 },
    { ...own, scale: Number.POSITIVE_INFINITY },
  ]) {
    planError(
      fakeFile(SMALL),
      { net, preprocessing: wrong },
      UsageError,
      `load: the preprocessing does not fit the net of net.bin (mean [${wrong.mean}], std [${wrong.std}], scale ${wrong.scale}; channels 3, input 8). ${remedy}`,
    );
  }
});

test("preprocessing from plain JavaScript: names that nobody knows, objects without fields", () => {
  const net = parseDescription(small, "small.json");
  for (const name of ["torch", "constructor", "__proto__", ""]) {
    const options = JSON.parse(JSON.stringify({ preprocessing: name }));
    planError(
      fakeFile(SMALL),
      { net, ...options },
      UsageError,
      `load: there is no such preprocessing (preprocessing ${JSON.stringify(name)}). Use one of torchvision, `,
    );
  }
  const options = JSON.parse('{"preprocessing": {}}');
  planError(
    fakeFile(SMALL),
    { net, ...options },
    UsageError,
    "load: the preprocessing does not fit the net of net.bin (mean [undefined]",
  );
});

test("nets of two channels take no pictures; of one, grey ones", () => {
  const of = (channels: number): Shapes => [["conv1.weight", [2, channels, 3, 3]], ...SMALL.slice(1)];
  const net = (channels: number) => parseDescription({ ...small, input: [channels, 8, 8] }, "small.json");
  for (const channels of [2, 4]) {
    planError(
      fakeFile(of(channels)),
      { net: net(channels) },
      WeightsError,
      `load: the net of net.bin takes no pictures (input ${channels}x8x8). Nets of 1 or 3 channels can be loaded.`,
    );
  }
  const { preprocessing, places } = planNet(fakeFile(of(1)), { net: net(1), preprocessing: "caffe" });
  close(preprocessing.mean, [CAFFE_MEAN.reduce((a, b) => a + b) / 3]);
  assert.equal(places.get("conv1.weight"), { tensor: "conv1.weight" });
});

/** A net that its file describes. */
function described(rows: object[], rest: Partial<FileNet> = {}): WeightsFile {
  const { layers, input } = parseDescription({ input: [3, 8, 8], layers: rows }, "test");
  const names = ["conv1", "conv2", "conv3", "bn0", "bn1"].flatMap((layer) =>
    ["weight", "bias", "running_mean", "running_var"].map((part) => `${layer}.${part}`),
  );
  const tensors = new Map(names.map((name) => [name, { tensor: `stored/${name}` }]));
  const net = {
    inputShape: input,
    rows: layers,
    tensors,
    softmax: false,
    channelOrder: "BGR" as const,
    classes: null,
    ...rest,
  };
  return fakeFile([], { net });
}

const conv = { kind: "conv", outputs: 3, kernelSize: 3, padding: 1 };
const reversed = (plan: NetPlan): [string, number][] =>
  [...plan.places].flatMap(([name, { reversedAxis }]): [string, number][] =>
    reversedAxis === undefined ? [] : [[name, reversedAxis]],
  );

test("BGR: the first convolution runs backwards, all that see the input's channels, and no other", () => {
  const plan = planNet(described([conv, conv]));
  assert.equal(reversed(plan), [["conv1.weight", 1]]);
  assert.equal(plan.places.get("conv1.weight"), { tensor: "stored/conv1.weight", reversedAxis: 1 });
  close(plan.preprocessing.mean, CAFFE_MEAN);
  assert.is(plan.about, "a net of 2 layers");
  assert.equal(reversed(planNet(described([{ kind: "relu" }, { kind: "pool", kernelSize: 2 }, conv, conv]))), [
    ["conv1.weight", 1],
  ]);
  assert.equal(reversed(planNet(described([{ kind: "batchNorm", name: "bn0" }, conv]))).sort(), [
    ["bn0.bias", 0],
    ["bn0.running_mean", 0],
    ["bn0.running_var", 0],
    ["bn0.weight", 0],
    ["conv1.weight", 1],
  ]);
  const two = [
    { ...conv, name: "conv1" },
    { ...conv, name: "conv2", from: ["input"] },
    { kind: "add", from: ["conv1", "conv2"] },
  ];
  assert.equal(reversed(planNet(described(two))), [
    ["conv1.weight", 1],
    ["conv2.weight", 1],
  ]);
});

test("BGR: RGB is what the caller says; nets that cannot be turned are refused", () => {
  assert.equal(reversed(planNet(described([conv]), { preprocessing: "torchvision" })), []);
  assert.equal(reversed(planNet(described([conv], { channelOrder: "RGB" }))), []);
  assert.equal(reversed(planNet(described([conv], { channelOrder: null }), { preprocessing: "caffe" })), [
    ["conv1.weight", 1],
  ]);
  for (const row of [{ ...conv, groups: 3 }, { kind: "flatten" }]) {
    const { kind } = row;
    planError(
      described([row]),
      {},
      WeightsError,
      `load: the net of net.bin takes BGR, and its first layer cannot be turned to RGB (layer ${kind === "conv" ? "conv1" : "flatten0"}, kind ${kind}). ` +
        "Begin with a convolution of one group.",
    );
  }
});

test("a file's net: sizes that it leaves open, its own preprocessing and classes", () => {
  const open = { inputShape: [3, null, null] as const, channelOrder: null };
  assert.equal(planNet(described([conv], open)).inputShape, [3, 224, 224]);
  assert.equal(planNet(described([conv], open), { inputSize: 50 }).inputShape, [3, 50, 50]);
  assert.equal(planNet(described([conv]), { inputSize: 8 }).inputShape, [3, 8, 8]);
  planError(
    described([conv]),
    { inputSize: 50 },
    WeightsError,
    "load: the file net.bin fixes the size of the input (inputSize 50, input 3x8x8). Leave inputSize out (--input).",
  );
  for (const inputSize of [-1, 0, 1.5, Number.NaN])
    planError(
      described([conv], open),
      { inputSize },
      UsageError,
      `load: the input size is not a positive whole number (inputSize ${inputSize}). Leave it out, or pass such as 224.`,
    );
  const last = [conv, { kind: "adaptiveAvgPool", outputSize: 1 }];
  const preprocessing = { mean: [1, 2, 3], std: [1, 1, 1], scale: 9 };
  const plan = planNet(described(last, { classes: ["a", "b", "c"], preprocessing, channelOrder: "RGB" }));
  assert.equal([plan.classes, plan.preprocessing, plan.notes], [["a", "b", "c"], preprocessing, []]);
  // What does not fit is the file's fault here.
  planError(described(last, { classes: ["a"] }), {}, WeightsError, "(names 1, outputs 3)");
  planError(
    described(last, { preprocessing: { ...preprocessing, scale: 1 } }),
    {},
    WeightsError,
    "scale 1; channels 3, input 8",
  );
});

test("1000 classes in an ONNX file that does not say: pictures as the model zoos prepare them, and a note", () => {
  const notes = (about: string) => [`The file does not say how pictures are prepared: taken as ${about}.`];
  const torchvision = notes(`torchvision (${PREPROCESSINGS.torchvision.about})`);
  const unit = notes("unit (RGB in 0 to 1)");
  for (const [format, outputs, expected] of [
    ["onnx", 1000, torchvision],
    ["onnx", 999, unit],
    ["keras", 1000, unit],
  ] as const) {
    const rows = [
      { ...conv, outputs },
      { kind: "adaptiveAvgPool", outputSize: 1 },
    ];
    assert.equal(planNet({ ...described(rows, { channelOrder: null }), format }).notes, expected);
  }
});

test("outputs without number, or none, are no classes", () => {
  const large = [{ kind: "upsample", size: 10_000_000 }];
  planError(
    described(large),
    {},
    WeightsError,
    "load: the net of net.bin gives no scores of classes (outputs 300000000000000, at most 4194304). Use a net that classifies.",
  );
  planError(
    described([{ ...conv, auxiliary: true }]),
    {},
    WeightsError,
    "gives no scores of classes (outputs 0, at most 4194304)",
  );
});

test.run();
