/** Options that tell what a weights file does not say: which net, how pictures are prepared, what the classes are called. */
import { readFile } from "node:fs/promises";
import { DataError, UsageError } from "../core/errors.js";
import type { PlanOptions } from "../formats/plan-net.js";
import { errorCode } from "../io/atomic-file.js";
import { PREPROCESSING_NAMES, type PreprocessingName, preprocessingName } from "../io/preprocessing.js";
import type { LinearWeights } from "../models/build-layer.js";
import { parseDescription } from "../models/net-description.js";
import type { Command } from "../vendor/command-line.js";
import { parseWhole } from "./numbers.js";

const MAX_SIDE = 10_000;

/** What commander hands over of {@link addNetOptions}. */
export interface NetArguments {
  readonly config?: string;
  readonly net?: string;
  readonly preprocess?: PreprocessingName;
  readonly labels?: string;
  readonly input?: number;
}

/** Adds the options. */
export function addNetOptions(command: Command): Command {
  return command
    .option("--config <name>", "the net that a file of bare tensors belongs to (vgg16, C, alexnet, ...)")
    .option("--net <file>", "or its description as JSON")
    .option("--preprocess <name>", `how pictures are prepared: ${PREPROCESSING_NAMES.join(", ")}`, preprocessingName)
    .option(
      "--labels <file>",
      'names of the classes: one a line, or JSON: a list, or {"0": name} as Keras\'s index of classes',
    )
    .option("--input <n>", "height and width of the input, where the file leaves it open", (text) =>
      parseWhole("--input", text, 1, MAX_SIDE),
    );
}

/** Types of weights by the words that people use. */
const WEIGHT_TYPES: Readonly<Record<string, LinearWeights>> = {
  f32: "float32",
  float32: "float32",
  f16: "float16",
  float16: "float16",
  int8: "int8",
};

/** @throws UsageError for another word. */
export function parseWeightType(flag: string, text: string): LinearWeights {
  if (Object.hasOwn(WEIGHT_TYPES, text)) return WEIGHT_TYPES[text];
  throw new UsageError(`verydeep: there is no such type (${flag} ${text}). Use f32, f16 or int8.`);
}

/** What the options say; reads the files that they name. @throws UsageError or DataError for what cannot be read. */
export async function planOptions(options: NetArguments): Promise<PlanOptions> {
  const { config, net, preprocess, labels, input } = options;
  return {
    ...(config === undefined ? {} : { config }),
    ...(net === undefined ? {} : { net: parseDescription(parseJson(await readText(net, "--net"), net), net) }),
    ...(preprocess === undefined ? {} : { preprocessing: preprocess }),
    ...(labels === undefined ? {} : { classes: parseLabels(await readText(labels, "--labels"), labels) }),
    ...(input === undefined ? {} : { inputSize: input }),
  };
}

/**
 * Names of classes from a file: one a line, or a JSON list of texts, or an object { "0": name, … }, or of [id, name] as Keras's
 * imagenet_class_index.json.
 * @throws DataError for a file that holds none.
 */
export function parseLabels(text: string, file: string): string[] {
  const isJson = /^\s*[[{]/.test(text);
  const names = isJson ? Object.values(asCollection(parseJson(text, file), file)).map(nameOf) : text.split(/\r?\n/);
  if (!isJson) while (names.at(-1) === "") names.pop();
  const bad = names.findIndex((name) => typeof name !== "string" || name === "");
  if (names.length === 0 || bad !== -1) {
    throw new DataError(
      `verydeep: a class has no name (file ${file}, class ${Math.max(0, bad)} of ${names.length}). Write one name a line.`,
    );
  }
  return names.filter((name) => typeof name === "string");
}

/** Of a pair, the second. */
function nameOf(value: unknown): unknown {
  return Array.isArray(value) && value.length === 2 ? value[1] : value;
}

function asCollection(value: unknown, file: string): object {
  if (typeof value === "object" && value !== null) return value;
  throw new DataError(`verydeep: the file is no list of names (file ${file}). Write one name a line.`);
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DataError(`verydeep: the file is not JSON (file ${file}, ${reason}). Correct it.`);
  }
}

async function readText(file: string, option: string): Promise<string> {
  try {
    // A byte order mark, which editors on Windows write, is no part of the text.
    return (await readFile(file, "utf8")).replace(/^\uFEFF/, "");
  } catch (error) {
    const reason =
      errorCode(error) || (error instanceof Error ? error.message : String(error)) || "no file of this kind";
    throw new UsageError(`verydeep: the file cannot be read (${option} ${file}, ${reason}). Check the path.`);
  }
}
