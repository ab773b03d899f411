/**
 * A scene as pixels, in plain TypeScript: how much of each pixel a shape covers, blended over what is there. Letters are strokes
 * (font.ts), so lines and rectangles are all there is to draw.
 */
import type { Picture } from "../pictures/pixels.js";
import { strokesOf, textWidth } from "./font.js";
import type { Point, Rect, Scene, Text } from "./scene.js";
import { COLOURS, type Rgb } from "./theme.js";

/**
 * Draws a scene in the light or dark colours.
 * @param scale pixels for one unit of the scene.
 */
export function toPicture(scene: Scene, scale = 2, theme: "light" | "dark" = "light"): Picture {
  const width = Math.ceil(scene.width * scale);
  const height = Math.ceil(scene.height * scale);
  const picture: Picture = { width, height, pixels: new Uint8Array(width * height * 3) };
  const coverage = new Float32Array(width * height);
  const surface = COLOURS.surface[theme];
  for (let i = 0; i < picture.pixels.length; i++) picture.pixels[i] = surface[i % 3];
  for (const shape of scene.shapes) {
    const colour = COLOURS[shape.paint][theme];
    if (shape.kind === "rect") drawRect(picture, shape, scale, colour);
    else {
      const lines = shape.kind === "line" ? [shape.points] : textLines(shape);
      const thickness = shape.kind === "line" ? shape.width : shape.size * (shape.bold ? 0.135 : 0.085);
      drawLines(picture, coverage, lines, thickness * scale, scale, colour);
    }
  }
  return picture;
}

/** The strokes of a text, at its place. */
function textLines({ text, size, x, y, anchor, upwards }: Text): Point[][] {
  const width = textWidth(text, size);
  const begin = anchor === "start" ? 0 : anchor === "middle" ? -width / 2 : -width;
  return strokesOf(text).map((stroke) =>
    stroke.map((point) => {
      const along = begin + point.x * size;
      const above = point.y * size;
      return upwards ? { x: x - above, y: y - along } : { x: x + along, y: y - above };
    }),
  );
}

/** Edges between pixels cover their share of them. */
function drawRect(picture: Picture, rect: Rect, scale: number, colour: Rgb): void {
  const [left, top] = [rect.x * scale, rect.y * scale];
  const [right, bottom] = [left + rect.width * scale, top + rect.height * scale];
  const shared = (pixel: number, from: number, to: number): number =>
    Math.max(0, Math.min(pixel + 1, to) - Math.max(pixel, from));
  for (let y = Math.max(0, Math.floor(top)); y < Math.min(picture.height, bottom); y++) {
    for (let x = Math.max(0, Math.floor(left)); x < Math.min(picture.width, right); x++) {
      blend(picture, x, y, colour, shared(x, left, right) * shared(y, top, bottom) * (rect.opacity ?? 1));
    }
  }
}

/**
 * Draws lines of one width as one shape: where they cross or join, a pixel is covered once. A pixel is covered as far as its centre
 * is inside the line, measured across it; lines thinner than a pixel are fainter instead. `coverage` [height, width] is scratch: all 0 before and after.
 */
function drawLines(
  picture: Picture,
  coverage: Float32Array,
  lines: readonly (readonly Point[])[],
  width: number,
  scale: number,
  colour: Rgb,
): void {
  const touched: number[] = [];
  const reach = Math.max(width, 1) / 2;
  const strength = Math.min(width, 1);
  for (const points of lines) {
    for (let i = 0; i === 0 || i < points.length - 1; i++) {
      const a = points[i];
      const b = points[Math.min(i + 1, points.length - 1)];
      cover(picture, coverage, touched, [a.x * scale, a.y * scale, b.x * scale, b.y * scale], reach, strength);
    }
  }
  for (const at of touched) {
    blend(picture, at % picture.width, Math.floor(at / picture.width), colour, coverage[at]);
    coverage[at] = 0;
  }
}

function cover(
  { width, height }: Picture,
  coverage: Float32Array,
  touched: number[],
  [ax, ay, bx, by]: readonly [number, number, number, number],
  reach: number,
  strength: number,
): void {
  const [dx, dy] = [bx - ax, by - ay];
  const squared = dx * dx + dy * dy;
  const margin = reach + 1;
  const bottom = Math.min(height - 1, Math.floor(Math.max(ay, by) + margin));
  const right = Math.min(width - 1, Math.floor(Math.max(ax, bx) + margin));
  for (let y = Math.max(0, Math.floor(Math.min(ay, by) - margin)); y <= bottom; y++) {
    for (let x = Math.max(0, Math.floor(Math.min(ax, bx) - margin)); x <= right; x++) {
      const [px, py] = [x + 0.5 - ax, y + 0.5 - ay];
      const t = squared > 0 ? Math.min(1, Math.max(0, (px * dx + py * dy) / squared)) : 0;
      const [ox, oy] = [px - t * dx, py - t * dy];
      const share = Math.min(1, reach + 0.5 - Math.sqrt(ox * ox + oy * oy)) * strength;
      const at = y * width + x;
      if (share <= coverage[at]) continue;
      if (coverage[at] === 0) touched.push(at);
      coverage[at] = share;
    }
  }
}

function blend({ width, pixels }: Picture, x: number, y: number, colour: Rgb, share: number): void {
  const at = (y * width + x) * 3;
  for (let c = 0; c < 3; c++) pixels[at + c] = Math.round(pixels[at + c] + (colour[c] - pixels[at + c]) * share);
}
