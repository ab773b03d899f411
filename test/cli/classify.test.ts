/** `verydeep classify` with all its options, against the library's own answers. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runCommandLine } from "#src/cli/program.js";
import type { LoadOptions } from "#src/load.js";
import { load } from "#src/load.js";
import { capture } from "./capture.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const formats = path.join(root, "test/fixtures/formats");
const TORCH = path.join(formats, "torchvision.pth");
const PACKAGE = path.join(root, "weights/shapes-vgg.safetensors");

/** Pictures of a folder: two at its top, one below, and a file that is none. */
const folder = mkdtempSync(path.join(tmpdir(), "verydeep-classify-"));
mkdirSync(path.join(folder, "pictures/more"), { recursive: true });
const pictures = path.join(folder, "pictures");
for (const [from, to] of [
  ["weights/pictures/heart.png", "b.png"],
  ["test/fixtures/pictures/noise-444.jpg", "a.jpg"],
  ["weights/pictures/ring.png", "more/c.png"],
]) {
  copyFileSync(path.join(root, from), path.join(pictures, to));
}
writeFileSync(path.join(pictures, "note.txt"), "no picture");
const file = (name: string): string => path.join(pictures, name);
const write = (name: string, value: unknown): string => {
  const where = path.join(folder, name);
  writeFileSync(where, typeof value === "string" ? value : JSON.stringify(value));
  return where;
};

interface Found {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}
interface Told {
  readonly image: string;
  readonly predictions: { readonly label: string; readonly index: number; readonly probability: number }[];
  readonly error?: { readonly name: string; readonly message: string };
}

async function classify(args: readonly string[], isTTY = false): Promise<Found> {
  const { output, stdout, stderr } = capture(args.includes("--json"), isTTY);
  const code = await runCommandLine(["classify", ...args, "--tier", "plain"], output);
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

const told = ({ stdout }: Found): Told[] =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

/** What the library says of a picture, a class a time. */
async function expected(
  weights: string,
  picture: string,
  options: LoadOptions = {},
  how = {},
): Promise<Told["predictions"]> {
  const net = await load(weights, { tier: "plain", ...options });
  const found = await net.classify(picture, how);
  await net.close();
  return found;
}

function same(found: Told["predictions"], right: Told["predictions"]): void {
  assert.equal(
    found.map(({ label, index }) => [label, index]),
    right.map(({ label, index }) => [label, index]),
  );
  for (const [i, { probability }] of found.entries()) assert.ok(Math.abs(probability - right[i].probability) < 1e-5);
}

test("a folder, a pattern, a file: all pictures, by name", async () => {
  const all = told(await classify([pictures, path.join(pictures, "**/*.png"), file("a.jpg"), "--json", "--top", "1"]));
  assert.equal(
    all.map(({ image }) => path.relative(pictures, image).replaceAll("\\", "/")),
    ["a.jpg", "b.png", "b.png", "more/c.png", "a.jpg"],
  );
  assert.equal([all[1].predictions[0].label, all[3].predictions[0].label], ["heart", "ring"]);
  assert.equal(all[4].predictions, all[0].predictions);
});

test("plain lines: the picture, then a line a class", async () => {
  const { code, stdout, stderr } = await classify([file("b.png"), "--top", "2"]);
  assert.equal([code, stderr], [0, ""]);
  const [image, first, second, end] = stdout.split("\n");
  assert.equal([image, end], [file("b.png"), ""]);
  assert.match(first, /^ +\d+\.\d % {2}heart$/);
  assert.match(second, /^ +\d+\.\d % {2}\w+$/);
});

test("on a terminal there are bars, and only there", async () => {
  const { stdout } = await classify([file("b.png")], true);
  const lines = stripVTControlCharacters(stdout).trimEnd().split("\n");
  assert.is(lines.length, 6);
  for (const line of lines.slice(1)) {
    const [, percent, bar] = /^ +(\d+\.\d) % {2}([█▏▎▍▌▋▊▉ ]{30}) {2}\w+$/.exec(line) ?? [];
    assert.ok(bar !== undefined, line);
    // Thirty cells are all of it.
    const cells = Array.from(bar).filter((cell) => cell === "█").length;
    assert.ok(Math.abs(cells - (Number(percent) / 100) * 30) <= 1, line);
  }
  assert.not.ok((await classify([file("b.png")])).stdout.includes("█"));
});

test("--top, --scale, --crop: what the library says", async () => {
  for (const [args, how] of [
    [["--top", "3"], { top: 3 }],
    [["--scale", "100"], { scale: 100 }],
    [["--crop", "dense"], { crop: "dense" }],
    [["--crop", "centre"], {}],
    [["--crop", "dense", "--scale", "80"], { crop: "dense", scale: 80 }],
  ] as const) {
    const [{ predictions }] = told(await classify([file("a.jpg"), ...args, "--json"]));
    same(predictions, await expected(PACKAGE, file("a.jpg"), {}, how));
  }
});

test("--weights of another program, --labels, --preprocess, --linear-weights", async () => {
  const names = Array.from({ length: 7 }, (_, i) => `kind ${i}`);
  const labels = write("labels.json", names);
  const [{ predictions }] = told(
    await classify([file("b.png"), "--weights", TORCH, "--labels", labels, "--preprocess", "tf", "--json"]),
  );
  same(predictions, await expected(TORCH, file("b.png"), { classes: names, preprocessing: "tf" }));
  const onnx = path.join(formats, "exported.onnx");
  const guessed = await classify([file("b.png"), "--weights", onnx]);
  assert.is(guessed.stderr, "The file does not say how pictures are prepared: taken as unit (RGB in 0 to 1).\n");
  assert.is((await classify([file("b.png"), "--weights", onnx, "--preprocess", "torchvision"])).stderr, "");
  for (const [type, linearWeights] of [
    ["f16", "float16"],
    ["int8", "int8"],
  ] as const) {
    const found = told(await classify([file("b.png"), "--weights", TORCH, "--linear-weights", type, "--json"]));
    same(found[0].predictions, await expected(TORCH, file("b.png"), { linearWeights }));
  }
});

test("--config and --net: files of bare tensors", async () => {
  const [byConfig] = told(await classify([file("b.png"), "--weights", TORCH, "--config", "vgg16", "--json"]));
  same(byConfig.predictions, await expected(TORCH, file("b.png")));
  const net = await load(TORCH);
  const rows = net.layers.flatMap(({ kind, name, outChannels }): object[] => {
    if (kind === "conv") return [{ kind, name, outputs: outChannels, kernelSize: 3, padding: 1 }];
    if (kind === "linear") return [{ kind, name, outputs: outChannels }];
    return [kind === "pool" ? { kind, name, kernelSize: 2 } : { kind, name }];
  });
  await net.close();
  const description = write("net.json", { input: [3, 64, 64], layers: rows });
  const args = [file("b.png"), "--weights", TORCH, "--net", description, "--preprocess", "torchvision", "--json"];
  const [byNet] = told(await classify(args));
  same(byNet.predictions, byConfig.predictions);
});

for (const [what, args, code, text] of [
  ["another crop", ["--crop", "left"], 2, "verydeep: there is no such crop (--crop left). Use center or dense."],
  ["a scale of 0", ["--scale", "0"], 2, "(--scale 0)"],
  [
    "a type that is none",
    ["--linear-weights", "int4"],
    2,
    "verydeep: there is no such type (--linear-weights int4). Use f32, f16 or int8.",
  ],
  [
    "a preprocessing that is none",
    ["--preprocess", "x"],
    2,
    'load: there is no such preprocessing (preprocessing "x").',
  ],
  [
    "labels that are not there",
    ["--labels", "no.txt"],
    2,
    "verydeep: the file cannot be read (--labels no.txt, ENOENT). Check the path.",
  ],
  [
    "a description that is no JSON",
    ["--net", path.join(pictures, "note.txt")],
    1,
    "verydeep: the file is not JSON (file ",
  ],
  [
    "config and net",
    ["--config", "vgg16", "--net", write("tiny.json", { input: [3, 2, 2], layers: [{ kind: "flatten" }] })],
    2,
    "load: a config and a net are given (config vgg16). Give one of them.",
  ],
  ["labels that are too few", ["--labels", write("two.txt", "a\nb")], 2, "(names 2, outputs 10). Give one for each."],
  ["weights that are not there", ["--weights", "no.pth"], 1, "no.pth"],
  [
    "a scale below the input",
    ["--scale", "1"],
    2,
    "classify: the scale is not a whole number from the net's input to 10000 (scale 1, input ",
  ],
] as const) {
  test(`${what}: code ${code}, one line`, async () => {
    const { code: found, stdout, stderr } = await classify([file("b.png"), ...args]);
    assert.ok(stderr.includes(text), stderr);
    assert.equal([found, stdout, stderr.trimEnd().split("\n").length], [code, "", 1]);
  });
}

test("a bad picture among good ones: its error, the others' classes, code 1", async () => {
  const { code, stdout } = await classify([file("a.jpg"), file("note.txt"), file("b.png"), "--json"]);
  const lines: Told[] = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.is(code, 1);
  assert.equal(
    lines.map(({ error }) => error?.name),
    [undefined, "DataError", undefined],
  );
});

test("names of classes cannot write elsewhere on the terminal", async () => {
  const labels = write("evil.txt", Array.from({ length: 7 }, (_, i) => `\u001b]0;x\u0007${i}`).join("\n"));
  const { stdout } = await classify([file("b.png"), "--weights", TORCH, "--labels", labels]);
  assert.ok(!/[^\P{Cc}\n]/u.test(stdout) && stdout.includes("?]0;x?"), JSON.stringify(stdout));
  assert.ok(readFileSync(labels, "utf8").includes("\u001b"));
});

test.after(() => rmSync(folder, { recursive: true }));
test.run();
