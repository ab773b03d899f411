/**
 * Nets written as ONNX and read again: the same tensors to the bit and the same output. That onnxruntime computes the same of such files,
 * scripts/long/onnx-roundtrip.ts tests.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { UsageError, WeightsError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import { loadNet } from "#src/formats/load-net.js";
import { openOnnx } from "#src/formats/onnx/onnx.js";
import { writeOnnx } from "#src/formats/onnx/onnx-file.js";
import { encodeOnnx, type OnnxWriteOptions } from "#src/formats/onnx/onnx-write.js";
import { bytesReader } from "#src/io/byte-reader.js";
import { Net } from "#src/models/net.js";
import {
  at,
  batchNorm,
  conv,
  flatten,
  linear,
  type NetLayer,
  type Row,
  relu,
  tableLayers,
} from "#src/models/net-config.js";
import { netLayers } from "#src/models/nets.js";
import { formulaFill } from "../fixtures/formula.js";
import { maxRelativeError, sameValues } from "../helpers/compare.js";
import { randomise } from "../helpers/randomise.js";
import { fails } from "../io/fails.js";

const layersOf = (rows: readonly Row[], inShape: readonly number[]): NetLayer[] =>
  tableLayers(rows, inShape, { net: "test", classes: 5 });

async function encode(
  layers: readonly NetLayer[],
  net: Net,
  metadata: Record<string, string> = {},
  options: OnnxWriteOptions = {},
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of encodeOnnx(layers, net, metadata, options)) parts.push(part.slice());
  return Uint8Array.from(Buffer.concat(parts));
}

/** A net with random weights and statistics, in evaluation mode. */
async function randomNet(layers: readonly NetLayer[], engine: Engine): Promise<Net> {
  const net = new Net(layers, { seed: 3 }, engine);
  await randomise(net, 0.5);
  net.eval();
  return net;
}

/** Writes, reads and compares. @returns what was read. */
async function roundTrip(layers: readonly NetLayer[], options: OnnxWriteOptions = {}) {
  const engine = await createEngine({ threads: 1 });
  const net = await randomNet(layers, engine);
  const file = await openOnnx(bytesReader(await encode(layers, net, {}, options), "a.onnx"));
  const { model } = await loadNet(file, engine);
  const state = model.stateDict();
  for (const [name, tensor] of net.stateDict()) {
    const read = state.get(name);
    // Auxiliary classifiers are in the file, but the net that is read has the main output alone.
    if (read) assert.ok(sameValues(await read.read(), await tensor.read()), name);
    else
      assert.ok(
        layers.some((layer) => layer.auxiliary && name.startsWith(`${layer.name}.`)),
        `${name} is lost`,
      );
  }
  const { inShape } = layers[0];
  const x = new Float32Array(2 * inShape.reduce((product, side) => product * side, 1));
  formulaFill(x, 1, 4);
  const run = (of: Net | typeof model) => engine.noGrad(() => of.forward(engine.tensor(x, [2, ...inShape]))).data();
  const [expected, found] = [await run(net), await run(model)];
  await engine.close();
  assert.ok(expected.some((value) => value !== expected[0]));
  return { file, distance: maxRelativeError(found, expected) };
}

/** alpha of LRN and epsilon of batch normalisation are float32 in the file. */
const TOLERANCE = 1e-6;

const NAMED: readonly (readonly [string, Row[], readonly number[]])[] = [
  [
    "convolutions of all kinds",
    [
      conv(6, [3, 2], { stride: [2, 1], padding: [1, 0], dilation: [1, 2], name: "a" }),
      { kind: "leakyRelu", slope: 0.25 },
      conv(4, 3, { groups: 2, bias: false, padding: 1, name: "b" }),
      { kind: "tanh" },
      {
        kind: "convTranspose",
        outputs: 4,
        kernelSize: [3, 2],
        stride: 2,
        padding: [1, 0],
        outputPadding: [1, 0],
        groups: 2,
        bias: true,
        name: "c",
      },
      { kind: "sigmoid" },
      at(flatten, { name: "logits" }),
      linear(5, { bias: false, name: "input.1" }),
    ],
    [3, 11, 9],
  ],
  [
    "pools that round up or down, with and without counted padding",
    [
      { kind: "pool", kernelSize: 3, stride: 2, padding: 1, ceilMode: true },
      { kind: "avgPool", kernelSize: 3, stride: 2, padding: 1, ceilMode: true, name: "b" },
      { kind: "avgPool", kernelSize: 2, stride: [1, 2], padding: 1, ceilMode: true, countIncludePad: false, name: "c" },
      { kind: "avgPool", kernelSize: 2, stride: 1, padding: 1, ceilMode: false, countIncludePad: true, name: "d" },
      { kind: "pool", kernelSize: 2, stride: 3, padding: 0, ceilMode: true, name: "e" },
    ],
    [3, 24, 22],
  ],
  [
    "adaptive pools",
    [
      { kind: "adaptiveMaxPool", outputSize: [4, 2] },
      { kind: "adaptiveAvgPool", outputSize: 2, name: "b" },
      at({ kind: "adaptiveAvgPool", outputSize: 1 }, { name: "c" }),
      flatten,
    ],
    [3, 8, 6],
  ],
  [
    "branches: sums, products, concatenation, crop, pad, upsampling, batch normalisation, LRN, dropout",
    [
      conv(4, 3, { padding: 1, name: "a" }),
      at(relu, { name: "r" }),
      batchNorm({ eps: 1e-3 }),
      at({ kind: "lrn", size: 3, alpha: 0.1, beta: 0.5, k: 1.5 }, { name: "l" }),
      at({ kind: "add" }, { name: "s3", from: ["r", "l", "a"] }),
      at({ kind: "mul" }, { name: "m3", from: ["r", "s3", "a"] }),
      at({ kind: "add" }, { name: "s2", from: ["m3", "l"] }),
      at({ kind: "pad", sides: [1, 0, 2, 3] }, { name: "p" }),
      at({ kind: "crop", offset: 1 }, { name: "k", from: ["p", "r"] }),
      at({ kind: "concat" }, { name: "cat", from: ["k", "s2", "r"] }),
      { kind: "dropout", p: 0.25 },
      { kind: "upsample", scaleFactor: [2, 1.5], alignCorners: false, name: "u" },
      { kind: "upsample", size: [7, 5], alignCorners: true, name: "v" },
      flatten,
      linear("classes", { name: "fc" }),
      batchNorm({ name: "bn.fc" }),
    ],
    [3, 8, 6],
  ],
];

for (const [what, rows, inShape] of NAMED) {
  test(`written and read again: ${what}`, async () => {
    const { distance } = await roundTrip(layersOf(rows, inShape));
    assert.ok(distance <= TOLERANCE, `${distance}`);
  });
}

for (const [name, width, inputSize] of [
  ["alexnet", 0.125, 115],
  ["zfnet", 0.125, 97],
  ["overfeat-accurate", 0.0625, 221],
  ["nin", 0.125, 115],
  ["googlenet", 0.125, 224],
  ["fcn8s", 0.03125, 70],
  ["fcn32s", 0.03125, 70],
] as const) {
  test(`written and read again: ${name}`, async () => {
    const { distance } = await roundTrip(netLayers(name, { width, inputSize, classes: 5 }));
    assert.ok(distance <= TOLERANCE, `${distance}`);
  });
}

test("a soft-max is written and known again; metadata comes back", async () => {
  const layers = layersOf([flatten, linear("classes", { name: "fc" })], [1, 2, 2]);
  const engine = await createEngine({ threads: 1 });
  const bytes = await encode(
    layers,
    await randomNet(layers, engine),
    { a: "1", names: '["v","w","x","y","z"]' },
    { softmax: true },
  );
  await engine.close();
  const file = await openOnnx(bytesReader(bytes, "a.onnx"));
  assert.ok(file.net?.softmax);
  assert.is(file.variant, "opset 13");
  assert.equal(file.net?.inputShape, [1, 2, 2]);
  assert.equal(file.net?.classes, ["v", "w", "x", "y", "z"]);
  assert.is(file.metadata.a, "1");
  assert.is(file.metadata.producer_name, "verydeep");
});

test("a net above 2 GiB is refused before a weight is read", async () => {
  const layers = layersOf([flatten, linear(2 ** 15, { name: "fc" })], [1, 2 ** 7, 2 ** 7]);
  const tensor = { shape: [2 ** 15, 2 ** 14], read: () => Promise.reject(new Error("read")) };
  const model = {
    stateDict: () =>
      new Map([
        ["fc.weight", tensor],
        ["fc.bias", { ...tensor, shape: [2 ** 15] }],
      ]),
  };
  await fails(encodeOnnx(layers, model).next(), UsageError, "does not fit into an ONNX file");
});

test("layers that are not the net's, and pools that ONNX cannot say, are refused", async () => {
  const model = { stateDict: () => new Map() };
  await fails(encodeOnnx(layersOf([conv(2, 1)], [1, 2, 2]), model).next(), WeightsError, "missing conv1.weight");
  const uneven = layersOf([{ kind: "adaptiveAvgPool", outputSize: 2 }], [1, 5, 5]);
  await fails(encodeOnnx(uneven, model).next(), UsageError, "windows that differ");
  const even = layersOf([{ kind: "lrn", size: 4, alpha: 1, beta: 1, k: 1 }], [1, 5, 5]);
  await fails(encodeOnnx(even, model).next(), UsageError, "an even number of channels");
});

test("files are written whole, or not at all", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "verydeep-onnx-"));
  try {
    const layers = layersOf([conv(2, 1)], [1, 2, 2]);
    const engine = await createEngine({ threads: 1 });
    const net = await randomNet(layers, engine);
    const file = path.join(folder, "a.onnx");
    await writeOnnx(file, layers, net);
    assert.equal(new Uint8Array(readFileSync(file)), await encode(layers, net));
    await engine.close();
    await fails(writeOnnx(file, layers, { stateDict: () => new Map() }), WeightsError, "missing");
    assert.equal(readdirSync(folder), ["a.onnx"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
