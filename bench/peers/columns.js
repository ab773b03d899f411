// What the README's table and the chart show of a run: one entry for each of these engines, in this order. An engine that was measured
// on two Nodes is shown by its faster one.

import { fastestOf } from "./targets.js";

export const SHOWN = [
  { name: "verydeep plain", engines: ["ours-plain"], ours: true },
  { name: "verydeep relaxed", engines: ["ours-relaxed"], ours: true },
  { name: "verydeep turbo", engines: ["ours-turbo"], ours: true },
  { name: "onnxruntime-node", engines: ["onnxruntime-node"] },
  { name: "PyTorch", engines: ["pytorch"] },
  { name: "tfjs-wasm", engines: ["tfjs-wasm", "tfjs-wasm-node24"] },
  { name: "onnxruntime-web", engines: ["onnxruntime-web", "onnxruntime-web-node24"] },
];

/** The entries of a run: [{name, ours, row}]; `row` is undefined where the engine did not run. */
export function entriesOf(group) {
  return SHOWN.map(({ name, engines, ours = false }) => ({ name, ours, row: fastestOf(group, engines) }));
}

/** Milliseconds with three digits or so. */
export const formatMs = (ms) => ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0);

export const threadsText = (count) => `${count} thread${count > 1 ? "s" : ""}`;

/** Where and when: "AMD EPYC, 2 cores, 2026-11-25"; all different ones where the rows are of several. */
export function placeOf(rows) {
  const machines = new Set(rows.map(({ cpu, cores }) => `${cpu}, ${cores} cores`));
  const days = [...new Set(rows.map(({ run }) => run.slice(0, 10)))].sort();
  const when = days.length > 1 ? `${days[0]} to ${days.at(-1)}` : days[0];
  return `${[...machines].join("; ")}, ${when}`;
}

/** "verydeep 0.1.0 plain on Node 20.20.2; …": versions and runtimes of what is shown. */
export function versionsOf(groups) {
  const entries = groups.flatMap(entriesOf).filter(({ row }) => row);
  const texts = SHOWN.flatMap(({ name }) => {
    const rows = entries.filter((entry) => entry.name === name).map(({ row }) => row);
    const versions = new Set(rows.map(({ version, runtime }) => `${version} (${runtime})`));
    return versions.size > 0 ? [`${name} ${[...versions].join(" and ")}`] : [];
  });
  return texts.join(", ");
}
