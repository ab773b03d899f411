import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { WeightsError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import {
  loadModel,
  loadModelWith,
  readMetadata,
  type Stateful,
  saveModel,
  type VggMetadata,
} from "#src/io/checkpoint.js";
import { decodeMetadata, decodeModel, encodeMetadata, encodeModel } from "#src/io/model-format.js";
import { openSafetensors, writeSafetensors } from "#src/io/safetensors.js";
import { vgg } from "#src/models/vgg.js";
import { vggLayers, vggTensorShapes } from "#src/models/vgg-config.js";
import type { Module } from "#src/nn/index.js";
import { crossEntropy, labelsTensor } from "#src/ops/index.js";
import { SGD } from "#src/optim/index.js";

const folder = mkdtempSync(path.join(tmpdir(), "verydeep-checkpoint-"));
const file = path.join(folder, "net.safetensors");

const metadata: VggMetadata = {
  config: "A",
  classes: ["circle", "square", "star ☆"],
  inputSize: 32,
  width: 0.05,
  classifier: [7],
  dropout: 0.25,
  mean: [125.306, 122.95, 113.8654],
  std: [62.9932, 62.0887, 66.7049],
};

/** A model that is nothing but its state dictionary; remembers the largest piece that it gave. */
class Shelf implements Stateful {
  readonly values = new Map<string, Float32Array>();
  largestPiece = 0;

  constructor(
    readonly shapes: ReadonlyMap<string, readonly number[]>,
    fill: (i: number) => number,
  ) {
    let i = 0;
    for (const [name, shape] of shapes) {
      const size = shape.reduce((product, side) => product * side, 1);
      this.values.set(
        name,
        Float32Array.from({ length: size }, () => fill(i++)),
      );
    }
  }

  stateDict() {
    return new Map([...this.shapes].map(([name, shape]) => [name, { shape, ...this.#access(name) }]));
  }

  #access(name: string) {
    const values = this.values.get(name) ?? new Float32Array(0);
    return {
      read: async (begin = 0, end = values.length) => {
        this.largestPiece = Math.max(this.largestPiece, end - begin);
        return values.slice(begin, end);
      },
      writeFrom: (source: (bytes: Uint8Array) => Promise<void>) => source(new Uint8Array(values.buffer)),
    };
  }
}

function shelfOf(about: VggMetadata, fill: (i: number) => number = (i) => Math.fround(i / 1000)): Shelf {
  return new Shelf(vggTensorShapes(vggLayers(about.config, { ...about, classes: about.classes.length })), fill);
}

test("save, load: the same values and metadata; torchvision's names in the file", async () => {
  const model = shelfOf(metadata);
  await saveModel(file, model, metadata);
  const loaded = await loadModelWith(file, (about) => shelfOf(about, () => 0));
  assert.equal(loaded.metadata, metadata);
  assert.equal(loaded.model.values, model.values);
  assert.equal(await readMetadata(file), metadata);
  const source = await openSafetensors(file);
  assert.is([...source.tensors.keys()][0], "features.0.weight");
  assert.equal(source.tensors.get("classifier.3.weight")?.shape, [3, 7]);
  assert.is(source.metadata.format, "verydeep-vgg");
  assert.is(source.metadata.version, "1");
  await source.close();
});

test("encodeModel: the bytes that saveModel writes", async () => {
  await saveModel(file, shelfOf(metadata), metadata);
  assert.is(Buffer.compare(await encodeModel(shelfOf(metadata), metadata), readFileSync(file)), 0);
});

test("decodeModel: the net of the package from its bytes, in evaluation mode, and the same bytes again", async () => {
  const bytes = readFileSync(new URL("../../weights/shapes-vgg.safetensors", import.meta.url));
  const { model, metadata: about } = await decodeModel(bytes, await createEngine({ threads: 1 }), "the package's net");
  assert.is(about.config, "A");
  assert.not(model.training);
  assert.is(Buffer.compare(await encodeModel(model, about, { weights: "float16" }), bytes), 0);
});

test("decodeModel: bytes that are no weights", async () => {
  const engine = await createEngine({ threads: 1 });
  await fails(decodeModel(new TextEncoder().encode("these are no weights"), engine), "the bytes");
});

test("scale: in the file where it is not the input's size; never below it", () => {
  assert.is("scale" in encodeMetadata({ ...metadata, scale: metadata.inputSize }), false);
  assert.is(encodeMetadata({ ...metadata, scale: 37 }).scale, "37");
  assert.is(decodeMetadata(encodeMetadata({ ...metadata, scale: 37 }), "x").scale, 37);
  for (const scale of ["31", "37.5", "true"]) {
    assert.throws(
      () => decodeMetadata({ ...encodeMetadata(metadata), scale }, "x"),
      (error: unknown) => error instanceof WeightsError && error.message.includes(`is wrong (scale ${scale})`),
    );
  }
});

test("batchNorm: in the file where there is some; absent means none; the bytes of other files are as before", async () => {
  assert.is("batchNorm" in encodeMetadata({ ...metadata, batchNorm: false }), false);
  const withNorm = { ...metadata, batchNorm: true };
  assert.is(encodeMetadata(withNorm).batchNorm, "true");
  assert.equal(decodeMetadata(encodeMetadata(withNorm), "x"), withNorm);
  assert.equal(decodeMetadata({ ...encodeMetadata(metadata), batchNorm: "false" }, "x"), {
    ...metadata,
    batchNorm: false,
  });
  assert.throws(
    () => decodeMetadata({ ...encodeMetadata(metadata), batchNorm: "1" }, "x"),
    (error: unknown) => error instanceof WeightsError && error.message.includes("is wrong (batchNorm 1)"),
  );
});

test("a trained net with batch normalisation: saved, loaded, the same logits and running statistics to the bit", async () => {
  const about: VggMetadata = { ...metadata, batchNorm: true };
  const engine = await createEngine({ threads: 1 });
  const { config, classes, ...net } = about;
  const model = vgg(config, { ...net, classes: classes.length }, engine);
  const optimiser = new SGD(model.parameters(), { lr: 0.05 });
  const pixels = Float32Array.from({ length: 4 * 3 * 32 * 32 }, (_, i) => ((i * 37) % 101) / 50 - 1);
  for (let step = 0; step < 3; step++) {
    await engine.scope(() => {
      optimiser.zeroGrad();
      const x = engine.tensor(pixels, [4, 3, 32, 32]);
      crossEntropy(model.forward(x), labelsTensor(engine, Uint16Array.of(0, 1, 2, 1), 3)).backward();
      optimiser.step();
    });
  }
  const logits = async (module: Module): Promise<Float32Array> =>
    engine.noGrad(() => module.eval().forward(engine.tensor(pixels, [4, 3, 32, 32]))).data();
  const before = await logits(model);
  await saveModel(file, model, about);
  const loaded = await loadModel(file, engine);
  assert.equal(loaded.metadata, about);
  assert.equal(await logits(loaded.model), before);
  const mean = await loaded.model.stateDict().get("features.1.running_mean")?.read();
  assert.ok(mean?.some((value) => value !== 0));
  await engine.close();
});

test("equal weights give equal files", async () => {
  await saveModel(file, shelfOf(metadata), metadata);
  const first = readFileSync(file);
  await saveModel(file, shelfOf(metadata), metadata);
  assert.is(first.compare(readFileSync(file)), 0);
});

test("large tensors are written in pieces", async () => {
  const wide = { ...metadata, classifier: [], inputSize: 224, classes: Array.from({ length: 900 }, (_, i) => `c${i}`) };
  const model = shelfOf(wide);
  await saveModel(file, model, wide);
  const loaded = await loadModelWith(file, (about) => shelfOf(about, () => 0));
  assert.equal(loaded.model.values.get("classifier.0.weight"), model.values.get("classifier.0.weight"));
  assert.is(model.largestPiece, 1 << 20);
});

test("files that do not fit: missing, unexpected, another shape", async () => {
  const shapes = vggTensorShapes(vggLayers("A", { ...metadata, classes: 3 }));
  const write = async (change: (shapes: Map<string, readonly number[]>) => void): Promise<void> => {
    const changed = new Map(shapes);
    change(changed);
    await saveModel(file, new Shelf(changed, () => 0), metadata);
  };
  let built = 0;
  const load = () =>
    loadModelWith(file, (about) => {
      built++;
      return shelfOf(about);
    });
  await write((map) => map.delete("features.3.bias"));
  await fails(
    load(),
    `loadState: ${file} lacks a tensor of the net (missing features.3.bias). Use the file with the net that it was saved from.`,
  );
  await write((map) => {
    map.delete("features.3.bias");
    map.delete("features.6.weight");
    map.set("features.3.offset", [6]);
  });
  await fails(
    load(),
    `loadState: ${file} lacks 2 tensors of the net (missing features.3.bias, unexpected features.3.offset).`,
  );
  await write((map) => map.set("extra", [1]));
  await fails(load(), `loadState: ${file} has a tensor that the net has not (unexpected extra).`);
  await write((map) => map.set("features.0.weight", [3, 3, 3, 4]));
  await fails(
    load(),
    `loadState: a shape in ${file} differs from the net's (features.0.weight [3,3,3,4], net [3,3,3,3]).`,
  );
  assert.is(built, 0, "the net is built only for a file that fits");
});

test("a file whose model is built otherwise", async () => {
  await saveModel(file, shelfOf(metadata), metadata);
  await fails(
    loadModelWith(file, (about) => shelfOf({ ...about, classifier: [] })),
    "lacks",
    "has 2 tensors that the net has not",
  );
});

test("a safetensors file of another program, or of a later version", async () => {
  await writeSafetensors(file, []);
  await fails(
    readMetadata(file),
    `loadModel: ${file} does not say what net it belongs to (format undefined). Use a file that verydeep train wrote.`,
  );
  await writeSafetensors(file, [], { ...encodeMetadata(metadata), version: "2" });
  await fails(readMetadata(file), `loadModel: ${file} is of another version (version 2, known 1). Update verydeep.`);
});

test("metadata that is wrong", () => {
  const good = encodeMetadata(metadata);
  assert.equal(decodeMetadata(good, "x"), metadata);
  const cases: [key: string, text: string, message: string][] = [
    ["config", '"F"', 'loadModel: the metadata of x is wrong (config "F").'],
    ["config", "oops", "(config oops)"],
    ["classes", "[]", "(classes [])"],
    ["classes", "[1]", "(classes [1])"],
    ["inputSize", '"32"', '(inputSize "32")'],
    [
      "inputSize",
      "33",
      "loadModel: the metadata of x describes no net (vgg: the input size is not a multiple of 32 (inputSize 33).",
    ],
    ["width", "1e999", "(width 1e999)"],
    ["width", "-1", "describes no net (vgg: the width"],
    ["classifier", "{}", "(classifier {})"],
    ["classifier", "[0]", "describes no net (vgg: a hidden width"],
    ["dropout", "null", "(dropout null)"],
    ["mean", "[1,2]", "(mean [1,2])"],
    ["std", "[1,2,0]", "(std [1,2,0])"],
  ];
  for (const [key, text, message] of cases) {
    assert.throws(
      () => decodeMetadata({ ...good, [key]: text }, "x"),
      (error: unknown) => error instanceof WeightsError && error.message.includes(message),
      `${key} ${text}`,
    );
  }
  for (const key of Object.keys(good)) {
    const rest = Object.fromEntries(Object.entries(good).filter(([other]) => other !== key));
    assert.throws(
      () => decodeMetadata(rest, "x"),
      (error: unknown) => error instanceof WeightsError,
      key,
    );
  }
});

test("a text file called .safetensors", async () => {
  writeFileSync(file, "these are no weights, whatever their name says");
  await fails(readMetadata(file), "It is not a safetensors file.");
});

test.after(() => rmSync(folder, { recursive: true, force: true }));

async function fails(promise: Promise<unknown>, ...texts: string[]): Promise<void> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.instance(error, WeightsError, String(error));
  assert.ok(error instanceof Error && texts.some((text) => error.message.includes(text)), String(error));
}

test.run();
