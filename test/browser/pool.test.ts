/** Threads in a real browser: a pool of Web Workers in pages that may share memory, errors that say what to do in those that may not. */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import * as verydeep from "#src/index.js";
import { browserTests, run } from "./pages.js";
import { trainTiny } from "./tiny-training.js";

const { browserTest, openPage, sites } = browserTests(test);
const root = fileURLToPath(new URL("../../", import.meta.url));
const LIBRARY = "/dist/browser.js";
/** So long Chromium lets a worker go on that is told to end. */
const GRACE_MS = 2000;
/** From then to the error that says so; measured 20 to 90 ms. */
const MOST_LATENCY_MS = 1000;

const trained = (threads: number, library = LIBRARY): string =>
  `Promise.all([import("${library}"), import("/test/browser/tiny-training.js")])
    .then(([verydeep, { trainTiny }]) => trainTiny(verydeep, "plain", ${threads}))`;

for (const threads of [2, 3]) {
  browserTest(`isolated, ${threads} threads: the bits of Node with one`, async () => {
    const { page, complaints } = await openPage({ isolated: true });
    const asked = sites().isolated.paths.length;
    assert.equal(await run(page, trained(threads)), await trainTiny(verydeep));
    const workers = sites()
      .isolated.paths.slice(asked)
      .filter((one) => one.endsWith("/web-worker.js"));
    assert.ok(workers.length >= 1 && workers.length <= threads);
    assert.equal(complaints, []);
    await page.close();
  });
}

browserTest("isolated, 2 threads, the engine in a Web Worker: the same bits", async () => {
  const { page, complaints } = await openPage({ isolated: true });
  const found = await run(
    page,
    `new Promise((resolve, reject) => {
      const worker = new Worker("/test/browser/worker.js?threads=2", { type: "module" });
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
    })`,
  );
  assert.equal(found, await trainTiny(verydeep));
  assert.equal(complaints, []);
  await page.close();
});

browserTest("isolated, 2 threads, the library from another origin: the same bits", async () => {
  const { page, complaints } = await openPage({ isolated: true });
  const library = `${sites().plain.url}${LIBRARY.slice(1)}`;
  assert.equal(await run(page, trained(2, library)), await trainTiny(verydeep));
  assert.equal(complaints, []);
  await page.close();
});

browserTest("isolated: all threads by default, as many as navigator says; each fetches no Node code", async () => {
  const { page, complaints } = await openPage({ isolated: true });
  const found = await run(
    page,
    `import("${LIBRARY}").then(async ({ createEngine }) => {
      const engine = await createEngine();
      const values = await engine.scope(() => engine.tensor([1, 2], [2])).then((x) => x.data());
      return { threads: engine.threads - navigator.hardwareConcurrency, values: [...values] };
    })`,
  );
  assert.equal(found, { threads: 0, values: [1, 2] });
  const workers = sites().isolated.paths.filter((one) =>
    /^\/dist\/.*\/(worker|worker-entry|web-worker|pool)\.c?js$/.test(one),
  );
  assert.equal([...new Set(workers)], ["/dist/backend/wasm/web-worker.js"]);
  assert.equal(complaints, []);
  await page.close();
});

browserTest("isolated: a file's net classifies with 3 threads, to the last bit as in Node", async () => {
  const { page, complaints } = await openPage({ isolated: true });
  const weights = "weights/shapes-vgg.safetensors";
  const picture = "weights/pictures/heart.png";
  const found = await run(
    page,
    `(async () => {
      const { load } = await import("${LIBRARY}");
      const net = await load("/${weights}", { threads: 3, tier: "plain" });
      const [best] = await net.classify("/${picture}");
      await net.close();
      return best;
    })()`,
  );
  const net = await verydeep.load(path.join(root, weights), { threads: 1, tier: "plain" });
  const [best] = await net.classify(path.join(root, picture));
  assert.is(best.label, "heart");
  assert.equal(found, best);
  await net.close();
  assert.equal(complaints, []);
  await page.close();
});

browserTest("not isolated: one thread by default; 2 are an error that says what to do", async () => {
  const { page, complaints } = await openPage();
  const found = await run(
    page,
    `import("${LIBRARY}").then(async ({ createEngine }) => [
      (await createEngine()).threads,
      await createEngine({ threads: 2 }).catch((error) => String(error)),
    ])`,
  );
  assert.equal(found, [
    1,
    "UsageError: wasm: there is no shared memory here for several threads (threads 2). Serve the page and its scripts with the " +
      "headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp, or use one thread.",
  ]);
  assert.equal(complaints, []);
  await page.close();
});

const LOST = "Its tensors are lost: create a new engine and load the last saved weights.";

/** An engine of two threads whose step, some 10 ms, is repeated; how what follows ends. */
const STEPS = `
  const { createEngine, crossEntropy, labelsTensor, scale, SGD, vgg } = await import("${LIBRARY}");
  const told = (promise) => promise.then(() => "no error", (error) => String(error));
  const engine = await createEngine({ threads: 2 });
  const model = vgg("A", { classes: 5, inputSize: 32, width: 1 / 8, classifier: [] }, engine);
  const optimiser = new SGD(model.parameters(), { lr: 0.001 });
  const step = () => engine.scope(() => {
    optimiser.zeroGrad();
    const logits = model.forward(engine.tensor(new Float32Array(8 * 3 * 32 * 32).fill(0.1), [8, 3, 32, 32]));
    const loss = crossEntropy(logits, labelsTensor(engine, new Int32Array(8), 5));
    loss.backward();
    optimiser.step();
    return loss;
  });`;

/** Runs code after STEPS in an isolated page. */
async function evaluate(code: string): Promise<unknown> {
  const { page, complaints } = await openPage({ isolated: true });
  const found = await run(page, `(async () => { ${STEPS} ${code} })()`);
  assert.equal(complaints, []);
  await page.close();
  return found;
}

browserTest(
  "a worker ends in the middle of training, 5 times: a BackendError within 1 s, and a new engine works",
  async () => {
    const found = await evaluate(`
    const results = [];
    for (let i = 0; i < 5; i++) {
      const engine = await createEngine({ threads: 2 });
      const x = engine.tensor(new Float32Array(2e7), [2e7]);
      const long = told(engine.scope(() => Array.from({ length: 200 }).reduce((y) => scale(y, 1.001), x)));
      const [worker] = await engine.backend.executor.workers();
      await new Promise((resolve) => setTimeout(resolve, 100 + 20 * i));
      const begin = performance.now();
      worker.terminate();
      results.push({ error: await long, ms: performance.now() - begin, later: await told(scale(x, 2).data()) });
    }
    results.push(await told(step()));
    return results;`);
    assert.ok(Array.isArray(found));
    assert.is(found.pop(), "no error");
    assert.is(found.length, 5);
    const text = `BackendError: wasm: a Web Worker stopped in the middle of a program (it was ended). ${LOST}`;
    for (const { error, ms, later } of found) {
      assert.is(error, text);
      assert.is(later, text);
      assert.ok(ms < GRACE_MS + MOST_LATENCY_MS, `${ms} ms`);
    }
  },
);

browserTest("a worker ends between two programs: the next one finds a new pool, and nothing is lost", async () => {
  const found = await evaluate(`
    const results = [await told(step())];
    const before = await engine.backend.executor.workers();
    before[1].terminate();
    await new Promise((resolve) => setTimeout(resolve, 300));
    results.push(await told(step()), await told(step()));
    const after = await engine.backend.executor.workers();
    await engine.close();
    return [...results, after.some((worker) => before.includes(worker))];`);
  assert.equal(found, ["no error", "no error", "no error", false]);
});

browserTest("a kernel that traps is a BackendError", async () => {
  const found = await evaluate(`
    const x = engine.tensor([1, 2], [2]);
    return told(engine.scope(() => {
      const y = engine.emptyTensor([2]);
      engine.record("copy", { length: 2, xBegin: 2 ** 29, yBegin: 0 }, { x, y });
      return y;
    }));`);
  assert.is(
    found,
    `BackendError: wasm: a Web Worker stopped in the middle of a program (memory access out of bounds). ${LOST}`,
  );
});

browserTest("the workers' script is missing: a BackendError", async () => {
  const { page } = await openPage({
    isolated: true,
    prepare: async (one) => {
      await one.route("**/web-worker.js", (route) => route.fulfill({ status: 404 }));
    },
  });
  const found = await run(page, `(async () => { ${STEPS} return [await told(step()), await told(step())]; })()`);
  const text = `BackendError: wasm: the pool of Web Workers stopped in the middle of a program (its script could not be loaded: web-worker.js). ${LOST}`;
  assert.equal(found, [text, text]);
  await page.close();
});

test.run();
