/**
 * ONNX files: what the graph becomes, weights kept elsewhere, errors that name the node, damaged files. That nets of other programs give
 * PyTorch's numbers, formats.test.ts tests.
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DamagedFileError, WeightsError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import { loadNet } from "#src/formats/load-net.js";
import { openOnnx } from "#src/formats/onnx/onnx.js";
import { classNames } from "#src/formats/onnx/onnx-classes.js";
import { openWeights } from "#src/formats/open-weights.js";
import { bytesReader } from "#src/io/byte-reader.js";
import { openFileBytes } from "#src/io/file-bytes.js";
import { maxRelativeError, sameValues } from "../helpers/compare.js";
import { fuzz, survives } from "../helpers/fuzz.js";
import { type Graph, type Node, onnxFile, type Tensor } from "../helpers/onnx-writer.js";
import { fails } from "../io/fails.js";

const LIGHT = fileURLToPath(new URL("../../../shared/data/light-vgg19", import.meta.url));

const fixture = (file: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../fixtures/formats/${file}`, import.meta.url)));

for (const file of ["gluon.onnx", "layers-branch.onnx", "layers-by-hand.onnx", "layers-resize.onnx"]) {
  const bytes = fixture(file);

  test(`${file}: cut at every hundredth`, async () => {
    for (let percent = 0; percent < 100; percent++) {
      const cut = bytes.slice(0, Math.floor((bytes.length * percent) / 100));
      assert.is(await survives(() => openOnnx(bytesReader(cut, file))), "refused", `${percent} %`);
    }
  });

  test(`${file}: damaged copies`, async () => {
    const { opened, refused } = await fuzz(bytes, openOnnx, { count: 1500, seed: 1, name: file });
    assert.ok(opened > 10 && refused > 10, `${opened} opened, ${refused} refused`);
  });
}

const ramp = (count: number, step = 0.01): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => ((i * 7) % 23) * step - 0.1);
const weights = (...dims: number[]): Tensor => ({
  dims,
  floats: ramp(dims.reduce((product, side) => product * side, 1)),
});
const open = (graph: Graph, siblings?: ReadonlyMap<string, Uint8Array>) =>
  openOnnx(bytesReader(onnxFile(graph), "a.onnx", siblings));
const CONV: Node = { op: "Conv", inputs: ["x", "conv1.weight"], output: "c", name: "first" };
const WEIGHT = { "conv1.weight": weights(4, 3, 3, 3) };

/** The output of a graph's net. */
async function run(graph: Graph, x: Float32Array, siblings?: ReadonlyMap<string, Uint8Array>): Promise<Float32Array> {
  const file = await open(graph, siblings);
  const engine = await createEngine({ threads: 1 });
  const { model, plan } = await loadNet(file, engine);
  const y = await engine.noGrad(() => model.forward(engine.tensor(x, [1, ...plan.inputShape]))).data();
  await engine.close();
  await file.close();
  return y;
}

test("weights as raw bytes, packed numbers, single numbers and in a file beside it: the same output", async () => {
  const x = ramp(192, 0.1);
  const [{ floats }] = Object.values(WEIGHT);
  const bytes = new Uint8Array((floats ?? ramp(0)).slice().buffer);
  const expected = await run({ nodes: [CONV], tensors: WEIGHT }, x);
  for (const as of ["packed", "single"] as const) {
    const found = await run(
      { nodes: [CONV], tensors: { "conv1.weight": { dims: [4, 3, 3, 3], ...(floats && { floats }), as } } },
      x,
    );
    assert.ok(sameValues(found, expected), as);
  }
  const external = { location: "w.bin", offset: "5", length: String(bytes.length) };
  const beside = new Map([["w.bin", Uint8Array.of(1, 2, 3, 4, 5, ...bytes)]]);
  const found = await run({ nodes: [CONV], tensors: { "conv1.weight": { dims: [4, 3, 3, 3], external } } }, x, beside);
  assert.ok(sameValues(found, expected), "external");
});

for (const location of [
  "../w.bin",
  "/w.bin",
  "a/../../w.bin",
  "C:\\w.bin",
  "\\\\host\\w.bin",
  "http://host/w.bin",
  "file:w.bin",
  "",
]) {
  test(`external data at ${JSON.stringify(location)} is refused`, async () => {
    const tensors = { "conv1.weight": { dims: [4, 3, 3, 3], external: { location } } };
    const anywhere = { get: () => new Uint8Array(432) };
    const siblings = Object.assign(new Map<string, Uint8Array>(), anywhere);
    await fails(open({ nodes: [CONV], tensors }, siblings), WeightsError, "names a file that is not in its folder");
  });
}

test("external data that are not all there are refused", async () => {
  for (const external of [
    { location: "w.bin" },
    { location: "w.bin", length: "4" },
    { location: "w.bin", offset: "-1" },
  ]) {
    const tensors = { "conv1.weight": { dims: [4, 3, 3, 3], external } };
    await fails(open({ nodes: [CONV], tensors }, new Map([["w.bin", new Uint8Array(431)]])), DamagedFileError, "w.bin");
  }
});

test("channels last, as from TensorFlow: the input, and a matrix behind a flattened picture", async () => {
  const nodes: Node[] = [
    { op: "Transpose", inputs: ["x"], output: "nchw", attributes: { perm: [0, 3, 1, 2] } },
    { op: "Conv", inputs: ["nchw", "k/weight"], output: "c" },
    { op: "Relu", inputs: ["c"], output: "r" },
    { op: "Transpose", inputs: ["r"], output: "nhwc", attributes: { perm: [0, 2, 3, 1] } },
    { op: "Reshape", inputs: ["nhwc", "shape"], output: "flat" },
    { op: "MatMul", inputs: ["flat", "fc/weight"], output: "m" },
    { op: "Add", inputs: ["m", "fc/bias"], output: "y" },
  ];
  const tensors = {
    "k/weight": weights(2, 3, 1, 1),
    shape: { dims: [2], ints: [-1, 24] },
    "fc/weight": weights(24, 5),
    "fc/bias": weights(5),
  };
  const x = ramp(3 * 4 * 3, 0.1);
  const found = await run({ nodes, tensors, input: ["batch", 4, 3, 3] }, x);
  const [kernel, matrix, bias] = [ramp(6), ramp(120), ramp(5)];
  const expected = Array.from({ length: 5 }, (_, out) => {
    let sum = bias[out];
    for (let place = 0; place < 12; place++) {
      for (let c = 0; c < 2; c++) {
        let value = 0;
        for (let i = 0; i < 3; i++) value += x[i * 12 + place] * kernel[c * 3 + i];
        sum += Math.max(0, value) * matrix[(place * 2 + c) * 5 + out];
      }
    }
    return sum;
  });
  assert.ok(maxRelativeError(found, expected) < 1e-6, `[${found}], expected [${expected}]`);
});

test("Gemm with alpha and beta, Constant and transposed weights", async () => {
  const nodes: Node[] = [
    { op: "Constant", inputs: [], output: "w", attributes: { value: { tensor: weights(4, 12) } } },
    { op: "Transpose", inputs: ["w"], output: "wT" },
    { op: "Flatten", inputs: ["x"], output: "f" },
    { op: "Gemm", inputs: ["f", "wT", "b"], output: "y", attributes: { alpha: { float: 2 }, beta: { float: 0.5 } } },
  ];
  const x = ramp(12, 0.1);
  const found = await run({ nodes, tensors: { b: weights(1, 4) }, input: [1, 3, 2, 2] }, x);
  const expected = Array.from({ length: 4 }, (_, out) =>
    x.reduce((sum, value, i) => sum + 2 * value * ramp(48)[out * 12 + i], 0.5 * ramp(4)[out]),
  );
  assert.ok(maxRelativeError(found, expected) < 1e-6, `[${found}], expected [${expected}]`);
});

test("names of classes in three forms; an open size; rows are called after their weights", async () => {
  for (const names of ['["a","b","c","d"]', "{0: 'a', 1: 'b', 2: 'c', 3: 'd'}", "a\nb\nc\nd\n", "a, b, c, d"]) {
    const { net } = await open({ nodes: [CONV], tensors: WEIGHT, input: ["n", 3, "h", "w"], metadata: { names } });
    assert.equal(net?.classes, ["a", "b", "c", "d"]);
    assert.equal(net?.inputShape, [3, null, null]);
    assert.is(net?.rows[0].name, "conv1");
  }
  const { net } = await open({ nodes: [CONV], tensors: WEIGHT, metadata: { names: '["a"]', __proto__x: "1" } });
  assert.is(net?.classes, null);
});

const unary = (op: string, attributes: Node["attributes"] = {}): Graph => ({
  nodes: [CONV, { op, inputs: ["c"], output: "y", name: "second", attributes }],
  tensors: WEIGHT,
});

const REFUSED: readonly (readonly [string, Graph, string])[] = [
  ["an unknown operator", unary("Gelu"), 'a layer that verydeep has not (node "second", op Gelu, 2nd of 2)'],
  [
    "an operator of another domain",
    { nodes: [{ ...CONV, domain: "com.microsoft" }], tensors: WEIGHT },
    "op Conv, 1st of 1",
  ],
  ["Clip", unary("Clip"), "op Clip"],
  ["a name of Object.prototype", unary("__proto__"), "op __proto__"],
  ["Upsample", unary("Upsample", { mode: "linear", scales: [1, 1, 2, 2] }), "a resize"],
  [
    "Resize to the nearest",
    {
      nodes: [CONV, { op: "Resize", inputs: ["c", "", "s"], output: "y" }],
      tensors: { ...WEIGHT, s: { dims: [4], floats: Float32Array.of(1, 1, 2, 2) } },
    },
    "mode nearest",
  ],
  ["dilated pools", unary("MaxPool", { kernel_shape: [2, 2], dilations: [2, 2] }), "a dilated pool"],
  [
    "one-sided padding of a pool that is no zero",
    unary("MaxPool", { kernel_shape: [2, 2], pads: [1, 1, 0, 0] }),
    "one-sided padding",
  ],
  ["a kernel of one side", unary("AveragePool", { kernel_shape: [2] }), "kernel_shape [2]"],
  ["a stride of 0", unary("MaxPool", { kernel_shape: [2, 2], strides: [0, 1] }), "strides [0,1]"],
  ["negative pads", unary("MaxPool", { kernel_shape: [2, 2], pads: [-1, 0, 0, 0] }), "pads [-1,0,0,0]"],
  ["a window larger than the picture", unary("MaxPool", { kernel_shape: [9, 9] }), "the picture is too small"],
  [
    "a soft-max in the middle",
    {
      nodes: [
        CONV,
        { op: "Softmax", inputs: ["c"], output: "s", attributes: { axis: 1 } },
        { op: "Relu", inputs: ["s"], output: "y" },
      ],
      tensors: WEIGHT,
    },
    "after the soft-max",
  ],
  ["a missing initializer", { nodes: [CONV] }, '"conv1.weight"'],
  [
    "a circle",
    {
      nodes: [
        { op: "Add", inputs: ["x", "b"], output: "a" },
        { op: "Relu", inputs: ["a"], output: "b" },
      ],
    },
    'none before it gives, input "b"',
  ],
  ["two nodes of one output", { nodes: [CONV, { ...CONV }], tensors: WEIGHT }, "two values of one name"],
  [
    "two tensors of one name",
    { nodes: [CONV], tensors: [...Object.entries(WEIGHT), ...Object.entries(WEIGHT)] },
    'two tensors named "conv1.weight"',
  ],
  [
    "a negative size",
    { nodes: [CONV], tensors: { "conv1.weight": { dims: [4, -3, 3, 3], floats: ramp(108) } } },
    "a tensor of shape [4,-3,3,3]",
  ],
  [
    "fewer elements than the shape says",
    { nodes: [CONV], tensors: { "conv1.weight": { dims: [4, 3, 3, 3], floats: ramp(107) } } },
    "elements 107",
  ],
  [
    "a tensor of 2^60 elements",
    { nodes: [CONV], tensors: { "conv1.weight": { dims: [2 ** 20, 2 ** 20, 2 ** 10, 2 ** 10], floats: ramp(1) } } },
    "elements 1,",
  ],
  [
    "weights for other channels",
    { nodes: [CONV], tensors: { "conv1.weight": weights(4, 2, 3, 3) } },
    "weights [4,2,3,3] in 1 groups for 3 channels",
  ],
  [
    "a sum of different shapes",
    { nodes: [CONV, { op: "Add", inputs: ["c", "x"], output: "y" }], tensors: WEIGHT },
    "inputs of different shapes, [4,6,6] and [3,8,8]",
  ],
  [
    "arithmetic on the picture",
    { nodes: [{ op: "Sub", inputs: ["x", "m"], output: "y" }], tensors: { m: weights(1, 3, 1, 1) } },
    "arithmetic on the picture",
  ],
  ["an output that no node gives", { nodes: [CONV], tensors: WEIGHT, output: "z" }, 'output "z"'],
  [
    "an output that is a constant",
    { nodes: [CONV], tensors: WEIGHT, output: "conv1.weight" },
    "nothing that depends on a picture",
  ],
  ["no picture", { nodes: [{ op: "Relu", inputs: ["x"], output: "y" }], input: [1, 10] }, "takes no pictures"],
  ["no layers", { nodes: [{ op: "Identity", inputs: ["x"], output: "y" }] }, "has no layers"],
  ["no nodes", { nodes: [] }, "has no graph"],
  [
    "a constant added to a layer that is also taken by another name",
    {
      nodes: [
        { ...CONV, inputs: ["x", "conv1.weight"] },
        { op: "Identity", inputs: ["c"], output: "d" },
        { op: "Add", inputs: ["d", "b"], output: "e" },
        { op: "Add", inputs: ["c", "e"], output: "y" },
      ],
      tensors: { ...WEIGHT, b: weights(4, 1, 1) },
    },
    "a sum with a constant [4,1,1]",
  ],
  [
    "a normalisation over an even number of channels",
    { nodes: [{ op: "LRN", inputs: ["x"], output: "y", attributes: { size: 4 } }] },
    "an even number of channels, 4",
  ],
  [
    "a resize that keeps the ratio",
    {
      nodes: [
        {
          op: "Resize",
          inputs: ["x", "", "", "s"],
          output: "y",
          attributes: { mode: "linear", keep_aspect_ratio_policy: "not_larger" },
        },
      ],
      tensors: { s: { dims: [4], ints: [1, 3, 16, 12] } },
      opset: 18,
    },
    "keeps the ratio of the sides (not_larger)",
  ],
];

for (const [what, graph, text] of REFUSED) {
  test(`refused: ${what}`, () => fails(open(graph), WeightsError, text));
}

test("10,001 nodes are refused, 10,000 of one name are told apart", async () => {
  const chain = (count: number): Node[] =>
    Array.from({ length: count }, (_, i) => ({
      op: "Relu",
      inputs: [i === 0 ? "x" : `v${i - 1}`],
      output: `v${i}`,
      name: "same",
    }));
  await fails(open({ nodes: chain(10_001) }), WeightsError, "nodes 10001");
  const { net } = await open({ nodes: chain(10_000) });
  assert.is(net?.rows.at(-1)?.name, "same_10000");
});

test("300,000 inputs of one node", async () => {
  const inputs = new Array<string>(300_000).fill("x");
  const { net } = await open({ nodes: [{ op: "Concat", inputs, output: "y", attributes: { axis: 1 } }] });
  assert.is(net?.rows[0].from?.length, 300_000);
});

test("a million digits among the names of classes take no time", () => {
  const begin = performance.now();
  assert.is(classNames(new Map([["names", `{${"1".repeat(1_000_000)}`]]), 10), null);
  assert.ok(performance.now() - begin < 5000);
  assert.equal(classNames(new Map([["names", `{0: 'cat', 1: "dog's"}`]]), 2), ["cat", "dog's"]);
});

/** 0, 1, 2, …, divided by their number: the input that ONNX's own tests give their light nets. */
const lightInput = (count: number): Float32Array => Float32Array.from({ length: count }, (_, i) => i / count);

if (existsSync(LIGHT)) {
  test("light_vgg19.onnx: VGG-19 whose weights ConstantOfShape makes gives ONNX's own output", async () => {
    const file = await openWeights(await openFileBytes(`${LIGHT}/light_vgg19.onnx`));
    const rows = file.net?.rows ?? [];
    assert.is(rows.filter(({ kind }) => kind === "conv").length, 16);
    assert.is(rows.filter(({ kind }) => kind === "linear").length, 3);
    assert.equal(file.net?.tensors.get("conv1_2.weight"), { fill: Math.fround(0.02) });
    assert.ok(file.net?.softmax);
    assert.is(file.net?.channelOrder, "BGR");
    const engine = await createEngine({ threads: 2 });
    const { model } = await loadNet(file, engine);
    const x = engine.tensor(lightInput(3 * 224 * 224), [1, 3, 224, 224]);
    const logits = await engine.noGrad(() => model.forward(x)).data();
    await engine.close();
    await file.close();
    // TensorProto: dims, type, raw_data last.
    const stored = Uint8Array.from(readFileSync(`${LIGHT}/light_vgg19_output_0.pb`).subarray(-4000));
    const expected = new Float32Array(stored.buffer);
    const largest = Math.max(...logits);
    const powers = Float64Array.from(logits, (value) => Math.exp(value - largest));
    const sum = powers.reduce((all, power) => all + power, 0);
    const distance = maxRelativeError(
      powers.map((power) => power / sum),
      expected,
    );
    assert.ok(distance < 1e-6, `${distance} from the expected output`);
  });
} else {
  console.log("SKIPPED: light_vgg19.onnx, ../shared/data/light-vgg19 is missing");
}

test.run();
