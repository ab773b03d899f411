/**
 * What our own weights files say about a net that is no VGG: its rows as JSON, its classes and how to prepare a picture. VGG nets
 * have a shorter form, model-format.ts's. Texts in both directions; pure functions.
 */

import { UsageError, WeightsError } from "../core/errors.js";
import type { Preprocessing } from "../io/preprocessing.js";
import type { NetLayer, Row } from "../models/net-config.js";
import { parseRows, rowsOf } from "../models/net-description.js";

/** The metadata's value of `format`. */
export const NET_FORMAT = "verydeep-net";
const VERSION = "1";

/** A net, its classes and its preprocessing. */
export interface NetMetadata {
  /** [channels, height, width]. */
  readonly inputShape: readonly [number, number, number];
  readonly rows: readonly Row[];
  readonly classes: readonly string[];
  readonly preprocessing: Preprocessing;
}

/** Metadata as a file holds it. */
export function encodeNetMetadata(
  layers: readonly NetLayer[],
  { inputShape, classes, preprocessing }: Omit<NetMetadata, "rows">,
): Record<string, string> {
  const values = { inputShape, layers: rowsOf(layers), classes, ...preprocessing };
  const texts = Object.entries(values).map(([key, value]): [string, string] => [key, JSON.stringify(value)]);
  return { format: NET_FORMAT, version: VERSION, ...Object.fromEntries(texts) };
}

/** Reads and checks metadata. @throws WeightsError that names the field. */
export function decodeNetMetadata(texts: Readonly<Record<string, string>>, file: string): NetMetadata {
  if (texts.version !== VERSION) {
    throw new WeightsError(
      `load: ${file} is of another version (version ${texts.version}, known ${VERSION}). Update verydeep.`,
    );
  }
  const inputShape = check(texts, "inputShape", file, asSides);
  const channels = inputShape[0];
  const numbers = (value: unknown) => asNumbers(value, channels);
  const [mean, std] = [check(texts, "mean", file, numbers), check(texts, "std", file, numbers)];
  check(texts, "std", file, () => std.every((one) => one > 0) || undefined);
  const scale = check(texts, "scale", file, asCount);
  const classes = check(texts, "classes", file, asTexts);
  return { inputShape, rows: readRows(texts, file), classes, preprocessing: { mean, std, scale } };
}

function readRows(texts: Readonly<Record<string, string>>, file: string): Row[] {
  const layers = check(texts, "layers", file, (value) => value);
  try {
    return parseRows(layers, `load: the metadata of ${file}`);
  } catch (error) {
    throw error instanceof UsageError ? new WeightsError(error.message) : error;
  }
}

function check<T>(
  texts: Readonly<Record<string, string>>,
  key: string,
  file: string,
  read: (value: unknown) => T | undefined,
): T {
  const found = read(parsed(texts[key]));
  if (found !== undefined) return found;
  throw new WeightsError(
    `load: the metadata of ${file} is wrong (${key} ${texts[key]?.slice(0, 80)}). Download or save the file again.`,
  );
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return undefined;
  }
}

function asCount(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1 ? value : undefined;
}

function asSides(value: unknown): [number, number, number] | undefined {
  if (!Array.isArray(value) || value.length !== 3) return undefined;
  const [channels, height, width] = value.map(asCount);
  return channels && height && width ? [channels, height, width] : undefined;
}

function asNumbers(value: unknown, length: number): number[] | undefined {
  if (!Array.isArray(value) || value.length !== length) return undefined;
  return value.every((item) => typeof item === "number" && Number.isFinite(item)) ? value : undefined;
}

function asTexts(value: unknown): string[] | undefined {
  return Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "string")
    ? value
    : undefined;
}
