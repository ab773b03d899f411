/** Dense evaluation, against PyTorch's functions with the fully connected layers as convolutions (test/fixtures/make-dense.py). */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { denseScores } from "#src/classify/dense.js";
import { PictureNet } from "#src/classify/picture-net.js";
import { UsageError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import { load } from "#src/load.js";
import { Net } from "#src/models/net.js";
import { tableLayers } from "#src/models/net-config.js";
import { parseRows } from "#src/models/net-description.js";
import { buildNet } from "#src/models/nets.js";
import { vgg } from "#src/models/vgg.js";
import { vggLayers } from "#src/models/vgg-config.js";
import { type Picture, rescalePicture } from "#src/pictures/picture.js";
import { formulaFill } from "../fixtures/formula.js";
import { maxRelativeError } from "../helpers/compare.js";
import { fails } from "../io/fails.js";

/** Of the largest score: float32 against float64 through 16 layers. */
const TOLERANCE = 1e-5;
/** The same sums in another order. */
const SAME = 1e-6;

interface Scores {
  readonly height: number;
  readonly width: number;
  readonly t: number;
  readonly scores: readonly number[];
}

interface Dense {
  readonly file: string;
  readonly scale: number;
  readonly scores: readonly Scores[];
  readonly pictures: readonly Scores[];
}

const pathOf = (file: string): string => fileURLToPath(new URL(`../fixtures/${file}`, import.meta.url));
const expected: Dense = JSON.parse(readFileSync(pathOf("formats/dense.json"), "utf8"));

const engine = await createEngine({ threads: 2 });
const net = await load(pathOf(`formats/${expected.file}`), { engine });

function picture(t: number, scale: number, shape: readonly number[]): Float32Array {
  const x = new Float32Array(shape.reduce((product, side) => product * side, 1));
  formulaFill(x, t, scale);
  return x;
}

for (const { height, width, t, scores } of expected.scores) {
  test(`x=[1,3,${height},${width}]: PyTorch's scores`, async () => {
    const x = engine.tensor(picture(t, expected.scale, [3, height, width]), [1, 3, height, width]);
    const found = await engine.noGrad(() => denseScores(net.model, net.layers, x)).data();
    const distance = maxRelativeError(found, scores);
    assert.ok(distance <= TOLERANCE, `${distance} from PyTorch's`);
  });
}

test("x=[2,3,96,64]: a batch gives what its pictures give alone", async () => {
  const [a, b] = [1, 2].map((t) => picture(t, 4, [3, 96, 64]));
  const run = (values: Float32Array, batch: number): Promise<Float32Array> =>
    engine.noGrad(() => denseScores(net.model, net.layers, engine.tensor(values, [batch, 3, 96, 64]))).data();
  const both = await run(Float32Array.of(...a, ...b), 2);
  const alone = [...(await run(a, 1)), ...(await run(b, 1))];
  assert.ok(maxRelativeError(both, alone) <= SAME);
});

for (const config of ["A", "D"] as const) {
  for (const batchNorm of [false, true]) {
    for (const classifier of [[], [24, 16]]) {
      test(`VGG ${config} batchNorm=${batchNorm} classifier=[${classifier}]: at the input's size, the plain forward pass`, async () => {
        const options = { width: 0.125, inputSize: 64, classes: 10, batchNorm, classifier };
        const model = vgg(config, options, engine).eval();
        const x = engine.tensor(picture(5, 4, [3, 64, 64]), [1, 3, 64, 64]);
        x.keep();
        const plain = await engine.noGrad(() => model.forward(x)).data();
        const dense = await engine.noGrad(() => denseScores(model, vggLayers(config, options), x)).data();
        assert.ok(maxRelativeError(dense, plain) <= SAME);
      });
    }
  }
}

test("a net of rows with names of its own, stride and odd sides", async () => {
  const rows = [
    { kind: "conv", name: "first.conv", outputs: 4, kernelSize: 3, stride: 2 },
    { kind: "leakyRelu" },
    { kind: "pool", kernelSize: 2 },
    { kind: "flatten" },
    { kind: "linear", name: "hidden", outputs: 6 },
    { kind: "tanh" },
    { kind: "linear", outputs: 3, bias: false },
  ];
  const layers = tableLayers(parseRows(rows, "test"), [3, 11, 15], { net: "test", classes: 1 });
  const model = new Net(layers, {}, engine).eval();
  const x = engine.tensor(picture(6, 4, [3, 11, 15]), [1, 3, 11, 15]);
  x.keep();
  const plain = await engine.noGrad(() => model.forward(x)).data();
  const dense = await engine.noGrad(() => denseScores(model, layers, x)).data();
  assert.ok(maxRelativeError(dense, plain) <= SAME, `${dense} ${plain}`);
});

const refusal = (reason: string): string =>
  `classify: the net cannot look at a whole picture at once (${reason}). Use crop center.`;
const conv = { kind: "conv", outputs: 2, kernelSize: 3 };
const linear = { kind: "linear", outputs: 2 };

for (const [reason, rows] of [
  ["it has no linear layers", [conv, { kind: "relu" }]],
  ["layer batchNorm, batchNorm", [conv, { kind: "flatten" }, linear, { kind: "batchNorm", name: "batchNorm" }]],
  ["layer pool1, adaptiveAvgPool", [conv, { kind: "adaptiveAvgPool", outputSize: 1 }, { kind: "flatten" }, linear]],
  ["layer relu1, relu", [conv, { kind: "relu", from: ["input"] }, { kind: "flatten" }, linear]],
] as const) {
  test(`refused: ${reason}`, async () => {
    const layers = tableLayers(parseRows(rows, "test"), [3, 8, 8], { net: "test", classes: 1 });
    const model = new Net(layers, {}, engine).eval();
    const x = engine.tensor(new Float32Array(3 * 9 * 9), [1, 3, 9, 9]);
    await fails((async () => denseScores(model, layers, x))(), UsageError, refusal(reason));
  });
}

test("refused: a net with branches", async () => {
  const model = buildNet("googlenet", { width: 0.1, classes: 5, inputSize: 64 }, engine).eval();
  const x = engine.tensor(new Float32Array(3 * 64 * 64), [1, 3, 64, 64]);
  await fails(
    (async () => denseScores(model, model.layers, x))(),
    UsageError,
    "cannot look at a whole picture at once (layer ",
  );
});

for (const linearWeights of ["float16", "int8"] as const) {
  test(`refused: weights as ${linearWeights}`, async () => {
    const small = await load(pathOf("formats/torchvision.pth"), { engine, linearWeights });
    await fails(
      small.classify(pathOf("pictures/rgb.png"), { crop: "dense" }),
      UsageError,
      "classify: weights in fewer bits cannot look at a whole picture at once (layer classifier.0). Use crop center, or linearWeights float32.",
    );
  });
}

for (const { height, width, t, scores } of expected.pictures) {
  const pixels = Uint8Array.from(picture(t, 1, [height, width, 3]), (value) => Math.min(255, (value + 0.5) * 256));
  const scale = Math.min(height, width);

  test(`a picture of ${width}x${height}, as large as its scale: the mean of its scores and its mirror image's`, async () => {
    const found = await net.scores({ width, height, pixels }, { crop: "dense", scale });
    const distance = maxRelativeError(found, scores);
    assert.ok(distance <= TOLERANCE, `${distance} from PyTorch's`);
    const [first] = await net.classify({ width, height, pixels }, { crop: "dense", scale, top: 1 });
    assert.is(first.index, scores.indexOf(Math.max(...scores)));
  });
}

test("a scale: that of the picture rescaled by hand; a picture and its mirror image have the same scores", async () => {
  const [height, width] = [40, 50];
  const small = {
    width,
    height,
    pixels: Uint8Array.from(picture(7, 1, [height, width, 3]), (value) => (value + 0.5) * 255),
  };
  const found = await net.scores(small, { crop: "dense", scale: 80 });
  const byHand = await net.scores(rescalePicture(small, 80), { crop: "dense", scale: 80 });
  assert.ok(maxRelativeError(found, byHand) <= SAME);
  const mirrored = new Uint8Array(small.pixels.length);
  for (let i = 0; i < height * width; i++) {
    const x = i % width;
    mirrored.set(small.pixels.subarray(3 * i, 3 * i + 3), 3 * (i - x + width - 1 - x));
  }
  const other = await net.scores({ ...small, pixels: mirrored }, { crop: "dense", scale: 80 });
  assert.ok(maxRelativeError(other, found) <= SAME);
  // The default is the net's own.
  assert.ok(
    maxRelativeError(
      await net.scores(small, { crop: "dense" }),
      await net.scores(small, { crop: "dense", scale: 73 }),
    ) <= SAME,
  );
});

test("an input that is not square: the picture covers its longer side", async () => {
  const rows = [conv, { kind: "flatten" }, { kind: "linear", outputs: 3 }];
  const layers = tableLayers(parseRows(rows, "test"), [3, 8, 20], { net: "test", classes: 1 });
  const made = new Net(layers, {}, engine).eval();
  const parts = {
    engine,
    model: made,
    layers,
    inputShape: [3, 8, 20] as const,
    vgg: null,
    preprocessing: { mean: [0, 0, 0], std: [255, 255, 255], scale: 8 },
    classes: ["a", "b", "c"],
    about: "a net",
    notes: [],
    openPicture: async (opened: Picture) => opened,
    batch: 1,
    ownsEngine: false,
  };
  const wide = new PictureNet(parts);
  for (const [width, height] of [
    [30, 10],
    [10, 30],
    [20, 20],
  ]) {
    const pixels = Uint8Array.from(picture(8, 1, [height, width, 3]), (value) => (value + 0.5) * 255);
    for (const crop of ["center", "dense"] as const) {
      const predictions = await wide.classify({ width, height, pixels }, { crop });
      assert.is(predictions.length, 3, `${crop} ${width}x${height}`);
    }
  }
  await wide.close();
});

test("after the tests", () => engine.close());

test.run();
