/** The colours of the report, by role, in light and dark. Drawings and the page take them from here. */
import type { Paint } from "./scene.js";

export type Rgb = readonly [red: number, green: number, blue: number];

/** The faint ones are the strong ones mixed with the surface, so that crossing lines do not add up. */
export const COLOURS: Readonly<Record<Paint, { readonly light: Rgb; readonly dark: Rgb }>> = {
  surface: { light: [252, 252, 251], dark: [26, 26, 25] },
  ink: { light: [11, 11, 11], dark: [245, 245, 243] },
  muted: { light: [104, 103, 97], dark: [160, 158, 150] },
  grid: { light: [228, 227, 220], dark: [48, 48, 46] },
  train: { light: [42, 120, 214], dark: [70, 148, 236] },
  trainFaint: { light: [188, 213, 241], dark: [35, 62, 92] },
  validation: { light: [214, 86, 32], dark: [232, 112, 60] },
  validationFaint: { light: [240, 168, 132], dark: [150, 82, 52] },
  rate: { light: [20, 140, 98], dark: [38, 170, 122] },
  event: { light: [137, 135, 129], dark: [137, 135, 129] },
  bad: { light: [200, 38, 52], dark: [240, 88, 98] },
  right: { light: [42, 120, 214], dark: [70, 148, 236] },
  wrong: { light: [214, 86, 32], dark: [232, 112, 60] },
};

export const PAINTS = Object.keys(COLOURS).filter((name): name is Paint => name in COLOURS);

/** #rrggbb */
export function hex(rgb: Rgb): string {
  return `#${rgb.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}
