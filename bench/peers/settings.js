// The command line of run.js. Options that make no sense are an error of one line.

import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { DEFAULT_CASE_NAMES, jobOf } from "./cases.js";
import { DEFAULT_ENGINE_NAMES, ENGINES, missingPackages } from "./engines.js";

/** {jobs, engines, named (engines were asked for by name), threads, rounds, json, out, resume}; throws. */
export function parseSettings(args) {
  const { values } = parseArgs({
    args,
    options: {
      cases: { type: "string", default: DEFAULT_CASE_NAMES.join(",") },
      engines: { type: "string" },
      threads: { type: "string", default: availableParallelism() > 1 ? "1,2" : "1" },
      rounds: { type: "string" },
      json: { type: "boolean", default: false },
      out: { type: "string" },
      resume: { type: "boolean", default: false },
    },
  });
  const engines = values.engines?.split(",") ?? DEFAULT_ENGINE_NAMES;
  const unknown = engines.find((name) => !Object.hasOwn(ENGINES, name));
  if (unknown !== undefined) {
    throw new Error(
      `peers: there is no such engine (--engines ${unknown}). Use some of ${Object.keys(ENGINES).join(", ")}.`,
    );
  }
  if (values.resume && values.out === undefined) {
    throw new Error("peers: there is nothing to resume (--resume without --out). Name the file of rows with --out.");
  }
  const missing = missingPackages(engines);
  if (missing !== null) throw new Error(missing);
  return {
    jobs: values.cases.split(",").map(jobOf),
    engines,
    named: values.engines !== undefined,
    threads: wholeNumbers("threads", values.threads),
    rounds: values.rounds === undefined ? null : wholeNumbers("rounds", values.rounds)[0],
    json: values.json,
    out: values.out,
    resume: values.resume,
  };
}

function wholeNumbers(name, text) {
  const list = text.split(",").map(Number);
  if (list.every((value) => Number.isInteger(value) && value > 0)) return list;
  throw new Error(`peers: ${name} must be whole numbers from 1 (--${name} ${text}). Use --${name} 1.`);
}
