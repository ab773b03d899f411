/**
 * The whole net: VGG-16 at 224 with weights from a formula, against PyTorch's logits for the same weights and picture
 * (test/fixtures/README.md).
 */
import { readFile } from "node:fs/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { StateTensor } from "#src/core/tensor.js";
import { createEngine } from "#src/engine.js";
import { parseSafetensors, type SafetensorsSource } from "#src/io/safetensors-format.js";
import { vgg } from "#src/models/vgg.js";
import { zeros } from "#src/nn/index.js";
import { formulaFill } from "../fixtures/formula.js";
import { maxRelativeError } from "../helpers/compare.js";

/** Of the largest logit. PyTorch's own float32 is 2.6e-6 from its float64 here: thousands of terms a sum, 16 layers. */
const TOLERANCE = 1e-5;
/** Weights are made and written in pieces of 4 MB: together they are 553 MB, and the engine holds them already. */
const CHUNK = 1 << 20;
const PICTURE_SHAPE = [1, 3, 224, 224];
const FILE = new URL("../fixtures/vgg16-logits.safetensors", import.meta.url);

/** The fixture's tensors by number, and PyTorch's logits in float64 and float32. */
interface Fixture {
  readonly names: readonly string[];
  readonly scales: readonly number[];
  readonly source: SafetensorsSource;
  readonly logits64: Float64Array;
  readonly logits32: Float32Array;
}

async function readFixture(): Promise<Fixture> {
  const bytes = new Uint8Array(await readFile(FILE));
  const source = parseSafetensors(bytes, "vgg16-logits.safetensors");
  const entry = source.tensors.get("logits64");
  assert.ok(entry?.dtype === "F64", "the fixture has logits64 in F64");
  return {
    names: JSON.parse(source.metadata.names),
    scales: JSON.parse(source.metadata.scales),
    source,
    logits64: new Float64Array(bytes.slice(entry.offset, entry.offset + entry.sizeBytes).buffer),
    logits32: await source.read("logits32"),
  };
}

/** The first and the last 64 elements of tensor t are those that PyTorch had. */
async function checkFormula({ source, scales, names }: Fixture, t: number, length: number): Promise<void> {
  const ends = new Float32Array(128);
  formulaFill(ends.subarray(0, 64), t, scales[t]);
  formulaFill(ends.subarray(64), t, scales[t], length - 64);
  assert.is(maxRelativeError(ends, await source.read(`check/${t}`)), 0, `${names[t]}: the formula gives other values`);
}

async function writeFormula(parameter: StateTensor, t: number, scale: number): Promise<void> {
  const chunk = new Float32Array(CHUNK);
  for (let begin = 0; begin < parameter.size; begin += CHUNK) {
    const piece = chunk.subarray(0, Math.min(CHUNK, parameter.size - begin));
    formulaFill(piece, t, scale, begin);
    await parameter.write(piece, begin);
  }
}

test("VGG-16 x=[1,3,224,224]: logits within 1e-5 of PyTorch's float64, relative to the largest", async () => {
  const fixture = await readFixture();
  const { names, scales, logits64, logits32 } = fixture;
  const engine = await createEngine();
  const model = vgg("D", { init: zeros }, engine).eval();
  const state = model.stateDict();
  assert.equal([...state.keys(), "picture"], names);
  for (const [t, parameter] of [...state.values()].entries()) {
    await checkFormula(fixture, t, parameter.size);
    await writeFormula(parameter, t, scales[t]);
  }
  const picture = new Float32Array(3 * 224 * 224);
  const pictureNumber = names.indexOf("picture");
  await checkFormula(fixture, pictureNumber, picture.length);
  formulaFill(picture, pictureNumber, scales[pictureNumber]);

  const logits = await engine.noGrad(() => model.forward(engine.tensor(picture, PICTURE_SHAPE))).data();
  await engine.close();

  const distance = maxRelativeError(logits, logits64);
  console.log(
    `VGG-16 logits, largest difference from PyTorch's float64 / largest logit: ours ${distance.toExponential(2)}, ` +
      `PyTorch's float32 ${maxRelativeError(logits32, logits64).toExponential(2)}; at most ${TOLERANCE} is allowed`,
  );
  assert.ok(distance <= TOLERANCE, `distance ${distance}`);
  assert.is(logits.indexOf(Math.max(...logits)), logits64.indexOf(Math.max(...logits64)));
});

test.run();
