/**
 * Nets as JSON: a list of rows (net-config.ts), as users write them for files of bare tensors, and as weights files of nets that are no
 * VGG keep them. Reads and checks what may come from anywhere, and writes. Pure functions.
 *
 * ```json
 * { "input": [1, 28, 28], "layers": [
 *   { "kind": "conv", "name": "conv1", "outputs": 8, "kernelSize": 3 }, { "kind": "relu" },
 *   { "kind": "flatten" }, { "kind": "linear", "name": "fc1", "outputs": 10 } ] }
 * ```
 * Options are those of the layer of the same name in PyTorch, with its defaults. A row takes the row above, or those named in `from`.
 */
import { UsageError } from "../core/errors.js";
import type { LayerKind, NetLayer, Row } from "./net-config.js";

/** A net as JSON describes it. */
export interface NetDescription {
  /** [channels, height, width]. */
  readonly input: readonly [number, number, number];
  readonly layers: readonly Row[];
}

/** What a field may be. */
type Check = "count" | "whole" | "number" | "boolean" | "pair" | "pairOf0" | "positivePair" | "sides" | "init";

/** The fields of one kind: a check, and the default where there is one. */
type Fields = Readonly<Record<string, { readonly check: Check; readonly value?: unknown }>>;

const need = (check: Check) => ({ check });
const or = (check: Check, value: unknown) => ({ check, value });
/** May be left out altogether. */
const maybe = (check: Check) => ({ check, value: undefined });

const WINDOW: Fields = { kernelSize: need("pair"), stride: or("pair", 1), padding: or("pairOf0", 0) };
/** The windows of a pooling stand side by side, unless told otherwise: see parseRow. */
const POOLING: Fields = { ...WINDOW, stride: need("pair"), ceilMode: or("boolean", false) };
const OUTPUTS: Fields = { outputs: need("count") };
const CONVOLUTION: Fields = {
  ...WINDOW,
  ...OUTPUTS,
  groups: or("count", 1),
  bias: or("boolean", true),
  dilation: maybe("pair"),
  init: maybe("init"),
};
const ADAPTIVE: Fields = { outputSize: need("pair") };

const KINDS: Readonly<Record<LayerKind["kind"], Fields>> = {
  conv: CONVOLUTION,
  convTranspose: { ...CONVOLUTION, outputPadding: maybe("pairOf0") },
  pool: POOLING,
  avgPool: { ...POOLING, countIncludePad: maybe("boolean") },
  adaptiveMaxPool: ADAPTIVE,
  adaptiveAvgPool: ADAPTIVE,
  lrn: { size: or("count", 5), alpha: or("number", 1e-4), beta: or("number", 0.75), k: or("number", 2) },
  dropout: { p: or("number", 0.5) },
  batchNorm: { eps: or("number", 1e-5) },
  crop: { offset: or("whole", 0) },
  pad: { sides: need("sides") },
  leakyRelu: { slope: or("number", 0.01) },
  upsample: { size: maybe("pair"), scaleFactor: maybe("positivePair"), alignCorners: or("boolean", false) },
  linear: { ...OUTPUTS, bias: maybe("boolean") },
  relu: {},
  tanh: {},
  sigmoid: {},
  flatten: {},
  concat: {},
  add: {},
  mul: {},
};

/** Fields that say where a row is. */
const PLACE = new Set(["kind", "name", "paperName", "from", "auxiliary"]);

const MOST_LAYERS = 10_000;

const isWhole = (value: unknown, least: number): boolean =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= least;
const isPair = (value: unknown, least: number): boolean =>
  isWhole(value, least) || (Array.isArray(value) && value.length === 2 && value.every((one) => isWhole(one, least)));
const isPositive = (value: unknown): boolean => typeof value === "number" && value > 0 && Number.isFinite(value);

const CHECKS: Readonly<Record<Check, { readonly what: string; readonly passes: (value: unknown) => boolean }>> = {
  count: { what: "a positive whole number", passes: (value) => isWhole(value, 1) },
  whole: { what: "a whole number of at least 0", passes: (value) => isWhole(value, 0) },
  number: { what: "a number", passes: Number.isFinite },
  boolean: { what: "true or false", passes: (value) => typeof value === "boolean" },
  pair: { what: "a positive whole number, or two", passes: (value) => isPair(value, 1) },
  pairOf0: { what: "a whole number of at least 0, or two", passes: (value) => isPair(value, 0) },
  positivePair: {
    what: "a positive number, or two",
    passes: (value) => isPositive(value) || (Array.isArray(value) && value.length === 2 && value.every(isPositive)),
  },
  sides: {
    what: "four whole numbers of at least 0",
    passes: (value) => Array.isArray(value) && value.length === 4 && value.every((side) => isWhole(side, 0)),
  },
  init: { what: '"zeros" or "bilinear"', passes: (value) => value === "zeros" || value === "bilinear" },
};

/**
 * Reads a description.
 * @param value parsed JSON.
 * @param where what to call it in errors.
 * @throws UsageError that names the layer and the field.
 */
export function parseDescription(value: unknown, where: string): NetDescription {
  const { input, layers } = asObject(value, where, "the description");
  if (!Array.isArray(input) || input.length !== 3 || !input.every((side) => isWhole(side, 1))) {
    throw new UsageError(
      `${where}: the input is not three positive whole numbers (input ${shown(input)}). Write "input": [channels, height, width].`,
    );
  }
  const [channels, height, width] = input;
  return { input: [channels, height, width], layers: parseRows(layers, where) };
}

/** Reads a list of rows. @throws UsageError as {@link parseDescription} does. */
export function parseRows(value: unknown, where: string): Row[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MOST_LAYERS) {
    throw new UsageError(
      `${where}: the layers are no list of 1 to ${MOST_LAYERS} (layers ${shown(value)}). Write "layers": [{"kind": "conv", …}, …].`,
    );
  }
  return value.map((row, i) => parseRow(row, `${where}: layer ${i + 1}`));
}

function parseRow(value: unknown, where: string): Row {
  const given = asObject(value, where, "it");
  const { kind, name, paperName, from, auxiliary } = given;
  if (typeof kind !== "string" || !isKind(kind)) {
    throw new UsageError(
      `${where} is of a kind that verydeep has not (kind ${shown(kind)}). Use one of ${Object.keys(KINDS).join(", ")}.`,
    );
  }
  const fields = KINDS[kind];
  const unknown = Object.keys(given).find((field) => !PLACE.has(field) && !Object.hasOwn(fields, field));
  if (unknown !== undefined) {
    throw new UsageError(
      `${where}, ${kind}: there is no such option (option ${shown(unknown)}). It has ${Object.keys(fields).join(", ") || "none"}.`,
    );
  }
  if (auxiliary !== undefined && typeof auxiliary !== "boolean") {
    throw new UsageError(`${where}: auxiliary is not true or false (auxiliary ${shown(auxiliary)}). Leave it out.`);
  }
  const place = {
    ...(name === undefined ? {} : { name: asName(name, where, "name") }),
    ...(paperName === undefined ? {} : { paperName: asName(paperName, where, "paperName") }),
    ...(from === undefined ? {} : { from: asNames(from, where) }),
    ...(auxiliary === true ? { auxiliary: true } : {}),
  };
  const pooling = kind === "pool" || kind === "avgPool";
  const options = Object.entries(fields).flatMap(([field, { check, value }]) => {
    const own = Object.hasOwn(given, field) ? given[field] : undefined;
    const fallback = pooling && field === "stride" ? given.kernelSize : value;
    const found = own ?? fallback;
    if (found === undefined && "value" in fields[field]) return [];
    if (!CHECKS[check].passes(found)) {
      throw new UsageError(
        `${where}, ${kind}: ${field} is not ${CHECKS[check].what} (${field} ${shown(found)}). Change ${field}.`,
      );
    }
    return [[field, found] as const];
  });
  return asRow({ kind, ...place, ...Object.fromEntries(options) });
}

/** The types are those of the checks above: each field of the kind is there and passes. */
function asRow(row: { kind: LayerKind["kind"] }): Row {
  return row as Row;
}

/** The rows that make these layers again, outputs in numbers. */
export function rowsOf(layers: readonly NetLayer[]): Row[] {
  return layers.map((layer) => {
    const { inShape, outShape, inChannels, outChannels, params, macs, ...row } = layer;
    const hasOutputs = row.kind === "conv" || row.kind === "convTranspose" || row.kind === "linear";
    return { ...row, ...(hasOutputs ? { outputs: outChannels } : {}) };
  });
}

function isKind(kind: string): kind is LayerKind["kind"] {
  return Object.hasOwn(KINDS, kind);
}

function asObject(value: unknown, where: string, what: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw new UsageError(`${where}: ${what} is no JSON object (${shown(value)}). Write { … }.`);
}

function asName(value: unknown, where: string, field: string): string {
  if (typeof value === "string" && value !== "" && value.length <= 1000) return value;
  throw new UsageError(`${where}: the ${field} is no text (${field} ${shown(value)}). Write "${field}": "conv1".`);
}

function asNames(value: unknown, where: string): string[] {
  if (Array.isArray(value) && value.length > 0) return value.map((name) => asName(name, where, "from"));
  throw new UsageError(`${where}: from is no list of names (from ${shown(value)}). Write "from": ["conv1"].`);
}

/** Lists that are shown in errors, not counted. */
const MOST_SHOWN = 100;

function shown(value: unknown): string {
  if (Array.isArray(value) && value.length > MOST_SHOWN) return `a list of ${value.length}`;
  const text = asJson(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

/** JSON that is nested too deeply, or in a circle, cannot be written. */
function asJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return Array.isArray(value) ? "a list" : `some ${typeof value}`;
  }
}
