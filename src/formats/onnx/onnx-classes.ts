/** Names of classes in an ONNX file's metadata, in the forms in which exporters write them. Pure functions. */

const KEYS = ["classes", "names", "labels", "class_names"];

/**
 * The names, by index.
 * @returns null where there are none, or not as many as outputs.
 */
export function classNames(metadata: ReadonlyMap<string, string>, outputs: number | null): string[] | null {
  for (const key of KEYS) {
    const names = namesOf(metadata.get(key) ?? "");
    if (names.length > 0 && names.length === outputs) return names;
  }
  return null;
}

function namesOf(text: string): string[] {
  const value = parsed(text);
  if (Array.isArray(value)) return value.every((name) => typeof name === "string") ? value : [];
  if (typeof value === "object" && value !== null) return indexed(Object.entries(value));
  // Python's own form of a dictionary: {0: 'cat', 1: 'dog'}.
  if (/^\s*\{/.test(text)) {
    return indexed(
      [...text.matchAll(/(?<!\d)(\d{1,9})\s*:\s*(?:'([^']*)'|"([^"]*)")/g)].map(([, i, a, b]) => [i, a ?? b]),
    );
  }
  return text
    .split(/\r?\n|,/)
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

function indexed(entries: readonly (readonly [string, unknown])[]): string[] {
  const names = new Map(entries.map(([index, name]) => [Number(index), name]));
  const list = Array.from({ length: names.size }, (_, i) => names.get(i));
  return list.every((name) => typeof name === "string") ? list : [];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
