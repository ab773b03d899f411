/**
 * What a drawing is before it becomes text or pixels: lines, rectangles and words at places, in roles of colour. Charts make
 * scenes (curves.ts, confusion.ts); svg.ts and raster.ts draw them, and know nothing of charts.
 */

/** A role of colour; theme.ts says which colour it is in light and in dark. */
export type Paint =
  | "surface"
  | "ink"
  | "muted"
  | "grid"
  | "train"
  | "trainFaint"
  | "validation"
  | "validationFaint"
  | "rate"
  | "event"
  | "bad"
  | "right"
  | "wrong";

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** An open line with round caps and joins; one point is a dot as wide as the line. */
export interface Line {
  readonly kind: "line";
  readonly points: readonly Point[];
  readonly paint: Paint;
  readonly width: number;
}

export interface Rect {
  readonly kind: "rect";
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly paint: Paint;
  /** Default 1. */
  readonly opacity?: number;
}

/** One line of text; (x, y) is on its base line. */
export interface Text {
  readonly kind: "text";
  readonly x: number;
  readonly y: number;
  readonly text: string;
  readonly paint: Paint;
  /** Of the letters, in pixels. */
  readonly size: number;
  readonly anchor: "start" | "middle" | "end";
  readonly bold?: boolean;
  /** Turned by a quarter to the left: reads upwards. */
  readonly upwards?: boolean;
}

export type Shape = Line | Rect | Text;

/** A drawing; later shapes cover earlier ones. */
export interface Scene {
  readonly width: number;
  readonly height: number;
  /** For readers who do not see it. */
  readonly title: string;
  readonly shapes: readonly Shape[];
}
