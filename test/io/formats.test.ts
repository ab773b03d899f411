/**
 * One VGG-16 in every format that VGG weights are published in, and small nets with every kind of layer: files that other programs wrote,
 * against what PyTorch computes with the same weights (test/fixtures/README.md, formats/).
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { createEngine } from "#src/engine.js";
import { openFileBytes } from "#src/io/file-bytes.js";
import { type FilledNet, loadNet } from "#src/io/load-net.js";
import { openWeights } from "#src/io/open-weights.js";
import type { PlanOptions } from "#src/io/plan-net.js";
import type { Module } from "#src/nn/module.js";
import { formulaFill } from "../fixtures/formula.js";
import { maxRelativeError, sameValues } from "../helpers/compare.js";

/** Of the largest. onnxruntime-web is up to 2.2e-6 away in these nets: 16 layers, and logits smaller than the terms they are sums of. */
const TOLERANCE = 1e-5;

/** Endings of formats.json's and layers.json's files whose formats are read. */
const READ = /\.safetensors$|\.index\.json$|model\.json$|\.onnx$|\.pth$|\.caffemodel$|\.h5$|\.keras$/;

interface FormatNet {
  readonly config: string;
  readonly inputSize: number;
  readonly logits: readonly (readonly number[])[];
  readonly files: readonly FormatFile[];
}

interface FormatFile {
  readonly file: string;
  readonly what: string;
  readonly order: "RGB" | "BGR";
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

interface LayersNet {
  readonly file: string;
  readonly what: string;
  readonly input: readonly number[];
  readonly t: number;
  readonly softmax: boolean;
  readonly output: readonly number[];
}

interface Picture {
  readonly t: number;
  readonly scale: number;
}

const pathOf = (file: string): string => fileURLToPath(new URL(`../fixtures/formats/${file}`, import.meta.url));
const readJson = (file: string) => JSON.parse(readFileSync(pathOf(file), "utf8"));
const { nets, pictures }: { nets: FormatNet[]; pictures: Picture[] } = readJson("formats.json");
const layers: { nets: LayersNet[]; scale: number } = readJson("layers.json");

async function load(file: string, engine: Engine, options: PlanOptions = {}): Promise<FilledNet> {
  const opened = await openWeights(await openFileBytes(pathOf(file)));
  try {
    return await loadNet(opened, engine, options);
  } finally {
    await opened.close();
  }
}

async function outputOf(
  model: Module,
  engine: Engine,
  shape: readonly number[],
  { t, scale }: Picture,
): Promise<Float32Array> {
  const x = new Float32Array(shape.reduce((product, side) => product * side, 1));
  formulaFill(x, t, scale);
  return engine.noGrad(() => model.forward(engine.tensor(x, [1, ...shape]))).data();
}

/** All values of a net's tensors, in the order of its layers, and its logits of the pictures. */
async function contents(
  model: Module,
  engine: Engine,
  side: number,
): Promise<{ tensors: Float32Array[]; logits: Float32Array[] }> {
  const tensors: Float32Array[] = [];
  for (const tensor of model.stateDict().values()) tensors.push(await tensor.read());
  const logits: Float32Array[] = [];
  for (const picture of pictures) logits.push(await outputOf(model, engine, [3, side, side], picture));
  return { tensors, logits };
}

/** ONNX does not say how pictures are prepared; the caller does, and with it which order the channels are in. */
function options({ file, order }: FormatFile): PlanOptions {
  return file.endsWith(".onnx") ? { preprocessing: order === "BGR" ? "caffe" : "torchvision" } : {};
}

const rgb = ({ order }: FormatFile, values: readonly number[]): readonly number[] =>
  order === "BGR" ? [...values].reverse() : values;

/** Codes have no -0. */
function sameBesideZeros(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

for (const net of nets) {
  let first: { tensors: Float32Array[]; logits: Float32Array[] } | undefined;
  for (const file of net.files.filter(({ file }) => READ.test(file))) {
    test(`${file.file}: ${file.what}; tensors and logits, to the bit those of all other files`, async () => {
      const engine = await createEngine({ threads: 1 });
      const { model, plan } = await load(file.file, engine, options(file));
      const found = await contents(model, engine, net.inputSize);
      await engine.close();
      for (const [i, logits] of found.logits.entries()) {
        const distance = maxRelativeError(logits, net.logits[i]);
        assert.ok(distance <= TOLERANCE, `picture ${i}: ${distance} from PyTorch's logits`);
      }
      first ??= found;
      assert.is(found.tensors.length, first.tensors.length);
      for (const [i, tensor] of found.tensors.entries()) {
        const same = file.file.includes("uint8") ? sameBesideZeros : sameValues;
        assert.ok(same(tensor, first.tensors[i]), `tensor ${i} has other values`);
      }
      for (const [i, logits] of found.logits.entries()) {
        assert.ok(sameValues(logits, first.logits[i]), `picture ${i}: [${logits}], others [${first.logits[i]}]`);
      }
      const { mean, std } = plan.preprocessing;
      assert.ok(maxRelativeError(mean, rgb(file, file.mean)) < 1e-6, `mean [${mean}]`);
      assert.ok(maxRelativeError(std, rgb(file, file.std)) < 1e-6, `std [${std}]`);
      assert.equal(plan.inputShape, [3, net.inputSize, net.inputSize]);
    });
  }
}

for (const { file, what, input, t, softmax, output } of layers.nets.filter(({ file }) => READ.test(file))) {
  test(`${file}: ${what}`, async () => {
    const engine = await createEngine({ threads: 1 });
    const { model } = await load(file, engine);
    const found = await outputOf(model, engine, input, { t, scale: layers.scale });
    await engine.close();
    const distance = maxRelativeError(softmax ? softMax(found) : found, output);
    assert.ok(distance <= TOLERANCE, `${distance} from PyTorch's output`);
  });
}

function softMax(logits: Float32Array): Float64Array {
  const largest = Math.max(...logits);
  const powers = Float64Array.from(logits, (value) => Math.exp(value - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

test.run();
