/** Weights in fewer bits in files: written, read as float32, and read into memory that keeps them so. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { WeightsError } from "#src/core/errors.js";
import { decodeF16, dequantizeRows, encodeF16, quantizeRows } from "#src/core/quantize.js";
import { StateTensor } from "#src/core/tensor.js";
import { createEngine } from "#src/engine.js";
import { fillNet } from "#src/formats/fill-net.js";
import { loadNet } from "#src/formats/load-net.js";
import { loadModel, saveModel } from "#src/io/checkpoint.js";
import { decodeModel, encodeModel, type VggMetadata } from "#src/io/model-format.js";
import { quantizedState } from "#src/io/quantized-state.js";
import { parseSafetensors, writeSafetensors } from "#src/io/safetensors.js";
import { encodeHeader } from "#src/io/safetensors-format.js";
import { vgg } from "#src/models/vgg.js";
import { QuantizedLinear, QuantizedWeight, Sequential } from "#src/nn/index.js";
import { fails } from "./fails.js";

const folder = mkdtempSync(path.join(tmpdir(), "verydeep-quantized-"));
const engine = await createEngine({ threads: 2, tier: "plain" });
test.after(async () => {
  rmSync(folder, { recursive: true });
  await engine.close();
});

const net = { width: 0.125, inputSize: 32, classifier: [80, 64], dropout: 0.5, batchNorm: true };
const metadata: VggMetadata = {
  ...net,
  config: "A",
  classes: ["a", "b", "c"],
  mean: [127, 127, 127],
  std: [64, 64, 64],
};
const model = vgg("A", { ...net, classes: 3 }, engine);
const types = ["float16", "int8"] as const;

/** What a tensor is worth after it was stored. */
async function rounded(tensor: StateTensor, type: (typeof types)[number], stored: boolean): Promise<Float32Array> {
  const values = await tensor.read();
  if (tensor.shape.length < 2) return values;
  if (stored && type === "int8" && tensor.size < 4096) return values;
  if (type === "float16") return decodeF16(encodeF16(values));
  return dequantizeRows(quantizeRows(values, tensor.size / tensor.shape[0]));
}

for (const weights of types) {
  test(`${weights}: the header says what is stored, and what is read as float32 is rounded`, async () => {
    const bytes = await encodeModel(model, metadata, { weights });
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    assert.is(header.__metadata__.quantized, weights);
    const entry = ({ dtype, shape }: { dtype: string; shape: number[] }): string => `${dtype} ${shape}`;
    const scale = header["features.8.weight_scale"];
    assert.is(entry(header["features.8.weight"]), `${weights === "int8" ? "I8" : "F16"} 32,16,3,3`);
    assert.is(scale && entry(scale), weights === "int8" ? "F32 32" : undefined);
    assert.is(entry(header["features.0.weight"]), `${weights === "int8" ? "F32" : "F16"} 8,3,3,3`, "few weights");
    assert.is(entry(header["features.1.weight"]), "F32 8", "batch normalisation");
    assert.is(entry(header["classifier.6.bias"]), "F32 3");

    const { model: read } = await decodeModel(bytes, engine);
    for (const [name, tensor] of model.stateDict()) {
      assert.equal(await read.stateDict().get(name)?.read(), await rounded(tensor, weights, true), name);
    }
  });

  test(`${weights}: saveModel writes the bytes of encodeModel, loadModel reads them`, async () => {
    const file = path.join(folder, `${weights}.safetensors`);
    await saveModel(file, model, metadata, { weights });
    assert.is(Buffer.compare(readFileSync(file), await encodeModel(model, metadata, { weights })), 0);
    const { model: read } = await loadModel(file, engine);
    const weight = read.stateDict().get("classifier.0.weight");
    assert.ok(weight instanceof StateTensor && !(weight instanceof QuantizedWeight));
  });
}

for (const stored of ["float32", ...types] as const) {
  for (const linearWeights of types) {
    test(`a file of ${stored} into linear weights as ${linearWeights}`, async () => {
      const bytes = await encodeModel(model, metadata, { weights: stored });
      const plainFile = parseSafetensors(bytes);
      const plain = await loadNet(plainFile, engine);
      const { model: kept } = await loadNet(parseSafetensors(bytes), engine, { linearWeights });
      const state = kept.stateDict();
      let count = 0;
      for (const [name, tensor] of plain.model.stateDict()) {
        const found = state.get(name);
        const isKept = found instanceof QuantizedWeight;
        if (isKept) count++;
        // The file's own bytes where they are of the type; else its values, rounded.
        const isRaw = plainFile.tensors.get(name)?.dtype === { float16: "F16", int8: "I8" }[linearWeights];
        const expected = isKept && !isRaw ? await rounded(tensor, linearWeights, false) : await tensor.read();
        assert.equal(await found?.read(), expected, name);
      }
      assert.is(count, 3);
    });
  }
}

for (const weights of types) {
  test(`a net with linear weights as ${weights} is written as it is`, async () => {
    const load = async (bytes: Uint8Array) => loadNet(parseSafetensors(bytes), engine, { linearWeights: weights });
    const { model: kept } = await load(await encodeModel(model, metadata, { weights }));
    const bytes = await encodeModel(kept, metadata, { weights });
    const { model: again } = await load(bytes);
    for (const [name, tensor] of kept.stateDict()) {
      assert.equal(await again.stateDict().get(name)?.read(), await tensor.read(), name);
    }
    assert.is(Buffer.compare(await encodeModel(again, metadata, { weights }), bytes), 0);
  });
}

test("int8 that is written again keeps its scales to the last bit, whatever the largest of a row", async () => {
  const layer = new QuantizedLinear(engine, { inFeatures: 3, outFeatures: 2, weightType: "int8", bias: false });
  await layer.weight.writeFrom(async (bytes) => bytes.set(Uint8Array.of(1, 2, 255, 128, 0, 7)));
  await layer.weight.scale.write(Float32Array.of(0.1, 3));
  const [weight, scale] = [...quantizedState(layer, "int8")];
  const chunks = [];
  for (const { chunks: parts } of [weight, scale]) for await (const part of parts) chunks.push(part);
  assert.equal(chunks, [Int8Array.of(1, 2, -1, -128, 0, 7), Float32Array.of(0.1, 3)]);
});

test("a file with another layout: permuted, scaled, and filled with one value", async () => {
  const layer = new QuantizedLinear(engine, { inFeatures: 3, outFeatures: 2, weightType: "float16" });
  const values = Float32Array.of(1, 2, 3, 4, 5, 6);
  const file = path.join(folder, "dense.safetensors");
  await writeSafetensors(file, [{ name: "kernel", shape: [3, 2], chunks: [values] }]);
  const source = parseSafetensors(readFileSync(file));
  const places = new Map([
    ["0.weight", { tensor: "kernel", permute: [1, 0], scale: 0.5 }],
    ["0.bias", { fill: 7 }],
  ]);
  await fillNet(source, new Sequential([layer]), places);
  assert.equal(await layer.weight.read(), Float32Array.of(0.5, 1.5, 2.5, 1, 2, 3));
  assert.equal(await layer.bias?.read(), Float32Array.of(7, 7));
  await fails(
    fillNet(source, layer, new Map([["weight", { tensor: "kernel", view: [3, 1] }]])),
    WeightsError,
    "load: a tensor of the bytes does not fill the net's (kernel [3,2], net [2,3]). Use the net",
  );
});

test("a weight that float16 cannot hold stops the writing, and names itself", async () => {
  const big = vgg("A", { ...net, classes: 3 }, engine);
  await big.stateDict().get("classifier.0.weight")?.write(Float32Array.of(70_000));
  await fails(
    encodeModel(big, metadata, { weights: "float16" }),
    WeightsError,
    "quantizedState: a tensor cannot be stored so (tensor classifier.0.weight). encodeF16: the value has no float16 (element 0, value 70000).",
  );
});

test("chunks of another type than the tensor's are refused", async () => {
  const tensor = { name: "a", shape: [2], dtype: "F16" as const, chunks: [Float32Array.of(1, 2)] };
  await fails(
    writeSafetensors(path.join(folder, "x.safetensors"), [tensor]),
    WeightsError,
    'writeSafetensors: the values are of another type (tensor "a", F16, values Float32Array). Give a Uint16Array.',
  );
});

test("headers of tensors without a type are what they were", () => {
  const tensor = { name: "a", shape: [2, 3] };
  assert.equal(encodeHeader([tensor], {}), encodeHeader([{ ...tensor, dtype: "F32" }], {}));
});

test.run();
