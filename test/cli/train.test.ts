import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readMetadata } from "#src/io/checkpoint.js";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const picture = fileURLToPath(new URL("../fixtures/pictures/rgb.png", import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), "verydeep-train-"));
const weights = path.join(folder, "weights.safetensors");
const SMALL = ["--data", "shapes:300", "--width", "0.05", "--threads", "2", "--no-run"];

interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

function verydeep(...args: string[]): Promise<Result> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

const jsonLines = (text: string): Record<string, unknown>[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

test("train --json, then classify with the file it wrote, ends by itself", async () => {
  const { code, stdout, stderr } = await verydeep("train", ...SMALL, "--epochs", "2", "--out", weights, "--json");
  assert.equal([code, stderr], [0, ""]);
  const [first, second, done] = jsonLines(stdout);
  assert.equal(Object.keys(first), ["epoch", "step", "trainLoss", "valTop1", "imagesPerSecond", "seconds"]);
  assert.equal([first.epoch, second.epoch], [1, 2]);
  assert.equal(Object.keys(done), ["done", "testTop1", "testTop5", "seconds", "weights", "run"]);
  assert.equal([done.done, done.weights], [true, weights]);
  const about = await readMetadata(weights);
  assert.equal([about.config, about.inputSize, about.width, about.classes.length], ["A", 32, 0.05, 10]);

  const classified = await verydeep(
    "classify",
    picture,
    "nothing.png",
    picture,
    "--weights",
    weights,
    "--top",
    "3",
    "--json",
  );
  assert.equal([classified.code, classified.stderr], [1, ""]);
  const [one, bad, other] = jsonLines(classified.stdout);
  assert.equal(Object.keys(one), ["image", "predictions"]);
  assert.ok(Array.isArray(one.predictions) && one.predictions.length === 3);
  assert.equal(Object.keys(one.predictions[0]), ["label", "index", "probability"]);
  assert.equal(bad.error, {
    name: "DataError",
    message: "readPicture: the file does not exist (path nothing.png). Check the path.",
  });
  assert.equal(other, one);
});

test("classify with a file that is damaged, missing, or none", async () => {
  const damaged = path.join(folder, "damaged");
  await verydeep("train", ...SMALL, "--epochs", "1", "--out", damaged);
  truncateSync(damaged, 9000);
  const text = path.join(folder, "text");
  writeFileSync(text, "no weights at all");
  for (const [file, message] of [
    [damaged, "is truncated"],
    [text, "is of no known format (17 bytes, the first 6e 6f 20 77 65 69 67 68)"],
    [path.join(folder, "no"), "load: the file does not exist"],
  ]) {
    const { code, stdout, stderr } = await verydeep("classify", picture, "--weights", file);
    assert.equal([code, stdout], [1, ""]);
    assert.ok(stderr.includes(message), stderr);
    assert.is(stderr.trimEnd().split("\n").length, 1);
  }
});

test("data that is not there", async () => {
  const missing = path.join(folder, "no");
  for (const data of ["nonsense", `cifar10:${missing}`]) {
    const { code, stdout, stderr } = await verydeep("train", "--data", data, "--out", weights);
    assert.ok(code === 1 || code === 2, String(code));
    assert.is(stdout, "");
    assert.is(stderr.trimEnd().split("\n").length, 1, stderr);
    assert.ok(stderr.includes(data === "nonsense" ? data : missing), stderr);
  }
});

if (process.platform === "win32") console.log("SKIPPED Ctrl-C on a real run: Windows has no signals between processes");
else {
  test("Ctrl-C on a real run: saves weights that classify can read, exit code 130", async () => {
    const out = path.join(folder, "interrupted");
    const child = spawn(process.execPath, [main, "train", ...SMALL, "--epochs", "1000", "--out", out], {
      stdio: "pipe",
    });
    let stdout = "";
    let interrupted = false;
    child.stdout.on("data", (data: Buffer) => {
      stdout += data.toString();
      if (interrupted || !stdout.includes("epoch    2/1000")) return;
      interrupted = true;
      child.kill("SIGINT");
    });
    const code = await new Promise((resolve) => child.on("close", resolve));
    assert.is(code, 130);
    assert.match(stdout, /stopped {3}in epoch \d+ after step \d+; weights in /);
    assert.is((await verydeep("classify", picture, "--weights", out)).code, 0);
  });
}

test.after(() => rmSync(folder, { recursive: true, force: true }));

test.run();
