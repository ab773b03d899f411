// Rows: what a run measures, one for each case, number of threads and engine, and how they are kept, one JSON object a line.
// Rows of one case and number of threads that ran interleaved share `run`, a time; only such rows are compared with each other.

import { readFileSync } from "node:fs";
import { OURS } from "./engines.js";

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** A row: a measurement, or the reason why there is none. `engine` is an EngineProcess, or {cannot}. */
export function rowOf({ job, engineName, engine, askedThreads, comparedWith, about }) {
  const { name, kind, inputShape, flops } = job;
  const what = { case: name, kind, shape: `x=[${inputShape}]`, engine: engineName, askedThreads };
  if (engine.cannot) return { ...what, cannot: engine.cannot, ...about };
  const { version, runtime, detail, threads, timesMs, peakRssMb, distance } = engine;
  const medianMs = median(timesMs);
  return {
    ...what,
    version,
    runtime,
    detail,
    threads,
    rounds: timesMs.length,
    minMs: Math.min(...timesMs),
    medianMs,
    gflops: flops / medianMs / 1e6,
    comparedWith,
    distance,
    peakRssMb,
    timesMs,
    ...about,
  };
}

/**
 * Adds `oursOver` to the measurements of one case: {tier: {min, median}}, ours / the row's, for each tier that ran; below 1 ours is
 * faster. Rows of ours have it too.
 */
export function withRatios(rows) {
  const ours = Object.entries(OURS).flatMap(([tier, engine]) => {
    const row = rows.find((row) => row.engine === engine && !row.cannot);
    return row ? [[tier, row]] : [];
  });
  return rows.map((row) => {
    if (row.cannot) return row;
    const ratios = ours.map(([tier, { minMs, medianMs }]) => [
      tier,
      { min: minMs / row.minMs, median: medianMs / row.medianMs },
    ]);
    return { ...row, oursOver: Object.fromEntries(ratios) };
  });
}

/** The rows of a file; a last line that was cut is left out. Throws an error of one line where it holds none. */
export function readRows(path) {
  let text;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new Error(`peers: the rows cannot be read (${error.code} ${path}). Make them with npm run bench:peers.`);
  }
  const lines = text.split("\n").filter((line) => line !== "");
  const rows = lines.flatMap((line, i) => {
    try {
      return [JSON.parse(line)];
    } catch {
      if (i === lines.length - 1) return [];
      throw new Error(`peers: a line is no JSON (${path}, line ${i + 1}). Remove it.`);
    }
  });
  const odd = rows.findIndex((row) => typeof row?.engine !== "string" || typeof row.case !== "string" || !row.run);
  if (odd >= 0) throw new Error(`peers: a line is no row of this benchmark (${path}, line ${odd + 1}). Remove it.`);
  return rows;
}

/** Rows by case, number of threads and run, in the order of the file: [{case, askedThreads, run, rows}]. */
export function groupsOf(rows) {
  const groups = new Map();
  for (const row of rows) {
    const key = JSON.stringify([row.case, row.askedThreads, row.run]);
    if (!groups.has(key)) groups.set(key, { case: row.case, askedThreads: row.askedThreads, run: row.run, rows: [] });
    groups.get(key).rows.push(row);
  }
  return [...groups.values()];
}
