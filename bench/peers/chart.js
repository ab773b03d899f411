// The chart of a run, an SVG: for each case a panel for each number of threads, in it a bar for each engine, ours in colour. Bars end
// at the minimum, their faint continuation at the median; panels of one case share a scale. Drawn with the scenes of src/report.

import { toSvg } from "../../dist/report/svg.js";
import { titleOf } from "./cases.js";
import { entriesOf, formatMs, placeOf, threadsText, versionsOf } from "./columns.js";

const WIDTH = 920;
const MARGIN = 20;
/** Panels side by side. */
const ACROSS = 2;
const PANEL = (WIDTH - 2 * MARGIN) / ACROSS;
const LABEL = 128;
const VALUE = 104;
const BAR_MOST = PANEL - LABEL - VALUE - 16;
const ROW = 21;
const BAR = 13;
const CASE_HEAD = 30;
const PANEL_HEAD = 22;
const PANEL_GAP = 16;
/** Letters of the small print that fit on a line. */
const LINE_LETTERS = 145;

const text = (x, y, words, size, paint, more = {}) => ({
  kind: "text",
  x,
  y,
  text: words,
  paint,
  size,
  anchor: "start",
  ...more,
});
const bar = (x, y, width, paint) => ({ kind: "rect", x, y, width, height: BAR, paint });

/** One engine's line; `unit` is pixels a millisecond. */
function entryShapes({ name, ours, row }, x, y, unit, askedThreads) {
  const [min, median] = [row.minMs * unit, row.medianMs * unit];
  const left = x + LABEL + 8;
  const label = row.threads === askedThreads ? name : `${name}, ${threadsText(row.threads)}`;
  const words = `${formatMs(row.minMs)} (${formatMs(row.medianMs)})`;
  const base = y + BAR - 2;
  return [
    text(x + LABEL, base, label, 12.5, ours ? "ink" : "muted", { anchor: "end", bold: ours }),
    bar(left, y, Math.max(min, 1), ours ? "train" : "event"),
    ...(median > min ? [bar(left + min, y, median - min, ours ? "trainFaint" : "grid")] : []),
    text(left + Math.max(min, median) + 6, base, words, 12.5, ours ? "ink" : "muted", { bold: ours }),
  ];
}

/** The panels of one case below each other or side by side; returns {shapes, bottom}. */
function caseShapes(caseName, groups, top) {
  const panels = groups.map((group) => ({ group, entries: entriesOf(group).filter(({ row }) => row) }));
  const most = Math.max(...panels.flatMap(({ entries }) => entries.map(({ row }) => row.medianMs)));
  const shapes = [text(MARGIN, top + 18, titleOf(caseName), 16, "ink", { bold: true })];
  let y = top + CASE_HEAD;
  for (let first = 0; first < panels.length; first += ACROSS) {
    const line = panels.slice(first, first + ACROSS);
    for (const [column, { group, entries }] of line.entries()) {
      const x = MARGIN + column * PANEL;
      shapes.push(text(x + LABEL + 8, y + 12, threadsText(group.askedThreads), 12.5, "muted"));
      for (const [i, entry] of entries.entries()) {
        const at = y + PANEL_HEAD + i * ROW;
        shapes.push(...entryShapes(entry, x, at, BAR_MOST / most, group.askedThreads));
      }
    }
    y += PANEL_HEAD + ROW * Math.max(...line.map(({ entries }) => entries.length)) + PANEL_GAP;
  }
  return { shapes, bottom: y };
}

/** Words in lines of at most LINE_LETTERS. */
function wrap(words) {
  const lines = [""];
  for (const word of words.split(" ")) {
    if (lines.at(-1).length + word.length >= LINE_LETTERS) lines.push("");
    lines[lines.length - 1] += `${lines.at(-1) === "" ? "" : " "}${word}`;
  }
  return lines;
}

/** `groups` as newestGroups gives them. */
export function chartSvg(groups) {
  const shapes = [text(MARGIN, 34, "Milliseconds, less is better", 19, "ink", { bold: true })];
  const legend = "Bars: the fastest run; their faint ends and the numbers in brackets: the median run.";
  shapes.push(text(MARGIN, 55, `${legend} All engines of a panel ran in turn.`, 12.5, "muted"));
  let y = 72;
  for (const caseName of new Set(groups.map((group) => group.case))) {
    const part = caseShapes(
      caseName,
      groups.filter((group) => group.case === caseName),
      y,
    );
    shapes.push(...part.shapes);
    y = part.bottom;
  }
  const print = [
    ...wrap(`${placeOf(groups.flatMap(({ rows }) => rows))}.`),
    ...wrap(`${versionsOf(groups)}. Engines that are missing in a panel cannot do it, or take too long.`),
  ];
  for (const line of print) {
    shapes.push(text(MARGIN, y + 10, line, 11.5, "muted"));
    y += 16;
  }
  const height = y + 14;
  const surface = { kind: "rect", x: 0, y: 0, width: WIDTH, height, paint: "surface" };
  const title = "Milliseconds that verydeep and other engines take for VGG nets";
  return toSvg({ width: WIDTH, height, title, shapes: [surface, ...shapes] });
}
