/**
 * ONNX files: what the graph becomes, weights kept elsewhere, errors that name the node, damaged files. That nets of other programs give
 * PyTorch's numbers, formats.test.ts tests.
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createEngine } from "#src/engine.js";
import { bytesReader } from "#src/io/byte-reader.js";
import { openFileBytes } from "#src/io/file-bytes.js";
import { loadNet } from "#src/io/load-net.js";
import { openOnnx } from "#src/io/onnx.js";
import { openWeights } from "#src/io/open-weights.js";
import { maxRelativeError } from "../helpers/compare.js";
import { fuzz, survives } from "../helpers/fuzz.js";

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
