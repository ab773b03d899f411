// The engines: which file prepares each, with which program it runs, and what must be installed. To add one: a file that
// calls serve() of serve.js (or speaks its few lines of JSON, as pytorch.py does), and its entry here.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The first Node with relaxed SIMD and V8's wide vectors as ours need them; jax-js starts from it too. */
const NEWER_NODE = 24;

/**
 * `program` gives the command that the file is run with, or throws an error that says what is missing. `onlyAsked`: not part of a run
 * that names no engines. `tier` marks ours: rows of the others are compared with these.
 */
export const ENGINES = {
  "ours-plain": { file: "ours.js", program: node, tier: "plain", options: { tier: "plain" } },
  "ours-relaxed": { file: "ours.js", program: newerNode, tier: "relaxed", options: { tier: "relaxed" } },
  "ours-turbo": { file: "ours.js", program: newerNode, tier: "turbo", options: { tier: "turbo" } },
  "ours-im2col": {
    file: "ours.js",
    program: node,
    options: { tier: "plain", convAlgorithm: "im2col" },
    onlyAsked: true,
  },
  "ours-webgpu": { file: "ours.js", program: node, tier: "webgpu", options: { backend: "webgpu" }, onlyAsked: true },
  "onnxruntime-node": { file: "onnxruntime-node.js", program: node, needs: "onnxruntime-node" },
  pytorch: { file: "pytorch.py", program: python },
  "pytorch-cuda": { file: "pytorch.py", program: python, options: { device: "cuda" }, onlyAsked: true },
  "tfjs-wasm": { file: "tfjs-wasm.js", program: node, needs: "@tensorflow/tfjs-backend-wasm" },
  "onnxruntime-web": { file: "onnxruntime-web.js", program: node, needs: "onnxruntime-web" },
  "tfjs-wasm-node24": { file: "tfjs-wasm.js", program: newerNode, needs: "@tensorflow/tfjs-backend-wasm" },
  "onnxruntime-web-node24": { file: "onnxruntime-web.js", program: newerNode, needs: "onnxruntime-web" },
  "jax-js": { file: "jax-js.js", program: newerNode, needs: "@jax-js/jax", onlyAsked: true },
};

/** Those that run when none is asked for. */
export const DEFAULT_ENGINE_NAMES = Object.keys(ENGINES).filter((name) => !ENGINES[name].onlyAsked);

/** Ours with all that a tier has, by tier. */
export const OURS = Object.fromEntries(
  Object.entries(ENGINES).flatMap(([name, { tier }]) => (tier ? [[tier, name]] : [])),
);

/** The wasm backend's, which targets speak of. */
export const WASM_TIERS = Object.keys(OURS).filter((tier) => tier !== "webgpu");

const INSTALL = "(cd bench/peers && npm ci --ignore-scripts)";

/** What has to be installed before these engines can run; null where all is there. */
export function missingPackages(names) {
  const needed = new Set(names.flatMap((name) => ENGINES[name].needs ?? []));
  const missing = [...needed].filter(
    (name) => !existsSync(new URL(`./node_modules/${name}/package.json`, import.meta.url)),
  );
  if (missing.length === 0) return null;
  return `peers: not installed: ${missing.join(", ")}. Run ${INSTALL}, or leave them out with --engines ours-plain,pytorch.`;
}

/** The command line of an engine's process. */
export function commandOf(name) {
  const { file, program } = ENGINES[name];
  return [...program(), fileURLToPath(new URL(file, import.meta.url))];
}

function node() {
  return [process.execPath, "--import", "tsx"];
}

/** The npm package `node` holds a newer Node; looked for once a run. */
let newerNodePath;

function newerNode() {
  if (Number(process.versions.node.split(".")[0]) >= NEWER_NODE) return node();
  const args = ["--yes", `--package=node@${NEWER_NODE}`, "--", "node", "-p", "process.execPath"];
  newerNodePath ??= firstLine("npx", args, process.platform === "win32");
  if (newerNodePath === null) throw new Error(`needs Node ${NEWER_NODE}, and npx cannot fetch it`);
  return [newerNodePath, "--import", "tsx"];
}

/** The first Python that has PyTorch: the PATH's, or the system's. */
function python() {
  const found = ["python3", "/usr/bin/python3", "python"].find(
    (path) => firstLine(path, ["-c", "import torch; print(torch.__version__)"]) !== null,
  );
  if (found === undefined) throw new Error("no Python here has PyTorch");
  return [found];
}

/** What a command prints first; null where it cannot be run or fails. */
function firstLine(command, args, shell = false) {
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8", shell, stdio: ["ignore", "pipe", "ignore"] });
  return status === 0 ? stdout.split("\n")[0].trim() : null;
}
