/**
 * `shapes`: the data set that is drawn by code, so that everything runs with nothing to download. 32x32 RGB pictures of ten
 * kinds of objects, textured, rotated, partly hidden and noisy. Colours, textures, size and place do not depend on the
 * class: only the outline tells it, so a linear classifier gets 42 % and 5 nearest neighbours
 * get 51 % of the test pictures (scripts/shapes-baselines.ts), while VGG-A at width 0.25 gets 98 %.
 *
 * Picture i is a function of (seed, i) alone, with the same bits on every machine (core/random.ts, core/math.ts). Objects
 * are signed distances to the outline, as in Inigo Quilez's notes on 2D distance functions: one evaluation per
 * pixel gives the anti-aliased cover.
 */
import { UsageError } from "../core/errors.js";
import { cos, sin } from "../core/math.js";
import { Random } from "../core/random.js";
import { arrayDataset, type DataSplits, type Dataset, partCount } from "./dataset.js";

/** Names of the ten classes, by class index. All outlines are their own mirror images, so flipping keeps the class. */
export const SHAPE_NAMES: readonly string[] = [
  "disc",
  "square",
  "triangle",
  "star",
  "cross",
  "ring",
  "crescent",
  "arrow",
  "heart",
  "hourglass",
];

const SIZE = 32;
const PLANE = SIZE * SIZE;
const TWO_PI = 6.283185307179586;
/** Objects turn by up to 60 degrees to either side. */
const MAX_TURN = TWO_PI / 6;

/** What {@link shapes} takes; all optional. */
export interface ShapesOptions {
  /** Pictures in all three splits together, at least 3. Default 12,000. */
  readonly count?: number;
  /** Whole number from 0 to 2^53 - 1. Default 1. */
  readonly seed?: number;
  /** Part of all pictures that is for testing. Default 1/6. */
  readonly testFraction?: number;
  /** Part of the rest that is for validation. Default 0.1. */
  readonly validationFraction?: number;
}

/**
 * The drawn data set: 9,000 training, 1,000 validation and 2,000 test pictures by default. Picture i of the sequence has class i mod 10;
 * the training pictures are the first of the sequence, then come those for validation, then those for testing.
 * Takes 1.6 s for 12,000 pictures on one core. The three splits share one array.
 * @throws UsageError for a count, seed or fraction out of range.
 */
export function shapes(options: ShapesOptions = {}): DataSplits<Dataset> {
  const { count = 12000, seed = 1, testFraction = 1 / 6, validationFraction = 0.1 } = options;
  if (!Number.isInteger(count) || count < 3) {
    throw new UsageError(
      `shapes: the count is not a whole number of at least 3 (count ${count}). Pass the number of pictures.`,
    );
  }
  const testCount = partCount("shapes", "testFraction", count, testFraction);
  if (count - testCount < 2) {
    throw new UsageError(
      `shapes: nothing is left to learn from (count ${count}, testFraction ${testFraction}). Pass a smaller testFraction.`,
    );
  }
  const validationCount = partCount("shapes", "validationFraction", count - testCount, validationFraction);

  const source = new Random(seed, "shapes");
  const images = new Uint8Array(count * 3 * PLANE);
  const labels = new Uint16Array(count);
  for (let i = 0; i < count; i++) {
    labels[i] = i % SHAPE_NAMES.length;
    drawPicture(source.fork(i), labels[i], images.subarray(i * 3 * PLANE, (i + 1) * 3 * PLANE));
  }

  const part = (split: string, begin: number, end: number): Dataset =>
    arrayDataset({
      name: `shapes ${split}`,
      classNames: SHAPE_NAMES,
      channels: 3,
      height: SIZE,
      width: SIZE,
      images: images.subarray(begin * 3 * PLANE, end * 3 * PLANE),
      labels: labels.subarray(begin, end),
    });
  const trainCount = count - testCount - validationCount;
  return {
    train: part("train", 0, trainCount),
    validation: part("validation", trainCount, count - testCount),
    test: part("test", count - testCount, count),
    notes: [],
  };
}

/**
 * One picture of the sequence that {@link shapes} cuts in three.
 * @param classIndex draws this class instead of the sequence's own (index mod 10); all else about the picture stays.
 * @returns `pixels` [3, 32, 32] and the class index.
 * @throws UsageError for a seed, index or class out of range.
 */
export function shapesPicture(
  seed: number,
  index: number,
  classIndex = index % SHAPE_NAMES.length,
): { pixels: Uint8Array; label: number } {
  const random = new Random(seed, "shapes", index);
  if (!Number.isInteger(classIndex) || classIndex < 0 || classIndex >= SHAPE_NAMES.length) {
    throw new UsageError(
      `shapesPicture: there is no such class (classIndex ${classIndex}). Pass 0 to ${SHAPE_NAMES.length - 1}.`,
    );
  }
  const pixels = new Uint8Array(3 * PLANE);
  drawPicture(random, classIndex, pixels);
  return { pixels, label: classIndex };
}

// ---- Outlines -------------------------------------------------------------------------------------------------------

/** Signed distance from (x, y) to an outline of radius about 1 around the origin: negative inside. y points down. */
type Outline = (x: number, y: number) => number;

const OUTLINES: readonly Outline[] = [
  disc(0, 0, 0.9),
  polygon([-0.78, -0.78, 0.78, -0.78, 0.78, 0.78, -0.78, 0.78]),
  polygon([0, -1.05, 0.909, 0.525, -0.909, 0.525]),
  polygon(starCorners(5, 1.12, 0.46)),
  polygon([
    -0.3, -1, 0.3, -1, 0.3, -0.3, 1, -0.3, 1, 0.3, 0.3, 0.3, 0.3, 1, -0.3, 1, -0.3, 0.3, -1, 0.3, -1, -0.3, -0.3, -0.3,
  ]),
  (x, y) => Math.abs(Math.sqrt(x * x + y * y) - 0.74) - 0.22,
  without(disc(0.15, 0, 1), disc(0.62, 0, 0.8)),
  polygon([1.1, 0, 0.15, 0.82, 0.15, 0.28, -1, 0.28, -1, -0.28, 0.15, -0.28, 0.15, -0.82]),
  // Two discs, and the kite from their centres down to the tip, tangent to both.
  union(
    union(disc(-0.5, -0.35, 0.55), disc(0.5, -0.35, 0.55)),
    polygon([0, 1, 0.9035, 0.0236, 0.5, -0.35, 0, -0.5, -0.5, -0.35, -0.9035, 0.0236]),
  ),
  polygon([-0.78, -0.95, 0.78, -0.95, 0.12, 0, 0.78, 0.95, -0.78, 0.95, -0.12, 0]),
];

/** No outline reaches further from the origin: pixels beyond are background without a look. */
const OUTLINE_REACH = 1.25;

function disc(centerX: number, centerY: number, radius: number): Outline {
  return (x, y) => Math.sqrt((x - centerX) * (x - centerX) + (y - centerY) * (y - centerY)) - radius;
}

function union(a: Outline, b: Outline): Outline {
  return (x, y) => Math.min(a(x, y), b(x, y));
}

function without(a: Outline, b: Outline): Outline {
  return (x, y) => Math.max(a(x, y), -b(x, y));
}

/** @param corners x0, y0, x1, y1, … in order around the outline. */
function polygon(corners: readonly number[]): Outline {
  const p = Float64Array.from(corners);
  return (x, y) => {
    let nearest = Infinity; // squared distance to the nearest edge
    let inside = false; // even-odd rule: crossings of the ray to the right
    let ax = p[p.length - 2];
    let ay = p[p.length - 1];
    for (let i = 0; i < p.length; i += 2) {
      const bx = p[i];
      const by = p[i + 1];
      const edgeX = bx - ax;
      const edgeY = by - ay;
      const along = ((x - ax) * edgeX + (y - ay) * edgeY) / (edgeX * edgeX + edgeY * edgeY);
      const t = clampUnit(along);
      const gapX = x - ax - t * edgeX;
      const gapY = y - ay - t * edgeY;
      nearest = Math.min(nearest, gapX * gapX + gapY * gapY);
      if (ay > y !== by > y && x < ax + ((y - ay) / edgeY) * edgeX) inside = !inside;
      ax = bx;
      ay = by;
    }
    const distance = Math.sqrt(nearest);
    return inside ? -distance : distance;
  };
}

function starCorners(points: number, outer: number, inner: number): number[] {
  const corners: number[] = [];
  for (let i = 0; i < 2 * points; i++) {
    const angle = (TWO_PI * i) / (2 * points);
    const radius = i % 2 === 0 ? outer : inner;
    corners.push(radius * sin(angle), -radius * cos(angle));
  }
  return corners;
}

// ---- Colours and textures -------------------------------------------------------------------------------------------

type Colour = readonly [number, number, number];

/** Mixing weight, 0 to 1, of a region's second colour at pixel (x, y). */
type Texture = (x: number, y: number) => number;

/**
 * An object is so much lighter (mean of the three channels, in bytes) than all of its background, whatever their hues. VGG-A at
 * width 0.25 learns that to 98 % in five epochs; with objects lighter or darker by chance it was still below 55 %.
 */
const MIN_LIGHTER = 70;
/** The two colours of one texture differ by 15 to 35 bytes in each channel: well below the contrast to the other region. */
const MIN_TEXTURE = 15;
const MAX_TEXTURE = 35;

function between(random: Random, low: number, high: number): number {
  return low + (high - low) * random.uniform();
}

function randomColour(random: Random): Colour {
  return [between(random, 10, 245), between(random, 10, 245), between(random, 10, 245)];
}

/** A second colour for a texture: each channel moves up or down. */
function partner(random: Random, colour: Colour): Colour {
  const move = (value: number): number => {
    const step = between(random, MIN_TEXTURE, MAX_TEXTURE);
    return clampByte(random.uniform() < 0.5 ? value - step : value + step);
  };
  return [move(colour[0]), move(colour[1]), move(colour[2])];
}

function lightness(colour: Colour): number {
  return (colour[0] + colour[1] + colour[2]) / 3;
}

/** The two colours of the background's texture and the two of the object's. */
interface Colours {
  readonly backA: Colour;
  readonly backB: Colour;
  readonly frontA: Colour;
  readonly frontB: Colour;
}

function randomColours(random: Random): Colours {
  const backA = randomColour(random);
  const frontA = randomColour(random);
  return { backA, backB: partner(random, backA), frontA, frontB: partner(random, frontA) };
}

function objectStandsOut({ backA, backB, frontA, frontB }: Colours): boolean {
  const background = Math.max(lightness(backA), lightness(backB));
  return Math.min(lightness(frontA), lightness(frontB)) >= background + MIN_LIGHTER;
}

function clampByte(value: number): number {
  return Math.min(Math.max(value, 0), 255);
}

function clampUnit(value: number): number {
  return Math.min(Math.max(value, 0), 1);
}

/** Plain, gradient, stripes, checks or blotches, at a random angle and scale. */
function randomTexture(random: Random): Texture {
  const kind = random.integer(5);
  const angle = TWO_PI * random.uniform();
  const c = cos(angle);
  const s = sin(angle);
  const period = between(random, 4, 9);
  const phase = random.uniform();
  if (kind === 0) return () => 0;
  if (kind === 1) return (x, y) => clampUnit(0.5 + ((x - SIZE / 2) * c + (y - SIZE / 2) * s) / SIZE);
  if (kind === 2) return (x, y) => wave((x * c + y * s) / period + phase);
  if (kind === 3) {
    return (x, y) => {
      const a = wave((x * c + y * s) / period + phase);
      const b = wave((y * c - x * s) / period + phase);
      return a + b - 2 * a * b; // exclusive or, for weights
    };
  }
  return blotches(random, period);
}

/** A square wave of period 1 with soft edges. */
function wave(t: number): number {
  return clampUnit(4 * Math.abs(t - Math.floor(t) - 0.5) - 0.5);
}

/** Value noise: random weights on a square lattice, `period` pixels apart, blended smoothly between. */
function blotches(random: Random, period: number): Texture {
  const side = Math.floor((SIZE - 1) / period) + 2;
  const lattice = new Float64Array(side * side);
  for (let i = 0; i < lattice.length; i++) lattice[i] = random.uniform();
  return (x, y) => {
    const column = Math.floor(x / period);
    const row = Math.floor(y / period);
    const u = x / period - column;
    const v = y / period - row;
    const blendX = u * u * (3 - 2 * u);
    const blendY = v * v * (3 - 2 * v);
    const i = row * side + column;
    const upper = lattice[i] + (lattice[i + 1] - lattice[i]) * blendX;
    const lower = lattice[i + side] + (lattice[i + side + 1] - lattice[i + side]) * blendX;
    return upper + (lower - upper) * blendY;
  };
}

// ---- Drawing --------------------------------------------------------------------------------------------------------

/** Something in front of the object: cover, 0 to 1, at a pixel. */
interface Occluder {
  readonly cover: Texture;
  readonly colour: Colour;
}

/** Half the time nothing, else a bar across the picture or a small patch, near the object's centre. */
function randomOccluder(random: Random, centerX: number, centerY: number, radius: number): Occluder | undefined {
  const kind = random.integer(4);
  const angle = TWO_PI * random.uniform();
  const c = cos(angle);
  const s = sin(angle);
  const x0 = centerX + radius * between(random, -0.9, 0.9);
  const y0 = centerY + radius * between(random, -0.9, 0.9);
  const halfWidth = between(random, 0.8, 1.2);
  const halfSide = between(random, 1.8, 2.8);
  const colour = randomColour(random);
  if (kind < 2) return undefined;
  if (kind === 2)
    return { colour, cover: (x, y) => clampUnit(halfWidth + 0.5 - Math.abs((x - x0) * c + (y - y0) * s)) };
  return {
    colour,
    cover: (x, y) => {
      const across = Math.abs((x - x0) * c + (y - y0) * s);
      const along = Math.abs((y - y0) * c - (x - x0) * s);
      return clampUnit(halfSide + 0.5 - Math.max(across, along));
    },
  };
}

/** Draws one picture of a class into `out` [3, 32, 32]. All random numbers but the noise are drawn before the first pixel. */
function drawPicture(random: Random, classIndex: number, out: Uint8Array): void {
  const outline = OUTLINES[classIndex];
  const radius = between(random, 9.5, 13);
  const slack = Math.max(SIZE / 2 - radius, 0); // keeps (nearly) all of the object in the picture
  const centerX = SIZE / 2 + between(random, -slack, slack);
  const centerY = SIZE / 2 + between(random, -slack, slack);
  const angle = between(random, -MAX_TURN, MAX_TURN);
  const c = cos(angle);
  const s = sin(angle);
  const stretch = between(random, 0.88, 1.14);

  let colours = randomColours(random);
  while (!objectStandsOut(colours)) colours = randomColours(random);
  const { backA, backB, frontA, frontB } = colours;
  const backTexture = randomTexture(random);
  const frontTexture = randomTexture(random);
  const occluder = randomOccluder(random, centerX, centerY, radius);
  const noise = between(random, 4, 16);

  const reach = OUTLINE_REACH * radius * Math.max(stretch, 1 / stretch) + 1;
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) {
      const back = backTexture(x, y);
      let red = backA[0] + (backB[0] - backA[0]) * back;
      let green = backA[1] + (backB[1] - backA[1]) * back;
      let blue = backA[2] + (backB[2] - backA[2]) * back;

      const dx = x + 0.5 - centerX;
      const dy = y + 0.5 - centerY;
      if (dx * dx + dy * dy < reach * reach) {
        // Turned into the object's own axes, one stretched and the other shrunk: the distance stays right to within 14 %.
        const u = (dx * c + dy * s) / (radius * stretch);
        const v = ((dy * c - dx * s) * stretch) / radius;
        const cover = clampUnit(0.5 - outline(u, v) * radius);
        if (cover > 0) {
          const front = frontTexture(x, y);
          red += cover * (frontA[0] + (frontB[0] - frontA[0]) * front - red);
          green += cover * (frontA[1] + (frontB[1] - frontA[1]) * front - green);
          blue += cover * (frontA[2] + (frontB[2] - frontA[2]) * front - blue);
        }
      }
      if (occluder !== undefined) {
        const cover = occluder.cover(x + 0.5, y + 0.5);
        red += cover * (occluder.colour[0] - red);
        green += cover * (occluder.colour[1] - green);
        blue += cover * (occluder.colour[2] - blue);
      }

      // One random word a pixel: 10 bits of noise a channel, uniform in ±noise.
      const word = random.uint32();
      const i = y * SIZE + x;
      out[i] = clampByte(Math.floor(red + 0.5 + noise * ((word & 1023) / 511.5 - 1)));
      out[PLANE + i] = clampByte(Math.floor(green + 0.5 + noise * (((word >>> 10) & 1023) / 511.5 - 1)));
      out[2 * PLANE + i] = clampByte(Math.floor(blue + 0.5 + noise * (((word >>> 20) & 1023) / 511.5 - 1)));
    }
  }
}
