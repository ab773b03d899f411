/** Nets that others trained, on real pictures: ../shared/data, where it is (its README.md says what a correct program gets). */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createEngine } from "#src/engine.js";
import { type LoadedNet, load } from "#src/load.js";
import { parseDescription } from "#src/models/net-description.js";
import { maxRelativeError } from "../helpers/compare.js";

const SHARED = fileURLToPath(new URL("../../../shared/data/", import.meta.url));

/** Runs where these files are; else says that it does not. */
function testWith(files: readonly string[], name: string, run: () => Promise<void>): void {
  const missing = files.find((file) => !existsSync(path.join(SHARED, file)));
  if (missing === undefined) {
    test(name, run);
    return;
  }
  console.log(`SKIPPED: ${name}, ../shared/data/${missing} is missing`);
  test.skip(name, run);
}

const MNIST_FILES = [
  "mnist/t10k-images-idx3-ubyte.gz",
  "mnist/t10k-labels-idx1-ubyte.gz",
  "mnist-conv/mnist.pt",
  "mnist-conv/mnist.safetensors",
];
const COUNT = 2000;
/** How many PyTorch 1.13 gets right with the same layers: the files are of two trainings. */
const PYTORCH_RIGHT = { "mnist.pt": 1976, "mnist.safetensors": 1978 };
const SIDE = 28;
const AT_ONCE = 100;
const MEAN = 0.1307 * 255;
const STD = 0.3081 * 255;
/** The same pictures, prepared one by one. */
const TOLERANCE = 1e-5;

const conv = (name: string, outputs: number): object[] => [
  { kind: "conv", name, outputs, kernelSize: 3 },
  { kind: "relu" },
];
const MNIST_NET = {
  input: [1, SIDE, SIDE],
  layers: [
    ...conv("conv1", 8).map((row, i) => (i === 0 ? row : { ...row, name: "relu1" })),
    ...conv("conv2", 16).map((row, i) => (i === 0 ? row : { ...row, name: "relu2" })),
    ...conv("conv3", 24).map((row, i) => (i === 0 ? row : { ...row, name: "relu3" })),
    { kind: "batchNorm", name: "norm1" },
    { kind: "flatten" },
    { kind: "linear", name: "fc1", outputs: 32 },
    { kind: "relu", name: "relu4" },
    { kind: "linear", name: "fc2", outputs: 10 },
    { kind: "batchNorm", name: "norm2" },
  ],
};

/** The bytes of a gzipped idx file behind its head. */
const idx = (file: string, headBytes: number): Uint8Array =>
  new Uint8Array(gunzipSync(readFileSync(path.join(SHARED, file))).subarray(headBytes));

async function mnistLogits(net: LoadedNet, pixels: Uint8Array): Promise<Float32Array> {
  const logits = new Float32Array(COUNT * 10);
  for (let begin = 0; begin < COUNT; begin += AT_ONCE) {
    const part = pixels.subarray(begin * SIDE * SIDE, (begin + AT_ONCE) * SIDE * SIDE);
    const x = net.engine.tensor(
      Float32Array.from(part, (value) => (value - MEAN) / STD),
      [AT_ONCE, 1, SIDE, SIDE],
    );
    logits.set(await net.engine.noGrad(() => net.model.forward(x)).data(), begin * 10);
  }
  return logits;
}

for (const [file, expected] of Object.entries(PYTORCH_RIGHT)) {
  testWith(MNIST_FILES, `mnist-conv/${file}: right about ${expected} of ${COUNT} digits`, async () => {
    const engine = await createEngine({ threads: 2, tier: "plain" });
    const net = await load(path.join(SHARED, "mnist-conv", file), {
      engine,
      net: parseDescription(MNIST_NET, "mnist.json"),
      preprocessing: { mean: [MEAN], std: [STD], scale: SIDE },
    });
    const pixels = idx(MNIST_FILES[0], 16);
    const labels = idx(MNIST_FILES[1], 8);
    const logits = await mnistLogits(net, pixels);
    const scoresOf = (i: number): Float32Array => logits.subarray(i * 10, i * 10 + 10);
    let right = 0;
    for (let i = 0; i < COUNT; i++) {
      if (scoresOf(i).indexOf(Math.max(...scoresOf(i))) === labels[i]) right++;
    }
    assert.is(right, expected);
    // As pictures: grey ones, all three planes alike.
    for (let i = 0; i < 10; i++) {
      const grey = pixels.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE);
      const bytes = Uint8Array.from({ length: 3 * grey.length }, (_, j) => grey[Math.floor(j / 3)]);
      const scores = await net.scores({ width: SIDE, height: SIDE, pixels: bytes });
      assert.ok(maxRelativeError(scores, scoresOf(i)) <= TOLERANCE);
    }
    await engine.close();
  });
}

/** Names of the ten pictures in the order of the classes: lifeboat, ladybug, pizza, … */
const TINY = ["boat", "bug", "pizza", "pepper", "bus", "koala", "espresso", "panda", "orange", "car"];

testWith(
  ["tinyvgg-tfjs/model.json", "tinyvgg-tfjs/img/koala_1.jpeg"],
  "tinyvgg-tfjs: its ten pictures, each by its class",
  async () => {
    const net = await load(path.join(SHARED, "tinyvgg-tfjs/model.json"), { threads: 2, classes: TINY });
    const files = TINY.map((name) => path.join(SHARED, `tinyvgg-tfjs/img/${name}_1.jpeg`));
    const found = await Promise.all(files.map((file) => net.classify(file, { top: 1 })));
    assert.equal(
      found.map(([{ label }]) => label),
      TINY,
    );
    assert.equal(net.inputShape, [3, 64, 64]);
    await net.close();
  },
);

test.run();
