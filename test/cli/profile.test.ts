/** `verydeep profile`, from outside: the table, the JSON object, the trace, what is refused, and Ctrl-C. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type MeasuredNet, profileLines } from "#src/cli/profile-table.js";
import { runCommandLine } from "#src/cli/program.js";
import type { KernelProfile } from "#src/profile/net-profile.js";
import { capture } from "./capture.js";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), "verydeep-profile-"));
test.after(() => rmSync(folder, { recursive: true }));

const MAX_COLUMNS = 120;

async function profile(json: boolean, ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { output, stdout, stderr } = capture(json);
  const code = await runCommandLine(["profile", ...args, ...(json ? ["--json"] : [])], output);
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

test("A at 32, batch 2: a line for each kernel, at most 120 columns, and a trace", async () => {
  const out = path.join(folder, "a.json");
  const { code, stdout, stderr } = await profile(
    false,
    ...`a --input 32 --batch 2 --threads 1 --runs 3 --out ${out}`.split(" "),
  );
  assert.equal([code, stderr], [0, ""]);
  const lines = stdout.trimEnd().split("\n");
  assert.match(lines[0], /^VGG A, forward, 2x3x32x32: 1 thread, tier \w+, Node /);
  assert.match(lines[1], /^layer +output +algorithm +ms +of all +GFLOP\/s +of peak +MB +GB\/s$/);
  assert.match(stdout, /^conv3_1 \+ relu +2x256x8x8 +\S.* +\d+\.\d+ +\d+\.\d % +\d+\.\d +\d+ % +\d+\.\d\d +\d+\.\d$/m);
  assert.match(stdout, /^conv1_1 \+ relu \+ maxPool2d +2x64x16x16 +\S.* +\d+\.\d+ +\d+\.\d % +\d+\.\d +\d+ % /m);
  assert.match(stdout, /^total +\d+\.\d+ +100\.0 % +/m);
  assert.match(
    stdout,
    /^\d+\.\d\d ms median, \d+\.\d\d ms least of 3 runs, .* peak of this machine \d+\.\d GFLOP\/s$/m,
  );
  assert.match(stdout, "Winograd needs fewer, so it may pass 100 % of the peak.");
  assert.match(stdout, "No line of their own: relu, pool, flatten, dropout: ");
  assert.is(lines.at(-1), `trace ${out}`);
  assert.ok(lines.slice(0, -1).every((line) => line.length <= MAX_COLUMNS));
  const { traceEvents, otherData } = JSON.parse(readFileSync(out, "utf8"));
  assert.ok(Array.isArray(traceEvents));
  assert.is(traceEvents[0].args.name, "verydeep A 2x3x32x32 forward");
  assert.ok(traceEvents.some(({ name, ph, dur }) => name === "fc8 linearForward" && ph === "X" && dur > 0));
  assert.is(otherData.threads, 1);
});

test("VGG-11 with batch norm, training: one object, each layer's phases as entries", async () => {
  const out = path.join(folder, "train.json");
  const { code, stdout, stderr } = await profile(
    true,
    ...`vgg11_bn --input 32 --threads 2 --tier plain --train --runs 2 --out ${out}`.split(" "),
  );
  assert.equal([code, stderr], [0, ""]);
  const { layers, msMedian, msMin, peakGflops, gflops, ...rest } = JSON.parse(stdout);
  assert.equal(rest, {
    ...{
      config: "A",
      input: 32,
      batch: 1,
      threads: 2,
      backend: "wasm",
      tier: "plain",
      train: true,
      runs: 2,
      trace: out,
    },
  });
  assert.ok(0 < msMin && msMin <= msMedian && gflops > 0 && peakGflops > 0);
  assert.ok(Array.isArray(layers));
  const ofConv = layers.filter(({ name }) => name === "features.4");
  assert.equal(
    ofConv.map(({ paperName, phase, kernels }) => [
      paperName,
      phase,
      kernels.map(({ kernel }: { kernel: string }) => kernel),
    ]),
    [
      ["conv2_1", "forward", ["conv2dForward"]],
      ["conv2_1", "backward", ["conv2dBackwardInput", "conv2dBackwardWeight", "conv2dBackwardBias"]],
      ["conv2_1", "update", ["sgd"]],
    ],
  );
  for (const { name, phase, algorithm, ms, gflops } of layers) {
    assert.ok(typeof algorithm === "string" && ms >= 0 && gflops >= 0, `${name} ${phase}`);
  }
  const sum = layers.reduce((total, { ms }) => total + ms, 0);
  assert.ok(sum > 0.2 * msMedian && sum < 2 * msMedian, `${sum} of ${msMedian} ms`);
});

test("nets with branches, auxiliary outputs and score maps", async () => {
  for (const args of ["googlenet --input 64 --train", "fcn32s --input 1 --train"]) {
    const out = path.join(folder, "other.json");
    const { code, stdout, stderr } = await profile(false, ...`${args} --runs 1 --out ${out}`.split(" "));
    assert.equal([code, stderr], [0, ""], args);
    const lines = stdout.trimEnd().split("\n").slice(0, -1);
    assert.equal(
      lines.filter((line) => line.length > MAX_COLUMNS),
      [],
      args,
    );
    assert.match(stdout, /^update +\d+\.\d+ /m);
  }
});

test("names that are too long for 120 columns lose their beginning", () => {
  const name = `part.${"inner.".repeat(20)}conv`;
  const kernel: KernelProfile = {
    ...{ phase: "forward", module: name, op: "conv2d + relu", kernel: "conv2dForward", algorithm: "im2col" },
    ...{ writes: "y", outputShape: "1x64x224x224", ms: 1, flops: 1e6, bytes: 1e6 },
  };
  const net: MeasuredNet = { kernels: [kernel], msMedian: 1, peakGflops: 2, paperNames: new Map() };
  const lines = profileLines(net).map(({ text }) => text);
  assert.is(Math.max(...lines.map((line) => line.length)), MAX_COLUMNS);
  assert.match(
    lines[1],
    /^ {2}…\S*inner\.conv \+ relu +1x64x224x224 +im2col +1\.000 +100\.0 % +1\.0 +50 % +1\.00 +1\.0$/,
  );
});

const WRONG: [args: string, code: number, message: string][] = [
  ["F", 2, 'verydeep profile: there is no such net (net "F"). Use one of A, A-LRN, B, C, D, E, shallow, vgg11, '],
  ["A --input 33", 2, "vgg: the input size is not a multiple of 32 (inputSize 33)."],
  ["A --batch 0", 2, "verydeep: not a whole number from 1 to 65536 (--batch 0)."],
  ["A --runs 1.5", 2, "verydeep: not a whole number from 1 to 10000 (--runs 1.5)."],
  ["A --threads x", 2, "verydeep: not a whole number from 1 to 256 (--threads x)."],
  ["A --tier fast", 2, "verydeep: unknown tier (--tier fast). Use auto, plain, relaxed, turbo."],
  [
    "A --tier plain --turbo",
    2,
    "verydeep: two tiers are asked for (--turbo beside --tier plain). Leave one of them out.",
  ],
  ["A --out nofolder/", 2, "verydeep profile: the path names a folder, not a file (path nofolder/). Add a file name."],
  ["A --colour", 2, "verydeep: unknown option (--colour)."],
  ["", 2, "verydeep: an argument is missing (net)."],
  ["A --batch 65536 --threads 1", 1, "wasm: memory is full (input needs 39461 MB, in use 0 kB of 4295 MB)."],
  ["E --train --batch 512 --threads 1", 1, "wasm: memory is full ("],
];

test("what is refused: one line, no trace", async () => {
  const out = path.join(folder, "none.json");
  for (const [args, code, message] of WRONG) {
    const words = args.split(" ").filter((word) => word !== "");
    const result = await profile(false, ...(args.includes("--out") ? words : [...words, "--out", out]));
    assert.equal([result.code, result.stdout], [code, ""], args);
    assert.ok(result.stderr.includes(message), `${args}: ${result.stderr}`);
    assert.is(result.stderr.trimEnd().split("\n").length, 1, args);
  }
  assert.not.ok(existsSync(out));
});

if (process.platform === "win32") console.log("SKIPPED Ctrl-C: Windows has no signals between processes");
else {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    test(`${signal} in a run: exit code ${code}, no trace, nothing left`, async () => {
      const out = path.join(folder, `${signal}.json`);
      const args = [main, "profile", "A", "--input", "32", "--runs", "10000", "--json", "--out", out];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
      let stdout = "";
      let stderr = "";
      child.stdout.on("data", (data: Buffer) => {
        stdout += data.toString();
      });
      child.stderr.on("data", (data: Buffer) => {
        stderr += data.toString();
      });
      const ended = new Promise<number | null>((resolve) => {
        child.on("close", resolve);
      });
      // Past the start of Node and the creation of the engine.
      await new Promise((resolve) => setTimeout(resolve, 2500));
      child.kill(signal);
      assert.is(await ended, code);
      assert.equal([stdout, stderr], ['{"interrupted":true}\n', ""]);
      assert.not.ok(existsSync(out));
    });
  }
}

test.run();
