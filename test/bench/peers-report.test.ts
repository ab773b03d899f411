/** What bench/peers/report.js makes of rows: the README's table, the chart, the targets. The rows are made up. */
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MARKS = ["<!-- speed: written by npm run bench:report -->", "<!-- /speed -->"];
const MACHINE = { cpu: "Some CPU <&>", cores: 2 };

interface MadeUp {
  readonly engine: string;
  readonly minMs?: number;
  readonly threads?: number;
  readonly cannot?: string;
}

/** Rows of one interleaved run; medians are a tenth above minima. */
function group(name: string, askedThreads: number, run: string, engines: readonly MadeUp[]): object[] {
  const ours = engines.find(({ engine }) => engine === "ours-plain")?.minMs ?? Number.NaN;
  return engines.map(({ engine, minMs = 0, threads = askedThreads, cannot }) => {
    const what = { case: name, engine, askedThreads, run, ...MACHINE };
    if (cannot !== undefined) return { ...what, cannot };
    const over = { plain: { min: ours / minMs, median: ours / minMs } };
    return { ...what, threads, version: "1.2.3", runtime: "Node 20.1.0", minMs, medianMs: 1.1 * minMs, oursOver: over };
  });
}

const ROWS = [
  ...group("vgg16-forward-b1", 1, "2026-01-01T00:00:00.000Z", [{ engine: "ours-plain", minMs: 9999 }]),
  ...group("vgg11-train-b8", 1, "2026-01-02T00:00:00.000Z", [
    { engine: "ours-plain", minMs: 4000 },
    { engine: "pytorch", minMs: 5000 },
    { engine: "onnxruntime-node", cannot: "inference only" },
  ]),
  ...group("vgg16-forward-b1", 2, "2026-01-02T00:00:00.000Z", [
    { engine: "ours-plain", minMs: 200 },
    { engine: "onnxruntime-node", minMs: 250 },
    { engine: "tfjs-wasm", minMs: 1600, threads: 1 },
    { engine: "tfjs-wasm-node24", minMs: 1200, threads: 1 },
    { engine: "onnxruntime-web", minMs: 1000 },
  ]),
  ...group("vgg16-forward-b1", 1, "2026-01-03T00:00:00.000Z", [{ engine: "ours-plain", minMs: 380 }]),
];

async function inFolder(run: (file: (name: string) => string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "verydeep-report-"));
  try {
    const file = (name: string): string => path.join(folder, name);
    await writeFile(file("rows.jsonl"), ROWS.map((row) => `${JSON.stringify(row)}\n`).join(""));
    await writeFile(file("README.md"), `before\n${MARKS[0]}\nold\n${MARKS[1]}\nafter\n`);
    await run(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function report(file: (name: string) => string, ...more: string[]): SpawnSyncReturns<string> {
  const args = [file("rows.jsonl"), "--readme", file("README.md"), "--chart", file("speed.svg"), ...more];
  return spawnSync(process.execPath, ["bench/peers/report.js", ...args], { cwd: ROOT, encoding: "utf8" });
}

test("report.js: the table between the marks, the newest run of each case, the faster of two Nodes, threads where fewer", () =>
  inFolder(async (file) => {
    const { status, stderr } = report(file);
    assert.is(status, 0, stderr);
    const text = await readFile(file("README.md"), "utf8");
    assert.ok(text.startsWith(`before\n${MARKS[0]}\n\n![`));
    assert.ok(text.endsWith(`\n\n${MARKS[1]}\nafter\n`));
    for (const line of [
      "| case | threads | verydeep plain | onnxruntime-node | PyTorch | tfjs-wasm | onnxruntime-web |",
      "| VGG-16 forward, 224x224, batch 1 | 1 | **380 (418)** | – | – | – | – |",
      "| VGG-16 forward, 224x224, batch 1 | 2 | **200 (220)** | 250 (275) | – | 1200 (1320), 1 thread | 1000 (1100) |",
      "| VGG-11 training step, 224x224, batch 8 | 1 | **4000 (4400)** | – | 5000 (5500) | – | – |",
      "| VGG-11 training step, 224x224, batch 8 | 1 | PyTorch 1.2.3 on Node 20.1.0, 1 thread | 0.80 (0.80) | – | – |",
      "Some CPU <&>, 2 cores, 2026-01-02 to 2026-01-03. verydeep plain 1.2.3 (Node 20.1.0), onnxruntime-node 1.2.3",
    ]) {
      assert.ok(text.includes(`\n${line}`), line);
    }
  }));

test("report.js: the chart has a bar for each engine and no markup from rows", () =>
  inFolder(async (file) => {
    assert.is(report(file).status, 0);
    const svg = await readFile(file("speed.svg"), "utf8");
    assert.ok(svg.startsWith("<svg ") && svg.endsWith("</svg>\n"));
    assert.not.match(svg, /NaN|undefined|CPU </);
    for (const words of ["verydeep plain", "tfjs-wasm, 1 thread", "1200 (1320)", "380 (418)", "Milliseconds"]) {
      assert.ok(svg.includes(`>${words}`), words);
    }
    assert.is(svg.match(/fill:var\(--vd-train\)/g)?.length, 3);
    assert.is(svg.match(/fill:var\(--vd-event\)/g)?.length, 4);
  }));

test("report.js: targets that are met, missed and not measured", () =>
  inFolder(async (file) => {
    const { stdout } = report(file);
    const after = (head: string): string => stdout.slice(stdout.indexOf(head)).split("\n").slice(0, 3).join("\n");
    const forward = after(
      "VGG-16 forward, 224x224, batch 1, ours with 2 threads, against onnxruntime-node, 2 threads\n",
    );
    assert.match(forward, /plain +0\.800 \(0\.800\) +at most 0\.85 +met\n +relaxed +– +at most 0\.70 +not measured/);
    assert.match(
      after("VGG-16 forward, 224x224, batch 1, ours with 2 threads, against onnxruntime-web, 2 threads\n"),
      " met",
    );
    assert.match(after("VGG-11 training step, 224x224, batch 8, ours with 1 thread, against pytorch"), /0\.65 +MISSED/);
    assert.match(stdout, /\n2 met, 1 missed, 24 not measured\n$/);
  }));

test("report.js --check: 0 where files are those of the rows, else one line and 1", () =>
  inFolder(async (file) => {
    assert.is(report(file).status, 0);
    assert.is(report(file, "--check").status, 0);
    await writeFile(file("speed.svg"), "old");
    const { status, stderr } = report(file, "--check");
    assert.is(status, 1);
    assert.is(stderr, `peers: the file is not what the rows say (${file("speed.svg")}). Run npm run bench:report.\n`);
    assert.is(await readFile(file("speed.svg"), "utf8"), "old");
  }));

test("report.js: no rows, no marks, no measurement: one line each, code 1", () =>
  inFolder(async (file) => {
    await writeFile(file("README.md"), "no marks");
    assert.match(report(file).stderr, /^peers: the marks are missing \(.*README\.md\)\. Put .* goes\.\n$/);
    await writeFile(
      file("rows.jsonl"),
      `${JSON.stringify(group("vgg11-train-b8", 1, "x", [{ engine: "a", cannot: "b" }])[0])}\n`,
    );
    assert.is(report(file).stderr, "peers: nothing was measured (no row has a time). Run again.\n");
    await writeFile(file("rows.jsonl"), '{"bench":"gemm"}\n{"x":1}\n');
    assert.match(
      report(file).stderr,
      /^peers: a line is no row of this benchmark \(.*rows\.jsonl, line 1\)\. Remove it\.\n$/,
    );
    await rm(file("rows.jsonl"));
    const { status, stderr } = report(file);
    assert.is(status, 1);
    assert.match(
      stderr,
      /^peers: the rows cannot be read \(ENOENT .*rows\.jsonl\)\. Make them with npm run bench:peers\.\n$/,
    );
  }));

if (existsSync(path.join(ROOT, "bench/results/peers.jsonl"))) {
  test("README.md and docs/speed.svg show bench/results/peers.jsonl", () => {
    const { status, stderr } = spawnSync(process.execPath, ["bench/peers/report.js", "--check"], {
      cwd: ROOT,
      encoding: "utf8",
    });
    assert.is(status, 0, stderr);
  });
}

test.run();
