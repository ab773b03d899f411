/**
 * An application that imports the installed package, built and served by Vite: the engine in a Web Worker, its pool of threads, the
 * kernels and the readers of weights files are found. Vite is fetched through npm into a folder of its own; it is no dependency.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { stripVTControlCharacters } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import * as verydeep from "#src/index.js";
import { npm } from "../../scripts/npm.js";
import { browserTests, run } from "../browser/pages.js";
import { trainTiny } from "../browser/tiny-training.js";
import { install, root } from "./install.js";

const VITE = "vite@7";
const WEIGHTS = "test/fixtures/formats/torchvision.pth";
const PICTURE = "weights/pictures/heart.png";

const installed = await install();
const vite = installed === null ? null : await installVite();
const { browserTest, openPage } = browserTests(test);
const viteTest = vite === null ? test.skip : browserTest;
const app = path.join(installed?.folder ?? "", "app");

/** Vite's script; null where it cannot be had. */
async function installVite(): Promise<string | null> {
  const folder = mkdtempSync(path.join(tmpdir(), "verydeep-vite-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(path.join(folder, "package.json"), "{}");
  try {
    const quick = ["--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"];
    await npm(["install", ...quick, VITE], { cwd: folder });
    return path.join(folder, "node_modules/vite/bin/vite.js");
  } catch {
    console.log(`SKIPPED the application on Vite: the package ${VITE} cannot be had here`);
    return null;
  }
}

const HEADERS = '{ "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" }';
const FILES: Readonly<Record<string, string>> = {
  // What the README says that Vite must be told.
  "vite.config.js": `const headers = ${HEADERS};
export default {
  optimizeDeps: { exclude: ["verydeep"] },
  worker: { format: "es" },
  server: { headers },
  preview: { headers },
};
`,
  "index.html": `<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>app</title>
<script type="module" src="/main.js"></script></html>
`,
  "main.js": `const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
globalThis.result = new Promise((resolve, reject) => {
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = ({ message }) => reject(new Error(message));
});
`,
  "worker.js": `import * as verydeep from "verydeep";
import { trainTiny } from "./tiny-training.js";

async function compute() {
  const trained = await trainTiny(verydeep, "plain", 2);
  const net = await verydeep.load("/torchvision.pth", { preprocessing: "torchvision", threads: 2, tier: "plain" });
  const [best] = await net.classify("/heart.png");
  await net.close();
  return { trained, best };
}
compute().then(postMessage, (error) => postMessage(String(error)));
`,
};

function writeApp(): void {
  mkdirSync(path.join(app, "public"), { recursive: true });
  for (const [name, text] of Object.entries(FILES)) writeFileSync(path.join(app, name), text);
  cpSync(path.join(root, "test/browser/tiny-training.js"), path.join(app, "tiny-training.js"));
  for (const file of [WEIGHTS, PICTURE]) cpSync(path.join(root, file), path.join(app, "public", path.basename(file)));
}

function startVite(...args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [vite ?? "", ...args], {
    cwd: app,
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** All that a run of Vite prints; its exit code must be 0. */
function runVite(...args: readonly string[]): Promise<string> {
  const child = startVite(...args);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (part: Buffer) => {
      text += part;
    });
  }
  return new Promise((resolve, reject) => {
    child.once("exit", (code) => (code === 0 ? resolve(text) : reject(new Error(text))));
  });
}

/** A server of Vite's, once it says where it is. */
async function serveVite(...args: readonly string[]): Promise<{ url: string; server: ChildProcess }> {
  const server = startVite(...args, "--host", "127.0.0.1", "--port", "0");
  let text = "";
  const url = await new Promise<string>((resolve, reject) => {
    server.stdout?.on("data", (part: Buffer) => {
      text += stripVTControlCharacters(String(part));
      const found = /Local: +(http:\S+\/)/.exec(text)?.[1];
      if (found !== undefined) resolve(found);
    });
    server.once("exit", (code) => reject(new Error(`vite ended (${code})\n${text}`)));
  });
  return { url, server };
}

/** What the page computes must have the bits of Node's. */
async function checkPage(...args: readonly string[]): Promise<void> {
  const { url, server } = await serveVite(...args);
  try {
    const { page, complaints } = await openPage({ url });
    const found = await run(page, "result");
    assert.ok(typeof found === "object" && found !== null && "trained" in found && "best" in found, String(found));
    assert.equal(found.trained, await trainTiny(verydeep));
    const options = { preprocessing: "torchvision", threads: 1, tier: "plain" } as const;
    const net = await verydeep.load(path.join(root, WEIGHTS), options);
    assert.equal(found.best, (await net.classify(path.join(root, PICTURE)))[0]);
    await net.close();
    // The development server talks of its connection.
    assert.equal(
      complaints.filter((one) => !one.startsWith("debug: [vite]")),
      [],
    );
    await page.close();
  } finally {
    server.kill();
  }
}

viteTest("vite build and preview: 2 threads, a PyTorch file, the bits of Node", async () => {
  writeApp();
  await runVite("build");
  const names = readdirSync(path.join(app, "dist/assets"));
  const has = (pattern: RegExp): boolean => names.some((name) => pattern.test(name));
  // The pool's worker, both builds of the kernels, and readers as parts of their own.
  for (const pattern of [/^web-worker-.*\.js$/, /^kernels-.*\.wasm$/, /^kernels-relaxed-.*\.wasm$/, /^hdf5-.*\.js$/]) {
    assert.ok(has(pattern), `${pattern} is not among ${names.join(", ")}`);
  }
  assert.not.ok(has(/piscina|node-host/));
  await checkPage("preview");
});

viteTest("vite's development server: 2 threads, a PyTorch file, the bits of Node", async () => {
  writeApp();
  await checkPage();
});

test.run();
