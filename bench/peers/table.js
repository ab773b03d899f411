// The rows of a run as one table for people; what an engine cannot run is a dash and the reason.

import { OURS } from "./engines.js";

const TIERS = Object.keys(OURS);

const LEFT = new Set(["case", "engine", "runs on"]);

const ms = (value) => value.toFixed(value < 100 ? 1 : 0);

/** "0.48 (0.50)": the ratio of minima and, in brackets, of medians. */
export const ratio = (over) => (over ? `${over.min.toFixed(2)} (${over.median.toFixed(2)})` : "–");

const overHead = (tier) => `${tier} / it`;

/** Columns: the head, and the cell of a row that was measured. */
const COLUMNS = [
  ["case", (row) => row.case],
  ["engine", (row) => `${row.engine} ${row.version}`],
  ["threads", (row) => `${row.threads}`],
  ["min ms", (row) => ms(row.minMs)],
  ["median ms", (row) => ms(row.medianMs)],
  ...TIERS.map((tier) => [overHead(tier), (row) => ratio(row.oursOver[tier])]),
  ["distance", (row) => row.distance.toExponential(1)],
  ["RSS MB", (row) => row.peakRssMb.toFixed(0)],
  ["runs on", (row) => row.runtime],
];

/** The columns that some row has something in. */
function columnsOf(rows) {
  const silent = TIERS.filter((tier) => !rows.some(({ oursOver }) => oursOver?.[tier])).map(overHead);
  return COLUMNS.filter(([head]) => !silent.includes(head));
}

function cellsOf(row, columns) {
  if (!row.cannot) return columns.map(([, cell]) => cell(row));
  const known = { case: row.case, engine: row.engine, threads: `${row.askedThreads}`, "runs on": row.cannot };
  return columns.map(([head]) => known[head] ?? "–");
}

/** The whole table; under it what each engine did, once. */
export function formatTable(rows) {
  const columns = columnsOf(rows);
  const head = columns.map(([name]) => name);
  const table = [head, ...rows.map((row) => cellsOf(row, columns))];
  const widths = head.map((_, column) => Math.max(...table.map((row) => row[column].length)));
  const lines = table.map((row, i) => {
    const sameCase = i > 1 && row[0] === table[i - 1][0];
    return (sameCase ? ["", ...row.slice(1)] : row)
      .map((text, column) => (LEFT.has(head[column]) ? text.padEnd(widths[column]) : text.padStart(widths[column])))
      .join("  ")
      .trimEnd();
  });
  const details = new Map(rows.filter(({ detail }) => detail).map(({ engine, detail }) => [engine, detail]));
  return [
    `${rows[0].cpu}, ${rows[0].cores} cores; times of ours / times of the row's engine: of minima (of medians)`,
    ...lines,
    ...[...details].map(([engine, detail]) => `${engine}: ${detail}`),
  ].join("\n");
}
