/** The benches run, and their rows have the shape that bench/README.md and bench/peers/README.md promise. Times are not judged. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const LIMIT_MS = 240_000;
const PYTHONS = ["python3", "/usr/bin/python3", "python"];

type Row = Readonly<Record<string, unknown>>;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program of bench/ through tsx, from the root. */
function run(script: string, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--import", "tsx", script, ...args], { cwd: ROOT, timeout: LIMIT_MS });
    const output = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output.stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output.stderr += text;
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...output }));
  });
}

function rowsOf(text: string): Row[] {
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

function checkMachine(row: Row): void {
  assert.type(row.cpu, "string");
  assert.ok(Number.isInteger(row.cores));
}

function checkTimes({ minMs, medianMs }: Row): void {
  assert.type(minMs, "number");
  assert.type(medianMs, "number");
  assert.ok(Number(minMs) > 0 && Number(minMs) <= Number(medianMs), `min ${minMs}, median ${medianMs}`);
}

/** A peers row that holds a measurement. */
function checkPeerRow(row: Row, engine: string, name: string, shape: string): void {
  assert.is(row.cannot, undefined);
  assert.equal([row.engine, row.case, row.shape, row.rounds], [engine, name, shape, 2]);
  assert.equal([row.threads, row.askedThreads], [1, 1]);
  assert.type(row.version, "string");
  assert.match(String(row.runtime), engine === "pytorch" ? /^Python 3\./ : /^Node \d+\./);
  assert.is((row.timesMs as number[]).length, 2);
  assert.ok(Number(row.peakRssMb) > 10);
  assert.ok(Number(row.gflops) > 0);
  checkTimes(row);
  checkMachine(row);
}

test("bench/run.ts --quick --filter pool2d: a JSON row for each case, and a table beside a file of the same", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "verydeep-bench-"));
  try {
    const file = path.join(folder, "rows.jsonl");
    const args = ["--quick", "--filter", "pool2d", "--threads", "1", "--out", file];
    const { code, stdout, stderr } = await run("bench/run.ts", args);
    assert.is(code, 0, stderr);
    const shapes = JSON.parse(await readFile(path.join(ROOT, "bench/shapes/vgg.json"), "utf8"));
    const rows = rowsOf(await readFile(file, "utf8"));
    const count = (name: string): number => rows.filter(({ bench }) => bench === name).length;
    for (const direction of ["Forward", "Backward"]) {
      assert.is(count(`maxPool2d${direction}`), shapes.pool2d.length);
      assert.is(count(`avgPool2d${direction}`), shapes.avgPool2d.length);
    }
    assert.is(stdout.match(/^(max|avg)Pool2d/gm)?.length, rows.length);
    for (const row of rows) {
      assert.match(String(row.shape), /^x=\[\d+,\d+,\d+,\d+\] /);
      assert.equal([row.threads, row.algorithm, row.gflops], [1, null, null]);
      assert.ok(["plain", "relaxed"].includes(String(row.tier)));
      assert.ok(Number(row.gbps) > 0);
      assert.ok(Number(row.runs) >= 3);
      checkTimes(row);
      checkMachine(row);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("bench/run.ts --tier nope: one line, code 2", async () => {
  const { code, stdout, stderr } = await run("bench/run.ts", ["--tier", "nope"]);
  assert.equal([code, stdout], [2, ""]);
  assert.is(stderr, "bench: there is no such tier (--tier nope). Use auto, plain, relaxed, turbo.\n");
});

test("bench/run.ts --algorithm fft: one line, code 2", async () => {
  const { code, stdout, stderr } = await run("bench/run.ts", ["--algorithm", "fft"]);
  assert.equal([code, stdout], [2, ""]);
  assert.is(
    stderr,
    "bench: there is no such algorithm (--algorithm fft). Use auto, exact, im2col, winograd2, winograd4, winograd6.\n",
  );
});

const CASES = [
  ["vgg11-forward-32-b2", "x=[2,3,32,32]"],
  ["vgg11-train-32-b2", "x=[2,3,32,32]"],
] as const;

/** The command line for the small cases; the first engine is ours. */
function peerArgs(engines: string, cases: readonly string[] = CASES.map(([name]) => name)): string[] {
  return ["--rounds", "2", "--threads", "1", "--cases", cases.join(","), "--engines", engines];
}

async function peerRows(engines: string): Promise<Row[]> {
  const { code, stdout, stderr } = await run("bench/peers/run.js", ["--json", ...peerArgs(engines)]);
  assert.is(code, 0, stderr);
  return rowsOf(stdout);
}

test("bench/peers/run.js --engines ours-plain: a row for the forward pass and one for the training step", async () => {
  const rows = await peerRows("ours-plain");
  assert.is(rows.length, CASES.length);
  for (const [i, [name, shape]] of CASES.entries()) {
    checkPeerRow(rows[i], "ours-plain", name, shape);
    assert.equal(
      [rows[i].oursOver, rows[i].distance, rows[i].comparedWith],
      [{ plain: { min: 1, median: 1 } }, 0, "ours-plain"],
    );
  }
});

test("bench/peers/run.js --resume: keeps whole cases of the file, drops a line that was cut, measures what is missing", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "verydeep-bench-"));
  try {
    const file = path.join(folder, "rows.jsonl");
    const [first, second] = CASES.map(([name]) => name);
    const one = await run("bench/peers/run.js", [...peerArgs("ours-plain", [first]), "--out", file]);
    assert.is(one.code, 0, one.stderr);
    const [kept] = rowsOf(await readFile(file, "utf8"));
    await appendFile(file, '{"case":"vgg11-tr');
    const both = await run("bench/peers/run.js", [...peerArgs("ours-plain"), "--out", file, "--resume"]);
    assert.is(both.code, 0, both.stderr);
    assert.match(both.stderr, `${first}, 1 threads: measured already\n`);
    const rows = rowsOf(await readFile(file, "utf8"));
    assert.equal(rows[0], kept);
    assert.equal(
      rows.map((row) => row.case),
      [first, second],
    );
    assert.match(both.stdout, new RegExp(`${first} .*\n${second} `));
  } finally {
    await rm(folder, { recursive: true });
  }
});

const hasTorch = PYTHONS.some((python) => spawnSync(python, ["-c", "import torch"]).status === 0);

if (hasTorch) {
  test("bench/peers/run.js --engines ours-plain,pytorch: PyTorch has the same outputs and losses", async () => {
    const rows = await peerRows("ours-plain,pytorch");
    assert.is(rows.length, 2 * CASES.length);
    for (const [i, [name, shape]] of CASES.entries()) {
      const row = rows[2 * i + 1];
      checkPeerRow(row, "pytorch", name, shape);
      assert.is(row.comparedWith, "ours-plain");
      // Compared at all: two engines never agree to the last bit.
      assert.ok(Number(row.distance) > 0 && Number(row.distance) < 5e-5, `distance ${row.distance}`);
      const { oursOver } = row as { oursOver: { plain: { min: number; median: number } } };
      const [ours] = rows.slice(2 * i);
      assert.is(oursOver.plain.min, Number(ours.minMs) / Number(row.minMs));
      assert.is(oursOver.plain.median, Number(ours.medianMs) / Number(row.medianMs));
    }
  });
} else {
  console.log("SKIPPED PyTorch in the peer benchmark: no Python here has it");
}

for (const [option, value, message] of [
  [
    "--engines",
    "ours-plain,caffe",
    /^peers: there is no such engine \(--engines caffe\)\. Use some of ours-plain, ours-relaxed, /,
  ],
  ["--cases", "vgg17", /^peers: there is no such case \(--cases vgg17\)\. Use some of vgg16-forward-b1, /],
  ["--threads", "0", /^peers: threads must be whole numbers from 1 \(--threads 0\)\. Use --threads 1\.\n$/],
  ["--rounds", "many", /^peers: rounds must be whole numbers from 1 \(--rounds many\)\. Use --rounds 1\.\n$/],
] as const) {
  test(`bench/peers/run.js ${option} ${value}: one line, code 2`, async () => {
    const { code, stdout, stderr } = await run("bench/peers/run.js", ["--engines", "ours-plain", option, value]);
    assert.equal([code, stdout], [2, ""]);
    assert.match(stderr, message);
  });
}

if (existsSync(path.join(ROOT, "bench/peers/node_modules"))) {
  console.log("SKIPPED what the peer benchmark says without its packages: bench/peers/node_modules is there");
} else {
  test("bench/peers/run.js without the peers' packages: one line says what to install, code 2", async () => {
    const { code, stdout, stderr } = await run("bench/peers/run.js", []);
    assert.equal([code, stdout], [2, ""]);
    assert.is(
      stderr,
      "peers: not installed: onnxruntime-node, @tensorflow/tfjs-backend-wasm, onnxruntime-web. " +
        "Run (cd bench/peers && npm ci --ignore-scripts), or leave them out with --engines ours-plain,pytorch.\n",
    );
  });
}

test.run();
