/**
 * A scene as SVG text: no script, no fonts from elsewhere, light or dark as the reader's system is. Equal scenes give equal
 * text. Also what HTML and SVG share: escaping, and the colours as custom properties.
 */
import type { Scene, Shape } from "./scene.js";
import { COLOURS, hex, PAINTS } from "./theme.js";

const FONTS = "system-ui,-apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif";

/** Control characters, halves of surrogate pairs and non-characters: XML forbids most of them. */
const FORBIDDEN = /[^\P{Cc}\t\n\r]|\p{Cs}|[\ufffe\uffff]/gu;

/** Text as content or attribute of HTML and XML. */
export function escapeText(text: string): string {
  return text.replace(FORBIDDEN, "\u{fffd}").replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`);
}

/** CSS that gives each role its colour as `--vd-ROLE`, for elements that match `selector`. */
export function colourRules(selector: string): string {
  const rules = (theme: "light" | "dark"): string =>
    `${selector}{color-scheme:${theme};${PAINTS.map((paint) => `--vd-${paint}:${hex(COLOURS[paint][theme])}`).join(";")}}`;
  return `${rules("light")}@media (prefers-color-scheme:dark){${rules("dark")}}`;
}

/**
 * @param inline for a page that has the colours already ({@link colourRules}); a file of its own brings them.
 */
export function toSvg(scene: Scene, inline = false): string {
  const { width, height, title, shapes } = scene;
  const name = escapeText(title);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${number(width)} ${number(height)}" width="${number(width)}" height="${number(height)}" ` +
      `role="img" aria-label="${name}" font-family="${FONTS}" fill="none" stroke-linecap="round" stroke-linejoin="round">`,
    ...(inline ? [] : [`<title>${name}</title>`, `<style>${colourRules("svg")}</style>`]),
    ...shapes.map(element),
    "</svg>\n",
  ].join("\n");
}

function element(shape: Shape): string {
  const colour = `var(--vd-${shape.paint})`;
  if (shape.kind === "line") {
    const [first, ...rest] = shape.points;
    const to = rest.length === 0 ? "h0" : rest.map(({ x, y }) => `L${number(x)} ${number(y)}`).join("");
    return `<path d="M${number(first.x)} ${number(first.y)}${to}" stroke-width="${number(shape.width)}" style="stroke:${colour}"/>`;
  }
  if (shape.kind === "rect") {
    const { x, y, width, height, opacity } = shape;
    const faint = opacity === undefined ? "" : ` fill-opacity="${number(opacity)}"`;
    return `<rect x="${number(x)}" y="${number(y)}" width="${number(width)}" height="${number(height)}"${faint} style="fill:${colour}"/>`;
  }
  const { x, y, text, size, anchor, bold, upwards } = shape;
  const place = `x="${number(x)}" y="${number(y)}"`;
  const turn = upwards ? ` transform="rotate(-90 ${number(x)} ${number(y)})"` : "";
  const weight = bold ? ` font-weight="600"` : "";
  return `<text ${place} font-size="${number(size)}" text-anchor="${anchor}"${weight}${turn} style="fill:${colour}">${escapeText(text)}</text>`;
}

/** Two decimals at most, never "-0". */
function number(value: number): string {
  return String(Math.round(value * 100) / 100 + 0);
}
