/** `decodePicture` in a real browser, by its own decoders: what Node's gives, but for a few levels. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { decodePicture } from "#src/index.js";
import { browserTests, run } from "./pages.js";

const { browserTest, openPage, paths } = browserTests(test);
const folder = fileURLToPath(new URL("../fixtures/pictures/", import.meta.url));
const names = readdirSync(folder).filter((name) => /\.(png|jpg|webp)$/.test(name));

/**
 * How a decoder rounds and spreads colours is a browser's own affair. Chromium has Node's libraries, in newer versions and with vector
 * instructions: measured 0.
 */
const TOLERANCE = 2;
/** Blending with white multiplies by alpha in bytes, as browsers store transparent pixels: measured 1. */
const ALPHA_TOLERANCE = 2;

browserTest(`decodes ${names.length} pictures of all kinds as Node does`, async () => {
  const { page, complaints } = await openPage();
  const found = await run(
    page,
    `(async () => {
      const { decodePicture } = await import("/dist/browser.js");
      const decode = async (name) => {
        const bytes = new Uint8Array(await (await fetch("/test/fixtures/pictures/" + name)).arrayBuffer());
        const { width, height, pixels } = await decodePicture(bytes);
        return { width, height, pixels: [...pixels] };
      };
      return Promise.all(${JSON.stringify(names)}.map(decode));
    })()`,
  );
  assert.equal(complaints, []);
  assert.ok(Array.isArray(found) && found.length === names.length);
  for (const [i, name] of names.entries()) {
    checkPicture(found[i], await decodePicture(readFileSync(`${folder}${name}`)), toleranceOf(name), name);
  }
  await page.close();
});

browserTest("in a Web Worker too, and no decoder of Node's is fetched", async () => {
  const { page, complaints } = await openPage();
  const found = await run(
    page,
    `(async () => {
      const bytes = new Uint8Array(await (await fetch("/test/fixtures/pictures/orientation6.webp")).arrayBuffer());
      const worker = new Worker("/test/browser/picture-worker.js", { type: "module" });
      return new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) => reject(new Error(message));
        worker.postMessage(bytes);
      });
    })()`,
  );
  assert.equal(complaints, []);
  checkPicture(found, await decodePicture(readFileSync(`${folder}orientation6.webp`)), TOLERANCE, "in a worker");
  assert.equal(
    paths().filter((path) => path.includes("jpeg-turbo") || path.endsWith(".br") || path.includes("wasm-codec")),
    [],
  );
  await page.close();
});

browserTest("a picture wider and higher than the canvas that it is read through", async () => {
  const { page, complaints } = await openPage();
  const found = await run(
    page,
    `(async () => {
      const { decodePicture } = await import("/dist/browser.js");
      const canvas = new OffscreenCanvas(4099, 2051);
      const context = canvas.getContext("2d");
      context.fillStyle = "#f00";
      context.fillRect(0, 0, 4099, 2051);
      context.fillStyle = "#0ff";
      for (const [x, y] of [[0, 0], [2048, 16], [4098, 2047], [77, 2050]]) context.fillRect(x, y, 1, 1);
      const { width, height, pixels } = await decodePicture(
        new Uint8Array(await (await canvas.convertToBlob({ type: "image/webp", quality: 1 })).arrayBuffer()),
      );
      const others = [];
      for (let i = 0; i < width * height; i++) {
        const [r, g, b] = pixels.subarray(i * 3, i * 3 + 3);
        if (r === 0 && g === 255 && b === 255) others.push([i % width, Math.floor(i / width)]);
        else if (r !== 255 || g !== 0 || b !== 0) others.push([r, g, b]);
      }
      return { width, height, others };
    })()`,
  );
  assert.equal(found, {
    width: 4099,
    height: 2051,
    others: [
      [0, 0],
      [2048, 16],
      [4098, 2047],
      [77, 2050],
    ],
  });
  assert.equal(complaints, []);
  await page.close();
});

for (const [what, code] of [
  ["cut", "bytes.subarray(0, 300)"],
  ["damaged", "bytes.fill(255, 200, 400)"],
  ["text", 'new TextEncoder().encode("not a picture")'],
]) {
  browserTest(`a ${what} picture is a DataError`, async () => {
    const { page, complaints } = await openPage();
    const found = await run(
      page,
      `(async () => {
        const { DataError, decodePicture } = await import("/dist/browser.js");
        const bytes = new Uint8Array(await (await fetch("/test/fixtures/pictures/lossless.webp")).arrayBuffer());
        return decodePicture(${code}).then(() => "a picture", (error) => [error instanceof DataError, error.message.slice(0, 14)]);
      })()`,
    );
    assert.equal(found, [true, "decodePicture:"]);
    assert.equal(complaints, []);
    await page.close();
  });
}

function toleranceOf(name: string): number {
  if (name.endsWith(".png")) return 0;
  return name.includes("alpha") ? ALPHA_TOLERANCE : TOLERANCE;
}

function checkPicture(
  found: unknown,
  right: Awaited<ReturnType<typeof decodePicture>>,
  tolerance: number,
  what: string,
): void {
  assert.ok(typeof found === "object" && found !== null && "pixels" in found && Array.isArray(found.pixels));
  assert.equal({ ...found, pixels: found.pixels.length }, { ...right, pixels: right.pixels.length });
  const worst = found.pixels.reduce((most, value, i) => Math.max(most, Math.abs(value - right.pixels[i])), 0);
  assert.ok(worst <= tolerance, `${what} differs by ${worst}`);
}

test.run();
