// The rows of a run as one table for people; what an engine cannot run is a dash and the reason.

const HEAD = [
  "case",
  "engine",
  "threads",
  "min ms",
  "median ms",
  "min / ours",
  "median / ours",
  "distance",
  "RSS MB",
  "runs on",
];
const LEFT = new Set([0, 1, 9]);

const cell = (value, digits) => (value === null ? "–" : value.toFixed(digits));

function cellsOf(row) {
  const { askedThreads, cannot } = row;
  if (cannot) return [row.case, row.engine, `${askedThreads}`, "–", "–", "–", "–", "–", "–", cannot];
  return [
    row.case,
    `${row.engine} ${row.version}`,
    `${row.threads}`,
    cell(row.minMs, row.minMs < 100 ? 1 : 0),
    cell(row.medianMs, row.medianMs < 100 ? 1 : 0),
    cell(row.minOverOurs, 2),
    cell(row.medianOverOurs, 2),
    row.distance.toExponential(1),
    cell(row.peakRssMb, 0),
    row.runtime,
  ];
}

/** The whole table; under it what each engine did, once. */
export function formatTable(rows) {
  const table = [HEAD, ...rows.map(cellsOf)];
  const widths = HEAD.map((_, column) => Math.max(...table.map((row) => row[column].length)));
  const lines = table.map((row, i) => {
    const sameCase = i > 1 && row[0] === table[i - 1][0];
    return (sameCase ? ["", ...row.slice(1)] : row)
      .map((text, column) => (LEFT.has(column) ? text.padEnd(widths[column]) : text.padStart(widths[column])))
      .join("  ")
      .trimEnd();
  });
  const details = new Map(rows.filter(({ detail }) => detail).map(({ engine, detail }) => [engine, detail]));
  return [
    `${rows[0].cpu}, ${rows[0].cores} cores`,
    ...lines,
    ...[...details].map(([engine, detail]) => `${engine}: ${detail}`),
  ].join("\n");
}
