/** `verydeep convert`: what is written, what is told, and what is refused before anything is lost. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runCommandLine } from "#src/cli/program.js";
import { capture } from "./capture.js";

const pathOf = (file: string): string => fileURLToPath(new URL(`../fixtures/formats/${file}`, import.meta.url));
const packageWeights = fileURLToPath(new URL("../../weights/shapes-vgg.safetensors", import.meta.url));
const heart = fileURLToPath(new URL("../../weights/pictures/heart.png", import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), "verydeep-convert-"));
const at = (name: string): string => path.join(folder, name);

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function verydeep(...args: string[]): Promise<Run> {
  const { output, stdout, stderr } = capture(args.includes("--json"));
  const code = await runCommandLine(args, output);
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

for (const [name, dtype, format, weights] of [
  ["a.safetensors", "f32", "safetensors", "float32"],
  ["b.safetensors", "f16", "safetensors", "float16"],
  ["c.safetensors", "int8", "safetensors", "int8"],
  ["d.onnx", "f32", "onnx", "float32"],
  [path.join("new", "model.json"), "f32", "tfjs", "float32"],
]) {
  test(`the package's net as ${format}, ${dtype}: told, and sees a heart`, async () => {
    const file = at(name);
    const { code, stdout, stderr } = await verydeep("convert", packageWeights, file, "--to-dtype", dtype, "--json");
    assert.equal([code, stderr], [0, ""]);
    const { sizeBytes, ...told } = JSON.parse(stdout);
    assert.equal(told, { file, format, weights, about: "VGG A", params: 145_210 });
    const whole = format === "tfjs" ? readdirSync(at("new")).map((one) => path.join(at("new"), one)) : [file];
    assert.is(
      sizeBytes,
      whole.reduce((sum, one) => sum + statSync(one).size, 0),
    );
    const seen = await verydeep("classify", heart, "--weights", file, "--top", "1", "--json");
    assert.is(JSON.parse(seen.stdout).predictions[0].label, "heart");
  });
}

test("sizes: float16 about half of float32, int8 about a quarter", () => {
  const [whole, half, quarter] = ["a", "b", "c"].map((name) => statSync(at(`${name}.safetensors`)).size);
  assert.ok(half < 0.55 * whole && quarter < 0.3 * whole, `${whole} ${half} ${quarter}`);
});

test("onto itself: the file is the converted one, and still loads", async () => {
  const file = at("same.safetensors");
  writeFileSync(file, readFileSync(packageWeights));
  assert.is((await verydeep("convert", file, file, "--to-dtype", "int8")).code, 0);
  assert.is(statSync(file).size, statSync(at("c.safetensors")).size);
  assert.is((await verydeep("classify", heart, "--weights", file)).code, 0);
});

test("to and fro: safetensors of a net that is no VGG of ours has the bytes of the first conversion", async () => {
  for (const name of ["x.safetensors", "x.onnx"]) {
    assert.is((await verydeep("convert", pathOf("caffe-new.caffemodel"), at(name))).code, 0);
  }
  assert.is((await verydeep("convert", at("x.onnx"), at("y.safetensors"))).code, 0);
  const tensors = async (file: string) => JSON.parse((await verydeep("inspect", at(file), "--json")).stdout).tensors;
  assert.equal(await tensors("y.safetensors"), await tensors("x.safetensors"));
});

const before = "an old file";
for (const [from, to, options, expected, code] of [
  [pathOf("torchvision.pth"), "out.bin", [], "saveNet: the file's name tells no format that can be written", 2],
  [pathOf("torchvision.pth"), "out.onnx", ["--to-dtype", "int8"], "saveNet: only safetensors store int8", 2],
  [pathOf("torchvision.pth"), "out.onnx", ["--to-dtype", "f8"], "verydeep: there is no such type (--to-dtype f8)", 2],
  [pathOf("torchvision.pth"), "Model.json", [], "saveNet: the file's name tells no format that can be written", 2],
  [pathOf("torchvision.pth"), path.join("no", "out.onnx"), [], "the folder does not exist", 2],
  ["missing.pth", "out.onnx", [], "load: the file does not exist (path missing.pth)", 1],
  [pathOf("torchvision.pth"), "out.onnx", ["--config", "nonsense"], "there is no such net", 2],
] as const) {
  test(`${path.basename(from)} to ${to} ${options.join(" ")}: refused, and the old file is whole`, async () => {
    const file = at(to);
    const exists = path.dirname(to) === ".";
    if (exists) writeFileSync(file, before);
    const run = await verydeep("convert", from, file, ...options);
    assert.equal([run.code, run.stdout], [code, ""]);
    assert.ok(run.stderr.includes(expected), run.stderr);
    assert.is(run.stderr.trimEnd().split("\n").length, 1);
    if (exists) assert.is(readFileSync(file, "utf8"), before);
  });
}

test.after(() => rmSync(folder, { recursive: true }));
test.run();
