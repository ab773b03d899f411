/** `verydeep convert`: what is written, what is told, and what is refused before anything is lost. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runCommandLine } from "#src/cli/program.js";
import { removeUnfinished, writeFileAtomically } from "#src/io/atomic-file.js";
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

if (process.platform === "win32") console.log("SKIPPED Ctrl-C: Windows has no signals between processes");
else {
  test("SIGINT while it reads: exit code 130, the old file is whole, nothing beside it", async () => {
    const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
    // Answers nothing, so that the conversion is under way for as long as the test likes.
    const server = createServer(() => undefined);
    const requested = once(server, "request");
    await once(server.listen(0, "127.0.0.1"), "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    const out = at("interrupted.onnx");
    writeFileSync(out, before);
    const child = spawn(process.execPath, [main, "convert", `http://127.0.0.1:${port}/a.pth`, out, "--json"]);
    let stdout = "";
    child.stdout.on("data", (data: Buffer) => {
      stdout += data.toString();
    });
    await requested;
    child.kill("SIGINT");
    const [code] = await once(child, "close");
    server.close();
    server.closeAllConnections();
    assert.equal([code, stdout], [130, '{"interrupted":true}\n']);
    assert.is(readFileSync(out, "utf8"), before);
    assert.equal(
      readdirSync(folder).filter((name) => name.endsWith(".tmp")),
      [],
    );
  });
}

test("what is being written goes when the process must end; the old file stays", async () => {
  const file = at("kept.onnx");
  writeFileSync(file, before);
  const temporaries = () => readdirSync(folder).filter((name) => name.endsWith(".tmp"));
  const seen: number[] = [];
  const failed = await writeFileAtomically("test", file, async (handle) => {
    await handle.writeFile("half of a new one");
    seen.push(temporaries().length);
    removeUnfinished();
    seen.push(temporaries().length);
  }).catch((error: unknown) => error);
  assert.equal(seen, [1, 0]);
  assert.instance(failed, Error);
  assert.is(readFileSync(file, "utf8"), before);
});

test.after(() => rmSync(folder, { recursive: true }));
test.run();
