/** Reads SVG and HTML back, strictly enough to find what browsers forgive: what is not closed, not escaped, no number. */
import * as assert from "uvu/assert";

export interface Element {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  /** Of this element alone, unescaped. */
  text: string;
}

/** Elements that HTML does not close. */
const VOID = new Set(["meta", "link"]);
const TAG = /<(!doctype html|\/?[a-z][a-z0-9]*)((?:\s+[a-zA-Z:-]+="[^"<>]*")*)\s*(\/?)>/y;

/** All elements of a document, in order. Fails for tags that do not match and for a stray < > & or quote. */
export function readMarkup(text: string): Element[] {
  const elements: Element[] = [];
  const open: Element[] = [];
  let at = 0;
  while (at < text.length) {
    if (text[at] !== "<") {
      const end = text.indexOf("<", at) < 0 ? text.length : text.indexOf("<", at);
      const content = text.slice(at, end);
      // A style holds CSS, whose > and quotes are its own.
      if (open.at(-1)?.name !== "style") assert.not.match(content, />|&(?!#\d+;)/, content.slice(0, 80));
      if (open.length > 0) open[open.length - 1].text += unescaped(content);
      at = end;
      continue;
    }
    TAG.lastIndex = at;
    const tag = TAG.exec(text);
    assert.ok(tag, `no tag: ${text.slice(at, at + 80)}`);
    at = TAG.lastIndex;
    const [, name, attributes, closed] = tag;
    if (name.startsWith("!")) continue;
    if (name.startsWith("/")) {
      assert.is(open.pop()?.name, name.slice(1), `closed out of turn before ${text.slice(at, at + 60)}`);
      continue;
    }
    const pairs = [...attributes.matchAll(/([a-zA-Z:-]+)="([^"]*)"/g)].map(([, key, value]): [string, string] => {
      assert.not.match(value, /&(?!#\d+;)/, value);
      return [key, unescaped(value)];
    });
    const element = { name, attributes: new Map(pairs), text: "" };
    elements.push(element);
    if (closed === "" && !VOID.has(name)) open.push(element);
  }
  assert.equal(
    open.map(({ name }) => name),
    [],
  );
  return elements;
}

function unescaped(text: string): string {
  return text.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)));
}

/** Fails where a shape of the SVG has a number that is not finite, or lies outside the view. Returns its elements. */
export function checkSvg(text: string): Element[] {
  const elements = readMarkup(text);
  const [svg] = elements;
  assert.is(svg.name, "svg");
  const [, , width, height] = (svg.attributes.get("viewBox") ?? "").split(" ").map(Number);
  assert.ok(width > 0 && height > 0);
  const inside = (x: number, y: number, what: string): void =>
    assert.ok(x >= 0 && x <= width && y >= 0 && y <= height, `outside ${width} x ${height}: ${what}`);
  for (const { name, attributes, text: content } of elements) {
    const value = (key: string): number => Number(attributes.get(key) ?? Number.NaN);
    if (name === "rect") {
      inside(value("x"), value("y"), "rect");
      inside(value("x") + value("width") - 0.02, value("y") + value("height") - 0.02, "rect's corner");
    }
    if (name === "text") inside(value("x"), value("y"), content);
    if (name === "path") {
      const way = attributes.get("d") ?? "";
      assert.match(way, /^M[\d.]+ [\d.]+(h0|(L[\d.]+ [\d.]+)+)$/);
      for (const [, x, y] of way.matchAll(/([\d.]+) ([\d.]+)/g)) inside(Number(x), Number(y), way.slice(0, 60));
    }
  }
  return elements;
}

/** What is written in a drawing. */
export function texts(elements: readonly Element[]): string[] {
  return elements.filter(({ name }) => name === "text").map(({ text }) => text);
}
