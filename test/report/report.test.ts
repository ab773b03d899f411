/** The curves, the confusion matrix, the page and the writer: what they say, and that they hold for odd runs. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ShapeError, UsageError } from "#src/core/errors.js";
import { decodePng } from "#src/pictures/png.js";
import { confusionSvg } from "#src/report/confusion.js";
import { curvesPng, curvesScene, curvesSvg } from "#src/report/curves.js";
import { summaryPage } from "#src/report/page.js";
import { toPicture } from "#src/report/raster.js";
import type { RunReport } from "#src/report/run-report.js";
import { COLOURS } from "#src/report/theme.js";
import { writeReport } from "#src/report/write-report.js";
import { checkSvg, type Element, readMarkup, texts } from "./drawing.js";
import { madeUpConfusion, madeUpRun } from "./made-up.js";

const EMPTY: RunReport = { title: "nothing", facts: [], steps: [], epochs: [], events: [], test: null };
const NASTY = `<b>&"x"'\u0000\ud800`;
const run = madeUpRun(4, 50);

function withLosses(losses: readonly number[]): RunReport {
  return { ...EMPTY, steps: losses.map((loss, i) => ({ step: i + 1, epoch: 1, loss, accuracy: 0.5, lr: 0.01 })) };
}

function paths(elements: readonly Element[], paint: string): Element[] {
  return elements.filter(
    ({ name, attributes }) => name === "path" && attributes.get("style") === `stroke:var(--vd-${paint})`,
  );
}

test("curvesSvg: 4 epochs of 50 steps", () => {
  const svg = curvesSvg(run);
  const elements = checkSvg(svg);
  const written = texts(elements);
  for (const text of [
    run.title,
    "Loss",
    "Accuracy, %",
    "Learning rate (log)",
    "training, each step",
    "mean of 2 steps",
    "validation",
    "validation top-1",
    "validation top-5",
    "step (50 an epoch)",
    "1   step 100: validation stopped improving: learning rate 0.01 → 0.001",
  ]) {
    assert.ok(written.includes(text), text);
  }
  // Three events in three panels.
  assert.is(paths(elements, "event").length, 9);
  assert.is(curvesSvg(madeUpRun(4, 50)), svg);
  assert.not.match(svg, /<script|https?:(?!\/\/www\.w3\.org\/2000\/svg)|url\(/);
  assert.match(svg, /prefers-color-scheme:dark/);
});

test("curvesSvg: 200,000 steps in at most 1000 points a curve, said in the legend", () => {
  const elements = checkSvg(curvesSvg(madeUpRun(40, 5000)));
  const written = texts(elements);
  assert.ok(written.includes("training, lowest and highest of 400 steps"), written.join("|"));
  assert.ok(written.includes("mean of 1,667 steps"), written.join("|"));
  for (const { attributes } of elements) assert.ok((attributes.get("d") ?? "").split("L").length <= 1000);
});

test("curvesSvg: nothing yet; one step; epochs without steps; equal values; rates of 0", () => {
  assert.is(texts(checkSvg(curvesSvg(EMPTY))).filter((text) => text === "nothing yet").length, 3);
  const one = checkSvg(curvesSvg(withLosses([2.3])));
  // The entry of the legend and the dot, in two panels.
  assert.is(paths(one, "train").length, 4);
  assert.ok(texts(checkSvg(curvesSvg({ ...run, steps: [] }))).includes("training, mean of the epoch"));
  checkSvg(curvesSvg(withLosses([1, 1, 1, 1])));
  checkSvg(curvesSvg(withLosses([0, 0])));
  checkSvg(curvesSvg({ ...run, steps: run.steps.map((step) => ({ ...step, lr: 0 })) }));
  checkSvg(curvesSvg({ ...run, events: Array.from({ length: 300 }, (_, i) => ({ step: i * 9, text: NASTY })) }));
});

test("curvesSvg: losses that are not finite leave a gap, a mark and a note; a huge one makes the axis logarithmic", () => {
  const nan = Number.NaN;
  const gap = checkSvg(curvesSvg(withLosses([3, 2, nan, Number.POSITIVE_INFINITY, 2, 1])));
  assert.ok(texts(gap).includes("no finite loss in 2 steps"));
  assert.is(
    gap.filter(({ attributes }) => attributes.get("style") === "fill:var(--vd-bad)").length,
    2,
    "mark and note",
  );
  // Two pieces of loss, one of accuracy, and two entries of legends.
  assert.is(paths(gap, "train").length, 5);
  assert.ok(texts(checkSvg(curvesSvg(withLosses([nan])))).includes("no finite loss in 1 step"));
  assert.ok(texts(checkSvg(curvesSvg(withLosses([2, 1, 1e6, 1, 0.5])))).includes("Loss (log)"));
});

test("curvesPng: the pixels of the drawing, the validation's dot in its colour", async () => {
  const picture = await decodePng(await curvesPng(run), "curves");
  const scene = curvesScene(run);
  assert.equal([picture.width, picture.height], [scene.width * 2, scene.height * 2]);
  assert.equal(picture, toPicture(scene));
  const dots = scene.shapes.filter((shape) => shape.kind === "line" && shape.points.length === 1);
  assert.is(dots.length, 12);
  const last = dots[dots.length - 1];
  assert.ok(last.kind === "line");
  const at = (Math.floor(last.points[0].y * 2) * picture.width + Math.floor(last.points[0].x * 2)) * 3;
  assert.equal([...picture.pixels.subarray(at, at + 3)], [...COLOURS.validation.light]);
});

test("confusionSvg: 10 classes as a map with all numbers, 50 too, 51 and 1000 as a list", () => {
  const { classNames, counts } = madeUpConfusion(10);
  const elements = checkSvg(confusionSvg({ classNames, counts }));
  const numbers = texts(elements)
    .filter((text) => /^\d+$/.test(text))
    .map(Number);
  assert.equal(
    numbers,
    [...counts].filter((count) => count > 0),
  );
  assert.is(texts(checkSvg(confusionSvg(madeUpConfusion(50)))).filter((text) => text === "class 49").length, 2);
  for (const classes of [51, 1000]) {
    assert.ok(texts(checkSvg(confusionSvg(madeUpConfusion(classes)))).includes("Most frequent mistakes"));
  }
  checkSvg(confusionSvg({ classNames: [], counts: new Uint32Array(0) }));
  checkSvg(confusionSvg({ classNames: ["a", "b"], counts: new Uint32Array(4) }));
  const long = ["x".repeat(400), NASTY];
  checkSvg(confusionSvg({ classNames: long, counts: Uint32Array.of(4_000_000_000, 1, 2, 3) }));
});

test("confusionSvg: counts that do not fit the names", () => {
  assert.throws(
    () => confusionSvg({ classNames: ["a", "b"], counts: new Uint32Array(3) }),
    (error: unknown) =>
      error instanceof ShapeError && error.message.startsWith("topConfusions: the counts are not classes x classes"),
  );
});

test("summaryPage: facts, numbers, curves, matrix, mistakes, classes, events, commands", () => {
  const page = summaryPage(run);
  const elements = readMarkup(page);
  const headings = elements.filter(({ name }) => name === "h2").map(({ text }) => text);
  assert.equal(headings, [
    "Learning curves",
    "Events",
    "Confusion matrix, test pictures",
    "Most frequent mistakes",
    "Accuracy by class",
    "What to do with the files",
  ]);
  assert.is(elements.filter(({ name }) => name === "svg").length, 2);
  assert.ok(elements.some(({ name, text }) => name === "b" && text === "86.4 %"));
  assert.is(elements.filter(({ name }) => name === "dt").length, run.facts.length);
  assert.equal(
    elements.filter(({ name }) => name === "pre").map(({ text }) => text),
    run.commands?.map(([, command]) => command),
  );
  assert.is(elements.filter(({ name }) => name === "li").length, 3);
  assert.not.match(page, /<script|https?:(?!\/\/www\.w3\.org\/2000\/svg)|url\(|undefined|NaN/);
  assert.is(summaryPage(madeUpRun(4, 50)), page);
});

test("summaryPage: every text of the run is escaped", () => {
  const confusion = { classNames: [NASTY, "b"], counts: Uint32Array.of(1, 2, 3, 4), undecided: 2 };
  const page = summaryPage({
    title: NASTY,
    facts: [[NASTY, NASTY]],
    steps: run.steps,
    epochs: run.epochs,
    events: [{ step: 3, text: NASTY }],
    test: { top1: 0.5, top5: 1, loss: Number.NaN, confusion },
    commands: [[NASTY, NASTY]],
  });
  const elements = readMarkup(page);
  const shown = `<b>&"x"'\ufffd\ufffd`;
  for (const name of ["title", "h1", "dt", "dd", "pre"]) {
    assert.is(elements.find((element) => element.name === name)?.text, shown, name);
  }
  assert.ok(elements.some(({ name, text }) => name === "b" && text === "not finite"));
  assert.ok(elements.some(({ text }) => text.startsWith("2 pictures gave outputs that are no numbers")));
});

test("summaryPage: nothing yet; a test without matrix; 1000 classes: the worst 20 and all on request", () => {
  assert.ok(readMarkup(summaryPage(EMPTY)).some(({ text }) => text === "No epoch is done yet."));
  readMarkup(summaryPage({ ...EMPTY, test: { top1: 1, top5: 1, loss: 0, confusion: null } }));
  const many = { ...EMPTY, test: { top1: 0.5, top5: 0.9, loss: 2, confusion: madeUpConfusion(1000) } };
  const bars = readMarkup(summaryPage(many)).filter(({ attributes }) => attributes.get("class") === "bar");
  assert.is(bars.length, 1020);
  const fewest = readMarkup(
    summaryPage({
      ...EMPTY,
      test: { top1: 0, top5: 0, loss: 1, confusion: { classNames: [], counts: new Uint32Array(0) } },
    }),
  );
  assert.ok(fewest.length > 10);
});

test("writeReport: the files, replaced by the next report; a folder that is missing", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "report-"));
  try {
    const before = await writeReport(folder, EMPTY);
    assert.equal(
      before.map((file) => path.basename(file)),
      ["curves.svg", "summary.html"],
    );
    await writeReport(folder, run);
    assert.equal(readdirSync(folder).sort(), ["confusion.svg", "curves.png", "curves.svg", "summary.html"]);
    assert.is(readFileSync(path.join(folder, "summary.html"), "utf8"), summaryPage(run));
    assert.is(readFileSync(path.join(folder, "curves.svg"), "utf8"), curvesSvg(run));
    await writeReport(path.join(folder, "none"), EMPTY).then(
      () => assert.unreachable(),
      (error: unknown) => {
        assert.instance(error, UsageError);
        assert.match(String(error), /writeReport: the folder does not exist \(folder .*none\)\. Create it first/);
      },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
