// Times a VGG-16 forward pass (224, batch 1) in verydeep and its peers, interleaved in one run: every engine stays alive
// in a process of its own (serve.js) and each round asks them in turn, so that whatever else the machine does falls on all.
// Outputs are compared with PyTorch's before anything is timed. Options and reading of the numbers: README.md.

import { fork } from "node:child_process";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { expectedLogits } from "./net.js";

const ENGINES = ["ours", "ours-im2col", "tfjs-wasm", "onnxruntime-web"];
/** Largest |logit difference| / largest |logit|: PyTorch's own float32 is 2.6e-6 from its float64. */
const TOLERANCE = 5e-5;

const { values: options } = parseArgs({
  options: {
    engines: { type: "string", default: ENGINES.join(",") },
    rounds: { type: "string", default: "7" },
    warmup: { type: "string", default: "2" },
    threads: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
  },
});

/** Starts an engine's process; `ask` sends a request and resolves to the answer. */
class Engine {
  constructor(name) {
    this.name = name;
    this.timesMs = [];
    const script = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
    this.child = fork(script, [options.threads], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  }

  answer() {
    return new Promise((resolve, reject) => {
      const onMessage = (message) => {
        this.child.off("exit", onExit);
        if (message.error) reject(new Error(`${this.name}: ${message.error}`));
        else resolve(message);
      };
      const onExit = (code, signal) => {
        this.child.off("message", onMessage);
        reject(new Error(`${this.name}: the process ended (${signal ?? `code ${code}`})`));
      };
      this.child.once("message", onMessage);
      this.child.once("exit", onExit);
    });
  }

  ask(request) {
    const answer = this.answer();
    this.child.send(request);
    return answer;
  }
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function distance(logits, expected) {
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    difference = Math.max(difference, Math.abs(logits[i] - expected[i]));
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return difference / largest;
}

const note = (text) => process.stderr.write(`${text}\n`);

/** Starts, warms up and checks one engine; null, with a message, when it cannot run. */
async function start(name, expected) {
  const engine = new Engine(name);
  try {
    const begin = performance.now();
    Object.assign(engine, await engine.answer());
    for (let i = 0; i < Number(options.warmup); i++) await engine.ask({});
    engine.distance = distance((await engine.ask({ wantLogits: true })).logits, expected);
    if (!(engine.distance <= TOLERANCE)) throw new Error(`${name}: logits are ${engine.distance} from PyTorch's`);
    note(`${name} ${engine.version}: ready in ${((performance.now() - begin) / 1000).toFixed(1)} s`);
    return engine;
  } catch (error) {
    note(`${name} does not run: ${error.message}`);
    engine.child.kill();
    process.exitCode = 1;
    return null;
  }
}

const expected = expectedLogits();
const engines = [];
for (const name of options.engines.split(",")) {
  if (!ENGINES.includes(name)) throw new Error(`vgg16: no engine "${name}". Choose from ${ENGINES.join(", ")}.`);
  const engine = await start(name, expected);
  if (engine) engines.push(engine);
}

for (let round = 0; round < Number(options.rounds); round++)
  for (const engine of engines) {
    const { timeMs, peakRssMb } = await engine.ask({});
    engine.timesMs.push(timeMs);
    engine.peakRssMb = peakRssMb;
  }
for (const { child } of engines) child.disconnect();

const ours = engines.find(({ name }) => name === "ours");
const rows = engines.map(({ name, version, detail, threads, timesMs, distance, peakRssMb }) => ({
  bench: "vgg16-forward",
  shape: "x=[1,3,224,224]",
  engine: name,
  version,
  detail,
  threads,
  rounds: timesMs.length,
  minMs: Math.min(...timesMs),
  medianMs: median(timesMs),
  minOverOurs: ours ? Math.min(...timesMs) / Math.min(...ours.timesMs) : null,
  medianOverOurs: ours ? median(timesMs) / median(ours.timesMs) : null,
  distance,
  peakRssMb,
  timesMs,
  cpu: cpus()[0].model,
  cores: cpus().length,
  node: process.version,
}));

if (options.json) {
  for (const row of rows) console.log(JSON.stringify(row));
} else {
  const cell = (value, digits) => (value === null ? "-" : value.toFixed(digits));
  const table = [
    ["engine", "version", "threads", "min ms", "median ms", "min / ours", "median / ours", "distance", "RSS MB"],
  ];
  for (const r of rows)
    table.push([
      r.engine,
      r.version,
      String(r.threads),
      cell(r.minMs, 0),
      cell(r.medianMs, 0),
      cell(r.minOverOurs, 2),
      cell(r.medianOverOurs, 2),
      r.distance.toExponential(1),
      cell(r.peakRssMb, 0),
    ]);
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  console.log(
    `VGG-16 forward, 224, batch 1, ${options.rounds} rounds; ${cpus()[0].model}, ${cpus().length} cores, Node ${process.version}`,
  );
  for (const row of table) console.log(row.map((text, column) => text.padStart(widths[column])).join("  "));
}
