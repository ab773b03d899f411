/** Small builders of shapes that all drawings share. */
import { textWidth } from "./font.js";
import type { Paint, Point, Shape, Text } from "./scene.js";

/** How much wider than ours the letters of a system's font may be (DejaVu Sans). */
export const FONT_SLACK = 1.18;

/** A text cut to a width, with an ellipsis where something was cut. */
export function fitText(text: string, size: number, width: number): string {
  if (textWidth(text, size) * FONT_SLACK <= width) return text;
  const letters = [...text];
  while (letters.length > 1 && textWidth(`${letters.join("")}…`, size) * FONT_SLACK > width) letters.pop();
  return `${letters.join("").trimEnd()}…`;
}

export function label(
  x: number,
  y: number,
  text: string,
  paint: Paint,
  size: number,
  anchor: Text["anchor"],
  bold = false,
): Text {
  return { kind: "text", x, y, text, paint, size, anchor, bold };
}

export function line(points: readonly Point[], paint: Paint, width: number): Shape {
  return { kind: "line", points, paint, width };
}

export function at(x: number, y: number): Point {
  return { x, y };
}
