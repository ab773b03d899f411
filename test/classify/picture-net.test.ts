/** `load` and the net that it gives: where weights and pictures come from, many calls at once, what fails and how. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BatchQueue } from "#src/classify/batch-queue.js";
import { PictureNet, type PictureNetParts } from "#src/classify/picture-net.js";
import { DataError, MemoryFullError, UsageError, WeightsError } from "#src/core/errors.js";
import { imagenetNames } from "#src/data/imagenet.js";
import { createEngine } from "#src/engine.js";
import { encodeHeader } from "#src/io/safetensors-format.js";
import { type LoadedNet, type LoadOptions, load, type PictureInput, type WeightsInput } from "#src/load.js";
import { vggLayers, vggTensorShapes } from "#src/models/vgg-config.js";
import { fitPicture, type Picture } from "#src/pictures/picture.js";
import { readPicture } from "#src/pictures/picture-file.js";
import { formulaFill } from "../fixtures/formula.js";
import { maxRelativeError, sameValues } from "../helpers/compare.js";
import { fails } from "../io/fails.js";

/** Of the largest score: the same sums, in other batches. */
const BATCH_TOLERANCE = 1e-5;

const root = fileURLToPath(new URL("../../", import.meta.url));
const WEIGHTS = path.join(root, "weights/shapes-vgg.safetensors");
const HEART = path.join(root, "weights/pictures/heart.png");
const JPEG = path.join(root, "test/fixtures/pictures/noise-444.jpg");
const formats = path.join(root, "test/fixtures/formats");

const engine = await createEngine({ threads: 2, tier: "plain" });
const open = (options: LoadOptions = {}): Promise<LoadedNet> => load(WEIGHTS, { engine, ...options });
const net = await open();

/** A picture that is no other's. */
function noise(t: number, width = 40, height = 36): Picture {
  const values = new Float32Array(width * height * 3);
  formulaFill(values, t, 1);
  return { width, height, pixels: Uint8Array.from(values, (value) => (value + 0.5) * 255) };
}

const sites = createServer((request, response) => {
  const file = path.join(root, decodeURIComponent(request.url ?? "/"));
  if (existsSync(file)) response.end(readFileSync(file));
  else response.writeHead(404).end();
});
await new Promise<void>((resolve) => sites.listen(0, "127.0.0.1", resolve));
const address = sites.address();
const origin = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}/`;

test("what is known of the package's net", () => {
  assert.is(net.about, "VGG A");
  assert.equal([net.vgg?.config, net.classes.length, net.notes], ["A", 10, []]);
  assert.equal(net.metadata, { inputShape: net.inputShape, classes: net.classes, preprocessing: net.preprocessing });
  assert.is(net.engine, engine);
});

test("classify: likeliest first, shares of 1, as many as are asked for", async () => {
  const predictions = await net.classify(HEART, { top: 100 });
  assert.is(predictions.length, 10);
  assert.is(predictions[0].label, "heart");
  assert.ok(Math.abs(predictions.reduce((sum, { probability }) => sum + probability, 0) - 1) < 1e-9);
  assert.ok(predictions.every(({ probability }, i) => i === 0 || probability <= predictions[i - 1].probability));
  assert.ok(predictions.every(({ label, index }) => net.classes[index] === label));
  assert.equal(await net.classify(HEART, { top: 2 }), predictions.slice(0, 2));
  assert.equal(await net.classify(HEART), predictions.slice(0, 5));
  // The soft-max of the scores.
  const scores = await net.scores(HEART);
  const powers = Array.from(scores, Math.exp);
  const sum = powers.reduce((a, b) => a + b);
  for (const { index, probability } of predictions) assert.ok(Math.abs(probability - powers[index] / sum) < 1e-6);
});

test("scoresOfPlanes: those of the same picture, prepared by hand", async () => {
  const [, side] = net.inputShape;
  const planes = fitPicture(await readPicture(HEART), side, net.preprocessing.scale);
  assert.ok(sameValues(await net.scoresOfPlanes(planes), await net.scores(HEART)));
  await fails(
    net.scoresOfPlanes(planes.subarray(1)),
    UsageError,
    `classify: the planes do not have the input's size (values ${planes.length - 1}, planes [3,${side},${side}]). Use fitPicture.`,
  );
});

test("scale: the middle of a larger picture", async () => {
  const [, side] = net.inputShape;
  const picture = noise(3);
  const byHand = await net.scoresOfPlanes(fitPicture(picture, side, 2 * side));
  assert.ok(sameValues(await net.scores(picture, { scale: 2 * side }), byHand));
  assert.not.ok(sameValues(await net.scores(picture), byHand));
});

test("options that make no sense", async () => {
  const [, side] = net.inputShape;
  for (const top of [0, -1, 1.5, Number.NaN]) {
    await fails(
      net.classify(HEART, { top }),
      UsageError,
      `classify: top is not a positive whole number (top ${top}). Ask for at least one class.`,
    );
  }
  for (const scale of [side - 1, 0, side + 0.5, 10_001, Number.NaN]) {
    await fails(
      net.classify(HEART, { scale }),
      UsageError,
      `classify: the scale is not a whole number from the net's input to 10000 (scale ${scale}, input ${side}). Use a larger one.`,
    );
  }
  const crop = JSON.parse('{"crop": "left"}');
  await fails(
    net.classify(HEART, crop),
    UsageError,
    "classify: there is no such crop (crop left). Use center or dense.",
  );
  for (const batch of [0, 1025, 2.5]) {
    await fails(
      open({ batch }),
      UsageError,
      `load: batch is not a whole number from 1 to 1024 (batch ${batch}). Leave it out.`,
    );
  }
});

test("pictures: a path, an address of a file, of a server, bytes, a Blob, pixels", async () => {
  const expected = await net.scores(JPEG);
  const inputs: PictureInput[] = [
    pathToFileURL(JPEG),
    pathToFileURL(JPEG).href,
    new URL(path.relative(root, JPEG), origin),
    `${origin}${path.relative(root, JPEG)}`,
    new Uint8Array(readFileSync(JPEG)),
    new Blob([readFileSync(JPEG)]),
    await readPicture(JPEG),
  ];
  for (const input of inputs) assert.ok(sameValues(await net.scores(input), expected), String(input));
});

test("weights as a Blob", async () => {
  const blob = await load(new Blob([readFileSync(WEIGHTS)]), { engine });
  assert.ok(sameValues(await blob.scores(HEART), await net.scores(HEART)));
});

test("dense at a scale that does not fit into memory: says so, and the next picture is fine", async () => {
  const small = await createEngine({ threads: 1, tier: "plain", memoryMaxBytes: 2 ** 25 });
  const tight = await open({ engine: small });
  await fails(
    tight.scores(HEART, { crop: "dense", scale: 3000 }),
    MemoryFullError,
    "classify: the picture does not fit into memory as a whole (3000x3000, scale 3000). Use a smaller scale.",
  );
  assert.is((await tight.classify(HEART, { crop: "dense", scale: 64 })).length, 5);
  await tight.close();
  await small.close();
});

for (const [what, input, type, text] of [
  ["a file that is not there", "missing.png", DataError, "missing.png"],
  ["a file that is no picture", path.join(root, "package.json"), DataError, "is not a PNG, JPEG or WebP picture"],
  ["bytes that are no picture", Uint8Array.of(1, 2, 3), DataError, "is not a PNG, JPEG or WebP picture"],
  ["an address that is not there", `${origin}missing.png`, DataError, "classify: the picture cannot be fetched ("],
  ["a server that is not there", "http://127.0.0.1:1/a.png", DataError, "classify: the picture cannot be fetched ("],
  [
    "an address that is none",
    "http://",
    UsageError,
    "classify: this is no address (address http://). Correct it, or pass a path.",
  ],
  [
    "pixels that are too few",
    { width: 2, height: 2, pixels: new Uint8Array(11) },
    DataError,
    "classify: this is no picture (width 2, height 2, pixels 11).",
  ],
  [
    "a picture of no size",
    { width: 0, height: 0, pixels: new Uint8Array(0) },
    DataError,
    "classify: this is no picture (width 0, height 0, pixels 0).",
  ],
  [
    "an empty object",
    JSON.parse("{}"),
    DataError,
    "classify: this is no picture (width undefined, height undefined, pixels undefined).",
  ],
  [
    "null",
    JSON.parse("null"),
    DataError,
    "classify: this is no picture (width undefined, height undefined, pixels undefined).",
  ],
] as [string, PictureInput, typeof DataError, string][]) {
  test(`${what} is an error that says so`, () => fails(net.classify(input), type, text));
}

for (const batch of [1, 3, 8]) {
  test(`50 calls at once, batch ${batch}: to each its own picture's result; a bad one fails alone`, async () => {
    const loaded = await open({ batch });
    const pictures = Array.from({ length: 50 }, (_, i) => noise(i));
    const alone: Float32Array[] = [];
    for (const picture of pictures) alone.push(await loaded.scores(picture));
    const calls = pictures.map((picture, i) =>
      i === 20 ? loaded.scores(Uint8Array.of(7)) : loaded.scores(picture, i % 10 === 7 ? { crop: "dense" } : {}),
    );
    const results = await Promise.allSettled(calls);
    for (const [i, result] of results.entries()) {
      if (i === 20) {
        assert.ok(result.status === "rejected" && result.reason instanceof DataError);
        continue;
      }
      assert.ok(result.status === "fulfilled", `call ${i}`);
      const expected = i % 10 === 7 ? await loaded.scores(pictures[i], { crop: "dense" }) : alone[i];
      assert.ok(maxRelativeError(result.value, expected) <= BATCH_TOLERANCE, `call ${i}`);
      if (batch === 1) assert.ok(sameValues(result.value, expected), `call ${i}`);
      // No other picture's.
      assert.ok(maxRelativeError(result.value, alone[(i + 1) % 50]) > BATCH_TOLERANCE);
    }
    await loaded.close();
  });
}

test("calls at once are computed together, batch at most", async () => {
  const loaded = await open({ batch: 4 });
  const sizes: number[] = [];
  const { forward } = loaded.model;
  loaded.model.forward = (x) => {
    sizes.push(x.shape[0]);
    return forward.call(loaded.model, x);
  };
  const planes = new Uint8Array(loaded.inputShape.reduce((a, b) => a * b));
  await Promise.all(Array.from({ length: 10 }, () => loaded.scoresOfPlanes(planes)));
  assert.equal(sizes, [4, 4, 2]);
  // A batch that fails is computed again one by one: only what fails alone fails.
  sizes.length = 0;
  let calls = 0;
  loaded.model.forward = (x) => {
    sizes.push(x.shape[0]);
    if (x.shape[0] > 1 || calls++ === 1) throw new UsageError("not this one");
    return forward.call(loaded.model, x);
  };
  const results = await Promise.allSettled(Array.from({ length: 4 }, () => loaded.scoresOfPlanes(planes)));
  assert.equal(sizes, [4, 1, 1, 1, 1]);
  assert.equal(
    results.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled", "fulfilled"],
  );
  await loaded.close();
});

test("BatchQueue: inputs that do not fit together, in the order of the first of each kind", async () => {
  const batches: string[][] = [];
  const queue = new BatchQueue<string, string>(
    3,
    async (inputs) => {
      batches.push([...inputs]);
      return inputs.map((input) => input.toUpperCase());
    },
    (first, other) => first[0] === other[0],
  );
  const results = await Promise.all(["a1", "b1", "a2", "a3", "b2", "a4"].map((input) => queue.add(input)));
  assert.equal(results, ["A1", "B1", "A2", "A3", "B2", "A4"]);
  assert.equal(batches, [["a1", "a2", "a3"], ["b1", "b2"], ["a4"]]);
  assert.is(await queue.add("c"), "C");
});

test("close: what is under way ends well, what comes after fails; twice does no harm", async () => {
  const own = await load(WEIGHTS, { threads: 1 });
  const calls = [own.classify(HEART), own.scores(JPEG), own.scores(noise(1), { crop: "dense" })];
  const closing = own.close();
  await fails(own.classify(HEART), UsageError, "classify: the net is closed (close() was called). Load it again.");
  await fails(
    own.scoresOfPlanes(new Uint8Array(own.inputShape.reduce((a, b) => a * b))),
    UsageError,
    "classify: the net is closed",
  );
  await closing;
  assert.is((await Promise.all(calls)).length, 3);
  await own.close();
  // Its own engine has ended with it; an engine that was given has not.
  await fails(own.engine.tensor(Float32Array.of(1), [1]).data(), UsageError, "engine: it is closed.");
  const lent = await open();
  await lent.close();
  assert.equal(await engine.tensor(Float32Array.of(1), [1]).data(), Float32Array.of(1));
});

test("a score that is not finite is an error of the weights", async () => {
  const parts: PictureNetParts<Picture> = {
    engine,
    model: net.model,
    layers: net.layers,
    inputShape: net.inputShape,
    vgg: null,
    preprocessing: { mean: [0, 0, 0], std: [1e-38, 1e-38, 1e-38], scale: net.preprocessing.scale },
    classes: net.classes,
    about: "",
    notes: [],
    openPicture: async (picture: Picture) => picture,
    batch: 1,
    ownsEngine: false,
  };
  await fails(
    new PictureNet(parts).classify(noise(1)),
    WeightsError,
    "classify: a score is not a finite number (class ",
  );
});

test("weights: a path, an address of a file, of a server, bytes, bytes by name", async () => {
  const bytes = new Uint8Array(readFileSync(WEIGHTS));
  const expected = await net.scores(HEART);
  const inputs: WeightsInput[] = [
    pathToFileURL(WEIGHTS),
    pathToFileURL(WEIGHTS).href,
    new URL("weights/shapes-vgg.safetensors", origin),
    `${origin}weights/shapes-vgg.safetensors`,
    bytes,
    new Map([["any", bytes]]),
  ];
  for (const input of inputs) {
    const loaded = await load(input, { engine });
    assert.ok(sameValues(await loaded.scores(HEART), expected));
  }
});

test("several files by name, the main one first, as from their folder", async () => {
  const names = [
    "model.safetensors.index.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
  ];
  const files = new Map(names.map((name) => [name, new Uint8Array(readFileSync(path.join(formats, "sharded", name)))]));
  const fromFolder = await load(path.join(formats, "sharded", names[0]), { engine });
  const expected = await fromFolder.scores(HEART);
  assert.ok(sameValues(await (await load(files, { engine })).scores(HEART), expected));
  const fromServer = await load(`${origin}test/fixtures/formats/sharded/${names[0]}`, { engine });
  assert.ok(sameValues(await fromServer.scores(HEART), expected));
  files.delete(names[2]);
  await fails(load(files, { engine }), WeightsError, names[2]);
});

for (const [what, input, type, text] of [
  ["a file that is not there", "missing.pth", WeightsError, "missing.pth"],
  ["an address that is not there", `${origin}missing.pth`, WeightsError, "missing.pth"],
  [
    "no file at all",
    new Map(),
    WeightsError,
    "load: no file is given (files 0). Give the bytes of at least one, the main one first.",
  ],
  ["no bytes", new Uint8Array(0), WeightsError, "is of no known format (0 bytes, the first none)"],
  ["an empty text", "", WeightsError, "load:"],
  [
    "nothing",
    JSON.parse("null"),
    UsageError,
    "load: these are no weights (weights null). Pass a path, an address, bytes as a Uint8Array, or a Map of name to bytes.",
  ],
  ["an object", JSON.parse("{}"), UsageError, "load: these are no weights (weights [object Object])."],
  [
    "an address of another machine's file",
    "file://elsewhere/a.pth",
    UsageError,
    "load: the address is no path of this machine (address file://elsewhere/a.pth, ",
  ],
  ["an address of no kind", new URL("ftp://127.0.0.1/a.pth"), WeightsError, "load:"],
] as [string, WeightsInput, typeof WeightsError, string][]) {
  // A host in a file address is a share on Windows.
  if (process.platform === "win32" && what.startsWith("an address of another")) continue;
  test(`${what} is an error that says so`, () => fails(load(input, { engine }), type, text));
}

test("a published net that was not fetched: how to fetch it", async () => {
  const cache = mkdtempSync(path.join(tmpdir(), "verydeep-cache-"));
  const before = process.env.VERYDEEP_CACHE;
  process.env.VERYDEEP_CACHE = cache;
  try {
    await fails(
      load("vgg16_bn", { engine }),
      WeightsError,
      'load: the published weights are not on this machine yet (net vgg16_bn). Fetch them: verydeep pull vgg16_bn, or await pull("vgg16_bn").',
    );
  } finally {
    if (before === undefined) delete process.env.VERYDEEP_CACHE;
    else process.env.VERYDEEP_CACHE = before;
    rmSync(cache, { recursive: true });
  }
});

/** A narrow VGG without hidden layers as safetensors under torchvision's names: little but zeros. */
function bareWeights(classes: number): Uint8Array {
  const shapes = vggTensorShapes(vggLayers("A", { width: 1 / 64, inputSize: 32, classifier: [], classes }));
  const tensors = [...shapes].map(([name, shape]) => ({ name, shape }));
  const header = encodeHeader(tensors, {});
  const floats = new Float32Array(tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b), 0));
  // The last bias: one for each class.
  for (let i = 0; i < classes; i++) floats[floats.length - classes + i] = i === classes - 1 ? 9 : 0;
  const bytes = new Uint8Array(header.length + floats.byteLength);
  bytes.set(header);
  bytes.set(new Uint8Array(floats.buffer), header.length);
  return bytes;
}

test("names of classes: ImageNet's for 1000 outputs, numbers for others, the caller's", async () => {
  const imagenet = await load(bareWeights(1000), { engine });
  assert.equal(imagenet.classes, await imagenetNames());
  assert.match(imagenet.classes[0], /^tench/);
  const [best] = await imagenet.classify(HEART);
  assert.equal([best.index, best.label], [999, (await imagenetNames())[999]]);
  const three = await load(bareWeights(3), { engine });
  assert.equal(three.classes, ["class 0", "class 1", "class 2"]);
  const named = await load(bareWeights(3), { engine, classes: ["cat", "dog", "cow"] });
  assert.is((await named.classify(HEART))[0].label, "cow");
  assert.is(named.about, "VGG A, torchvision's names");
});

test("after the tests", async () => {
  await net.close();
  await engine.close();
  sites.closeAllConnections();
  sites.close();
});

test.run();
