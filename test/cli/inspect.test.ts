/** `verydeep inspect`: every committed file of another program, and what is none. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runCommandLine } from "#src/cli/program.js";
import { encodeHeader } from "#src/io/safetensors-format.js";
import { capture } from "./capture.js";

const pathOf = (file: string): string => fileURLToPath(new URL(`../fixtures/formats/${file}`, import.meta.url));
const readJson = (file: string) => JSON.parse(readFileSync(pathOf(file), "utf8"));
const folder = mkdtempSync(path.join(tmpdir(), "verydeep-inspect-"));

interface Net {
  readonly config: "A" | "D";
  readonly batchNorm?: boolean;
  readonly width: number;
  readonly classes: number;
  readonly inputSize: number;
  readonly classifier: readonly number[];
  readonly files: readonly { file: string; order: string }[];
}
const { nets }: { nets: Net[] } = readJson("formats.json");
const layers: { nets: { file: string; input: number[]; output: number[] }[] } = readJson("layers.json");

/** Formats by the endings of their files. */
const FORMATS: readonly (readonly [ending: RegExp, format: string])[] = [
  [/\.pth$/, "pytorch"],
  [/\.safetensors$|\.index\.json$/, "safetensors"],
  [/\.h5$|\.keras$/, "keras"],
  [/model\.json$/, "tfjs"],
  [/\.onnx$/, "onnx"],
  [/\.caffemodel$/, "caffe"],
];
const formatOf = (file: string): string | undefined => FORMATS.find(([ending]) => ending.test(file))?.[1];

/** Parameters by the paper's table. */
function paramsOf({ config, batchNorm = false, width, classes, inputSize, classifier }: Net): number {
  const repeats = config === "A" ? [1, 1, 2, 2, 2] : [2, 2, 3, 3, 3];
  let [params, inputs] = [0, 3];
  for (const [block, count] of repeats.entries()) {
    const outputs = [64, 128, 256, 512, 512][block] * width;
    for (let i = 0; i < count; i++) {
      params += 9 * inputs * outputs + outputs + (batchNorm ? 2 * outputs : 0);
      inputs = outputs;
    }
  }
  inputs *= (inputSize / 32) ** 2;
  for (const outputs of [...classifier, classes]) {
    params += inputs * outputs + outputs;
    inputs = outputs;
  }
  return params;
}

async function inspect(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { output, stdout, stderr } = capture(args.includes("--json"));
  const code = await runCommandLine(["inspect", ...args], output);
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

for (const net of nets) {
  for (const { file, order } of net.files) {
    test(`${file}: plain and --json`, async () => {
      const json = await inspect(pathOf(file), "--json");
      assert.equal([json.code, json.stderr, json.stdout.trimEnd().split("\n").length], [0, "", 1]);
      const found = JSON.parse(json.stdout);
      assert.equal([found.file, found.format, found.reason], [pathOf(file), formatOf(file), null]);
      assert.equal(found.net.inputShape, [3, net.inputSize, net.inputSize]);
      assert.is(found.net.params, paramsOf(net));
      assert.is(found.net.classes.length, net.classes);
      assert.equal(found.net.layers.at(-1).outputShape, [net.classes]);
      assert.ok(found.tensors.some(({ shape }: { shape: number[] }) => shape.length === 4));
      // ONNX says nothing of pictures; where a file says nothing, a note does.
      const guessed = file.endsWith(".onnx") && order === "RGB";
      const caffe = Math.abs(found.net.preprocessing.mean[0] - 123.68) < 1e-6;
      assert.equal([found.net.notes.length, caffe], [guessed ? 1 : 0, order === "BGR"]);

      const plain = await inspect(pathOf(file));
      assert.equal([plain.code, plain.stderr], [0, ""]);
      const lines = plain.stdout.trimEnd().split("\n");
      const fact = (name: string): string =>
        lines
          .find((line) => line.startsWith(`${name} `))
          ?.slice(name.length)
          .trim() ?? "";
      assert.is(fact("file"), pathOf(file));
      assert.ok(fact("format").startsWith(`${formatOf(file)}, `));
      assert.is(fact("net"), `${found.net.about}, input 3x${net.inputSize}x${net.inputSize}`);
      assert.ok(fact("size").includes(`, ${paramsOf(net).toLocaleString("en")} parameters, `), fact("size"));
      assert.is(
        fact("classes"),
        `${net.classes}: class 0, class 1, class 2, class 3, class 4${net.classes > 5 ? ", ..." : ""}`,
      );
      assert.ok(fact("pictures").includes(`, the middle ${net.inputSize}x${net.inputSize}, minus `));
      const head = lines.findIndex((line) => line.startsWith("tensor "));
      assert.is(lines.length - 1 - head, found.tensors.length);
    });
  }
}

for (const { file, input, output: scores } of layers.nets) {
  test(`${file}: its net's input and outputs`, async () => {
    const { code, stdout } = await inspect(pathOf(file), "--json");
    const found = JSON.parse(stdout);
    assert.equal([code, found.net.inputShape, found.net.classes.length], [0, input, scores.length]);
  });
}

test("options say what the file does not", async () => {
  const labels = path.join(folder, "labels.txt");
  writeFileSync(labels, Array.from({ length: 7 }, (_, i) => `name ${i}`).join("\n"));
  const options = ["--labels", labels, "--preprocess", "caffe", "--json"];
  const { net } = JSON.parse((await inspect(pathOf("exported.onnx"), ...options)).stdout);
  assert.equal([net.classes[6], net.notes, net.preprocessing.mean], ["name 6", [], [123.68, 116.779, 103.939]]);
  const wrong = await inspect(pathOf("vgg16_bn.pth"), "--labels", labels);
  assert.is(wrong.code, 2);
  assert.ok(wrong.stderr.includes("(names 7, outputs 5). Give one for each."), wrong.stderr);
  const unknown = await inspect(pathOf("exported.onnx"), "--preprocess", "torch");
  assert.is(unknown.code, 2);
  assert.ok(
    unknown.stderr.includes('load: there is no such preprocessing (preprocessing "torch"). Use one of torchvision, '),
  );
});

/** A safetensors file of zeros. */
function weights(
  name: string,
  shapes: readonly (readonly [name: string, shape: readonly number[]])[],
  metadata = {},
): string {
  const header = encodeHeader(
    shapes.map(([tensor, shape]) => ({ name: tensor, shape })),
    metadata,
  );
  const count = shapes.reduce((sum, [, shape]) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const file = path.join(folder, name);
  writeFileSync(file, Buffer.concat([header, Buffer.alloc(4 * count)]));
  return file;
}

test("a file without known net: its tensors all the same, and how to say which net it is", async () => {
  const file = weights("bare.safetensors", [
    ["conv1.weight", [2, 3, 3, 3]],
    ["conv1.bias", [2]],
  ]);
  const plain = await inspect(file);
  assert.equal([plain.code, plain.stderr], [0, ""]);
  assert.ok(
    plain.stdout.includes(
      "does not say what net its tensors belong to, and it is no VGG that verydeep knows (tensors 2, the first conv1.",
    ),
  );
  assert.match(plain.stdout, /^conv1\.weight {2}F32 {3}2x3x3x3$/m);
  const found = JSON.parse((await inspect(file, "--json")).stdout);
  assert.is(found.net, null);
  assert.ok(found.reason.includes("Say which by a config"));
  assert.is(found.tensors.length, 2);

  const description = path.join(folder, "net.json");
  const layer = { kind: "conv", outputs: 2, kernelSize: 3 };
  writeFileSync(description, JSON.stringify({ input: [3, 5, 5], layers: [layer, { kind: "pool", kernelSize: 3 }] }));
  const { net } = JSON.parse((await inspect(file, "--net", description, "--json")).stdout);
  assert.equal([net.about, net.params, net.classes], ["a net as described", 56, ["class 0", "class 1"]]);
  writeFileSync(description, JSON.stringify({ input: [3, 5, 5], layers: [{ kind: "cnov" }] }));
  const wrong = await inspect(file, "--net", description);
  assert.is(wrong.code, 2);
  assert.ok(
    wrong.stderr.startsWith(`${description}: layer 1 is of a kind that verydeep has not (kind "cnov").`),
    wrong.stderr,
  );
  assert.is(
    (await inspect(file, "--net", path.join(folder, "no.json"))).stderr,
    `verydeep: the file cannot be read (--net ${path.join(folder, "no.json")}, ENOENT). Check the path.\n`,
  );
  const other = await inspect(file, "--config", "vgg16");
  assert.is(other.code, 0);
  assert.ok(other.stdout.includes("loadState: "), other.stdout);
});

test("texts of a file cannot write elsewhere on the terminal", async () => {
  const evil = "\u001b[2J\u009b1;1H\u0007x";
  const file = weights("evil.safetensors", [[`a${evil}`, [1]]], { [`b${evil}`]: `c${evil}\nd` });
  const { stdout } = await inspect(file);
  assert.ok(!/[^\P{Cc}\n]/u.test(stdout), JSON.stringify(stdout));
  assert.ok(stdout.includes("a?[2J?1;1H?x"));
  // JSON has escapes of its own.
  const { stdout: json } = await inspect(file, "--json");
  assert.is(JSON.parse(json).tensors[0].name, `a${evil}`);
});

test("files of another kind, cut files, none: one line, code 1", async () => {
  const cut = path.join(folder, "cut.safetensors");
  writeFileSync(cut, readFileSync(pathOf("torchvision.safetensors")).subarray(0, 2000));
  const picture = fileURLToPath(new URL("../fixtures/pictures/rgb.png", import.meta.url));
  for (const [file, text] of [
    [picture, "is of no known format (340 bytes, the first 89 50 4e 47 0d 0a 1a 0a). Known are safetensors, PyTorch"],
    [path.join(folder, "no.pth"), "load: the file does not exist (path "],
    [cut, "cut.safetensors"],
  ]) {
    const { code, stdout, stderr } = await inspect(file);
    assert.equal([code, stdout, stderr.split("\n").length], [1, "", 2], stderr);
    assert.ok(stderr.includes(text), stderr);
    const json = await inspect(file, "--json");
    assert.equal([json.code, json.stderr], [1, ""]);
    assert.ok(JSON.parse(json.stdout).error.message.includes(text));
  }
});

test.after(() => rmSync(folder, { recursive: true }));
test.run();
