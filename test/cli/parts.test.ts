import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { topPredictions } from "#src/classify/predictions.js";
import { bar, classifyPictures, type Look } from "#src/cli/classify.js";
import { parseLabels, planOptions } from "#src/cli/net-options.js";
import { byteSize, duration, grouped, parseNumber, parseWhole, percent, table } from "#src/cli/numbers.js";
import { errorLine, remaining, wantsColour } from "#src/cli/output.js";
import { expandPictures, listPictures } from "#src/cli/pictures.js";
import { stepInEpoch } from "#src/cli/run-train.js";
import { DataError, UsageError, WeightsError } from "#src/core/errors.js";
import { readPicture } from "#src/pictures/picture-file.js";
import { capture } from "./capture.js";

const fixtures = fileURLToPath(new URL("../fixtures/pictures/", import.meta.url));

test("numbers are read strictly", () => {
  assert.is(parseWhole("--n", "007", 0, 10), 7);
  assert.is(parseWhole("--n", "+7", 0, 10), 7);
  for (const text of ["", " 7", "7 ", "7.0", "7e0", "0x7", "seven", "-0", "11", "१"]) {
    assert.throws(
      () => parseWhole("--n", text, 1, 10),
      (error: unknown) => error instanceof UsageError && error.message.includes(`(--n ${text})`),
    );
  }
  assert.is(parseNumber("--x", "5e-2", 0, 1), 0.05);
  assert.is(parseNumber("--x", ".5", 0, 1), 0.5);
  assert.is(parseNumber("--x", "1.", 0, 1), 1);
  for (const text of ["", ".", "e5", "0", "1.1", "-0.5", "0,5", "1e999", "0x1", "Infinity"]) {
    assert.throws(
      () => parseNumber("--x", text, 0, 1),
      (error: unknown) => error instanceof UsageError && error.message.includes(`(--x ${text})`),
    );
  }
});

test("numbers are written for people", () => {
  assert.equal([0, 999, 1000, 1234567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
  assert.equal([0, 0.9534, 1].map(percent), ["0.0 %", "95.3 %", "100.0 %"]);
  assert.equal([7.25, 59.9, 125, 3720].map(duration), ["7.3 s", "59.9 s", "2 min 05 s", "1 h 02 min"]);
  assert.equal([600, 583_000, 553_430_176].map(byteSize), ["600 B", "583 kB", "553.4 MB"]);
  assert.equal(
    table(
      [
        ["a", "n"],
        ["long", "10"],
      ],
      new Set([1]),
    ),
    ["a      n", "long  10"],
  );
});

test("steps that count over the run, or over the epoch", () => {
  const step = {
    kind: "step",
    epoch: 2,
    steps: 4,
    loss: 1,
    accuracy: 0,
    lr: 1,
    imagesPerSecond: 1,
    waitMs: 0,
    memoryBytes: 1,
  } as const;
  assert.equal(
    [1, 4, 5, 8].map((number) => stepInEpoch({ ...step, step: number })),
    [1, 4, 1, 4],
  );
});

test("colours: only on a terminal that has them, unless NO_COLOR", () => {
  const terminal = { isTTY: true };
  assert.is(wantsColour(terminal, {}), true);
  assert.is(wantsColour(terminal, { NO_COLOR: "" }), true);
  assert.is(wantsColour(terminal, { NO_COLOR: "1" }), false);
  assert.is(wantsColour(terminal, { TERM: "dumb" }), false);
  assert.is(wantsColour({}, {}), false);
});

test("a bar is drawn on a terminal, and nowhere else", () => {
  for (const [isTTY, json, drawn] of [
    [true, false, true],
    [false, false, false],
    [true, true, false],
  ] as const) {
    const { output, stderr, stdout } = capture(json, isTTY);
    const progress = output.progress("epoch 1/2", 10);
    progress.update(5, "loss 1.000");
    output.line("a line");
    progress.end();
    assert.is(stderr.text() !== "", drawn);
    assert.is(stdout.text(), json ? "" : "a line\n");
  }
});

test("errors: one line, red on a terminal; text without message", () => {
  const plain = capture(false);
  plain.output.error(new WeightsError("a: b.\n  Do c."));
  assert.is(plain.stderr.text(), "a: b. Do c.\n");
  const coloured = capture(false, true);
  coloured.output.error(new WeightsError("a: b."));
  assert.is(coloured.stderr.text(), "\u001b[31ma: b.\u001b[39m\n");
  assert.is(errorLine(new RangeError("")), "RangeError");
  assert.is(errorLine("text"), "text");
});

test("topPredictions: soft-max, likeliest first, ties by index", () => {
  const predictions = topPredictions(Float32Array.of(1, 3, 1, 1000), ["a", "b", "c", "d"], 9);
  assert.equal(
    predictions.map(({ label, index }) => [label, index]),
    [
      ["d", 3],
      ["b", 1],
      ["a", 0],
      ["c", 2],
    ],
  );
  assert.is(predictions[0].probability, 1);
  const two = topPredictions(Float32Array.of(0, Math.log(3)), ["a", "b"], 1);
  assert.is(two.length, 1);
  assert.ok(Math.abs(two[0].probability - 0.75) < 1e-7);
  assert.throws(
    () => topPredictions(Float32Array.of(0, Number.NaN), ["a", "b"], 2),
    (error: unknown) =>
      error instanceof WeightsError &&
      error.message.includes('classify: a score is not a finite number (class "b", score NaN).'),
  );
});

test("classify: one bad picture among many does not stop the rest", async () => {
  const look: Look = async (picture, top) => {
    const { width } = await readPicture(picture);
    return topPredictions(Float32Array.of(0, width > 0 ? 2 : -2), ["dark", "light"], top);
  };
  const good = path.join(fixtures, "rgb.png");
  const bad = path.join(fixtures, "make-pictures.py");
  const plain = capture(false);
  assert.is(await classifyPictures(look, [bad, good, "missing.png"], 5, plain.output), 2);
  assert.is(plain.stdout.text(), `${good}\n   88.1 %  light\n   11.9 %  dark\n`);
  assert.is(plain.stderr.text().trimEnd().split("\n").length, 2);
  const json = capture(true);
  assert.is(await classifyPictures(look, [bad, good], 1, json.output), 1);
  const [first, second] = json.stdout
    .text()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal([first.image, first.error.name], [bad, "DataError"]);
  assert.is(second.image, good);
  assert.is(second.predictions.length, 1);
  assert.equal([second.predictions[0].label, second.predictions[0].index], ["light", 1]);
  assert.is(json.stderr.text(), "");
});

test("listPictures: PNG, JPEG and WebP files by name; a folder without any is a UsageError", async () => {
  const names = (await listPictures(fixtures)).map((file) => path.basename(file));
  assert.is(names[0], "animation-placed.webp");
  assert.ok(names.includes("baseline.jpg") && names.includes("rgb.png"));
  assert.not.ok(names.includes("pictures.json"));
  const folder = mkdtempSync(path.join(tmpdir(), "verydeep-list-"));
  writeFileSync(path.join(folder, "a.txt"), "");
  const failures = await Promise.all(
    [folder, path.join(folder, "no")].map((where) => listPictures(where).then(String, String)),
  );
  assert.equal(failures, [
    `UsageError: verydeep: no picture in the folder (folder ${folder}). Put PNG, JPEG or WebP files there.`,
    `UsageError: verydeep: the folder cannot be read (folder ${path.join(folder, "no")}, ENOENT). Name a folder of pictures.`,
  ]);
  rmSync(folder, { recursive: true });
});

test("expandPictures: files, folders, patterns, addresses", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "verydeep-expand-"));
  for (const file of ["b.png", "a.jpg", "note.txt", ".hidden.png", "in/c.WEBP", "in/deep/d.jpeg", "odd[1].png"]) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), "");
  }
  const found = async (...names: string[]): Promise<string[]> =>
    (await expandPictures(names.map((name) => (name.startsWith("http") ? name : path.join(folder, name))))).map(
      (file) => (file.startsWith("http") ? file : path.relative(folder, file).replaceAll("\\", "/")),
    );
  assert.equal(await found("b.png", "missing.png", "note.txt"), ["b.png", "missing.png", "note.txt"]);
  assert.equal(await found("in", "https://example.org/x.png?y=*"), ["in/c.WEBP", "https://example.org/x.png?y=*"]);
  assert.equal(await found("*.png"), ["b.png", "odd[1].png"]);
  assert.equal(await found("?.*"), ["a.jpg", "b.png"]);
  assert.equal(await found("**/*"), ["a.jpg", "b.png", "in/c.WEBP", "in/deep/d.jpeg", "odd[1].png"]);
  assert.equal(
    await found("i*/*.webp", "i*/*.WEBP").catch((error: Error) => error.message),
    [
      `verydeep: no picture has such a name (pattern ${path.join(folder, "i*/*.webp")}). Patterns match PNG, JPEG and WebP files.`,
    ][0],
  );
  assert.equal(await found(`${"*a".repeat(30)}.png`).catch((error: Error) => error.name), "UsageError");
  rmSync(folder, { recursive: true });
});

test("bar: full, empty, and in eighths", () => {
  assert.is(bar(1), "█".repeat(30));
  assert.is(bar(0), " ".repeat(30));
  assert.is(bar(0.5 + 1 / 240), `${"█".repeat(15)}▏`.padEnd(30));
});

test("remaining: a span of time, or that it is not known yet", () => {
  assert.equal([90, Number.POSITIVE_INFINITY, Number.NaN].map(remaining), ["1 min 30 s", "?", "?"]);
});

test("planOptions: a byte order mark is no part of a label; what is not read is named, with why", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "verydeep-labels-"));
  try {
    const file = path.join(folder, "labels.txt");
    writeFileSync(file, "\uFEFFtench\r\ngoldfish\r\n");
    assert.equal((await planOptions({ labels: file })).classes, ["tench", "goldfish"]);
    const refused = (labels: string) => planOptions({ labels }).catch((error: Error) => error.message);
    const message = `verydeep: the file cannot be read (--labels ${folder}, EISDIR). Check the path.`;
    assert.is(await refused(folder), message);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("classifyPictures: a file's name cannot write elsewhere on the terminal", async () => {
  const { output, stdout } = capture(false);
  assert.is(await classifyPictures(async () => [], ["a\u001b[2Jb.png"], 1, output), 0);
  assert.is(stdout.text(), "a?[2Jb.png\n");
});

test("parseLabels: lines, a list, an object; a name that is missing", () => {
  assert.equal(parseLabels("tench\ngoldfish\r\n\n", "x"), ["tench", "goldfish"]);
  assert.equal(parseLabels('["a", "b"]', "x"), ["a", "b"]);
  assert.equal(parseLabels('{"0": "a", "1": "b"}', "x"), ["a", "b"]);
  assert.equal(parseLabels('{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}', "x"), [
    "tench",
    "goldfish",
  ]);
  for (const [text, message] of [
    ["", "verydeep: a class has no name (file x, class 0 of 0). Write one name a line."],
    ["a\n\nb", "verydeep: a class has no name (file x, class 1 of 3). Write one name a line."],
    ["[1]", "verydeep: a class has no name (file x, class 0 of 1). Write one name a line."],
  ]) {
    assert.throws(
      () => parseLabels(text, "x"),
      (error: unknown) => error instanceof DataError && error.message === message,
    );
  }
  assert.throws(() => parseLabels("[", "x"), /verydeep: the file is not JSON \(file x, /);
});

test.run();
