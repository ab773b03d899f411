/** TensorFlow.js layers: a real net, what is refused, and files that are damaged or hostile. Whole nets of the fixtures are formats.test.ts's. */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { VerydeepError, WeightsError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import { loadNet } from "#src/formats/load-net.js";
import { openWeights } from "#src/formats/open-weights.js";
import { planNet } from "#src/formats/plan-net.js";
import { bytesReader } from "#src/io/byte-reader.js";
import { openFileBytes } from "#src/io/file-bytes.js";
import type { WeightsFile } from "#src/io/weights-file.js";
import { fitPicture } from "#src/pictures/picture.js";
import { readPicture } from "#src/pictures/picture-file.js";
import { maxRelativeError } from "../helpers/compare.js";
import { fails } from "../io/fails.js";

const FORMATS = fileURLToPath(new URL("../fixtures/formats", import.meta.url));
const TINY_VGG = fileURLToPath(new URL("../../../shared/data/tinyvgg-tfjs", import.meta.url));

const engine = await createEngine({ threads: 1 });
test.after(() => engine.close());

const CLASSES = ["boat", "bug", "pizza", "pepper", "bus", "koala", "espresso", "panda", "orange", "car"];

if (!existsSync(TINY_VGG)) console.log("SKIPPED Tiny VGG: ../shared/data/tinyvgg-tfjs is not there");
else {
  test("Tiny VGG knows its ten pictures", async () => {
    const file = await openWeights(await openFileBytes(path.join(TINY_VGG, "model.json")));
    assert.is(file.variant, "layers");
    assert.is(file.metadata.generatedBy, "keras v2.2.4-tf");
    const { model, plan } = await loadNet(file, engine);
    assert.equal(plan.inputShape, [3, 64, 64]);
    const found: string[] = [];
    for (const name of CLASSES) {
      const picture = await readPicture(path.join(TINY_VGG, "img", `${name}_1.jpeg`));
      const x = Float32Array.from(fitPicture(picture, 64), (byte) => byte / 255);
      const logits = await model.forward(engine.tensor(x, [1, 3, 64, 64])).data();
      found.push(CLASSES[logits.indexOf(Math.max(...logits))]);
    }
    assert.equal(found, CLASSES);
    await file.close();
    await file.close();
  });
}

const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);

interface Weight {
  readonly name: unknown;
  readonly shape: unknown;
  readonly dtype: unknown;
  readonly quantization?: unknown;
}

const open = async (
  json: unknown,
  shards: ReadonlyMap<string, Uint8Array> = new Map([["a.bin", floats(1, 2, 3, 4)]]),
): Promise<WeightsFile> =>
  openWeights(bytesReader(new TextEncoder().encode(JSON.stringify(json)), "model.json", shards));

const bare = (weights: readonly Weight[], paths: unknown = ["a.bin"]): unknown => ({
  modelTopology: null,
  weightsManifest: [{ paths, weights }],
});

test("ranges, types, and shards cut inside of a number", async () => {
  const bytes = floats(1, 2, 3, 4);
  const shards = new Map([
    ["a.bin", bytes.slice(0, 3)],
    ["b.bin", bytes.slice(3, 3)],
    ["c.bin", bytes.slice(3)],
  ]);
  const weights = [
    { name: "w", shape: [1, 3], dtype: "float32" },
    { name: "codes", shape: [2], dtype: "float32", quantization: { dtype: "uint8", scale: 0.5, min: -1 } },
    { name: "empty", shape: [0], dtype: "int32" },
    { name: "flag", shape: [], dtype: "bool" },
  ];
  const file = await open(bare(weights, ["a.bin", "b.bin", "c.bin"]), shards);
  assert.is(file.net, null);
  const read = async (name: string, begin: number, count: number): Promise<number[]> => {
    const out = new Float32Array(count);
    await file.readFloats(name, begin, out);
    return [...out];
  };
  assert.equal(await read("w", 0, 3), [1, 2, 3]);
  assert.equal(await read("w", 2, 1), [3]);
  // The bytes of 4 as float32: 0, 0, 128, 64.
  assert.equal(await read("codes", 0, 2), [-1, -1]);
  assert.equal(await read("flag", 0, 1), [128]);
  assert.equal(await read("empty", 0, 0), []);
  assert.equal([...(await file.readBytes("w", 1, 2))], [...floats(2)]);
  await fails(file.readFloats("w", 2, new Float32Array(2)), WeightsError, "the range is outside of the tensor");
  await fails(file.readFloats("no", 0, new Float32Array(1)), WeightsError, 'has no such tensor (name "no")');
});

const WRONG: [name: string, json: unknown, text: string][] = [
  ["a graph", { format: "graph-model", modelTopology: { node: [] } }, "is a TensorFlow graph, not layers"],
  ["a shard that is missing", bare([], ["z.bin"]), 'is missing (file "z.bin")'],
  ["a shard elsewhere", bare([], ["../a.bin"]), '"../a.bin"'],
  ["a shard twice", bare([], ["a.bin", "a.bin"]), 'lists a shard twice (path "a.bin")'],
  ["a shard that is no text", bare([], [1]), "names a shard that is no text (path 1)"],
  ["2^60 elements", bare([{ name: "w", shape: [2 ** 60], dtype: "float32" }]), "lists a tensor without name or shape"],
  ["2^52 elements", bare([{ name: "w", shape: [2 ** 52], dtype: "float32" }]), "end before their tensors do"],
  ["too many elements", bare([{ name: "w", shape: [5], dtype: "float32" }]), 'tensor "w" [5], from byte 0 of 16'],
  ["a negative side", bare([{ name: "w", shape: [-1], dtype: "float32" }]), "lists a tensor without name or shape"],
  ["texts", bare([{ name: "w", shape: [1], dtype: "string" }]), 'tensor "w", dtype "string"'],
  [
    "codes without a scale",
    bare([{ name: "w", shape: [1], dtype: "float32", quantization: { dtype: "uint8" } }]),
    "does not say what a tensor's codes mean",
  ],
  [
    "a tensor twice",
    bare([1, 1].map((side) => ({ name: "w", shape: [side], dtype: "float32" }))),
    'lists a tensor twice (name "w")',
  ],
];

for (const [name, json, text] of WRONG) test(`${name} is an error`, () => fails(open(json), WeightsError, text));

interface Layer {
  readonly class_name: string;
  readonly config: object;
  readonly name?: string;
  readonly inbound_nodes?: unknown;
}

const sequential = (...layers: readonly object[]): unknown => ({
  modelTopology: { class_name: "Sequential", config: { name: "s", layers } },
  weightsManifest: [{ paths: ["a.bin"], weights: [] }],
});
const first = { name: "first", batch_input_shape: [null, 8, 8, 3] };
const relu = { class_name: "ReLU", config: first };

const UNSUPPORTED: [name: string, json: unknown, text: string][] = [
  [
    "an unknown class",
    sequential(relu, { class_name: "LSTM", config: { name: "x" } }),
    'unknown class (layer "x", class "LSTM", layer 2 of 2)',
  ],
  ["nearest upsampling", sequential({ class_name: "UpSampling2D", config: first }), 'by interpolation "nearest"'],
  [
    "soft-max inside",
    sequential({ class_name: "Softmax", config: first }, { class_name: "ReLU", config: { name: "x" } }),
    "soft-max can only stand at the end",
  ],
  [
    "a missing weight",
    sequential({ class_name: "Dense", config: { ...first, units: 2 } }),
    "lacks a layer's weights (layer first, kernel [3,2])",
  ],
  ["no layers", sequential(), "has a model without layers"],
  ["no shape", sequential({ class_name: "ReLU", config: { name: "x" } }), "takes no picture (input shape null)"],
  [
    "a window larger than its input",
    sequential({ class_name: "MaxPooling2D", config: { ...first, pool_size: 9 } }),
    "has a window larger than its input (window [9,9], input [8,8])",
  ],
  ["a class that objects inherit", sequential({ class_name: "constructor", config: first }), "unknown class"],
  ["two layers of one name", sequential(relu, relu), 'has two layers of one name (layer "first")'],
  [
    "another kind of model",
    { modelTopology: { class_name: "Mine", config: {} } },
    'neither Sequential nor Functional (class_name "Mine")',
  ],
];

for (const [name, json, text] of UNSUPPORTED)
  test(`${name} is an error that says where`, () => fails(open(json), WeightsError, text));

/** A graph of rectifiers: which layers each takes. */
const graph = (edges: Readonly<Record<string, readonly string[]>>, output: string): unknown => {
  const layers = Object.entries(edges).map(
    ([name, from]): Layer => ({
      class_name: from.length === 0 ? "InputLayer" : from.length === 1 ? "ReLU" : "Add",
      config: { name, batch_input_shape: [null, 4, 4, 3] },
      name,
      inbound_nodes: from.length === 0 ? [] : [from.map((source) => [source, 0, 0, {}])],
    }),
  );
  const config = { name: "g", layers, input_layers: [["in", 0, 0]], output_layers: [[output, 0, 0]] };
  return { modelTopology: { model_config: { class_name: "Model", config } } };
};

test("layers of a graph come in order, without those that lead nowhere", async () => {
  const { net } = await open(graph({ sum: ["b", "a"], in: [], b: ["a"], a: ["in"], lost: ["a"] }, "sum"));
  assert.equal(
    net?.rows.map(({ name, from }) => [name, from]),
    [
      ["a", undefined],
      ["b", undefined],
      ["sum", ["b", "a"]],
    ],
  );
});

test("layers in a circle are an error", () =>
  fails(open(graph({ in: [], a: ["b"], b: ["a"] }, "a")), WeightsError, "has layers that take each other in a circle"));

test("300,000 inputs of one layer", async () => {
  const { net } = await open(graph({ in: [], a: ["in"], sum: new Array<string>(300_000).fill("a") }, "sum"));
  assert.is(net?.rows.at(-1)?.from?.length, 300_000);
});

test("10,001 layers are an error", () => {
  const chain = Array.from({ length: 10_001 }, (_, i) => ({ ...relu, config: { ...first, name: `r${i}` } }));
  return fails(open(sequential(...chain)), WeightsError, "has more than 10000 layers");
});

test("models nested without end are an error", async () => {
  let model: object = relu;
  for (let i = 0; i < 100; i++) model = { class_name: "Sequential", config: { name: `m${i}`, layers: [model] } };
  await fails(open({ modelTopology: model }), WeightsError, "has models nested deeper than 16");
});

test("lists nested without end are an error", async () => {
  for (const depth of [1000, 100_000, 2_000_000]) {
    const text = `{"modelTopology":${"[".repeat(depth)}${"]".repeat(depth)}}`;
    const reader = bytesReader(new TextEncoder().encode(text), "model.json");
    await fails(openWeights(reader), WeightsError, "model.json");
  }
});

test("a Rescaling before all else is how pictures are prepared", async () => {
  const { net } = await open(
    sequential(
      { class_name: "Rescaling", config: { ...first, scale: 1 / 127.5, offset: -1 } },
      { class_name: "ReLU", config: { name: "r" } },
    ),
  );
  assert.ok(typeof net?.preprocessing === "object");
  const numbers = [...net.preprocessing.mean, ...net.preprocessing.std];
  assert.ok(maxRelativeError(numbers, new Array(6).fill(127.5)) < 1e-6, String(numbers));
  assert.equal(
    net.rows.map(({ name }) => name),
    ["r"],
  );
});

/** The file whole, or as changed; builds nothing but reads what it can. Only errors of the library may come. */
async function survives(json: Uint8Array, shard: Uint8Array): Promise<boolean> {
  try {
    const file = await openWeights(bytesReader(json, "model.json", new Map([["group1-shard1of1.bin", shard]])));
    for (const [name, { shape }] of file.tensors) {
      await file.readFloats(name, 0, new Float32Array(shape.reduce((product, side) => product * side, 1)));
    }
    if (file.net) planNet(file);
    return true;
  } catch (error) {
    assert.instance(error, VerydeepError, `${error instanceof Error ? error.stack : error}`);
    return false;
  }
}

const whole = readFileSync(path.join(FORMATS, "layers-tfjs/model.json"));
const shard = readFileSync(path.join(FORMATS, "layers-tfjs/group1-shard1of1.bin"));

test("cut at every hundredth", async () => {
  assert.ok(await survives(whole, shard));
  for (let part = 0; part < 100; part++) {
    assert.not.ok(
      await survives(whole.subarray(0, Math.floor((whole.length * part) / 100)), shard),
      `model.json ${part} %`,
    );
    assert.not.ok(await survives(whole, shard.subarray(0, Math.floor((shard.length * part) / 100))), `shard ${part} %`);
  }
});

test("changed at random, it is an error of the library or none", async () => {
  const text = whole.toString("utf8");
  const values = ["null", "-1", "1e300", "[]", "{}", '"x"', "true", "[1,[2]]", "1152921504606846976", '"__proto__"'];
  const places = [...text.matchAll(/: ?(-?\d+|"[^"]*"|null|true|false|\[[^[\]{}]*\])/g)];
  let damaged = 0;
  for (const [i, match] of places.entries()) {
    const begin = match.index + match[0].length - match[1].length;
    for (const value of [values[i % values.length], values[(i * 7 + 3) % values.length]]) {
      const changed = text.slice(0, begin) + value + text.slice(begin + match[1].length);
      if (!(await survives(new TextEncoder().encode(changed), shard))) damaged++;
    }
  }
  assert.ok(damaged > places.length / 4, `${damaged} of ${2 * places.length} were noticed`);
});

test.run();
