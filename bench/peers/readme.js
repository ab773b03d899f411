// The README's part about speed, as Markdown: the chart, times, ratios, where and how. It stands between two marks and is never edited by
// hand.

import { titleOf } from "./cases.js";
import { entriesOf, formatMs, placeOf, SHOWN, threadsText, versionsOf } from "./columns.js";
import { WASM_TIERS } from "./engines.js";
import { ratio } from "./table.js";

const BEGIN = "<!-- speed: written by npm run bench:report -->";
const END = "<!-- /speed -->";

const line = (cells) => `| ${cells.join(" | ")} |`;
const table = (head, rows) => [line(head), line(head.map(() => "---")), ...rows.map(line)];

function timeCell({ ours, row }, askedThreads) {
  if (!row) return "–";
  const fewer = row.threads === askedThreads ? "" : `, ${threadsText(row.threads)}`;
  const times = `${formatMs(row.minMs)} (${formatMs(row.medianMs)})${fewer}`;
  return ours ? `**${times}**` : times;
}

const shownName = ({ engine }) => SHOWN.find(({ engines }) => engines.includes(engine))?.name ?? engine;

/** `groups` as newestGroups gives them, `targets` as judge does. */
export function speedTable(groups, targets) {
  const shown = SHOWN.filter(({ name }) =>
    groups.some((group) => entriesOf(group).some((entry) => entry.name === name && entry.row)),
  );
  const times = groups.map((group) => [
    titleOf(group.case),
    `${group.askedThreads}`,
    ...entriesOf(group)
      .filter(({ name }) => shown.some((entry) => entry.name === name))
      .map((entry) => timeCell(entry, group.askedThreads)),
  ]);
  const compared = targets.filter(({ against }) => against);
  const ratios = compared.map(({ case: name, threads, against, ratios }) => [
    titleOf(name),
    `${threads}`,
    `${shownName(against)} ${against.version} on ${against.runtime}, ${threadsText(against.threads)}`,
    ...Object.values(ratios).map((over) => (over.min === undefined ? "–" : ratio(over))),
  ]);
  const wasm = groups.flatMap(({ rows }) => rows).some(({ engine, cannot }) => engine.endsWith("-node24") && !cannot);
  return [
    "![Milliseconds of verydeep in its three tiers and of other engines, by case and number of threads](docs/speed.svg)",
    "",
    "Milliseconds, minimum and in brackets median; engines on one line ran in turn, in one run.",
    "",
    ...table(["case", "threads", ...shown.map(({ name }) => name)], times),
    ...(ratios.length > 0
      ? [
          "",
          "Ours / theirs, of minima and in brackets of medians: what to compare, since the milliseconds are this machine's.",
          "",
          ...table(["case", "threads", "against", ...WASM_TIERS], ratios),
        ]
      : []),
    "",
    `${placeOf(groups.flatMap(({ rows }) => rows))}. ${versionsOf(groups)}.`,
    ...(wasm
      ? ["Engines in WebAssembly are shown by the faster of Node 20 and 24; tfjs-wasm has one thread in Node."]
      : []),
    "`npm run bench:peers -- --out bench/results/peers.jsonl && npm run bench:report`, after `cd bench/peers && npm ci --ignore-scripts`.",
  ].join("\n");
}

/** The text with what stands between the marks replaced. Throws where they are missing. */
export function replaceTable(text, block, file) {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin)
    throw new Error(`peers: the marks are missing (${file}). Put ${BEGIN} and ${END} where the table goes.`);
  return `${text.slice(0, begin + BEGIN.length)}\n\n${block}\n\n${text.slice(end)}`;
}
