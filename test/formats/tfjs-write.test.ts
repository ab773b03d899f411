/**
 * TensorFlow.js layers written: read back they are the same net, to the bit; what they cannot say is an error. That TensorFlow.js itself reads
 * them alike: scripts/long/tfjs-roundtrip.ts.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError, WeightsError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import { loadNet } from "#src/formats/load-net.js";
import { openWeights } from "#src/formats/open-weights.js";
import { writeTfjs } from "#src/formats/tfjs/tfjs-folder.js";
import { encodeTfjs } from "#src/formats/tfjs/tfjs-write.js";
import { bytesReader } from "#src/io/byte-reader.js";
import { openFileBytes } from "#src/io/file-bytes.js";
import { Net } from "#src/models/net.js";
import { type NetLayer, type Row, tableLayers } from "#src/models/net-config.js";
import { formulaFill } from "../fixtures/formula.js";
import { maxRelativeError, sameValues } from "../helpers/compare.js";
import { fails } from "../io/fails.js";
import { TFJS_NETS } from "./tfjs-nets.js";

const engine = await createEngine({ threads: 1 });
const folder = mkdtempSync(path.join(tmpdir(), "verydeep-tfjs-"));
test.after(async () => {
  await engine.close();
  rmSync(folder, { recursive: true, force: true });
});

const layersOf = (rows: readonly Row[], inShape: readonly number[]): NetLayer[] =>
  tableLayers(rows, inShape, { net: "test", classes: 10 });

/** Weights and statistics without meaning; variances are positive. */
async function filled(layers: readonly NetLayer[]): Promise<Net> {
  const net = new Net(layers, { seed: 5 }, engine);
  let t = 0;
  for (const [name, tensor] of net.stateDict()) {
    const values = await tensor.read();
    formulaFill(values, 2000 + t++, 0.8);
    if (/running_var|norm\.weight/.test(name)) for (let i = 0; i < values.length; i++) values[i] += 0.75;
    await tensor.write(values);
  }
  net.eval();
  return net;
}

/** A net through a file: its own tensors to the bit, and its output. */
async function checkRoundTrip(rows: readonly Row[], inShape: readonly number[]): Promise<void> {
  const layers = layersOf(rows, inShape);
  const net = await filled(layers);
  const files = await encodeTfjs(layers, net, { inputShape: inShape, metadata: { note: "über" } });
  const json = files.get("model.json");
  assert.ok(json);
  const file = await openWeights(bytesReader(json, "model.json", files));
  assert.is(file.metadata.note, "über");
  assert.is(file.metadata.generatedBy, "verydeep");
  const { model, plan } = await loadNet(file, engine);
  assert.equal(plan.inputShape, inShape);
  const state = model.stateDict();
  for (const [name, tensor] of net.stateDict()) {
    const read = state.get(name);
    assert.ok(read && sameValues(await read.read(), await tensor.read()), `${name} has other values`);
  }
  const x = new Float32Array(inShape.reduce((product, side) => product * side, 1));
  formulaFill(x, 1, 4);
  const run = async (each: typeof model): Promise<Float32Array> =>
    engine.noGrad(() => each.forward(engine.tensor(x, [1, ...inShape]))).data();
  // Pools and zeros may be other layers, sums are in the same order.
  assert.ok(maxRelativeError(await run(model), await run(net)) < 1e-6);
}

for (const { name, rows, inShape } of TFJS_NETS)
  test(`${name}: read back the same`, () => checkRoundTrip(rows, inShape));

const CANNOT: [name: string, rows: Row[], text: string][] = [
  [
    "local response normalisation",
    [{ kind: "lrn", name: "n", size: 5, alpha: 1, beta: 1, k: 1 }],
    "(layer n, kind lrn)",
  ],
  [
    "groups",
    [{ kind: "conv", name: "c", outputs: 4, kernelSize: 3, stride: 1, padding: 1, groups: 2, bias: true }],
    "has no groups (groups 2) (layer c, kind conv)",
  ],
  [
    "padding of pools below 0",
    [{ kind: "pool", name: "p", kernelSize: 3, stride: 2, padding: 1, ceilMode: false }],
    "has no such windows",
  ],
  [
    "adaptive windows of several sizes",
    [{ kind: "adaptiveAvgPool", name: "p", outputSize: 3 }],
    "has no windows of several sizes",
  ],
  ["upsampling", [{ kind: "upsample", name: "u", scaleFactor: 2, alignCorners: false }], "(layer u, kind upsample)"],
  [
    "output padding",
    [
      {
        kind: "convTranspose",
        name: "t",
        outputs: 2,
        kernelSize: 3,
        stride: 2,
        padding: 1,
        outputPadding: 1,
        groups: 1,
        bias: true,
      },
    ],
    "(layer t, kind convTranspose)",
  ],
  [
    "strides with dilation",
    [{ kind: "conv", name: "c", outputs: 4, kernelSize: 3, stride: 2, padding: 1, dilation: 2, groups: 1, bias: true }],
    "has no strides with dilation",
  ],
];
for (const [name, rows, text] of CANNOT) {
  test(`${name} is an error`, async () => {
    const layers = layersOf(rows, [4, 8, 8]);
    await fails(encodeTfjs(layers, await filled(layers), { inputShape: [4, 8, 8] }), WeightsError, text);
  });
}

test("another model's layers are an error", async () => {
  const [{ rows, inShape }] = TFJS_NETS;
  const net = await filled(layersOf([{ kind: "relu" }], inShape));
  await fails(
    encodeTfjs(layersOf(rows, inShape), net, { inputShape: inShape }),
    UsageError,
    "the model is not that of the layers",
  );
});

test("a soft-max at the end, and shards of 4 MiB", async () => {
  const rows: Row[] = [{ kind: "flatten" }, { kind: "linear", name: "fc", outputs: 1000 }];
  const layers = layersOf(rows, [3, 24, 24]);
  const net = await filled(layers);
  const files = await encodeTfjs(layers, net, { inputShape: [3, 24, 24], softmax: true });
  assert.equal(
    [...files].map(([name, { length }]) => [name, name.endsWith(".bin") ? length : 0]),
    [
      ["group1-shard1of2.bin", 2 ** 22],
      ["group1-shard2of2.bin", 1728 * 4000 + 4000 - 2 ** 22],
      ["model.json", 0],
    ],
  );
  const file = await openWeights(bytesReader(files.get("model.json") ?? new Uint8Array(), "model.json", files));
  assert.is(file.net?.softmax, true);
  assert.equal(
    file.net?.rows.map(({ kind }) => kind),
    ["flatten", "linear"],
  );
});

test("a folder: made, written over without leftovers, left as it was where the net cannot be written", async () => {
  const target = path.join(folder, "deep/model");
  const [{ rows, inShape }] = TFJS_NETS;
  const layers = layersOf(rows, inShape);
  const net = await filled(layers);
  await writeTfjs(target, layers, net, { inputShape: inShape });
  const before = readdirSync(target).sort();
  assert.equal(before, ["group1-shard1of1.bin", "model.json"]);
  writeFileSync(path.join(target, "group1-shard1of9.bin"), "old");
  writeFileSync(path.join(target, "notes.txt"), "mine");
  await writeTfjs(target, layers, net, { inputShape: inShape });
  assert.equal(readdirSync(target).sort(), [...before, "notes.txt"]);
  const wrong = layersOf([{ kind: "lrn", size: 5, alpha: 1, beta: 1, k: 1 }], inShape);
  await fails(writeTfjs(target, wrong, net, { inputShape: inShape }), WeightsError, "kind lrn");
  assert.equal(readdirSync(target).sort(), [...before, "notes.txt"]);
  assert.equal(readdirSync(path.dirname(target)), ["model"]);
  const file = await openWeights(await openFileBytes(path.join(target, "model.json")));
  assert.is(file.tensors.size, net.stateDict().size);
  await file.close();
});

test("a file in the way is an error", async () => {
  const file = path.join(folder, "file");
  writeFileSync(file, "");
  const [{ rows, inShape }] = TFJS_NETS;
  const layers = layersOf(rows, inShape);
  const net = await filled(layers);
  await fails(writeTfjs(file, layers, net, { inputShape: inShape }), UsageError, "is not a folder");
  await fails(writeTfjs(path.join(file, "x"), layers, net, { inputShape: inShape }), UsageError, "is not a folder");
  assert.ok(existsSync(file));
  assert.equal(
    readdirSync(folder).filter((name) => name.startsWith(".")),
    [],
  );
});

test.run();
