/** The page of examples/browser in a real browser, from its own server: trains, tests, classifies what is uploaded, and never blocks. */
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { browserTests, type OpenPage, run } from "./pages.js";

const { browserTest, openPage } = browserTests(test);
const root = fileURLToPath(new URL("../../", import.meta.url));
const pictures = path.join(root, "weights/pictures");
const names = readdirSync(pictures)
  .filter((name) => name.endsWith(".png"))
  .map((name) => path.parse(name).name);

/** 2000 pictures, 16 epochs: measured 93.7 % of 333 and 10 of 10 pictures, on wasm with one and two threads and in both tiers. */
const LEAST_TEST_PERCENT = 85;
const LEAST_RIGHT = 8;
/** The page's main thread; measured: none above 50 ms, where browsers begin to count, on an idle machine. */
const LONGEST_TASK_MS = 100;
const ATTEMPTS = 3;
/** Programs that want each core; the page itself makes it some 1.5. */
const BUSY = 3;
const LIMIT_MS = 300_000;

/** Starts the example's server; to its address. */
async function serveExample(...args: readonly string[]): Promise<{ url: string; server: ChildProcess }> {
  const server = spawn(process.execPath, [path.join(root, "examples/browser/serve.js"), "0", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const url = await new Promise<string>((resolve, reject) => {
    server.stdout.once("data", (text: Buffer) => resolve(String(text).trim()));
    server.once("exit", (code) => reject(new Error(`serve.js ended (${code})`)));
  });
  return { url, server };
}

/** Opens the page, uses it, and looks at its console and its main thread's tasks. */
async function withPage(args: readonly string[], use: (opened: OpenPage) => Promise<void>): Promise<void> {
  const { url, server } = await serveExample(...args);
  try {
    const longest: number[] = [];
    // Where other programs take the processor, their time counts too: then again.
    while (longest.length < ATTEMPTS && !(Math.min(...longest) < LONGEST_TASK_MS)) {
      longest.push(await longestTask(url, use));
    }
    const text = `tasks of ${longest.map(Math.round).join(", ")} ms on the main thread`;
    const load = loadavg()[0] / availableParallelism();
    if (load > BUSY && Math.min(...longest) >= LONGEST_TASK_MS) {
      console.log(
        `SKIPPED the bar of ${LONGEST_TASK_MS} ms: the machine is busy with other programs (${text}, load ${load.toFixed(1)} a core)`,
      );
      return;
    }
    assert.ok(Math.min(...longest) < LONGEST_TASK_MS, text);
  } finally {
    server.kill();
  }
}

async function longestTask(url: string, use: (opened: OpenPage) => Promise<void>): Promise<number> {
  const opened = await openPage({
    url,
    prepare: async (page) => {
      await page.addInitScript(`
        globalThis.longTasks = [];
        new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ duration }) => duration)))
          .observe({ type: "longtask", buffered: true });`);
    },
  });
  await use(opened);
  const tasks = await run(opened.page, "longTasks");
  assert.ok(Array.isArray(tasks));
  assert.equal(opened.complaints, []);
  await opened.page.close();
  return Math.max(0, ...tasks);
}

interface Settings {
  readonly backend: "auto" | "wasm" | "webgpu";
  readonly threads?: number;
  readonly pictures?: number;
  readonly epochs?: number;
}

/** Fills the form and trains to the end; what the page then shows. */
async function train(page: Page, settings: Settings): Promise<Record<string, string>> {
  await begin(page, settings);
  await page.waitForFunction(`!document.querySelector("#start").disabled`, null, { timeout: LIMIT_MS });
  return facts(page);
}

async function begin(page: Page, { backend, threads, pictures, epochs }: Settings): Promise<void> {
  await page.getByLabel("Backend").selectOption(backend);
  if (threads !== undefined) await page.getByLabel("Threads").fill(String(threads));
  if (pictures !== undefined) await page.getByLabel("Pictures", { exact: true }).fill(String(pictures));
  if (epochs !== undefined) await page.getByLabel("Epochs").fill(String(epochs));
  await page.getByRole("button", { name: "Train" }).click();
}

async function facts(page: Page): Promise<Record<string, string>> {
  const entries = ["status", "error", "engine", "parameters", "loss", "validation", "speed", "test"].map(
    async (id) => [id, (await page.textContent(`#${id}`)) ?? ""] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}

/** Uploads a picture; the classes that the page shows, likeliest first. */
async function upload(page: Page, file: string): Promise<string[]> {
  await page.getByLabel("Picture", { exact: true }).setInputFiles(file);
  await page.waitForFunction(`document.querySelector("#predictions li") || !document.querySelector("#error").hidden`);
  return page.locator("#predictions li .label").allTextContents();
}

async function uploadAll(page: Page): Promise<number> {
  let right = 0;
  for (const name of names) if ((await upload(page, path.join(pictures, `${name}.png`)))[0] === name) right++;
  return right;
}

function percentIn(text: string): number {
  return Number(/^([\d.]+) %$/.exec(text)?.[1]);
}

for (const [what, args, threads] of [
  ["isolated: all threads", ["--isolate"], null],
  ["not isolated: one thread", [], "1 thread"],
] as const) {
  browserTest(`${what}; trains on 2000 pictures, knows the pictures that are uploaded`, async () => {
    await withPage(args, async ({ page }) => {
      const { status, error, engine, parameters, loss, test, speed } = await train(page, { backend: "wasm" });
      assert.is(error, "");
      assert.match(status, /^Trained in [\d.]+ s; tested on 333 pictures/);
      const count = await run(page, "navigator.hardwareConcurrency");
      assert.is(engine, `WebAssembly (relaxed), ${threads ?? (count === 1 ? "1 thread" : `${count} threads`)}`);
      assert.is(parameters, "145,210");
      assert.ok(Number(loss) < 0.6, loss);
      assert.ok(percentIn(test) >= LEAST_TEST_PERCENT, test);
      assert.match(speed, /^[\d,]+$/);
      const right = await uploadAll(page);
      assert.ok(right >= LEAST_RIGHT, `${right} of ${names.length}`);
      // A JPEG, and a picture of the page's own.
      assert.is((await upload(page, path.join(root, "test/fixtures/heart.jpg"))).length, 5);
      await page.getByRole("button", { name: "ring" }).click();
      await page.waitForFunction(
        `document.querySelector("#preview").alt === "ring.png" && document.querySelector("#predictions li")`,
      );
      assert.is(await page.locator("#predictions .label").first().textContent(), "ring");
      const points = await run(page, `document.querySelector(".mean").getAttribute("points").split(" ").length`);
      assert.ok(Number(points) > 300, `${points} points`);
    });
  });
}

/** In software WebGPU is slow: a few steps, which must be those of wasm. */
const FEW = { pictures: 200, epochs: 1 } as const;
/** Of the last step's loss; measured 0.001 after 8 steps and after 28. */
const LOSS_TOLERANCE = 0.01;
/** The test set has 33 pictures; one of them may tip over. */
const ACCURACY_TOLERANCE = 3.1;

browserTest(`WebGPU: ${FEW.pictures} pictures, ${FEW.epochs} epoch: the loss, accuracy and class of wasm`, async () => {
  await withPage([], async ({ page }) => {
    const heart = path.join(pictures, "heart.png");
    const gpu = await train(page, { backend: "webgpu", ...FEW });
    if (/WebGPU finds no adapter|has no WebGPU/.test(gpu.error)) {
      console.log(`SKIPPED WebGPU in the page: ${gpu.error}`);
      return;
    }
    assert.is(gpu.error, "");
    assert.match(gpu.status, /^Trained in [\d.]+ s; tested on 33 pictures/);
    assert.match(gpu.engine, /^WebGPU on ./);
    const ofGpu = await upload(page, heart);
    const wasm = await train(page, { backend: "wasm", ...FEW });
    assert.match(wasm.engine, /^WebAssembly/);
    assert.ok(Math.abs(Number(gpu.loss) - Number(wasm.loss)) < LOSS_TOLERANCE, `${gpu.loss}, on wasm ${wasm.loss}`);
    assert.ok(Math.abs(percentIn(gpu.test) - percentIn(wasm.test)) < ACCURACY_TOLERANCE, `${gpu.test}, ${wasm.test}`);
    assert.is(ofGpu[0], (await upload(page, heart))[0]);
  });
});

browserTest("Stop ends a training; the net is as far as it got; a second training begins anew", async () => {
  await withPage(["--isolate"], async ({ page }) => {
    await begin(page, { backend: "wasm", epochs: 100 });
    await page.waitForFunction(`Number(document.querySelector("#progress").value) > 0.01`);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.waitForFunction(`!document.querySelector("#start").disabled`);
    assert.is((await facts(page)).status, "Stopped. The net is as far as it got.");
    assert.is((await upload(page, path.join(pictures, "heart.png"))).length, 5);
    const { status, test } = await train(page, { backend: "wasm", pictures: 600, epochs: 1 });
    assert.match(status, /^Trained in /);
    assert.ok(percentIn(test) >= 0);
  });
});

browserTest("errors are text: 2 threads without isolation, a file that is no picture; then all goes on", async () => {
  await withPage([], async ({ page }) => {
    const { error, status } = await train(page, { backend: "wasm", threads: 2 });
    assert.is(status, "Not trained.");
    assert.match(error, /^wasm: there is no shared memory here for several threads \(threads 2\)\. Serve the page/);
    await train(page, { backend: "wasm", threads: 1, pictures: 600, epochs: 1 });
    assert.equal(await upload(page, path.join(root, "package.json")), []);
    assert.match((await facts(page)).error, /^decodePicture: package\.json is not a PNG, JPEG or WebP picture/);
    assert.is((await upload(page, path.join(pictures, "heart.png"))).length, 5);
  });
});

browserTest("serve.js serves the page's folders and nothing else", async () => {
  const { url, server } = await serveExample();
  try {
    const status = async (name: string) => (await fetch(new URL(name, url))).status;
    assert.is(await status("/"), 200);
    assert.is(await status("/package.json"), 404);
    assert.is(await status("/dist/%2e%2e/package.json"), 404);
    assert.is(await status("/dist/..%2fpackage.json"), 404);
    assert.is(await status("/dist/none.js"), 404);
    assert.is((await fetch(url)).headers.get("cross-origin-embedder-policy"), null);
  } finally {
    server.kill();
  }
});

test.run();
