/**
 * One VGG-16 in every format that VGG weights are published in, and small nets with every kind of layer: files that other programs wrote,
 * against what PyTorch computes with the same weights (test/fixtures/README.md, formats/).
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type LoadedNet, type LoadOptions, load } from "#src/index.js";
import { formulaFill } from "../fixtures/formula.js";
import { maxRelativeError, sameValues } from "../helpers/compare.js";

/** Of the largest. onnxruntime-web is up to 2.2e-6 away in these nets: 16 layers, and logits smaller than the terms they are sums of. */
const TOLERANCE = 1e-5;

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

/** What the net puts out for a picture that needs no preparing. */
async function outputOf({ model, engine, inputShape }: LoadedNet, { t, scale }: Picture): Promise<Float32Array> {
  const x = new Float32Array(inputShape.reduce((product, side) => product * side, 1));
  formulaFill(x, t, scale);
  return engine.noGrad(() => model.forward(engine.tensor(x, [1, ...inputShape]))).data();
}

/** All values of a net's tensors, in the order of its layers, and its logits of the pictures. */
async function contents(net: LoadedNet): Promise<{ tensors: Float32Array[]; logits: Float32Array[] }> {
  const tensors: Float32Array[] = [];
  for (const tensor of net.model.stateDict().values()) tensors.push(await tensor.read());
  const logits: Float32Array[] = [];
  for (const picture of pictures) logits.push(await outputOf(net, picture));
  return { tensors, logits };
}

/** ONNX does not say how pictures are prepared; the caller does, and with it which order the channels are in. */
function options({ file, order }: FormatFile): LoadOptions {
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
  for (const file of net.files) {
    test(`${file.file}: ${file.what}; tensors and logits, to the bit those of all other files`, async () => {
      const loaded = await load(pathOf(file.file), { threads: 1, ...options(file) });
      const found = await contents(loaded);
      await loaded.close();
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
      const { mean, std } = loaded.preprocessing;
      assert.ok(maxRelativeError(mean, rgb(file, file.mean)) < 1e-6, `mean [${mean}]`);
      assert.ok(maxRelativeError(std, rgb(file, file.std)) < 1e-6, `std [${std}]`);
      assert.equal(loaded.inputShape, [3, net.inputSize, net.inputSize]);
    });
  }
}

for (const { file, what, input, t, softmax, output } of layers.nets) {
  test(`${file}: ${what}`, async () => {
    const loaded = await load(pathOf(file), { threads: 1 });
    assert.equal(loaded.inputShape, input);
    const found = await outputOf(loaded, { t, scale: layers.scale });
    await loaded.close();
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
