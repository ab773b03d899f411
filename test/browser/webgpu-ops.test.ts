/**
 * The tests of operations (test/ops) on WebGPU in a real browser, whose implementation of it is not Node's: the very tests of
 * test/webgpu/ops.test.ts, run in pages and reported one by one.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PAGE_OP_FILES } from "../helpers/op-files.js";
import { chromiumPath, launchChromium } from "./chromium.js";
import type { TestResult } from "./collector.js";
import { bundleForPages, type Modules, namesInNode } from "./op-bundles.js";
import { serve } from "./serve.js";

/** A page that ends no test for so long hangs. */
const STALL_MS = 120_000;
/** Where pages find the modules; nothing lies there. */
const FOLDER = "test/op-bundles";

/** TEST_OPS=pool2d,activation runs these alone. */
const chosen = process.env.TEST_OPS?.split(",");
const files = PAGE_OP_FILES.filter((file) => chosen === undefined || chosen.includes(file));

type Browser = Awaited<ReturnType<typeof launchChromium>>;

/** What a page said: a result for each test that ended, and what went wrong besides. */
interface Outcome {
  readonly results: readonly TestResult[];
  readonly failure: string | null;
}

/** Loads a file's module into a page of its own, and waits until its tests have run. */
async function runInPage({ context }: Browser, siteUrl: string, modules: Modules, file: string): Promise<Outcome> {
  const page = await context.newPage();
  const results: TestResult[] = [];
  await page.route(`**/${FOLDER}/*`, (route) => {
    const body = modules.get(new URL(route.request().url()).pathname.slice(FOLDER.length + 2));
    return route.fulfill(body === undefined ? { status: 404 } : { body, contentType: "text/javascript" });
  });
  await page.exposeFunction("tell", (result: TestResult) => void results.push(result));
  page.on("console", (message) => console.log(`${file}: ${message.text().trim()}`));
  await page.goto(siteUrl);
  const code = `import("/${FOLDER}/${file}.mjs").then(({ runAll }) => runAll((result) => tell(result)))`;
  const stop = new AbortController();
  const ended: Promise<string | null> = page.evaluate(code).then(
    () => null,
    (error: unknown) => String(error),
  );
  const failure = await Promise.race([ended, stall(() => results.length, stop.signal)]);
  stop.abort();
  await page.close();
  return { results, failure };
}

/** Resolves when the count has not grown for STALL_MS. */
async function stall(count: () => number, signal: AbortSignal): Promise<string> {
  for (let seen = -1; seen !== count(); ) {
    seen = count();
    await sleep(STALL_MS, undefined, { signal, ref: false }).catch(() => {});
    if (signal.aborted) break;
  }
  return `no test ended within ${STALL_MS / 1000} s`;
}

/** Why pages have no WebGPU; null where they have it. */
async function missingAdapter({ context }: Browser, siteUrl: string): Promise<string | null> {
  const page = await context.newPage();
  await page.goto(siteUrl);
  const found = await page.evaluate("navigator.gpu ? navigator.gpu.requestAdapter().then((a) => a !== null) : null");
  await page.close();
  if (found === null) return "Chromium has no WebGPU";
  return found ? null : "Chromium finds no adapter";
}

const names = await namesInNode(files);
const site = await serve();
const browser = chromiumPath === undefined ? null : await launchChromium(chromiumPath);
const missing = browser === null ? "neither Chromium nor Chrome is here" : await missingAdapter(browser, site.url);

if (browser === null || missing !== null) {
  console.log(`SKIPPED operations on WebGPU in a browser: ${missing}; apt-get install chromium, or set CHROMIUM`);
  for (const name of [...names.values()].flat()) test.skip(name, () => {});
} else {
  const modules = await bundleForPages(files, site.url);
  for (const file of files) {
    const expected = names.get(file) ?? [];
    let running: Promise<Outcome> | null = null;
    const outcome = (): Promise<Outcome> => {
      running ??= runInPage(browser, site.url, modules, file);
      return running;
    };
    for (const [i, name] of expected.entries()) {
      test(`Chromium, ${file}: ${name}`, async () => {
        const { results, failure } = await outcome();
        const result = results[i];
        assert.ok(result, `it did not run: ${failure}`);
        assert.is(result.name, name);
        assert.not(result.skipped);
        assert.ok(result.error === null, result.error ?? "");
      });
    }
    test(`Chromium, ${file}: the page ran all tests that Node has, and no other`, async () => {
      const { results, failure } = await outcome();
      assert.is(failure, null);
      assert.ok(expected.length > 0);
      assert.equal(
        results.map(({ name }) => name),
        expected,
      );
    });
  }
}

test.after(async () => {
  await browser?.close();
  await site.close();
});

test.run();
