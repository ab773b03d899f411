/** The library in a real browser, from dist/ as it is: the same bits as in Node, and not one complaint in the console. */
import { readFile } from "node:fs/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import * as verydeep from "#src/index.js";
import { browserTests, run } from "./pages.js";
import { classify, trainTiny } from "./tiny-training.js";

const { browserTest, openPage, paths } = browserTests(test);

browserTest("A-LRN on shapes, 6 steps: losses and weights of the page have the bits of Node's", async () => {
  const { page, complaints } = await openPage();
  const found = await run(
    page,
    `Promise.all([import("/dist/browser.js"), import("/test/browser/tiny-training.js")])
      .then(([verydeep, { trainTiny }]) => trainTiny(verydeep))`,
  );
  assert.equal(complaints, []);
  const expected = await trainTiny(verydeep);
  assert.is(expected.losses.length, 6);
  assert.equal(found, expected);
  // Of the two builds of the kernels only one is fetched, and no code of Node's.
  assert.equal(
    paths().filter((path) => path.endsWith(".wasm")),
    ["/dist/wasm/kernels.wasm"],
  );
  const nodes = ["/dist/index.js", "/dist/engine.js", "/dist/backend/wasm/pool.js", "/dist/backend/wasm/worker.js"];
  assert.equal(
    paths().filter((path) => nodes.includes(path)),
    [],
  );
  await page.close();
});

browserTest(
  "the default tier of the page is relaxed, with the bits of Node's relaxed tier; deterministic is plain",
  async () => {
    const { page, complaints } = await openPage();
    const found = await run(
      page,
      `Promise.all([import("/dist/browser.js"), import("/test/browser/tiny-training.js")])
      .then(([verydeep, { trainTiny }]) => trainTiny(verydeep, "auto"))`,
    );
    assert.equal(found, await trainTiny(verydeep, "relaxed"));
    assert.ok(paths().includes("/dist/wasm/kernels-relaxed.wasm"));
    const tier = await run(
      page,
      `import("/dist/browser.js").then(({ createEngine }) => createEngine({ deterministic: true })).then(({ tier }) => tier)`,
    );
    assert.is(tier, "plain");
    assert.equal(complaints, []);
    await page.close();
  },
);

browserTest('tier "turbo" in a page is an error that says what to do', async () => {
  const { page } = await openPage();
  const found = await run(
    page,
    `import("/dist/browser.js").then(({ createEngine }) => createEngine({ tier: "turbo" })).catch((error) => String(error))`,
  );
  assert.is(
    found,
    "UsageError: wasm: the turbo tier cannot run here: it needs a flag that only code in Node can set (tier turbo). " +
      "Use tier relaxed, which gives the same bits, or plain.",
  );
  await page.close();
});

browserTest("the same in a Web Worker", async () => {
  const { page, complaints } = await openPage();
  const found = await run(
    page,
    `new Promise((resolve, reject) => {
      const worker = new Worker("/test/browser/worker.js", { type: "module" });
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
    })`,
  );
  assert.equal(complaints, []);
  assert.equal(found, await trainTiny(verydeep));
  await page.close();
});

for (const picture of ["weights/pictures/heart.png", "test/fixtures/pictures/progressive.jpg"]) {
  browserTest(`the package's net classifies ${picture}, fetched, as in Node`, async () => {
    const { page, complaints } = await openPage();
    const found = await run(
      page,
      `(async () => {
        const [verydeep, { classify }] = await Promise.all([import("/dist/browser.js"), import("/test/browser/tiny-training.js")]);
        const bytes = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());
        return classify(verydeep, await bytes("/weights/shapes-vgg.safetensors"), await bytes("/${picture}"));
      })()`,
    );
    assert.equal(complaints, []);
    const bytes = (path: string) => readFile(new URL(`../../${path}`, import.meta.url));
    const expected = await classify(verydeep, await bytes("weights/shapes-vgg.safetensors"), await bytes(picture));
    assert.equal(found, expected);
    if (picture.includes("heart")) assert.is(expected.label, "heart");
    await page.close();
  });
}

browserTest("a page in the place of the kernels is an error that says what to do", async () => {
  const { page } = await openPage({
    prepare: async (one) => {
      await one.route("**/*.wasm", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html>" }));
    },
  });
  const found = await run(
    page,
    `import("/dist/browser.js").then(({ createEngine }) => createEngine()).catch((error) => String(error))`,
  );
  assert.match(
    String(found),
    /^BackendError: wasm: the kernels cannot be loaded \(Error: this is no WebAssembly: http.*\/kernels-relaxed\.wasm; is the library away from its files\? With Vite, set optimizeDeps: \{ exclude: \["verydeep"\] \}\)\./,
  );
  await page.close();
});

test.run();
