/**
 * A confusion matrix as a scene: a heat map with numbers for up to 50 classes, the most frequent mistakes as a list for more.
 */
import { topConfusions } from "../train/metrics.js";
import { plain } from "./axis.js";
import { textWidth } from "./font.js";
import { at, FONT_SLACK, fitText, label, line } from "./parts.js";
import type { ReportConfusion } from "./run-report.js";
import type { Scene, Shape } from "./scene.js";
import { toSvg } from "./svg.js";

/** More classes than these do not fit as a map that can be read. */
export const MAX_MAP_CLASSES = 50;
const LISTED = 25;
const ROW = 22;
const NAME_ROOM = 130;

/** The confusion matrix as an SVG file. */
export function confusionSvg(confusion: ReportConfusion): string {
  return toSvg(confusionScene(confusion));
}

/**
 * The confusion matrix. Each cell is as strong as its share of the true class: right in one colour, wrong in another.
 * @param bare without title, for a page that has one.
 * @throws ShapeError where counts and names do not fit.
 */
export function confusionScene(confusion: ReportConfusion, bare = false): Scene {
  // Checks the sizes, too.
  const mistakes = topConfusions(confusion.counts, confusion.classNames, LISTED);
  return confusion.classNames.length <= MAX_MAP_CLASSES ? heatMap(confusion, bare) : list(mistakes);
}

function heatMap({ classNames, counts }: ReportConfusion, bare: boolean): Scene {
  const classes = classNames.length;
  const cell = Math.min(46, Math.max(20, 720 / Math.max(classes, 1)));
  const size = cell < 26 ? 9 : 11;
  const widest = counts.reduce((most, count) => Math.max(most, textWidth(plain(count), 1) * FONT_SLACK), 0);
  const numberSize = Math.min(13, cell * 0.42, (cell - 3) / Math.max(widest, 0.1));
  const names = classNames.map((name) => fitText(name, size, NAME_ROOM));
  const room = Math.max(40, ...names.map((name) => textWidth(name, size) * FONT_SLACK)) + 10;
  const left = 40 + room;
  const title = bare ? 18 : 54;
  const top = title + 6 + room;
  const width = Math.max(300, left + classes * cell + 20);
  const height = top + classes * cell + 16;
  const shapes: Shape[] = [
    { kind: "rect", x: 0, y: 0, width, height, paint: "surface" },
    ...(bare ? [] : [label(20, 30, "Confusion matrix", "ink", 15, "start", true)]),
    label(left, title, "predicted class →", "muted", 11, "start"),
    { ...label(30, top, "true class", "muted", 11, "end"), upwards: true },
    { kind: "rect", x: left, y: top, width: classes * cell, height: classes * cell, paint: "grid", opacity: 0.45 },
  ];
  names.forEach((name, c) => {
    const middle = (c + 0.5) * cell + size * 0.36;
    shapes.push(label(left - 8, top + middle, name, "ink", size, "end"));
    shapes.push({ ...label(left + middle, top - 8, name, "ink", size, "start"), upwards: true });
  });
  for (let truth = 0; truth < classes; truth++) {
    const row = counts.subarray(truth * classes, (truth + 1) * classes);
    const total = row.reduce((sum, count) => sum + count, 0);
    row.forEach((count, predicted) => {
      const share = total > 0 ? count / total : 0;
      const [x, y] = [left + predicted * cell, top + truth * cell];
      if (count === 0) return;
      const paint = predicted === truth ? "right" : "wrong";
      // A mistake of one picture in a hundred is still seen.
      const opacity = Math.min(1, 0.14 + 0.86 * share);
      const numbers = opacity > 0.55 ? "surface" : "ink";
      shapes.push({ kind: "rect", x, y, width: cell, height: cell, paint, opacity });
      shapes.push(label(x + cell / 2, y + cell / 2 + numberSize * 0.36, plain(count), numbers, numberSize, "middle"));
    });
  }
  for (let edge = 1; edge < classes; edge++) {
    const [x, y] = [left + edge * cell, top + edge * cell];
    shapes.push(line([at(x, top), at(x, top + classes * cell)], "surface", 1));
    shapes.push(line([at(left, y), at(left + classes * cell, y)], "surface", 1));
  }
  return { width, height, title: `Confusion matrix of ${classes} classes`, shapes };
}

function list(mistakes: ReturnType<typeof topConfusions>): Scene {
  const width = 640;
  const lines = Math.max(1, mistakes.length);
  const height = 74 + lines * ROW;
  const shapes: Shape[] = [
    { kind: "rect", x: 0, y: 0, width, height, paint: "surface" },
    label(20, 30, "Most frequent mistakes", "ink", 15, "start", true),
    label(20, 54, "true class", "muted", 11, "start"),
    label(260, 54, "taken for", "muted", 11, "start"),
    label(540, 54, "pictures", "muted", 11, "end"),
    label(width - 20, 54, "of the class", "muted", 11, "end"),
  ];
  if (mistakes.length === 0) shapes.push(label(20, 54 + ROW, "none", "muted", 12, "start"));
  mistakes.forEach(({ truth, predicted, count, share }, i) => {
    const y = 54 + (i + 1) * ROW;
    shapes.push(label(20, y, fitText(truth, 12, 225), "ink", 12, "start"));
    shapes.push(label(260, y, fitText(predicted, 12, 215), "ink", 12, "start"));
    shapes.push(label(540, y, plain(count), "ink", 12, "end"));
    shapes.push(label(width - 20, y, `${(100 * share).toFixed(1)} %`, "ink", 12, "end"));
  });
  return { width, height, title: "Most frequent mistakes", shapes };
}
