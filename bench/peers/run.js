// Times verydeep and its peers on the cases of ../shapes/peers.json, interleaved: for each case every engine stays alive in a
// process of its own (serve.js) and each round asks them in turn, so that whatever else the machine does falls on all.
// Results are compared before anything is timed. Options and reading of the numbers: README.md.

import { writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { parseArgs } from "node:util";
import { CASE_NAMES, jobOf } from "./cases.js";
import { EngineProcess } from "./engine-process.js";
import { ENGINES, missingPackages } from "./engines.js";
import { CHECKED_STEPS, distance, expectedLogits, TOLERANCE } from "./expected.js";
import { formatTable } from "./table.js";

const WARM_UP = 2;

const note = (text) => process.stderr.write(`${text}\n`);
const machine = { cpu: cpus()[0].model, cores: availableParallelism() };

/** Options that make no sense end the run in one line. */
function settings() {
  const { values } = parseArgs({
    options: {
      cases: { type: "string", default: CASE_NAMES.join(",") },
      engines: { type: "string", default: Object.keys(ENGINES).join(",") },
      threads: { type: "string", default: "1" },
      rounds: { type: "string" },
      json: { type: "boolean", default: false },
      out: { type: "string" },
    },
  });
  const engines = values.engines.split(",");
  const unknown = engines.find((name) => !Object.hasOwn(ENGINES, name));
  if (unknown !== undefined) {
    throw new Error(
      `peers: there is no such engine (--engines ${unknown}). Use some of ${Object.keys(ENGINES).join(", ")}.`,
    );
  }
  const numbers = (name, text) => {
    const list = text.split(",").map(Number);
    if (list.every((value) => Number.isInteger(value) && value > 0)) return list;
    throw new Error(`peers: ${name} must be whole numbers from 1 (--${name} ${text}). Use --${name} 1.`);
  };
  const missing = missingPackages(engines);
  if (missing !== null) throw new Error(missing);
  return {
    engines,
    jobs: values.cases.split(",").map(jobOf),
    threads: numbers("threads", values.threads),
    rounds: values.rounds === undefined ? null : numbers("rounds", values.rounds)[0],
    json: values.json,
    out: values.out,
  };
}

/** Starts one engine, and asks it for its first results: an output, or the losses of the first steps. */
async function start(name, job, threads) {
  const begin = performance.now();
  let engine;
  try {
    engine = new EngineProcess(name);
    await engine.prepare(job, threads);
    if (engine.cannot) {
      await engine.close();
      return engine;
    }
    engine.results = [];
    for (let i = 0; i < (job.kind === "train" ? CHECKED_STEPS : 1); i++) {
      engine.results.push(...(await engine.ask({ wantResult: true })).result);
    }
    if (job.kind === "forward") for (let i = 0; i < WARM_UP; i++) await engine.ask({});
    note(`${job.name}: ${name} ${engine.version} is ready after ${((performance.now() - begin) / 1000).toFixed(1)} s`);
    return engine;
  } catch (error) {
    await engine?.close();
    return { cannot: error.message.split("\n")[0], failed: engine !== undefined };
  }
}

/** All engines on one case, with this many threads where an engine has them. Resolves to a row for each. */
async function runCase(job, threads, rounds, names) {
  const started = [];
  let expected = expectedLogits(job);
  for (const name of names) {
    const engine = await start(name, job, threads);
    if (!engine.cannot) {
      expected ??= { from: name, values: engine.results };
      engine.distance = distance(job.kind, engine.results, expected.values);
      if (!(engine.distance <= TOLERANCE[job.kind])) {
        await engine.close();
        engine.cannot = `wrong: ${engine.distance.toExponential(1)} away from ${expected.from}`;
        engine.failed = true;
      }
    }
    if (engine.cannot) note(`${job.name}: ${name} does not run: ${engine.cannot}`);
    if (engine.failed) process.exitCode = 1;
    started.push([name, engine]);
  }
  const running = started.map(([, engine]) => engine).filter(({ cannot }) => !cannot);
  for (let round = 0; round < rounds; round++) for (const engine of running) await engine.time();
  for (const engine of running) await engine.close();
  const ours = started.find(([name, { cannot }]) => name === "ours" && !cannot)?.[1] ?? null;
  return started.map(([name, engine]) => rowOf(job, name, engine, threads, ours, expected?.from ?? null));
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** A row: a measurement, or the reason why there is none. */
function rowOf(job, engineName, engine, askedThreads, ours, comparedWith) {
  const what = { case: job.name, kind: job.kind, shape: `x=[${job.inputShape}]`, engine: engineName, askedThreads };
  if (engine.cannot) return { ...what, cannot: engine.cannot, ...machine };
  const { version, runtime, detail, threads, timesMs, peakRssMb } = engine;
  const [minMs, medianMs] = [Math.min(...timesMs), median(timesMs)];
  return {
    ...what,
    version,
    runtime,
    detail,
    threads,
    rounds: timesMs.length,
    minMs,
    medianMs,
    minOverOurs: ours && minMs / Math.min(...ours.timesMs),
    medianOverOurs: ours && medianMs / median(ours.timesMs),
    gflops: job.flops / medianMs / 1e6,
    comparedWith,
    distance: engine.distance,
    peakRssMb,
    timesMs,
    ...machine,
  };
}

async function main({ jobs, engines, threads, rounds, json, out }) {
  const rows = [];
  for (const count of threads)
    for (const job of jobs) {
      const added = await runCase(job, count, rounds ?? job.rounds, engines);
      rows.push(...added);
      if (json) for (const row of added) console.log(JSON.stringify(row));
      if (out !== undefined) writeFileSync(out, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    }
  if (!json) console.log(formatTable(rows));
}

let asked;
try {
  asked = settings();
} catch (error) {
  console.error(error.message);
  process.exit(2);
}
await main(asked);
