/**
 * Caffe's weights: layers as rows, errors that name the layer, damaged files. That a VGG net gives PyTorch's numbers, formats.test.ts tests.
 */
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DamagedFileError, WeightsError } from "#src/core/errors.js";
import { openCaffe } from "#src/formats/caffe/caffe.js";
import { bytesReader } from "#src/io/byte-reader.js";
import { PbfWriter } from "#src/vendor/protobuf.js";
import { fuzz, survives } from "../helpers/fuzz.js";
import { fails } from "../io/fails.js";

const fixture = (file: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../fixtures/formats/${file}`, import.meta.url)));

for (const file of ["caffe-v1.caffemodel", "caffe-new.caffemodel"]) {
  const bytes = fixture(file);

  test(`${file}: cut at every hundredth`, async () => {
    for (let percent = 0; percent < 100; percent++) {
      const cut = bytes.slice(0, Math.floor((bytes.length * percent) / 100));
      // A file that ends between two layers is the file of a smaller net.
      await survives(() => openCaffe(bytesReader(cut, file)));
    }
    assert.is(await survives(() => openCaffe(bytesReader(bytes.slice(0, -1), file))), "refused");
  });

  test(`${file}: damaged copies`, async () => {
    const { opened, refused } = await fuzz(bytes, openCaffe, { count: 1500, seed: 2, name: file });
    assert.ok(opened > 10 && refused > 10, `${opened} opened, ${refused} refused`);
  });
}

/** What a layer of these tests has; params: by field number, numbers by field number: whole ones, or [x] for float32. */
interface Layer {
  readonly name: string;
  readonly type: string;
  readonly bottoms?: readonly string[];
  readonly top?: string | readonly string[];
  readonly params?: Readonly<Record<number, Readonly<Record<number, number | readonly [number]>>>>;
  /** Shapes; values are 0, 1, 2, … */
  readonly blobs?: readonly (readonly number[])[];
  /** NetStateRule: 0 is training. */
  readonly phase?: number;
}

/** A caffemodel with an Input layer of [1, 3, 8, 8]. */
function caffemodel(layers: readonly Layer[]): Uint8Array {
  const pbf = new PbfWriter();
  pbf.writeStringField(1, "made by hand");
  pbf.writeMessage(100, writeInput, null);
  for (const layer of layers) pbf.writeMessage(100, writeLayer, layer);
  return pbf.finish().slice();
}

function writeInput(_: null, pbf: PbfWriter): void {
  pbf.writeStringField(1, "data");
  pbf.writeStringField(2, "Input");
  pbf.writeStringField(4, "data");
  pbf.writeMessage(143, (shape, input) => input.writeMessage(1, writeShape, shape), [1, 3, 8, 8]);
}

function writeShape(shape: readonly number[], pbf: PbfWriter): void {
  pbf.writePackedVarint(1, [...shape]);
}

function writeLayer(
  { name, type, bottoms = ["data"], top = name, params = {}, blobs = [], phase }: Layer,
  pbf: PbfWriter,
) {
  pbf.writeStringField(1, name);
  pbf.writeStringField(2, type);
  for (const bottom of bottoms) pbf.writeStringField(3, bottom);
  for (const each of [top].flat()) pbf.writeStringField(4, each);
  for (const shape of blobs) {
    pbf.writeMessage(
      7,
      (sides, blob) => {
        blob.writeMessage(7, writeShape, sides);
        const count = sides.reduce((product, side) => product * side, 1);
        blob.writePackedFloat(
          5,
          Array.from({ length: count }, (_, i) => i),
        );
      },
      shape,
    );
  }
  if (phase !== undefined) pbf.writeMessage(8, (value, rule) => rule.writeVarintField(1, value), phase);
  for (const [field, numbers] of Object.entries(params)) {
    pbf.writeMessage(Number(field), writeNumbers, numbers);
  }
}

function writeNumbers(numbers: Readonly<Record<number, number | readonly [number]>>, pbf: PbfWriter): void {
  for (const [field, value] of Object.entries(numbers)) {
    if (typeof value === "number") pbf.writeVarintField(Number(field), value);
    else pbf.writeFloatField(Number(field), value[0]);
  }
}

const open = (...layers: Layer[]) => openCaffe(bytesReader(caffemodel(layers), "a.caffemodel"));

const CONV: Layer = { name: "conv", type: "Convolution", params: { 106: { 1: 4, 4: 3 } }, blobs: [[4, 3, 3, 3], [4]] };

test("Convolution, ReLU in place, BatchNorm and Scale, Pooling, Eltwise, Concat, InnerProduct, Softmax: rows and places", async () => {
  const file = await open(
    { name: "labels", type: "Data", top: "label", phase: 0 },
    { ...CONV, params: { 106: { 1: 4, 3: 1, 4: 3, 2: 0 } }, blobs: [[4, 3, 3, 3]] },
    {
      name: "bn",
      type: "BatchNorm",
      bottoms: ["conv"],
      top: "conv",
      blobs: [[4], [4], [1]],
      params: { 139: { 3: [0.5] } },
    },
    { name: "scale", type: "Scale", bottoms: ["conv"], top: "conv", params: { 142: { 4: 1 } }, blobs: [[4], [4]] },
    { name: "relu", type: "ReLU", bottoms: ["conv"], top: "conv", params: { 123: { 1: [0.25] } } },
    { name: "sum", type: "Eltwise", bottoms: ["conv", "conv"] },
    { name: "both", type: "Concat", bottoms: ["sum", "conv"] },
    { name: "norm", type: "LRN", bottoms: ["both"], params: { 118: { 2: [0.5] } } },
    { name: "pool", type: "Pooling", bottoms: ["norm"], params: { 121: { 1: 1, 2: 3, 3: 2 } } },
    { name: "fc", type: "InnerProduct", bottoms: ["pool"], params: { 117: { 1: 2 } }, blobs: [[2, 128], [2]] },
    { name: "accuracy", type: "Accuracy", bottoms: ["fc", "label"] },
    { name: "prob", type: "Softmax", bottoms: ["fc"] },
  );
  const { rows = [], tensors, ...net } = file.net ?? {};
  assert.equal(net, { inputShape: [3, 8, 8], softmax: true, channelOrder: "BGR", classes: null });
  const window = { kernelSize: [3, 3], stride: [1, 1], dilation: [1, 1], groups: 1, bias: false };
  assert.equal(rows, [
    { name: "conv", kind: "conv", outputs: 4, padding: [1, 1], ...window },
    { name: "bn", kind: "batchNorm", eps: 0.5 },
    { name: "relu", kind: "leakyRelu", slope: 0.25 },
    { name: "sum", kind: "add", from: ["relu", "relu"] },
    { name: "both", kind: "concat", from: ["sum", "relu"] },
    { name: "norm", kind: "lrn", size: 5, alpha: 0.1, beta: 0.75, k: 1 },
    {
      name: "pool",
      kind: "avgPool",
      kernelSize: [3, 3],
      stride: [2, 2],
      padding: [0, 0],
      ceilMode: true,
      countIncludePad: true,
    },
    { name: "flatten_fc", kind: "flatten" },
    { name: "fc", kind: "linear", outputs: 2, bias: true },
  ]);
  assert.equal(Object.fromEntries(tensors ?? []), {
    "conv.weight": { tensor: "conv.weight", view: [4, 3, 3, 3] },
    "bn.weight": { tensor: "scale.weight", view: [4] },
    "bn.bias": { tensor: "scale.bias", view: [4] },
    // The factor is the blob's only value, 0: Caffe takes the statistics as 0 then.
    "bn.running_mean": { tensor: "bn.running_mean", view: [4], scale: 0 },
    "bn.running_var": { tensor: "bn.running_var", view: [4], scale: 0 },
    "fc.weight": { tensor: "fc.weight", view: [2, 128] },
    "fc.bias": { tensor: "fc.bias", view: [2] },
  });
  const part = new Float32Array(3);
  await file.readFloats("fc.weight", 100, part);
  assert.equal([...part], [100, 101, 102]);
});

const REFUSED: readonly (readonly [string, Layer[], string])[] = [
  ["an unknown type", [CONV, { name: "p", type: "PReLU", bottoms: ["conv"] }], 'PReLU (layer "p", type PReLU, 3 of 3)'],
  [
    "a maximum",
    [CONV, { name: "m", type: "Eltwise", bottoms: ["conv", "conv"], params: { 110: { 1: 2 } } }],
    "the largest of several",
  ],
  ["normalisation within channels", [{ name: "n", type: "LRN", params: { 118: { 4: 1 } } }], "within channels"],
  ["a stochastic pool", [{ name: "p", type: "Pooling", params: { 121: { 1: 2, 2: 2 } } }], "a stochastic pool"],
  ["a window without size", [{ name: "p", type: "Pooling" }], "a window without size"],
  ["Scale alone", [CONV, { name: "s", type: "Scale", bottoms: ["conv"], blobs: [[4]] }], "does not follow a BatchNorm"],
  ["a window of even size", [{ name: "n", type: "LRN", params: { 118: { 1: 4 } } }], "over 4 channels"],
  [
    "a Scale behind one of two ways from a BatchNorm",
    [
      CONV,
      { name: "bn", type: "BatchNorm", bottoms: ["conv"], blobs: [[4], [4], [1]] },
      { name: "split", type: "Split", bottoms: ["bn"], top: ["left", "right"] },
      { name: "s", type: "Scale", bottoms: ["left"], blobs: [[4]] },
      { name: "sum", type: "Eltwise", bottoms: ["s", "right"] },
    ],
    "does not follow a BatchNorm",
  ],
  ["two layers of one name", [CONV, { ...CONV, bottoms: ["conv"] }], 'two layers of one name with weights ("conv"'],
  ["missing weights", [{ ...CONV, blobs: [] }], "without weights"],
  ["weights of another shape", [{ ...CONV, blobs: [[4, 3, 5, 5], [4]] }], "is [4,3,5,5], not [4,3,3,3]"],
  ["an input that nothing gives", [{ ...CONV, bottoms: ["later"] }], '"later"'],
  [
    "a circle",
    [
      { ...CONV, bottoms: ["relu"] },
      { name: "relu", type: "ReLU", bottoms: ["conv"] },
    ],
    '"relu"',
  ],
  [
    "a picture that is too small",
    [{ ...CONV, params: { 106: { 1: 4, 4: 9 } }, blobs: [[4, 3, 9, 9], [4]] }],
    "the picture is too small",
  ],
];

for (const [what, layers, text] of REFUSED) {
  test(`refused: ${what}`, () => fails(open(...layers), WeightsError, text));
}

test("damage names the byte", async () => {
  await fails(
    openCaffe(bytesReader(Uint8Array.of(0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), "a")),
    DamagedFileError,
    "byte 0",
  );
});

test.run();
