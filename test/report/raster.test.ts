/** Pixels: how much of each a shape covers, letters, and the way through PNG and back. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { decodePng, encodePng } from "#src/pictures/png.js";
import { strokesOf, textWidth } from "#src/report/font.js";
import { toPicture } from "#src/report/raster.js";
import type { Scene, Shape } from "#src/report/scene.js";
import { COLOURS } from "#src/report/theme.js";

function sceneOf(...shapes: Shape[]): Scene {
  return { width: 20, height: 10, title: "test", shapes };
}

type Drawn = ReturnType<typeof toPicture>;

function pixel({ width, pixels }: Drawn, x: number, y: number): number[] {
  return [...pixels.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
}

/** How far a pixel has gone from the surface to black ink, 0 to 1, by its green. */
function covered(picture: Drawn, x: number, y: number): number {
  const [from, to] = [COLOURS.surface.light[1], COLOURS.ink.light[1]];
  return (from - pixel(picture, x, y)[1]) / (from - to);
}

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 0.01, `${actual} is not ${expected}`);
}

/** In units of whole pixels. */
function total(picture: Drawn): number {
  let sum = 0;
  for (let y = 0; y < picture.height; y++) for (let x = 0; x < picture.width; x++) sum += covered(picture, x, y);
  return sum;
}

test("rect 2.5,1,3x2.25: edges cover their share of a pixel", () => {
  const rect = { kind: "rect", x: 2.5, y: 1, width: 3, height: 2.25, paint: "ink" } as const;
  const picture = toPicture(sceneOf(rect), 1);
  near(covered(picture, 2, 1), 0.5);
  near(covered(picture, 3, 1), 1);
  near(covered(picture, 5, 2), 0.5);
  near(covered(picture, 3, 3), 0.25);
  near(covered(picture, 5, 3), 0.125);
  near(covered(picture, 6, 1), 0);
  assert.ok(Math.abs(total(picture) - 3 * 2.25) < 0.05);
  near(covered(toPicture(sceneOf({ ...rect, opacity: 0.5 }), 1), 3, 1), 0.5);
});

test("line of width 2 on a pixel edge, width 1 on pixel centres, width 0.5 fainter", () => {
  const line = (y: number, width: number): Shape => ({
    kind: "line",
    points: [
      { x: 4, y },
      { x: 16, y },
    ],
    paint: "ink",
    width,
  });
  const wide = toPicture(sceneOf(line(5, 2)), 1);
  for (const [y, share] of [
    [3, 0],
    [4, 1],
    [5, 1],
    [6, 0],
  ]) {
    near(covered(wide, 10, y), share);
  }
  const thin = toPicture(sceneOf(line(5.5, 1)), 1);
  near(covered(thin, 10, 5), 1);
  near(covered(thin, 10, 4), 0);
  near(covered(toPicture(sceneOf(line(5.5, 0.5)), 1), 10, 5), 0.5);
});

test("line over itself covers once; one point is a dot; outside the picture is cut off", () => {
  const there = [
    { x: 4, y: 5.5 },
    { x: 16, y: 5.5 },
  ];
  const once = toPicture(sceneOf({ kind: "line", points: there, paint: "trainFaint", width: 1.4 }), 1);
  const twice = [...there, ...[...there].reverse()];
  assert.equal(toPicture(sceneOf({ kind: "line", points: twice, paint: "trainFaint", width: 1.4 }), 1), once);
  const dot = toPicture(sceneOf({ kind: "line", points: [{ x: 10, y: 5 }], paint: "ink", width: 6 }), 1);
  assert.ok(Math.abs(total(dot) - Math.PI * 9) < 1, String(total(dot)));
  const far = [
    { x: -50, y: -50 },
    { x: 90, y: 60 },
  ];
  assert.ok(total(toPicture(sceneOf({ kind: "line", points: far, paint: "ink", width: 1 }), 1)) > 5);
});

test("text: from its place to the right, upwards, and the other two ways to hold it", () => {
  const text = { kind: "text", x: 10, y: 8, text: "T", paint: "ink", size: 8, anchor: "start" } as const;
  const columns = (shape: Shape): number[] => {
    const picture = toPicture(sceneOf(shape), 1);
    return Array.from({ length: 20 }, (_, x) => x).filter((x) =>
      Array.from({ length: 10 }, (_, y) => covered(picture, x, y)).some((share) => share > 0.1),
    );
  };
  const width = textWidth("T", 8);
  assert.ok(columns(text).every((x) => x >= 9 && x <= 10 + width));
  assert.ok(columns({ ...text, anchor: "end" }).every((x) => x >= 9 - width && x <= 10));
  assert.ok(columns({ ...text, anchor: "middle" }).every((x) => x >= 9 - width / 2 && x <= 10 + width / 2));
  assert.ok(columns({ ...text, upwards: true }).every((x) => x >= 10 - 8 && x <= 10));
});

test("font: every printable letter of ASCII has strokes that differ; accents fall off; the rest are boxes", () => {
  const ascii = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));
  const box = JSON.stringify(strokesOf("\u{4e2d}"));
  const drawn = ascii.map((letter) => JSON.stringify(strokesOf(letter)));
  assert.not.ok(drawn.includes(box));
  assert.is(new Set(drawn).size, ascii.length);
  assert.equal(strokesOf("é"), strokesOf("e"));
  assert.is(textWidth("", 12), 0);
  assert.is(textWidth("11", 12), textWidth("00", 12));
  for (const { x, y } of strokesOf(ascii.join("")).flat()) assert.ok(x >= 0 && y >= -0.25 && y <= 0.85);
});

test("encodePng, decodePng: a drawing comes back, in both themes", async () => {
  const scene = sceneOf({ kind: "rect", x: 0, y: 0, width: 10, height: 10, paint: "validation" });
  for (const theme of ["light", "dark"] as const) {
    const picture = toPicture(scene, 2, theme);
    assert.equal([picture.width, picture.height], [40, 20]);
    const back = await decodePng(await encodePng(picture), "drawing");
    assert.equal(back, picture);
    assert.equal(pixel(back, 5, 5), [...COLOURS.validation[theme]]);
    assert.equal(pixel(back, 30, 5), [...COLOURS.surface[theme]]);
  }
});

test.run();
