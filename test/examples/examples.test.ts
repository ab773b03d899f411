/** Every file of examples/ runs, at a small size, and prints what it should. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";

const root = fileURLToPath(new URL("../../", import.meta.url));
const LIMIT_MS = 120_000;

/** What a script prints on stdout; nothing may be on stderr. */
async function run(args: readonly string[]): Promise<string[]> {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: LIMIT_MS });
  assert.is(stderr, "");
  return stdout.trim().split("\n");
}

function read(file: string): string {
  return readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
}

function percentIn(line: string): number {
  return Number(/([\d.]+) %/.exec(line)?.[1]);
}

test("every example has a test here and a line in examples/README.md", () => {
  const own = readFileSync(fileURLToPath(import.meta.url), "utf8");
  const names = readdirSync(`${root}examples`).filter((name) => name.endsWith(".js"));
  assert.is(names.length, 5);
  for (const name of names) {
    assert.ok(own.includes(`test("${name}`), name);
    assert.ok(read("examples/README.md").includes(`[${name}](${name})`), name);
  }
});

test("train.js is the README's ten lines; with 600 pictures and 2 epochs it trains and predicts", async () => {
  const text = read("examples/train.js");
  assert.is(/```js\n([\s\S]*?)```/.exec(read("README.md"))?.[1], text);
  const small = text.replace("count: 6000", "count: 600").replace("epochs: 8", "epochs: 2");
  assert.is.not(small, text);
  // Resolved from the clone, as a file in it would be.
  const lines = await run(["--input-type=module", "--eval", small]);
  assert.match(lines[0], /^epoch 1: [\d.]+ % of validation pictures$/);
  assert.match(lines[1], /^epoch 2: [\d.]+ % of validation pictures$/);
  assert.match(lines.slice(2).join(" "), /^Float32Array\(10\) \[( +-?[\d.e-]+,?){10} \]$/);
});

test("fine-tune.js 300: right before by chance, after by learning", async () => {
  const lines = await run(["examples/fine-tune.js", "300"]);
  assert.is(lines.length, 2);
  assert.match(lines[0], /^before: [\d.]+ % of 50 pictures$/);
  assert.match(lines[1], /^after 10 epochs on 225 pictures: [\d.]+ %$/);
  assert.ok(percentIn(lines[0]) < 70 && percentIn(lines[1]) > 90, lines.join("\n"));
});

test("features.js 300: nearest neighbours are of the same class", async () => {
  const lines = await run(["examples/features.js", "300"]);
  assert.is(lines[0], "225 pictures in the gallery, 64 features each");
  assert.match(lines[1], /^a disc is nearest to a \w+ \(cosine 0\.\d{3}\)$/);
  assert.ok(percentIn(lines[6]) > 90, lines[6]);
});

test("custom-net.js 600 2: trains", async () => {
  const lines = await run(["examples/custom-net.js", "600", "2"]);
  assert.is(lines[0], "34538 parameters, the first of a branch: 3.point.weight");
  const losses = lines.slice(1).map((line) => Number(/^epoch \d: loss ([\d.]+), [\d.]+ %/.exec(line)?.[1]));
  assert.is(losses.length, 2);
  assert.ok(losses[1] < losses[0], lines.join("\n"));
});

test("server.js: 20 pictures at once, one that is none, a wrong method; ends when asked", async () => {
  const child = spawn(process.execPath, ["examples/server.js", "0"], { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  const output = collect(child);
  try {
    const url = await firstLine(child);
    const heart = readFileSync(`${root}weights/pictures/heart.png`);
    const jpeg = readFileSync(`${root}test/fixtures/pictures/baseline.jpg`);
    const post = (body: Uint8Array<ArrayBuffer>) => fetch(url, { method: "POST", body });
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const response = await post(Uint8Array.from(i % 2 === 0 ? heart : jpeg));
        assert.is(response.status, 200);
        return response.json();
      }),
    );
    for (let i = 2; i < 20; i++) assert.equal(answers[i], answers[i % 2]);
    assert.is(answers[0][0].label, "heart");
    assert.is(answers[0].length, 3);
    const none = await post(new TextEncoder().encode("no picture"));
    assert.is(none.status, 400);
    assert.match((await none.json()).error, /not a PNG, JPEG or WebP picture/);
    assert.is((await fetch(url)).status, 405);
    // Windows has no signals that a process could answer: there the process just ends.
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    const code = await ended;
    if (process.platform === "win32") return;
    assert.is(code, 0);
    assert.match(output(), /shutting down\n$/);
  } finally {
    child.kill("SIGKILL");
  }
});

function collect(child: ChildProcess): () => string {
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
  }
  return () => text;
}

/** The line that a server prints when it listens. */
function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.stdout?.once("data", (text: string) => resolve(text.trim()));
    child.once("exit", (code) => reject(new Error(`the server ended (${code})`)));
  });
}

test.run();
