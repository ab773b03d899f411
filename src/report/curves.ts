/**
 * Learning curves as a scene: loss, accuracy and learning rate over one axis of steps, with what happened marked and listed below.
 * Layout only: thinning is in series.ts, ticks in axis.ts; svg.ts and raster.ts draw the result.
 */
import { encodePng } from "../pictures/png.js";
import { type Axis, linearAxis, logAxis, plain } from "./axis.js";
import { textWidth } from "./font.js";
import { at, FONT_SLACK, fitText, label, line } from "./parts.js";
import { toPicture } from "./raster.js";
import type { ReportEvent, RunReport } from "./run-report.js";
import type { Paint, Point, Scene, Shape } from "./scene.js";
import { badRuns, binMeans, MAX_POINTS, pieces, type Sample, thinExtremes } from "./series.js";
import { toSvg } from "./svg.js";

const WIDTH = 860;
const LEFT = 62;
const RIGHT = 22;
const PLOT = WIDTH - LEFT - RIGHT;
/** Above the first panel's heading, where there is a title. */
const TOP = 56;
/** A panel's heading with its legend. */
const HEADING = 34;
const PANEL_GAP = 24;
const AXIS_ROOM = 46;
const EVENT_LINE = 18;
/** Events that are listed; all are marked. */
const MAX_EVENTS = 10;
/** Below this many steps there is no mean beside the steps; above, it has up to so many points. */
const MEANS = 120;
/** A loss that rises this far above the median is drawn on a log axis: the rest would be a flat line. */
const LOG_RATIO = 100;

/** One curve and its entry in the legend. */
interface Curve {
  readonly name: string;
  readonly paint: Paint;
  readonly width: number;
  readonly samples: readonly Sample[];
  readonly dots?: boolean;
}

interface Panel {
  readonly heading: string;
  readonly height: number;
  readonly axis: Axis;
  readonly curves: readonly Curve[];
  /** Steps whose value is no finite number. */
  readonly bad?: readonly { readonly from: number; readonly to: number }[];
  readonly note?: string;
}

/** The learning curves as an SVG file. Equal reports give equal text. */
export function curvesSvg(report: RunReport): string {
  return toSvg(curvesScene(report));
}

/** The learning curves as a PNG file, two pixels for each unit of {@link curvesSvg}. */
export function curvesPng(report: RunReport): Promise<Uint8Array> {
  return encodePng(toPicture(curvesScene(report)));
}

/**
 * The learning curves. A run without steps or epochs gives empty panels that say so.
 * @param bare without title and list of events, for a page that has both.
 */
export function curvesScene(report: RunReport, bare = false): Scene {
  const panels = [lossPanel(report), accuracyPanel(report), ratePanel(report)];
  const last = [...report.steps, ...report.epochs].reduce((most, { step }) => Math.max(most, step), 0);
  const even = linearAxis([0, last || 1], 8, false);
  // There is no half step.
  const across = { ...even, ticks: even.ticks.filter(Number.isInteger) };
  const shapes: Shape[] = [];
  if (!bare) shapes.push(label(20, 32, fitText(report.title, 17, WIDTH - 60), "ink", 17, "start", true));
  let top = bare ? 4 : TOP;
  shapes.push(...eventNumbers(report.events, top + HEADING - 4, across));
  for (const panel of panels) {
    shapes.push(...panelShapes(panel, top, across, report.events));
    top += HEADING + panel.height + PANEL_GAP;
  }
  const bottom = top - PANEL_GAP;
  for (const tick of across.ticks)
    shapes.push(label(atStep(across, tick), bottom + 18, across.label(tick), "muted", 11, "middle"));
  shapes.push(label(LEFT + PLOT / 2, bottom + 37, stepTitle(report), "muted", 12, "middle"));
  const listed = bare ? [] : eventList(report.events, bottom + AXIS_ROOM);
  shapes.push(...listed);
  const height = bottom + AXIS_ROOM + listed.length * EVENT_LINE + 8;
  shapes.unshift({ kind: "rect", x: 0, y: 0, width: WIDTH, height, paint: "surface" });
  return { width: WIDTH, height, title: `Learning curves: ${report.title}`, shapes };
}

/** "step (141 steps an epoch)" where all epochs are alike. */
function stepTitle({ epochs }: RunReport): string {
  const each = epochs.length > 0 ? epochs[0].step / epochs[0].epoch : Number.NaN;
  const alike = Number.isInteger(each) && epochs.every(({ epoch, step }) => step === epoch * each);
  return alike ? `step (${plain(each)} an epoch)` : "step";
}

function lossPanel({ steps, epochs }: RunReport): Panel {
  const train = steps.map(({ step, loss }) => ({ step, value: loss }));
  const validation = epochs.map(({ step, valLoss }) => ({ step, value: valLoss }));
  const fallback = epochs.map(({ step, trainLoss }) => ({ step, value: trainLoss }));
  const curves = [
    ...trainCurves(train, fallback),
    { name: "validation", paint: "validation", width: 2, samples: validation, dots: true } as const,
  ];
  const values = finiteValues(curves);
  const log = values.length > 0 && values[0] > 0 && values[values.length - 1] > LOG_RATIO * values[values.length >> 1];
  const bad = badRuns(train);
  const count = train.filter(({ value }) => !Number.isFinite(value)).length;
  return {
    heading: log ? "Loss (log)" : "Loss",
    height: 210,
    axis: log ? logAxis(values, 5) : linearAxis([0, ...values], 5),
    curves,
    bad,
    ...(count > 0 ? { note: `no finite loss in ${plain(count)} ${count === 1 ? "step" : "steps"}` } : {}),
  };
}

function accuracyPanel({ steps, epochs }: RunReport): Panel {
  const train = steps.map(({ step, accuracy }) => ({ step, value: 100 * accuracy }));
  const top1 = epochs.map(({ step, valTop1 }) => ({ step, value: 100 * valTop1 }));
  const top5 = epochs.map(({ step, valTop5 }) => ({ step, value: 100 * valTop5 }));
  const curves = [
    ...trainCurves(train, []),
    { name: "validation top-5", paint: "validationFaint", width: 2, samples: top5, dots: true } as const,
    { name: "validation top-1", paint: "validation", width: 2, samples: top1, dots: true } as const,
  ];
  const values = finiteValues(curves);
  // Below half of all there is always something to see; a net that is good from the start gets the room above.
  const axis = linearAxis([values.length > 0 && values[0] > 50 ? values[0] : 0, 100], 5);
  return { heading: "Accuracy, %", height: 180, axis, curves };
}

function ratePanel({ steps, epochs }: RunReport): Panel {
  const source = steps.length > 0 ? steps : epochs;
  // On a log axis a rate of 0 has no place: a gap.
  const samples = thinExtremes(source.map(({ step, lr }) => ({ step, value: lr > 0 ? lr : Number.NaN })));
  const curves = [{ name: "", paint: "rate", width: 2, samples } as const];
  return { heading: "Learning rate (log)", height: 96, axis: logAxis(finiteValues(curves), 3), curves };
}

/** The steps, faint, and their means, strong; few steps alone, strong. */
function trainCurves(samples: readonly Sample[], fallback: readonly Sample[]): Curve[] {
  if (samples.length === 0) {
    if (fallback.length === 0) return [];
    return [{ name: "training, mean of the epoch", paint: "train", width: 2, samples: fallback, dots: true }];
  }
  const few = samples.length <= MEANS;
  if (few) return [{ name: "training", paint: "train", width: 2, samples }];
  const size = Math.ceil(samples.length / MEANS);
  const all = samples.length <= MAX_POINTS;
  const binSize = Math.ceil((2 * samples.length) / MAX_POINTS);
  return [
    {
      name: all ? "training, each step" : `training, lowest and highest of ${plain(binSize)} steps`,
      paint: "trainFaint",
      width: 1.2,
      samples: thinExtremes(samples),
    },
    { name: `mean of ${plain(size)} steps`, paint: "train", width: 2, samples: binMeans(samples, size) },
  ];
}

/** Of all curves, in rising order. */
function finiteValues(curves: readonly Curve[]): number[] {
  return curves
    .flatMap(({ samples }) => samples.map(({ value }) => value))
    .filter((value) => Number.isFinite(value))
    .sort((a, b) => a - b);
}

/** Events may lie after the last step that was written: at the edge. */
function atStep(across: Axis, step: number): number {
  return LEFT + PLOT * Math.min(1, Math.max(0, across.place(step)));
}

function panelShapes(panel: Panel, top: number, across: Axis, events: readonly ReportEvent[]): Shape[] {
  const { axis, curves, height } = panel;
  const floor = top + HEADING + height;
  const upright = (step: number): Point[] => [at(atStep(across, step), top + HEADING), at(atStep(across, step), floor)];
  const atValue = (value: number): number => floor - height * axis.place(value);
  const shapes: Shape[] = [label(20, top + 12, panel.heading, "ink", 13, "start", true)];
  for (const tick of across.ticks) shapes.push(line(upright(tick), "grid", 1));
  for (const tick of axis.ticks) {
    shapes.push(line([at(LEFT, atValue(tick)), at(LEFT + PLOT, atValue(tick))], "grid", 1));
    shapes.push(label(LEFT - 8, atValue(tick) + 4, axis.label(tick), "muted", 11, "end"));
  }
  for (const { step } of events) shapes.push(line(upright(step), "event", 1));
  for (const { from, to } of panel.bad ?? []) {
    const left = Math.min(atStep(across, from), LEFT + PLOT - 2);
    shapes.push({
      kind: "rect",
      x: left,
      y: floor - 5,
      width: Math.max(2, atStep(across, to) - left),
      height: 5,
      paint: "bad",
    });
  }
  for (const { samples, paint, width, dots } of curves) {
    for (const piece of pieces(samples)) {
      const points = piece.map(({ step, value }) => at(atStep(across, step), atValue(value)));
      shapes.push(line(points, paint, points.length === 1 ? width + 4 : width));
      // Dots that touch are a thick line.
      if (dots && points.length > 1 && points.length <= 60)
        shapes.push(...points.map((point) => line([point], paint, 6)));
    }
  }
  if (curves.every(({ samples }) => pieces(samples).length === 0)) {
    shapes.push(label(LEFT + PLOT / 2, floor - height / 2 + 4, "nothing yet", "muted", 13, "middle"));
  }
  return [...shapes, ...legend(panel, top + 12)];
}

/** Entries from the right edge to the left, the first curve leftmost. */
function legend({ curves, note }: Panel, base: number): Shape[] {
  const shapes: Shape[] = [];
  let right = LEFT + PLOT;
  if (note !== undefined) {
    shapes.push(label(right, base, note, "bad", 12, "end"));
    right -= textWidth(note, 12) * FONT_SLACK + 24;
  }
  for (const { name, paint, width } of curves
    .filter(({ name, samples }) => name !== "" && samples.length > 0)
    .reverse()) {
    const left = right - textWidth(name, 12) * FONT_SLACK;
    shapes.push(label(left, base, name, "ink", 12, "start"));
    shapes.push(line([at(left - 26, base - 4), at(left - 8, base - 4)], paint, Math.max(2, width)));
    right = left - 26 - 16;
  }
  return shapes;
}

/** The number of each event over its line, where there is room. */
function eventNumbers(events: readonly ReportEvent[], base: number, across: Axis): Shape[] {
  const shapes: Shape[] = [];
  let free = 0;
  events.forEach(({ step }, i) => {
    const x = atStep(across, step);
    if (x < free) return;
    shapes.push(label(x, base, String(i + 1), "muted", 10, "middle"));
    free = x + 16;
  });
  return shapes;
}

/** The texts of the first events, a line each. */
function eventList(events: readonly ReportEvent[], top: number): Shape[] {
  const lines = events.slice(0, MAX_EVENTS).map(({ step, text }, i) => `${i + 1}   step ${plain(step)}: ${text}`);
  if (events.length > lines.length) lines.push(`and ${plain(events.length - lines.length)} more`);
  return lines.map((text, i) =>
    label(LEFT, top + (i + 0.8) * EVENT_LINE, fitText(text, 12, PLOT), "muted", 12, "start"),
  );
}
