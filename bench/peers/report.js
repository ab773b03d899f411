// What a file of rows looks like to people: the README's table between its two marks, the chart docs/speed.svg, and on standard output
// the targets (targets.json). Rows come from run.js; of each case and number of threads the newest run counts.
//
//   node bench/peers/report.js [rows.jsonl] [--check]
//
// --check writes nothing, and ends with 1 where table or chart are not those of the rows. --readme and --chart name other files.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chartSvg } from "./chart.js";
import { readRows } from "./rows.js";
import { replaceTable, speedTable } from "./readme.js";
import { formatTargets, judge, newestGroups } from "./targets.js";

const inRoot = (name) => fileURLToPath(new URL(`../../${name}`, import.meta.url));

function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      check: { type: "boolean", default: false },
      readme: { type: "string", default: inRoot("README.md") },
      chart: { type: "string", default: inRoot("docs/speed.svg") },
    },
  });
  const rows = readRows(positionals[0] ?? inRoot("bench/results/peers.jsonl"));
  if (!rows.some(({ cannot }) => !cannot))
    throw new Error("peers: nothing was measured (no row has a time). Run again.");
  const groups = newestGroups(rows).filter((group) => group.rows.some(({ cannot }) => !cannot));
  const made = [
    [values.readme, replaceTable(readFileSync(values.readme, "utf8"), speedTable(groups, judge(rows)), values.readme)],
    [values.chart, chartSvg(groups)],
  ];
  for (const [file, text] of made) {
    if (!values.check) writeFileSync(file, text);
    else if (readFileSync(file, "utf8") !== text) {
      throw new Error(`peers: the file is not what the rows say (${file}). Run npm run bench:report.`);
    }
  }
  console.log(formatTargets(judge(rows)));
}

try {
  main();
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
