/** What a weights file of any format holds, for people and programs, without reading the weights. Loaded by `verydeep inspect` alone. */
import { classNames } from "../classify/make-net.js";
import { UsageError, WeightsError } from "../core/errors.js";
import { type NetPlan, type PlanOptions, planNet } from "../formats/plan-net.js";
import type { WeightsFile } from "../io/weights-file.js";
import { openWeightsInput } from "../load.js";
import { netTotals } from "../models/net-config.js";
import { grouped, table } from "./numbers.js";
import { type Output, printable } from "./output.js";

/** Longest text of the metadata that is shown. */
const MOST_TEXT = 100;

/** A file's net, or why there is none. */
type Found = { readonly plan: NetPlan; readonly classes: readonly string[] } | { readonly reason: string };

/** Tells what a file holds. */
export async function inspectFile(name: string, wishes: PlanOptions, output: Output): Promise<void> {
  const file = await openWeightsInput(name);
  try {
    const found = await findNet(file, wishes);
    output.record(inspection(file, found));
    for (const line of inspectionLines(file, found, output)) output.line(line);
  } finally {
    await file.close();
  }
}

async function findNet(file: WeightsFile, wishes: PlanOptions): Promise<Found> {
  try {
    const plan = planNet(file, wishes);
    return { plan, classes: await classNames(plan) };
  } catch (error) {
    // The tensors can be shown even so; what the user said wrongly is told as an error.
    if (!(error instanceof WeightsError) || error instanceof UsageError) throw error;
    return { reason: error.message };
  }
}

function inspection(file: WeightsFile, found: Found): object {
  const { name, format, variant, metadata } = file;
  const tensors = [...file.tensors].map(([tensor, { dtype, shape }]) => ({ name: tensor, dtype, shape }));
  const about = "plan" in found ? { net: netRecord(found), reason: null } : { net: null, reason: found.reason };
  return { file: name, format, variant, ...about, metadata, tensors };
}

function netRecord({ plan, classes }: { readonly plan: NetPlan; readonly classes: readonly string[] }): object {
  const { about, inputShape, vgg, preprocessing, notes, layers } = plan;
  const { params, macs } = netTotals(layers);
  const shown = layers.map(({ name, kind, outShape }) => ({ name, kind, outputShape: outShape }));
  return { about, config: vgg?.config ?? null, inputShape, params, macs, classes, preprocessing, notes, layers: shown };
}

function inspectionLines(file: WeightsFile, found: Found, output: Output): string[] {
  const { bold, dim } = output.paint;
  const facts: [string, string][] = [
    ["file", bold(file.name)],
    ["format", `${file.format}, ${file.variant}`],
  ];
  if ("plan" in found) {
    const { about, inputShape, layers, preprocessing, notes } = found.plan;
    const { params, macs } = netTotals(layers);
    const { mean, std, scale } = preprocessing;
    const [, height, width] = inputShape;
    const numbers = (values: readonly number[]): string => values.map((value) => Number(value.toFixed(3))).join(" ");
    facts.push(
      ["net", `${bold(about)}, input ${inputShape.join("x")}`],
      ["size", `${layers.length} layers, ${grouped(params)} parameters, ${grouped(macs)} MACs a picture`],
      ["classes", `${found.classes.length}: ${shortened(firstOf(found.classes))}`],
      [
        "pictures",
        `smaller side to ${scale}, the middle ${height}x${width}, minus ${numbers(mean)}, over ${numbers(std)}`,
      ],
      ...notes.map((note): [string, string] => ["note", note]),
    );
  } else {
    facts.push(["net", `unknown: ${printable(found.reason)}`]);
  }
  for (const [key, value] of Object.entries(file.metadata)) facts.push([`  ${shortened(key)}`, shortened(value)]);
  const width = Math.max(...facts.map(([name]) => name.length));
  const rows = [...file.tensors].map(([name, { dtype, shape }]) => [
    printable(name),
    dtype,
    shape.join("x") || "one value",
  ]);
  const [head, ...lines] = table([["tensor", "type", "shape"], ...rows], new Set());
  return [...facts.map(([name, text]) => `${name.padEnd(width)}  ${text}`), dim(head), ...lines];
}

/** Some names, for an impression. */
function firstOf(names: readonly string[]): string {
  return `${names.slice(0, 5).join(", ")}${names.length > 5 ? ", ..." : ""}`;
}

/** On one line, and not for ever. */
function shortened(text: string): string {
  const line = printable(text.replace(/\s+/g, " "));
  return line.length > MOST_TEXT ? `${line.slice(0, MOST_TEXT - 1)}…` : line;
}
