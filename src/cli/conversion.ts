/** Converts a weights file. Loaded by `verydeep convert` alone: it needs an engine, in whose memory the net passes by. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { createEngine } from "../engine.js";
import type { PlanOptions } from "../formats/plan-net.js";
import { checkWritable } from "../io/atomic-file.js";
import { load } from "../load.js";
import type { LinearWeights } from "../models/build-layer.js";
import { netTotals } from "../models/net-config.js";
import { formatOf, type SaveFormat, saveNet } from "../save.js";
import { exitOnInterrupt } from "./interrupt.js";
import { byteSize, grouped } from "./numbers.js";
import type { Output } from "./output.js";

/** Shards of a TensorFlow.js model. */
const SHARD = /^group1-shard\d+of\d+\.bin$/;

/** Reads the net of one file and writes it to another, which may be the same. */
export async function convertFile(
  from: string,
  to: string,
  weights: LinearWeights,
  wishes: PlanOptions,
  output: Output,
): Promise<void> {
  const format = formatOf(to);
  const endInterrupt = exitOnInterrupt(output);
  try {
    await convertTo(format, from, to, weights, wishes, output);
  } finally {
    endInterrupt();
  }
}

async function convertTo(
  format: SaveFormat,
  from: string,
  to: string,
  weights: LinearWeights,
  wishes: PlanOptions,
  output: Output,
): Promise<void> {
  // What would fail at the end fails now. The folder of a model in several files is made where it is missing.
  if (format !== "tfjs") await checkWritable("verydeep convert", to);
  const engine = await createEngine({ threads: 1 });
  try {
    const net = await load(from, { ...wishes, engine });
    for (const note of net.notes) output.note(note);
    await saveNet(to, net, { format, weights });
    const sizeBytes = await sizeOf(to, format);
    const { params } = netTotals(net.layers);
    output.line(`${output.paint.bold(to)}: ${net.about}, ${grouped(params)} parameters, ${byteSize(sizeBytes)}`);
    output.record({ file: to, format, weights, about: net.about, params, sizeBytes });
  } finally {
    await engine.close();
  }
}

/** Bytes of what was written, shards included. */
async function sizeOf(file: string, format: SaveFormat): Promise<number> {
  if (format !== "tfjs") return (await stat(file)).size;
  const folder = path.dirname(file);
  const names = (await readdir(folder)).filter((name) => name === "model.json" || SHARD.test(name));
  const sizes = await Promise.all(names.map(async (name) => (await stat(path.join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
