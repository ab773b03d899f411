/** `load` in a real browser: weights by address, bytes and files that a user chose; the classes that Node finds. */
import { readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Prediction } from "#src/classify/predictions.js";
import { type LoadOptions, load } from "#src/load.js";
import { browserTests, run } from "./pages.js";

const { browserTest, openPage, paths } = browserTests(test);
const root = fileURLToPath(new URL("../../", import.meta.url));

/** The page's kernels fuse multiplications and additions, and its decoders may round otherwise. */
const TOLERANCE = 0.02;

const WEIGHTS = "weights/shapes-vgg.safetensors";
const PICTURES = [
  ...readdirSync(path.join(root, "weights/pictures"))
    .filter((name) => name.endsWith(".png"))
    .map((name) => `weights/pictures/${name}`),
  "test/fixtures/heart.jpg",
];
const SHARDS = ["model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
const sharded = (name: string): string => `test/fixtures/formats/sharded/${name}`;

async function inNode(
  weights: string,
  pictures: readonly string[],
  options: LoadOptions = {},
): Promise<Prediction[][]> {
  const net = await load(path.join(root, weights), { threads: 1, ...options });
  const found = await Promise.all(pictures.map((picture) => net.classify(path.join(root, picture), { top: 100 })));
  await net.close();
  return found;
}

/** Same classes, likeliest first; each about as likely. */
function same(found: unknown, expected: readonly Prediction[][]): void {
  assert.ok(Array.isArray(found));
  assert.is(found.length, expected.length);
  for (const [i, predictions] of expected.entries()) {
    assert.is(found[i][0].label, predictions[0].label);
    for (const { index, label, probability } of predictions) {
      const other: Prediction = found[i].find((one: Prediction) => one.index === index);
      assert.is(other.label, label);
      assert.ok(
        Math.abs(other.probability - probability) <= TOLERANCE,
        `${label}: ${other.probability}, in Node ${probability}`,
      );
    }
  }
}

/** What each test begins with in its page. */
const BEGIN = `
  const { load } = await import("/dist/browser.js");
  const blob = async (path) => (await fetch("/" + path)).blob();
  const bytes = async (path) => new Uint8Array(await (await blob(path)).arrayBuffer());
  const pictures = ${JSON.stringify(PICTURES)};`;

async function evaluate(code: string, isolated = false): Promise<unknown> {
  const { page, complaints } = await openPage({ isolated });
  const found = await run(page, `(async () => { ${BEGIN} ${code} })()`);
  assert.equal(complaints, []);
  await page.close();
  return found;
}

browserTest(`weights and ${PICTURES.length} pictures by address, all at once: Node's classes`, async () => {
  const found = await evaluate(`
    const net = await load("/${WEIGHTS}");
    const found = await Promise.all(pictures.map((picture) => net.classify("/" + picture, { top: 100 })));
    await net.close();
    return found;`);
  const expected = await inNode(WEIGHTS, PICTURES);
  same(found, expected);
  const names = PICTURES.map((picture) => path.parse(picture).name);
  assert.equal(
    expected.map(([{ label }]) => label),
    names,
  );
  // No reader of another format, and nothing of Node's.
  const needless = /\/(pytorch|onnx|tfjs|caffe|hdf5|keras[^/]*|load|file-bytes|decode-wasm)\.js$/;
  assert.equal(
    paths().filter((one) => needless.test(one)),
    [],
  );
});

browserTest("bytes, a Blob, a File, a URL object; pictures as bytes, Blob, File, ImageData", async () => {
  const found = await evaluate(`
    const picture = "test/fixtures/heart.jpg";
    const results = [];
    for (const weights of [
      await bytes("${WEIGHTS}"),
      await blob("${WEIGHTS}"),
      new File([await blob("${WEIGHTS}")], "mine.safetensors"),
      new URL("/${WEIGHTS}", location.href),
    ]) {
      const net = await load(weights);
      results.push(await net.classify("/" + picture, { top: 100 }));
      await net.close();
    }
    const net = await load("/${WEIGHTS}");
    const canvas = new OffscreenCanvas(128, 128);
    canvas.getContext("2d").drawImage(await createImageBitmap(await blob(picture)), 0, 0);
    for (const input of [
      await bytes(picture),
      await blob(picture),
      new File([await blob(picture)], "heart.jpg"),
      new URL("/" + picture, location.href),
      canvas.getContext("2d").getImageData(0, 0, 128, 128),
    ]) results.push(await net.classify(input, { top: 100 }));
    await net.close();
    return results;`);
  const [expected] = await inNode(WEIGHTS, ["test/fixtures/heart.jpg"]);
  same(found, new Array(9).fill(expected));
});

browserTest("dense, and a scale", async () => {
  const found = await evaluate(`
    const net = await load("/${WEIGHTS}");
    const found = await net.classify("/" + pictures[0], { crop: "dense", scale: 96, top: 100 });
    await net.close();
    return [found];`);
  const net = await load(path.join(root, WEIGHTS), { threads: 1 });
  same(found, [await net.classify(path.join(root, PICTURES[0]), { crop: "dense", scale: 96, top: 100 })]);
  await net.close();
});

for (const file of [
  "torchvision.pth",
  "exported.onnx",
  "tfjs/model.json",
  "caffe-new.caffemodel",
  "keras-model.h5",
  "keras3.keras",
  "sharded/model.safetensors.index.json",
]) {
  browserTest(`formats/${file}, fetched, into memory of one thread and of all: Node's classes`, async () => {
    const weights = `test/fixtures/formats/${file}`;
    const code = `
      const net = await load("/${weights}", { preprocessing: "torchvision" });
      const found = await net.classify("/" + pictures[0], { top: 100 });
      await net.close();
      return [found];`;
    const found = await evaluate(code);
    const ofThreads = await evaluate(code, true);
    const expected = await inNode(weights, PICTURES.slice(0, 1), { preprocessing: "torchvision" });
    same(found, expected);
    same(ofThreads, expected);
  });
}

browserTest("several files that were chosen together; one that was not chosen", async () => {
  const found = await evaluate(`
    const files = new Map();
    for (const name of ${JSON.stringify(SHARDS)}) files.set(name, new File([await blob("test/fixtures/formats/sharded/" + name)], name));
    const net = await load(files);
    const found = await net.classify("/" + pictures[0], { top: 100 });
    await net.close();
    files.delete("${SHARDS[2]}");
    const error = await load(files).then(() => "loaded", (reason) => String(reason));
    return { found: [found], error };`);
  assert.ok(typeof found === "object" && found !== null && "found" in found && "error" in found);
  same(found.found, await inNode(sharded(SHARDS[0]), PICTURES.slice(0, 1)));
  assert.is(
    found.error,
    `WeightsError: load: a file beside ${SHARDS[0]} is missing (file "${SHARDS[2]}"). Choose it together with this one.`,
  );
});

browserTest("what fails says so, by the library's errors", async () => {
  const found = await evaluate(`
    const told = (promise) => promise.then(() => "no error", (reason) => String(reason));
    const net = await load("/${WEIGHTS}");
    const results = [
      await told(load(new Blob(["text"]))),
      await told(load(new Map())),
      await told(load(undefined)),
      await told(load(await (await blob("${WEIGHTS}")).arrayBuffer())),
      await told(load("http://")),
      await told(net.classify(new File(["text"], "a.png"))),
      await told(net.classify("http://")),
      await told(net.classify({})),
    ];
    await net.close();
    results.push(await told(net.classify("/" + pictures[0])));
    return results;`);
  assert.ok(Array.isArray(found));
  for (const [i, start] of [
    "WeightsError: load: the file is of no known format (4 bytes, the first 74 65 78 74).",
    "WeightsError: load: no file is given (files 0). Give at least one, the main one first.",
    "UsageError: load: these are no weights (weights undefined). Pass an address, bytes as a Uint8Array, a file, or a Map of name to file.",
    "UsageError: load: these are no weights (weights [object ArrayBuffer]).",
    "UsageError: load: this is no address (address http://). Correct it.",
    "DataError: decodePicture: a.png is not a PNG, JPEG or WebP picture",
    "UsageError: classify: this is no address (address http://). Correct it.",
    "DataError: classify: this is no picture (width undefined, height undefined, pixels undefined).",
    "UsageError: classify: the net is closed (close() was called). Load it again.",
  ].entries()) {
    assert.ok(String(found[i]).startsWith(start), found[i]);
  }
});

browserTest("a picture that is not there", async () => {
  const { page } = await openPage();
  const found = await run(
    page,
    `(async () => {
      const { load } = await import("/dist/browser.js");
      const net = await load("/${WEIGHTS}");
      return net.classify("/missing.png").catch((error) => String(error));
    })()`,
  );
  assert.match(
    String(found),
    /^DataError: classify: the picture cannot be fetched \(address http:\/\/127\.0\.0\.1:\d+\/missing\.png, 404\)\. Check the address\.$/,
  );
  await page.close();
});

test.run();
