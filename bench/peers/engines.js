// The engines: which file prepares each, with which program it runs, and what must be installed. To add one: a file that
// calls serve() of serve.js (or speaks its few lines of JSON, as pytorch.py does), and its entry here.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const OLDEST_NODE_OF_JAX = 24;

/** `program` gives the command that the file is run with, or throws an error that says what is missing. */
export const ENGINES = {
  ours: { file: "ours.js", program: node, options: { convAlgorithm: "auto" } },
  "ours-im2col": { file: "ours.js", program: node, options: { convAlgorithm: "im2col" } },
  "tfjs-wasm": { file: "tfjs-wasm.js", program: node, needs: "@tensorflow/tfjs-backend-wasm" },
  "onnxruntime-web": { file: "onnxruntime-web.js", program: node, needs: "onnxruntime-web" },
  "onnxruntime-node": { file: "onnxruntime-node.js", program: node, needs: "onnxruntime-node" },
  "jax-js": { file: "jax-js.js", program: node24, needs: "@jax-js/jax" },
  pytorch: { file: "pytorch.py", program: python },
};

const INSTALL = "(cd bench/peers && npm ci --ignore-scripts)";

/** What has to be installed before these engines can run; null where all is there. */
export function missingPackages(names) {
  const missing = names
    .map((name) => ENGINES[name].needs)
    .filter((name) => name && !existsSync(new URL(`./node_modules/${name}/package.json`, import.meta.url)));
  if (missing.length === 0) return null;
  return `peers: not installed: ${missing.join(", ")}. Run ${INSTALL}, or leave them out with --engines ours,pytorch.`;
}

/** The command line of an engine's process. */
export function commandOf(name) {
  const { file, program } = ENGINES[name];
  return [...program(), fileURLToPath(new URL(file, import.meta.url))];
}

function node() {
  return [process.execPath, "--import", "tsx"];
}

/** jax-js needs a newer Node than verydeep; the npm package `node` holds one. */
function node24() {
  if (Number(process.versions.node.split(".")[0]) >= OLDEST_NODE_OF_JAX) return node();
  const args = ["--yes", `--package=node@${OLDEST_NODE_OF_JAX}`, "--", "node", "-p", "process.execPath"];
  const path = firstLine("npx", args, process.platform === "win32");
  if (path === null) throw new Error(`needs Node ${OLDEST_NODE_OF_JAX}, and npx cannot fetch it`);
  return [path, "--import", "tsx"];
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
