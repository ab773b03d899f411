/**
 * The letters of pictures: a font of strokes, drawn for this project, for the one renderer that has no system fonts. Letters are
 * curves, not pixels, so any size works.
 *
 * A glyph is text: strokes apart by blanks, each a row of points "xy" on a grid with the base line at y = 2, capitals up to 8,
 * small letters up to 6, and down to 0. The first and last point are touched. A point between them, said once, rounds the way off
 * (quadratic B-spline: the curve touches the middles between points); said twice, it is a corner.
 *
 *     8  .  .  .      "04 06 36 32 02 04" is o: from the left edge over the four corners
 *     6  +--+--+      of its box, none of them touched, back to the left edge.
 *     4  o     |
 *     2  +--+--+
 */
import type { Point } from "./scene.js";

const O = "040636320204";
const GLYPHS: Readonly<Record<string, string>> = {
  "0": "050838320205",
  "1": "06282822",
  "2": "07083835020232",
  "3": "0708383515 1535320203",
  "4": "222828040434",
  "5": "380808050535320203",
  "6": "3738080232350504",
  "7": "08383812",
  "8": "070838350507 030535320203",
  "9": "0302323808053536",
  A: "02282842 1434",
  B: "0208 081838351505 051545421202",
  C: "474808024243",
  D: "0208 081848421202",
  E: "380808020232 0525",
  F: "38080802 0525",
  G: "4748080242454525",
  H: "0208 4248 0545",
  I: "0208",
  J: "3835320204",
  K: "0208 4804 1542",
  L: "08020232",
  M: "0208082424484842",
  N: "020808424248",
  O: "050848420205",
  P: "0208 081848441404",
  Q: "050848420205 2442",
  R: "0208 081848451505 2542",
  S: "4748080545420203",
  T: "0848 2822",
  U: "080502424548",
  V: "08222248",
  W: "0812123737525268",
  X: "0842 0248",
  Y: "08252548 2522",
  Z: "084848020242",
  a: `${O} 3632`,
  b: `${O} 0802`,
  c: "353606023233",
  d: `${O} 3832`,
  e: "0434343606023233",
  f: "28181612 0626",
  g: `${O} 3633300001`,
  h: "0802 0406363432",
  i: "0602 08",
  j: "16131000 18",
  k: "0802 3604 1532",
  l: "0802",
  m: "0602 0406262422 2426464442",
  n: "0602 0406363432",
  o: O,
  p: `${O} 0600`,
  q: `${O} 3630`,
  r: "0602 040626",
  s: "3536060434320203",
  t: "18141222 0626",
  u: "060402323436 3632",
  v: "06222246",
  w: "0612122525323246",
  x: "0632 0236",
  y: "0622 4610",
  z: "063636020232",
  ".": "02",
  ",": "0201",
  ":": "02 05",
  ";": "0201 05",
  "-": "0424",
  "–": "0434",
  "+": "0444 2226",
  "=": "0535 0333",
  "/": "0138",
  "\\": "0831",
  "|": "0901",
  _: "0141",
  "(": "290521",
  ")": "092501",
  "[": "190909010111",
  "]": "091919111101",
  "%": "070828260607 434464624243 1258",
  "'": "0807",
  '"': "0807 1817",
  "<": "36040432",
  ">": "06343402",
  "&": "420608282603023244",
  "#": "1218 3238 0646 0444",
  "!": "0804 02",
  "?": "070838351514 12",
  "*": "0527 0725 1418",
  $: "4748080545420203 2129",
  "@": "3515133335 35335358080242",
  "^": "06181826",
  "`": "0817",
  "~": "04153344",
  "{": "2919160505141121",
  "}": "0919162525141101",
  "→": "0454 3654 3254",
  "…": "02 22 42",
  "·": "04",
  "×": "0336 0633",
};
/** A letter that the font has not. */
const BOX = "0208083838323202";

/** A unit of the grid in ems: capitals are 0.72 em high. */
const UNIT = 0.12;
/** Beside each glyph, half of it on either side. */
const GAP = 1.6;
const BLANK = 2.3;
const BASE_LINE = 2;
/** Straight pieces for one rounded corner: smooth at 40 pixels an em. */
const PIECES = 6;

interface Glyph {
  readonly strokes: readonly (readonly Point[])[];
  readonly width: number;
}

const glyphs = new Map<string, Glyph>();

/** Width of a text in pixels. System fonts are close to it: their letters have about the same widths. */
export function textWidth(text: string, size: number): number {
  let width = 0;
  for (const letter of letters(text)) width += advance(letter);
  return width * UNIT * size;
}

/** The strokes of a text in ems: it begins at (0, 0) on the base line, and y points up. */
export function strokesOf(text: string): Point[][] {
  const strokes: Point[][] = [];
  let at = 0;
  for (const letter of letters(text)) {
    if (letter !== " ") {
      for (const stroke of glyph(letter).strokes) {
        strokes.push(stroke.map(({ x, y }) => ({ x: (at + GAP / 2 + x) * UNIT, y: (y - BASE_LINE) * UNIT })));
      }
    }
    at += advance(letter);
  }
  return strokes;
}

/** Letters without their accents, which the font has not. */
function letters(text: string): string[] {
  return [...text.normalize("NFD").replace(/\p{M}/gu, "").replace(/\s/g, " ")];
}

function advance(letter: string): number {
  return letter === " " ? BLANK : glyph(letter).width + GAP;
}

function glyph(letter: string): Glyph {
  let found = glyphs.get(letter);
  if (!found) {
    const strokes = (Object.hasOwn(GLYPHS, letter) ? GLYPHS[letter] : BOX).split(" ").map(readStroke);
    const right = Math.max(...strokes.flat().map(({ x }) => x));
    // Digits are equally wide, so that columns of numbers stand still.
    found = { strokes, width: /\d/.test(letter) ? 3 : right };
    glyphs.set(letter, found);
  }
  return found;
}

function readStroke(text: string): Point[] {
  const points = (text.match(/../g) ?? []).map((pair) => ({ x: Number(pair[0]), y: Number(pair[1]) }));
  const last = points.length - 1;
  const way = [points[0]];
  for (let i = 1; i < last; i++) {
    const from = way[way.length - 1];
    const corner = points[i];
    const next = points[i + 1];
    const to = i + 1 === last ? next : { x: (corner.x + next.x) / 2, y: (corner.y + next.y) / 2 };
    for (let piece = 1; piece <= PIECES; piece++) way.push(onCurve(from, corner, to, piece / PIECES));
  }
  if (last === 1) way.push(points[1]);
  return way;
}

/** The point at t of a quadratic Bézier curve. */
function onCurve(from: Point, corner: Point, to: Point, t: number): Point {
  const blend = (a: number, b: number, c: number): number => (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t * t * c;
  return { x: blend(from.x, corner.x, to.x), y: blend(from.y, corner.y, to.y) };
}
