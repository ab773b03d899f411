// Times verydeep and its peers on the cases of ../shapes/peers.json, interleaved: for each case every engine stays alive in a
// process of its own (serve.js) and each round asks them in turn, so that whatever else the machine does falls on all.
// Results are compared before anything is timed. Options and reading of the numbers: README.md.

import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { setTimeout } from "node:timers/promises";
import { EngineProcess } from "./engine-process.js";
import { CHECKED_STEPS, distance, expectedLogits, TOLERANCE } from "./expected.js";
import { groupsOf, readRows, rowOf, withRatios } from "./rows.js";
import { parseSettings } from "./settings.js";
import { formatTable } from "./table.js";

/** Untimed runs of a forward pass after the one that is compared; an engine that has used up the time gets no more. */
const WARM_UP = 2;
const WARM_UP_MS = 4000;

/**
 * Rest before each timed run: onnxruntime's threads spin for some 50 ms after their work, at the cost of whoever follows (measured on
 * two cores: 163 ms at once, 143 ms after 50 ms, 138 ms after 300).
 */
const REST_MS = 200;

const note = (text) => process.stderr.write(`${text}\n`);
const machine = { cpu: cpus()[0].model, cores: availableParallelism() };

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
    let warmUpMs = 0;
    for (let i = 0; i < (job.kind === "train" ? CHECKED_STEPS : 1); i++) {
      const { result, timeMs } = await engine.ask({ wantResult: true });
      engine.results.push(...result);
      warmUpMs += timeMs;
    }
    for (let i = 0; job.kind === "forward" && i < WARM_UP && warmUpMs < WARM_UP_MS; i++) {
      warmUpMs += (await engine.ask({})).timeMs;
    }
    note(`${job.name}: ${name} ${engine.version} is ready after ${((performance.now() - begin) / 1000).toFixed(1)} s`);
    return engine;
  } catch (error) {
    await engine?.close();
    return { cannot: error.message.split("\n")[0], failed: engine !== undefined };
  }
}

/** Is an engine with `own` rounds of `rounds` asked in this one? Fewer are spread over all. */
const hasTurn = (round, own, rounds) => Math.floor(((round + 1) * own) / rounds) > Math.floor((round * own) / rounds);

/** All engines on one case, with this many threads where an engine has them. Resolves to a row for each. */
async function runCase(job, askedThreads, allRounds, names) {
  const about = { ...machine, run: new Date().toISOString() };
  const started = [];
  let expected = expectedLogits(job);
  for (const name of names) {
    const engine = await start(name, job, askedThreads);
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
  const running = started.filter(([, { cannot }]) => !cannot);
  const rounds = allRounds ?? job.rounds;
  for (let round = 0; round < rounds; round++) {
    for (const [name, engine] of running) {
      const own = Math.min(rounds, allRounds ?? job.roundsOf[name] ?? rounds);
      if (!hasTurn(round, own, rounds)) continue;
      await setTimeout(REST_MS);
      await engine.time();
    }
  }
  for (const [, engine] of running) await engine.close();
  const comparedWith = expected?.from ?? null;
  return withRatios(
    started.map(([engineName, engine]) => rowOf({ job, engineName, engine, askedThreads, comparedWith, about })),
  );
}

/** The rows that a file has of a case and number of threads, where one interleaved run has all these engines; else null. */
function presentRows(groups, job, threads, names) {
  const present = groups.findLast(
    (group) =>
      group.case === job.name &&
      group.askedThreads === threads &&
      names.every((name) => group.rows.some(({ engine }) => engine === name)),
  );
  return present?.rows ?? null;
}

async function main({ jobs, engines, named, threads, rounds, json, out, resume }) {
  const groups = resume && existsSync(out) ? groupsOf(readRows(out)) : [];
  // A line that was cut has gone, and the next row begins on one of its own.
  if (out !== undefined) writeFileSync(out, toLines(groups.flatMap((group) => group.rows)));
  const all = [];
  for (const job of jobs)
    for (const count of threads) {
      const names = engines.filter((name) => named || !job.leaveOut.includes(name));
      const present = presentRows(groups, job, count, names);
      if (present !== null) note(`${job.name}, ${count} threads: measured already`);
      const rows = present ?? (await runCase(job, count, rounds, names));
      all.push(...rows);
      if (json) process.stdout.write(toLines(rows));
      if (out !== undefined && present === null) appendFileSync(out, toLines(rows));
    }
  if (!json) console.log(formatTable(all));
}

function toLines(rows) {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}

let asked;
try {
  asked = parseSettings(process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exit(2);
}
await main(asked);
