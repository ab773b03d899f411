/** Nets that were loaded, saved and loaded again: our own files of VGG nets and of others, ONNX, TensorFlow.js layers. */
import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import { load } from "#src/load.js";
import { saveNet } from "#src/save.js";
import { maxRelativeError, sameValues } from "../helpers/compare.js";
import { fails } from "../io/fails.js";

const folder = mkdtempSync(path.join(tmpdir(), "verydeep-saved-"));
const fixture = (file: string): string => fileURLToPath(new URL(`../fixtures/${file}`, import.meta.url));
const PICTURE = fixture("pictures/noise-444.jpg");
const engine = await createEngine({ threads: 2, tier: "plain" });
const classes = Array.from({ length: 7 }, (_, i) => `kind ${i}`);

/** Of the largest score. */
const INT8_TOLERANCE = 0.05;

// The weights of formats/ are whole numbers up to 127 times a power of two: float16 keeps them.
for (const [from, what] of [
  ["torchvision.pth", "a VGG net"],
  ["caffe-new.caffemodel", "a net of rows, trained on BGR"],
] as const) {
  for (const [to, weights] of [
    ["net.safetensors", "float32"],
    ["half.safetensors", "float16"],
    ["net.onnx", "float32"],
    ["tfjs/model.json", "float32"],
  ] as const) {
    test(`${what} (${from}) as ${to}: scores, classes and preprocessing come back`, async () => {
      const net = await load(fixture(`formats/${from}`), { engine, classes });
      const expected = await net.scores(PICTURE);
      const file = path.join(folder, to);
      mkdirSync(path.dirname(file), { recursive: true });
      await saveNet(file, net, { weights });
      const again = await load(file, { engine });
      const found = await again.scores(PICTURE);
      assert.ok(sameValues(found, expected), `[${found}] [${expected}]`);
      assert.equal(again.classes, classes);
      assert.equal(again.preprocessing, net.preprocessing);
      assert.equal(again.inputShape, net.inputShape);
      assert.equal(again.notes, []);
      if (to.endsWith(".safetensors")) assert.equal(again.vgg?.config, net.vgg?.config);
    });
  }
}

test("the package's net in fewer bits: smaller files, the same class", async () => {
  const net = await load(fixture("../../weights/shapes-vgg.safetensors"), { engine });
  const expected = await net.scores(PICTURE);
  const sizes: number[] = [];
  for (const weights of ["float32", "float16", "int8"] as const) {
    const file = path.join(folder, `shapes-${weights}.safetensors`);
    await saveNet(file, net, { weights });
    sizes.push(statSync(file).size);
    const again = await load(file, { engine });
    const distance = maxRelativeError(await again.scores(PICTURE), expected);
    // The net is published as float16, which float16 keeps; int8 rounds.
    assert.ok(
      weights === "int8" ? distance > 0 && distance <= INT8_TOLERANCE : distance === 0,
      `${weights}: ${distance}`,
    );
  }
  assert.ok(sizes[1] < 0.6 * sizes[0] && sizes[2] < 0.6 * sizes[1], `${sizes}`);
});

test("what cannot be written", async () => {
  const net = await load(fixture("formats/torchvision.pth"), { engine });
  for (const [file, options, text] of [
    ["net.bin", {}, "saveNet: the file's name tells no format that can be written (file "],
    [
      "net.onnx",
      { weights: "int8" },
      "saveNet: only safetensors store int8 (format onnx). Leave the type out, or write .safetensors.",
    ],
  ] as const) {
    await fails(saveNet(path.join(folder, file), net, options), UsageError, text);
  }
});

test.after(async () => {
  await engine.close();
  rmSync(folder, { recursive: true });
});
test.run();
