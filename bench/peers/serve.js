// An engine's side of the benchmark: one process per engine and case, which prepares the job that it is sent, says so, and
// then runs once for each further line. Between requests it sleeps on its input, so that it takes nothing from the others.
//
//   in    {"job": …, "threads": 1, "options": …}    out   {"version", "runtime", "threads", "detail"} or {"cannot": reason}
//   in    {"wantResult": true}                      out   {"timeMs", "peakRssMb", "result": [numbers]}
//   either                                          out   {"error": text}, and the end of the process
//
// One JSON object a line; lines of standard output that are none are an engine's own chatter. The end of input ends the process.

import { createInterface } from "node:readline";

/** Of larger results every SAMPLE_STEP-th number is compared; prime, so that all rows, columns and channels get their turn. */
const MOST_NUMBERS = 10_000;
const SAMPLE_STEP = 191;

/**
 * `prepare({ job, threads, options })` resolves to {version, threads, detail, run, comparable} or {cannot}. `run()` does one forward
 * pass and resolves to its output in JavaScript's memory, or one training step and resolves to its loss. Only `run` is timed.
 * `comparable`, if any, brings an output into NCHW.
 */
export async function serve(prepare) {
  const send = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
  try {
    let prepared;
    for await (const line of createInterface({ input: process.stdin })) {
      const request = JSON.parse(line);
      if (request.job) {
        prepared = await prepare(request);
        const { version, threads, detail, cannot } = prepared;
        send(cannot ? { cannot } : { version, threads, detail, runtime: `Node ${process.versions.node}` });
        continue;
      }
      const begin = performance.now();
      const result = await prepared.run();
      const timeMs = performance.now() - begin;
      const peakRssMb = process.resourceUsage().maxRSS / 1024;
      const { comparable = (output) => output } = prepared;
      send({ timeMs, peakRssMb, ...(request.wantResult && { result: sample(comparable(result)) }) });
    }
    process.exit(0);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ error: String(error?.stack ?? error) })}\n`, () => process.exit(1));
  }
}

/** A loss or an output as a list of numbers, not too long to send. */
function sample(result) {
  const values = typeof result === "number" ? [result] : Array.from(result);
  return values.length <= MOST_NUMBERS ? values : values.filter((_, i) => i % SAMPLE_STEP === 0);
}
