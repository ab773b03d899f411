/** `npm run bundle` in a real browser: few requests, threads and kernels found, readers of weights files loaded when they are needed. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import * as verydeep from "#src/index.js";
import { bundle } from "../../scripts/bundle.js";
import { browserTests, run } from "./pages.js";
import { type Site, serve } from "./serve.js";
import { trainTiny } from "./tiny-training.js";

const { browserTest, openPage, sites } = browserTests(test);
const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), "verydeep-bundle-"));
const WEIGHTS = "test/fixtures/formats/torchvision.pth";
const PICTURE = "weights/pictures/heart.png";
/** What a page loads before it does anything; measured 90 kB, in 13 files. */
const MOST_KB = 110;
const MOST_FILES = 20;

let site: Site;

test.before(async () => {
  await bundle(folder);
  site = await serve(false, folder);
});

test.after(async () => {
  await site.close();
  rmSync(folder, { recursive: true });
});

test("the folder holds the library, its worker, kernels and notices", () => {
  const names = readdirSync(folder);
  for (const name of [
    "verydeep.js",
    "web-worker.js",
    "kernels.wasm",
    "kernels-relaxed.wasm",
    "THIRD-PARTY.txt",
    "LICENSE",
  ]) {
    assert.ok(names.includes(name), name);
  }
  const first = readFileSync(path.join(folder, "verydeep.js"), "utf8");
  assert.not.match(first, /node:|piscina/);
});

browserTest("from another origin, one thread and two: the bits of Node; at first few files", async () => {
  for (const isolated of [false, true]) {
    const { page, complaints } = await openPage({ isolated });
    const before = site.paths.length;
    await run(page, `import("${site.url}verydeep.js")`);
    const first = site.paths.slice(before).map((one) => readFileSync(path.join(folder, one)));
    const kB = first.reduce((sum, bytes) => sum + gzipSync(bytes).length, 0) / 1000;
    console.log(`the bundle begins with ${first.length} files, ${kB.toFixed(0)} kB gzipped`);
    assert.ok(first.length <= MOST_FILES && kB <= MOST_KB, `${first.length} files, ${kB} kB`);
    const found = await run(
      page,
      `Promise.all([import("${site.url}verydeep.js"), import("/test/browser/tiny-training.js")])
        .then(([verydeep, { trainTiny }]) => trainTiny(verydeep, "plain", ${isolated ? 2 : 1}))`,
    );
    assert.equal(found, await trainTiny(verydeep));
    assert.equal(complaints, []);
    await page.close();
  }
  assert.ok(site.paths.includes("/web-worker.js"));
  assert.not.ok(site.paths.some((one) => /pytorch|onnx|hdf5|reference/.test(one)));
});

browserTest("a PyTorch file: its reader is loaded then, and finds Node's class", async () => {
  const { page, complaints } = await openPage();
  const found = await run(
    page,
    `import("${site.url}verydeep.js").then(async ({ load }) => {
      const net = await load("/${WEIGHTS}", { preprocessing: "torchvision", tier: "plain" });
      const [best] = await net.classify("/${PICTURE}");
      await net.close();
      return best;
    })`,
  );
  const options = { preprocessing: "torchvision", tier: "plain", threads: 1 } as const;
  const net = await verydeep.load(path.join(root, WEIGHTS), options);
  assert.equal(found, (await net.classify(path.join(root, PICTURE)))[0]);
  await net.close();
  assert.ok(site.paths.some((one) => one.startsWith("/pytorch")));
  assert.ok(sites().plain.paths.includes(`/${WEIGHTS}`));
  assert.equal(complaints, []);
  await page.close();
});

test.run();
