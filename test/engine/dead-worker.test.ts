/** What happens when threads die or kernels trap: typed errors, no hang, and a process that ends by itself. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BackendError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import { scale } from "#src/ops/index.js";
import { runScript } from "./child.js";
import { rejects } from "./nets.js";

interface Outcome {
  readonly name: string;
  readonly message: string;
}

interface Case {
  readonly seed: number;
  readonly error: Outcome;
  readonly latencyMs: number;
  readonly later: readonly string[];
}

/** The bar: from the death of a worker to the error that says so. */
const MOST_LATENCY_MS = 1000;

/** Code 0: it died before its first task. */
const DEAD =
  /^wasm: a worker thread stopped in the middle of a program \(worker exited with code: [01]\)\. Its tensors are lost: create a new engine and load the last saved weights\.$/;

/** Runs dead-worker.js, checks what holds for all kinds, and returns its cases. */
async function runCases(kind: string, firstSeed: number, cases: number): Promise<Case[]> {
  const args = [String(firstSeed), String(cases), kind];
  const { code, timedOut, stdout, stderr } = await runScript("dead-worker.js", args, { limitMs: 50_000 });
  assert.is(stderr, "");
  assert.not(timedOut, `the process did not end by itself; it wrote ${stdout}`);
  assert.is(code, 0);
  const lines = stdout.trim().split("\n");
  assert.equal(JSON.parse(lines[lines.length - 1]), { newEngine: true });
  const results: Case[] = lines.slice(0, -1).map((line) => JSON.parse(line));
  assert.is(results.length, cases);
  for (const { seed, error, latencyMs, later } of results) {
    assert.ok(latencyMs < MOST_LATENCY_MS, `seed ${seed}: ${latencyMs} ms`);
    assert.ok(
      error.name === "none" || (error.name === "BackendError" && DEAD.test(error.message)),
      `seed ${seed}: ${error.name} ${error.message}`,
    );
    // An engine that failed once repeats it; one that went on goes on.
    assert.equal(later, [error.name, error.name, error.name], `seed ${seed}`);
  }
  return results;
}

test("one of 2 workers dies at a random moment of a training run: 50 times a BackendError within 1 s", async () => {
  const results = await runCases("running", 0, 50);
  // Now and then the moment is between two programs: then the pool replaces the worker, and nothing is lost.
  assert.ok(results.filter(({ error }) => error.name === "BackendError").length >= 45);
});

test("two of 3 workers die at once: 5 times", async () => {
  const results = await runCases("both", 100, 5);
  assert.ok(results.some(({ error }) => error.name === "BackendError"));
});

test("a worker dies while the engine is idle, 5 times: the next program works, or fails with a BackendError", async () => {
  await runCases("idle", 200, 5);
});

for (const threads of [1, 2]) {
  test(`a kernel that traps is a BackendError: ${threads} threads`, async () => {
    const engine = await createEngine({ threads });
    const x = engine.tensor([1, 2], [2]);
    const trap = engine.scope(() => {
      const y = engine.emptyTensor([2]);
      // Nobody checks a recorded shape again: this reads beyond the memory.
      engine.record("copy", { length: 2, xBegin: 2 ** 29, yBegin: 0 }, { x, y });
      return y;
    });
    const what = threads === 1 ? "kernel" : "worker thread";
    const text =
      `wasm: a ${what} stopped in the middle of a program (memory access out of bounds). ` +
      "Its tensors are lost: create a new engine and load the last saved weights.";
    await rejects(trap, BackendError, text);
    await rejects(scale(x, 2).data(), BackendError, text);
    await rejects(engine.steps(() => scale(x, 2)).next(), BackendError, text);
    await engine.close();
  });
}

for (const threads of [1, 2]) {
  test(`a process that used an engine ends by itself: ${threads} threads`, async () => {
    const { code, timedOut, stdout, stderr } = await runScript("exit-worker.js", [String(threads)], {
      limitMs: 20_000,
    });
    assert.is(stderr, "");
    assert.is(stdout, "2,4\n");
    assert.not(timedOut);
    assert.is(code, 0);
  });
}

test.run();
