import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runCommandLine } from "#src/cli/program.js";
import { describeHost } from "#src/engine.js";
import { NET_NAMES, netLayers } from "#src/models/nets.js";
import { vggLayers, vggTotals } from "#src/models/vgg-config.js";
import { capture } from "./capture.js";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const standIn = fileURLToPath(new URL("./stand-in.ts", import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), "verydeep-cli-"));
const ESCAPE = "\u001b";

interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

type Watch = (child: ReturnType<typeof spawn>, text: string) => void;

/** Sends a signal as soon as the program has said something, once. */
function once(said: string, signal: NodeJS.Signals): Watch {
  let sent = false;
  return (child, text) => {
    if (sent || !text.includes(said)) return;
    sent = true;
    child.kill(signal);
  };
}

/** Runs a program; `watch` sees all that it has said so far, whenever it says more. */
function run(args: string[], env: Record<string, string> = {}, watch?: Watch): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (data: Buffer) => {
      stdout += data.toString();
      watch?.(child, stdout + stderr);
    });
    child.stderr.on("data", (data: Buffer) => {
      stderr += data.toString();
      watch?.(child, stdout + stderr);
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

const verydeep = (...args: string[]): Promise<Result> => run([main, ...args]);
const stand = (...args: string[]): string[] => ["--import", "tsx", standIn, ...args];
const jsonLines = (text: string): unknown[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

test("help and version", async () => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  assert.equal(await verydeep("--version"), { code: 0, stdout: `${version}\n`, stderr: "" });
  for (const args of [[], ["--help"], ["help"]]) {
    const { code, stdout, stderr } = await verydeep(...args);
    assert.equal([code, stderr], [0, ""]);
    for (const command of ["train", "classify", "summary", "profile"]) assert.match(stdout, command);
  }
  const { stdout } = await verydeep("train", "--help");
  for (const flag of [
    "--config",
    "--data",
    "--epochs",
    "--batch",
    "--lr",
    "--width",
    "--seed",
    "--threads",
    "--backend",
    "--out",
    "--json",
  ]) {
    assert.match(stdout, flag);
  }
});

test("summary for people: plain in a pipe, with totals", async () => {
  const { code, stdout, stderr } = await verydeep("summary", "vgg16");
  assert.equal([code, stderr], [0, ""]);
  assert.not.match(stdout, ESCAPE);
  assert.match(stdout, "VGG D, input 3x224x224, 1,000 classes\n");
  assert.match(stdout, /^fc6 +classifier\.0 +linear +4096 +102,764,544 +102,760,448$/m);
  assert.match(stdout, "138,357,544 parameters (553.4 MB as float32), 15,470,264,320 MACs a picture\n");
  assert.match(
    stdout,
    /^Training: up to [1-9]\d* pictures at once fit, in \d\.\d\d GiB \(SGD with momentum; \d\.\d\d GiB of tensor memory, \d+ threads?\)$/m,
  );
});

test("summary without a net: all of them, with counts", async () => {
  const { code, stdout, stderr } = await verydeep("summary");
  assert.equal([code, stderr], [0, ""]);
  assert.match(stdout, /^vgg16_bn +224 +138,365,992 +15,470,264,320 {2}VGG D with batch norm$/m);
  assert.match(stdout, /^alexnet +227 +60,965,224 +724,406,816 {2}Krizhevsky et al\. 2012, two groups, LRN$/m);
  assert.is(stdout.trimEnd().split("\n").length, 1 + 7 + 4 + NET_NAMES.length);
  const json = await verydeep("summary", "--json");
  const [listed, ...rest] = jsonLines(json.stdout);
  assert.equal(rest, []);
  assert.ok(typeof listed === "object" && listed !== null && "nets" in listed && Array.isArray(listed.nets));
  assert.is(listed.nets.length, 11 + NET_NAMES.length);
  assert.equal(listed.nets[0], {
    ...{ net: "vgg11", about: "VGG A", inputSize: 224, params: 132_863_336, macs: 7_609_090_048 },
  });
});

test("summary of a net that is no VGG: kinds with strides and groups, one name a layer", async () => {
  const { code, stdout, stderr } = await verydeep("summary", "AlexNet", "--classes", "10");
  assert.equal([code, stderr], [0, ""]);
  assert.match(stdout, "alexnet: Krizhevsky et al. 2012, two groups, LRN, input 3x227x227, 10 classes\n");
  assert.match(stdout, /^conv1 +conv 11x11\/4 +96x55x55 +34,944 +105,415,200$/m);
  assert.match(stdout, /^conv2 +conv 5x5 g2 +256x27x27 +307,456 +223,948,800$/m);
  assert.match(stdout, /^pool5 +pool 3x3\/2 +256x6x6 +- +-$/m);
  const json = await verydeep("summary", "fcn8s", "--input", "50", "--json");
  const [shown] = jsonLines(json.stdout);
  assert.ok(typeof shown === "object" && shown !== null && "layers" in shown && Array.isArray(shown.layers));
  assert.is(shown.layers.length, netLayers("fcn8s").length);
  assert.equal(shown.layers.at(-1), { name: "score", kind: "crop", outputShape: [21, 50, 50], params: 0, macs: 0 });
});

test("summary --batch-norm and vgg16_bn are the same", async () => {
  const flag = await verydeep("summary", "D", "--batch-norm");
  assert.equal(flag, await verydeep("summary", "vgg16_bn"));
  assert.match(flag.stdout, "VGG D with batch norm, input 3x224x224, 1,000 classes\n");
  assert.match(flag.stdout, /^bn1_1 +features\.1 +batchNorm +64x224x224 +128 +-$/m);
});

test("summary for programs: one object", async () => {
  const { code, stdout, stderr } = await verydeep("summary", "a-lrn", "--input", "64", "--classes", "10", "--json");
  assert.equal([code, stderr], [0, ""]);
  const layers = vggLayers("A-LRN", { inputSize: 64, classes: 10 });
  const wanted = layers.map(({ name, kind, outShape, params, macs }) => ({
    name,
    kind,
    outputShape: outShape,
    params,
    macs,
  }));
  const shown = jsonLines(stdout);
  const { training } = Object(shown[0]);
  assert.equal(shown, [{ config: "A-LRN", ...vggTotals(layers), training, layers: wanted }]);
  const { largestBatch, bytes, memoryMaxBytes, threads } = training;
  assert.ok(largestBatch > 100 && Number.isInteger(largestBatch), `${largestBatch}`);
  assert.ok(bytes > vggTotals(layers).params * 12 && bytes <= memoryMaxBytes, `${bytes}`);
  assert.ok(threads >= 1);
});

const seeHelp = "Run it with --help to see what it takes.";
const WRONG: [args: string, message: string][] = [
  [
    "summary F",
    'verydeep summary: there is no such net (net "F"). Use one of A, A-LRN, B, C, D, E, shallow, vgg11, vgg13, vgg16, vgg19, vgg11_bn, ',
  ],
  ["summary D --input 225", "vgg: the input size is not a multiple of 32 (inputSize 225)."],
  [
    "summary D --input 64.0",
    "verydeep: not a whole number from 1 to 32768 (--input 64.0). Pass one, such as --input 2.",
  ],
  [
    "summary D --classes 0",
    "verydeep: not a whole number from 1 to 10000000 (--classes 0). Pass one, such as --classes 2.",
  ],
  [
    "summary nin --batch-norm",
    "verydeep summary: only VGG nets take batch normalisation (net nin). Leave --batch-norm out.",
  ],
  ["summary zfnet --input 9", "zfnet: the picture is too small (x of "],
  ["summary D --classes", `verydeep: an option has no value (--classes <n>). ${seeHelp}`],
  ["summary D --colour", `verydeep: unknown option (--colour). ${seeHelp}`],
  ["summary D --jsn", `verydeep: unknown option (--jsn). Did you mean --json? ${seeHelp}`],
  ["help nope", `verydeep: unknown command (nope). ${seeHelp}`],
  ["train --out nofolder/", "verydeep train: the path names a folder, not a file (path nofolder/). Add a file name."],
  ["summry D", `verydeep: unknown command (summry). Did you mean summary? ${seeHelp}`],
  ["train --epochs x", "verydeep: not a whole number from 1 to 100000 (--epochs x). Pass one, such as --epochs 2."],
  ["train --epochs -1", "(--epochs -1)"],
  ["train --epochs 0", "(--epochs 0)"],
  ["train --epochs 1e3", "(--epochs 1e3)"],
  ["train --batch 0x10", "verydeep: not a whole number from 1 to 65536 (--batch 0x10)."],
  ["train --threads 0", "verydeep: not a whole number from 1 to 256 (--threads 0)."],
  ["train --threads 10000", "(--threads 10000)"],
  ["train --lr 0", "verydeep: not a number above 0 and at most 100 (--lr 0). Pass one, such as --lr 0.1."],
  ["train --lr NaN", "(--lr NaN)"],
  ["train --lr Infinity", "(--lr Infinity)"],
  ["train --width 0,5", "verydeep: not a number above 0 and at most 16 (--width 0,5)."],
  ["train --seed 1.5", "verydeep: not a whole number from 0 to 4294967295 (--seed 1.5)."],
  ["train --backend gpu", "verydeep: unknown backend (--backend gpu). Use auto, wasm, webgpu or reference."],
  ["train --tier nope", "verydeep: unknown tier (--tier nope). Use auto, plain, relaxed, turbo."],
  [
    "classify a.png --turbo --tier plain",
    "verydeep: two tiers are asked for (--turbo beside --tier plain). Leave one of them out.",
  ],
  [
    "train --backend reference --turbo --no-run",
    "createEngine: the reference backend has no tiers (tier turbo). Leave tier out.",
  ],
  ["train --config F", 'vgg: there is no such net (config "F").'],
  ["train extra", "verydeep: too many arguments for 'train'."],
  ["classify", `verydeep: an argument is missing (picture). ${seeHelp}`],
  ["classify a.png --top 0", "(--top 0)"],
];

test("called wrongly: exit code 2, one line on stderr; under --json one object on stdout", async () => {
  for (const [args, message] of WRONG) {
    const plain = capture(false);
    assert.is(await runCommandLine(args.split(" "), plain.output), 2, args);
    assert.is(plain.stdout.text(), "", args);
    assert.ok(plain.stderr.text().includes(message), `${args}: ${plain.stderr.text()}`);
    assert.is(plain.stderr.text().trimEnd().split("\n").length, 1, args);
    const json = capture(true);
    assert.is(await runCommandLine(args.replace(" ", " --json ").split(" "), json.output), 2, args);
    assert.is(json.stderr.text(), "");
    assert.equal(jsonLines(json.stdout.text()).length, 1);
  }
});

test("called wrongly, from outside", async () => {
  const message = `verydeep summary: there is no such net (net "F"). Use one of ${[
    ...["A", "A-LRN", "B", "C", "D", "E", "shallow", "vgg11", "vgg13", "vgg16", "vgg19"],
    ...["vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"],
    ...NET_NAMES,
  ].join(", ")}.`;
  assert.equal(await verydeep("summary", "F"), { code: 2, stdout: "", stderr: `${message}\n` });
  const json = await verydeep("summary", "F", "--json");
  assert.equal([json.code, json.stderr], [2, ""]);
  assert.equal(jsonLines(json.stdout), [{ error: { name: "UsageError", message } }]);
});

test("VERYDEEP_DEBUG=1 shows where an error comes from", async () => {
  const { stderr } = await run([main, "summary", "F"], { VERYDEEP_DEBUG: "1" });
  assert.match(stderr, /^UsageError: verydeep summary: .*\n +at /m);
});

test("info: for people, and as one object", async () => {
  const json = await verydeep("info", "--json");
  assert.equal([json.code, withoutDrivers(json.stderr)], [0, ""]);
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const facts = await describeHost();
  const info = JSON.parse(json.stdout);
  assert.equal(info, {
    version,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    cpu: cpus()[0].model.trim(),
    ...facts,
    webgpu: info.webgpu,
  });
  const { available, adapter, backend, reason } = info.webgpu;
  assert.is(available, adapter !== null);
  assert.ok(backend === "webgpu" || (backend === "wasm" && reason !== ""), backend);
  if (adapter?.software) assert.is(backend, "wasm");
  assert.is(facts.tiers[0], "plain");
  assert.ok(facts.tiers.includes(facts.tier) && facts.tier !== "turbo");
  assert.ok(facts.threads >= 1 && facts.memoryMaxBytes >= 2 ** 29);
  const { stdout } = await verydeep("info");
  assert.not.match(stdout, ESCAPE);
  const names = facts.tiers.map((tier) => (tier === facts.tier ? `${tier} (default)` : tier));
  assert.ok(stdout.includes(`\ntiers     ${names.join(", ")}\nthreads   ${facts.threads}\n`), stdout);
  assert.match(
    stdout,
    available ? /^webgpu {4}\S.*(taken for nets from|not taken by itself: )/m : /^webgpu {4}no: \S/m,
  );
});

/** What Vulkan and its drivers say of themselves where the package webgpu is installed. */
function withoutDrivers(stderr: string): string {
  return stderr.replace(/^(Warning: (max|vk)|error: XDG| {4}at ).*\n/gm, "");
}

test("a reader that stops reading (| head): quiet, no error", async () => {
  const result = await new Promise<Result>((resolve, reject) => {
    const child = spawn(process.execPath, [main, "summary", "E"], { stdio: ["ignore", "pipe", "pipe"] });
    let stderr = "";
    child.stdout.destroy();
    child.stderr.on("data", (data: Buffer) => {
      stderr += data.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout: "", stderr }));
  });
  assert.equal([result.code, result.stderr], [0, ""]);
});

test("train: plain lines in a pipe", async () => {
  const out = path.join(folder, "plain");
  const { code, stdout, stderr } = await run(stand(out));
  assert.equal([code, stderr], [0, ""]);
  assert.not.match(stdout, ESCAPE);
  const lines = stdout.trimEnd().split("\n");
  assert.equal(lines.slice(0, 5), [
    "net       VGG A, width 1, input 3x32x32: 1,234 parameters",
    "data      stand-in: 40 to learn, 4 to validate, 4 to test, 2 classes",
    "run       2 epochs, batch 10, lr 0.1, seed 1, wasm plain, 2 threads",
    "epoch 1/2  loss 0.5000  val top-1 75.0 % top-5 100.0 %  1,235 img/s  0.6 s",
    "epoch 2/2  loss 0.5000  val top-1 75.0 % top-5 100.0 %  1,235 img/s  0.6 s",
  ]);
  assert.match(lines[5], /^test {6}top-1 50\.0 %, top-5 100\.0 %, \d+\.\d s in all$/);
  assert.is(lines[6], `weights   ${out}`);
  assert.is(readFileSync(out, "utf8"), "after 8 steps");
});

test("train --json: one object an epoch and one at the end", async () => {
  const out = path.join(folder, "json");
  const { code, stdout, stderr } = await run(stand(out, "--json"));
  assert.equal([code, stderr], [0, ""]);
  const [first, second, done, ...rest] = jsonLines(stdout);
  assert.equal(first, { epoch: 1, step: 4, trainLoss: 0.5, valTop1: 0.75, imagesPerSecond: 1234.5, seconds: 0.6 });
  assert.equal(second, { epoch: 2, step: 8, trainLoss: 0.5, valTop1: 0.75, imagesPerSecond: 1234.5, seconds: 0.6 });
  assert.ok(typeof done === "object" && done !== null && "seconds" in done && typeof done.seconds === "number");
  assert.equal(
    { ...done, seconds: 0 },
    { done: true, testTop1: 0.5, testTop5: 1, seconds: 0, weights: out, run: null },
  );
  assert.equal(rest, []);
});

test("train that diverges in epoch 2: exit code 1, the error, the weights of epoch 1 kept", async () => {
  const out = path.join(folder, "diverged");
  const { code, stdout, stderr } = await run(stand(out, "--diverge"));
  assert.is(code, 1);
  assert.match(stdout, "epoch 1/2");
  assert.is(stderr, "train: the loss is not finite (step 6, loss NaN). Try a smaller --lr.\n");
  assert.is(readFileSync(out, "utf8"), "after 4 steps");
});

if (process.platform === "win32") console.log("SKIPPED Ctrl-C: Windows has no signals between processes");
else {
  test("Ctrl-C in mid-epoch: finishes the step, saves, exit code 130", async () => {
    const out = path.join(folder, "interrupted");
    const { code, stdout, stderr } = await run(stand(out, "--slow"), {}, once("epoch 1/2", "SIGINT"));
    assert.is(code, 130);
    assert.match(stderr, "Stopping after this step. Press Ctrl-C again to stop at once, without saving.\n");
    assert.match(stdout, `stopped   in epoch 2 after step 5; weights in ${out}\n`);
    assert.is(readFileSync(out, "utf8"), "after 5 steps");
  });

  test("Ctrl-C in the first epoch leaves a file of before as it was, and saves beside it", async () => {
    const out = path.join(folder, "earlier.safetensors");
    const beside = path.join(folder, "earlier.interrupted.safetensors");
    writeFileSync(out, "a good net");
    const { code, stdout } = await run(stand(out, "--first"));
    assert.is(code, 130);
    assert.match(stdout, `stopped   in epoch 1 after step 2; weights in ${beside}\n`);
    assert.is(readFileSync(out, "utf8"), "a good net");
    assert.is(readFileSync(beside, "utf8"), "after 2 steps");
  });

  test("Ctrl-C before the first step: nothing to save", async () => {
    const out = path.join(folder, "early");
    const { code, stdout, stderr } = await run(stand(out, "--early", "--json"));
    assert.equal([code, stderr], [130, ""]);
    assert.equal(jsonLines(stdout), [{ interrupted: true, epoch: 0, step: 0, weights: null, run: null }]);
    assert.not.ok(existsSync(out));
  });

  test("a second Ctrl-C: at once, without saving, exit code 130", async () => {
    const out = path.join(folder, "twice");
    const first = once("epoch 1/2", "SIGINT");
    const second = once("Stopping", "SIGINT");
    const { code, stdout } = await run(stand(out, "--slow"), {}, (child, text) => {
      first(child, text);
      second(child, text);
    });
    assert.is(code, 130);
    assert.not.match(stdout, "stopped");
    assert.is(readFileSync(out, "utf8"), "after 4 steps");
  });

  test("SIGTERM: saves too, exit code 143", async () => {
    const out = path.join(folder, "terminated");
    const { code } = await run(stand(out, "--slow", "--json"), {}, once('"epoch":1', "SIGTERM"));
    assert.is(code, 143);
    assert.is(readFileSync(out, "utf8"), "after 5 steps");
  });
}

test("train whose output cannot be written fails before it begins", async () => {
  const { code, stdout, stderr } = await run(stand(path.join(folder, "no", "weights")));
  assert.equal([code, stdout], [1, ""]);
  assert.is(
    stderr,
    `verydeep train: the folder does not exist (folder ${path.join(folder, "no")}). Create it first, or choose another path.\n`,
  );
});

test.after(() => rmSync(folder, { recursive: true, force: true }));

test.run();
