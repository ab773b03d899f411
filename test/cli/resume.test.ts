/** Runs that are stopped and taken up, and the recipe of several, through the program itself. */
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { describeHost } from "#src/engine.js";
import { openSafetensors } from "#src/io/safetensors.js";
import { torchFile } from "../helpers/torch-writer.js";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const kills = fileURLToPath(new URL("../../scripts/long/kill-resume.js", import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), "verydeep-resume-"));
const SMALL = ["--data", "shapes:200", "--width", "0.05", "--classifier", "8", "--epochs", "3", "--batch", "16"];

interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

function verydeep(...args: string[]): Promise<Result> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { cwd: folder }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

const hashOf = (file: string): string =>
  createHash("sha256")
    .update(readFileSync(path.join(folder, file)))
    .digest("hex");
const requestOf = (run: string): { tier: string } =>
  JSON.parse(readFileSync(path.join(folder, run, "config.json"), "utf8")).request;
const inFolder = (...names: string[]): string => path.join(folder, ...names);

test("a run keeps its folder, under a new name where that is taken; --no-run keeps none", async () => {
  for (const name of ["runs/kept", "runs/kept-2"]) {
    const { code, stdout } = await verydeep("train", ...SMALL, "--epochs", "1", "--out", "kept.safetensors");
    assert.is(code, 0, stdout);
    assert.match(stdout, `run       ${path.normalize(name)}`);
    for (const file of [
      "config.json",
      "records.jsonl",
      "result.json",
      "best.safetensors",
      "curves.svg",
      "curves.png",
      "summary.html",
    ]) {
      assert.ok(existsSync(inFolder(name, file)), `${name}/${file}`);
    }
    assert.is(readdirSync(inFolder(name, "checkpoints")).length, 1);
  }
  const before = readdirSync(inFolder("runs")).length;
  assert.is((await verydeep("train", ...SMALL, "--epochs", "1", "--no-run")).code, 0);
  assert.is(readdirSync(inFolder("runs")).length, before);
  const again = await verydeep("train", "--resume", "runs/kept");
  assert.equal([again.code, again.stderr], [0, ""]);
  assert.match(again.stdout, /^done {6}the run in runs.kept ended before; its weights are in /);
});

test("other pictures than the run began with", async () => {
  assert.is((await verydeep("train", ...SMALL, "--epochs", "1", "--run", "runs/other")).code, 0);
  rmSync(inFolder("runs/other/result.json"));
  const config = inFolder("runs/other/config.json");
  writeFileSync(config, readFileSync(config, "utf8").replace('"train": 150', '"train": 151'));
  const { code, stdout, stderr } = await verydeep("train", "--resume", "runs/other");
  const message =
    "train: the pictures are not those that the run began with (train 151, now 150). Bring them back, or begin a new run.";
  assert.equal([code, stdout, stderr.trimEnd()], [1, "", message]);
});

test("a run that was ended after its last epoch writes its weights when it goes on", async () => {
  assert.is(
    (await verydeep("train", ...SMALL, "--epochs", "1", "--run", "runs/late", "--out", "late.safetensors")).code,
    0,
  );
  const hash = hashOf("late.safetensors");
  rmSync(inFolder("runs/late/result.json"));
  rmSync(inFolder("late.safetensors"));
  assert.is((await verydeep("train", "--resume", "runs/late")).code, 0);
  assert.is(hashOf("late.safetensors"), hash);
});

test("a run goes on in the tier that computed it, unless another is asked for, and says so where that changes bits", async () => {
  const place = ["--run", "runs/tier", "--out", "tier.safetensors"];
  const { code, stdout, stderr } = await verydeep("train", ...SMALL, "--epochs", "1", "--tier", "relaxed", ...place);
  assert.is(code, 0, stderr);
  assert.match(stdout, /^run .* wasm relaxed, \d+ threads?$/m);
  assert.is(requestOf("runs/tier").tier, "relaxed");
  const goOn = (...args: string[]): Promise<Result> => {
    rmSync(inFolder("runs/tier/result.json"), { force: true });
    return verydeep("train", "--resume", "runs/tier", ...args);
  };
  const again = await goOn();
  assert.match(again.stdout, /^run .* wasm relaxed, /m);
  assert.not.match(again.stdout, "other bits");
  const plain = await goOn("--tier", "plain");
  assert.match(plain.stdout, /^run .* wasm plain, /m);
  assert.match(
    plain.stdout,
    /^note {6}goes on in tier plain, was computed in relaxed: other bits than without the stop$/m,
  );
  // The newest checkpoint says what the run was last computed in.
  const last = await goOn();
  assert.match(last.stdout, /^run .* wasm plain, /m);
  assert.not.match(last.stdout, "other bits");
});

test("tier auto is kept as what it was; one that cannot run here is an error that says so", async () => {
  assert.is((await verydeep("train", ...SMALL, "--epochs", "1", "--run", "runs/auto")).code, 0);
  const { tier } = await describeHost();
  assert.is(requestOf("runs/auto").tier, tier);
  const config = inFolder("runs/auto/config.json");
  writeFileSync(config, readFileSync(config, "utf8").replace(`"tier": "${tier}"`, '"tier": "turbo"'));
  for (const file of ["checkpoints", "result.json"]) rmSync(inFolder("runs/auto", file), { recursive: true });
  const { code, stdout, stderr } = await verydeep("train", "--resume", "runs/auto");
  const { tiers } = await describeHost();
  if (tiers.includes("turbo")) {
    assert.match(stdout, /^run .* wasm turbo, /m);
    return;
  }
  assert.equal([code, stdout], [2, ""]);
  assert.match(
    stderr,
    /^train: a run goes on in the tier that computed it, unless --tier names another\. wasm: the turbo tier cannot run here: .* Use tier relaxed, which gives the same bits, or plain\.\n$/,
  );
  assert.is((await verydeep("train", "--resume", "runs/auto", "--tier", "relaxed")).code, 0);
});

test("what cannot be resumed, and what may not stand beside --resume", async () => {
  for (const [args, code, message] of [
    [
      ["--resume", "nothing"],
      2,
      "run folder: there is no run to go on with (folder nothing, ENOENT config.json). Name the folder of an earlier run.",
    ],
    [
      ["--resume", "runs/kept", "--lr", "1"],
      2,
      "verydeep: a run goes on as it began (--lr beside --resume). Leave --lr out, or begin a new run.",
    ],
    [
      ["--resume", "runs/kept", "--augment", "flip"],
      2,
      "verydeep: a run goes on as it began (--augment beside --resume). Leave --augment out, or begin a new run.",
    ],
    [
      ["--resume", "runs/kept", "--run", "x"],
      2,
      "verydeep: a run goes on as it began (--run beside --resume). Leave --run out, or begin a new run.",
    ],
    [
      ["--recipe", "paper", "--scale", "300"],
      2,
      "verydeep: the recipe has scales of its own (--scale). Choose some of them by --stages.",
    ],
    [["--run", ""], 2, `verydeep: the run's folder has no name (--run ""). Pass one, such as --run runs/mine.`],
    [
      ["--data", "shapes:200", "--input", "64", "--scale", "32", "--run", "runs/missing"],
      2,
      "train: the view is not a size and a scale of at least that size, whole numbers up to 10000 (size 64, scale 32). Pass such as size 224, scale 256.",
    ],
    [["--stages", "256"], 2, "verydeep: stages belong to a recipe (--stages). Add --recipe paper."],
    [["--recipe", "mine"], 2, "verydeep: there is no such choice (--recipe mine). Use paper."],
    [
      ["--recipe", "paper", "--stages", "300"],
      2,
      "verydeep: the recipe has no such stage (--stages 300). Use some of 256,384,256..512.",
    ],
    [
      ["--scale", "512..256"],
      2,
      "verydeep: the range is not two sizes in ascending order (--scale 512..256). Pass one, such as --scale 256..512.",
    ],
    [
      ["--checkpoint-every", "5h"],
      2,
      "verydeep: not a whole number from 0 to 1000000000 (--checkpoint-every 5h). Pass one, such as --checkpoint-every 2.",
    ],
    [
      ["--init", "big"],
      2,
      "train: there is no such initialisation (init big). Use he, glorot or normal:STD, such as normal:0.01.",
    ],
    [
      ["--schedule", "x"],
      2,
      "verydeep: there is no such choice (--schedule x). Use constant, one-cycle, cosine, step, plateau.",
    ],
    [
      ["--classifier", "a"],
      2,
      "verydeep: not a whole number from 1 to 1000000 (--classifier a). Pass one, such as --classifier 2.",
    ],
    [
      ["--micro-batch", "7", "--data", "shapes:200"],
      2,
      "train: microBatch must divide the batch (microBatch 7, batch 64). Use 4, for example.",
    ],
    [
      ["--init-from", "missing", "--data", "shapes:200", "--run", "runs/missing"],
      1,
      `load: the file does not exist (path ${inFolder("missing")}). Check the path.`,
    ],
  ] as const) {
    const result = await verydeep("train", ...args);
    assert.equal([result.stderr.trimEnd(), result.stdout, result.code], [message, "", code]);
  }
  assert.not(existsSync(inFolder("runs/missing")), "a run that could not begin leaves no folder");
});

if (process.platform === "win32") console.log("SKIPPED stopping a run: Windows has no signals between processes");
else {
  test("SIGTERM in mid-epoch, --resume: the weights of a run that was never stopped", async () => {
    assert.is((await verydeep("train", ...SMALL, "--out", "whole.safetensors", "--run", "runs/whole")).code, 0);
    const args = [
      main,
      "train",
      ...SMALL,
      "--out",
      "stopped.safetensors",
      "--run",
      "runs/stopped",
      "--checkpoint-every",
      "0",
    ];
    const child = spawn(process.execPath, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
    const records = inFolder("runs/stopped/records.jsonl");
    const watch = setInterval(() => {
      if (existsSync(records) && readFileSync(records, "utf8").includes('"step":13,')) {
        clearInterval(watch);
        child.kill("SIGTERM");
      }
    }, 1);
    let stdout = "";
    child.stdout.on("data", (text) => {
      stdout += text;
    });
    assert.is(await new Promise((resolve) => child.on("close", resolve)), 143);
    assert.match(
      stdout,
      /stopped {3}in epoch \d after step \d+; weights in stopped.safetensors\ngo on {5}verydeep train --resume runs.stopped\n$/,
    );
    assert.is(readdirSync(inFolder("runs/stopped/checkpoints")).length, 1);
    const resumed = await verydeep("train", "--resume", "runs/stopped", "--threads", "1");
    assert.is(resumed.code, 0, resumed.stderr);
    assert.match(resumed.stdout, /note {6}goes on after step \d+, in epoch \d\n/);
    assert.is(hashOf("stopped.safetensors"), hashOf("whole.safetensors"));
    assert.is(hashOf("runs/stopped/best.safetensors"), hashOf("runs/whole/best.safetensors"));
    const steps = (run: string): unknown[] =>
      readFileSync(inFolder(run, "records.jsonl"), "utf8")
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line))
        .map(({ kind, step, loss, trainLoss, valLoss }) => [kind, step, loss, trainLoss, valLoss]);
    assert.equal(steps("runs/stopped"), steps("runs/whole"));
  });
}

test("SIGKILL at random moments: each run is taken up and ends with the bits of one that nobody disturbed", async () => {
  const result = await new Promise<{ error: unknown; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, [kills, "4"], (error, stdout, stderr) => resolve({ error, stdout, stderr }));
  });
  assert.is(result.error, null, result.stderr);
  const { runs, equal, kills: count } = JSON.parse(result.stdout);
  assert.equal([runs, equal], [4, 4]);
  assert.ok(count >= 1);
});

/** The same tensors as PyTorch would save them. */
async function asTorchFile(from: string, to: string): Promise<void> {
  const source = await openSafetensors(inFolder(from));
  const tensors = await Promise.all(
    [...source.tensors].map(async ([name, { shape }]) => {
      const values = await source.read(name);
      return { name, shape, chunks: () => [values] };
    }),
  );
  writeFileSync(inFolder(to), Buffer.concat([...torchFile(tensors)]));
  await source.close();
}

for (const file of ["first.safetensors", "first.pth"]) {
  test(`--init-from ${file}, a net of the same kind: its very values, under a rate that moves nothing`, async () => {
    const rate = ["--lr", "1e-30", "--schedule", "constant", "--epochs", "1", "--no-run"];
    assert.is((await verydeep("train", ...SMALL, "--epochs", "1", "--no-run", "--out", "first.safetensors")).code, 0);
    await asTorchFile("first.safetensors", "first.pth");
    const second = [...SMALL, ...rate, "--seed", "7", "--init-from", file, "--out", "second.safetensors"];
    const { code, stdout, stderr } = await verydeep("train", ...second);
    assert.is(code, 0, stderr);
    assert.match(stdout, /starts from .*first\.\w+ \(A\): 20 tensors\n/);
    const [from, to] = await Promise.all(
      ["first", "second"].map((name) => openSafetensors(inFolder(`${name}.safetensors`))),
    );
    for (const name of from.tensors.keys()) {
      const [before, after] = [await from.read(name), await to.read(name)];
      // Where a bias is 0, the least step shows.
      assert.ok(
        before.every((value, i) => Math.abs(value - after[i]) < 1e-25),
        name,
      );
    }
    await Promise.all([from.close(), to.close()]);
  });
}

test("the recipe: A, then B from A, at two scales; taken up, the stages that are done stay as they are", async () => {
  const recipe = ["--recipe", "paper", "--config", "B", "--input", "32", "--stages", "256,384", "--data", "shapes:200"];
  const small = [
    "--width",
    "0.05",
    "--epochs",
    "1",
    "--batch",
    "32",
    "--run",
    "runs/recipe",
    "--out",
    "recipe.safetensors",
  ];
  const { code, stdout, stderr } = await verydeep("train", ...recipe, ...small);
  assert.is(code, 0, stderr);
  const stages = ["1-A-256", "2-B-256", "3-B-384"];
  for (const [i, stage] of stages.entries()) assert.match(stdout, `stage     ${i + 1}/3: ${stage}`);
  assert.match(stdout, /starts from .*1-A-256.safetensors \(A\): 14 tensors\n/);
  assert.match(stdout, /starts from .*2-B-256.safetensors \(B\): 26 tensors\n/);
  assert.is(hashOf("recipe.safetensors"), hashOf("runs/recipe/3-B-384.safetensors"));
  const hash = hashOf("recipe.safetensors");
  rmSync(inFolder("runs/recipe/3-B-384"), { recursive: true });
  const again = await verydeep("train", "--resume", "runs/recipe");
  assert.is(again.code, 0, again.stderr);
  assert.is(again.stdout.split("done      before").length, 3);
  assert.is(hashOf("recipe.safetensors"), hash);
});

test.after(() => rmSync(folder, { recursive: true, force: true }));

test.run();
