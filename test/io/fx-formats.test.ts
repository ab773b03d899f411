/**
 * One VGG-16 in every format that VGG weights are published in, and small nets with every kind of layer: files that other programs wrote,
 * against what PyTorch computes with the same weights (test/fixtures/README.md, formats/).
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { createEngine } from "#src/engine.js";
import { load } from "#src/io/load.js";
import type { Module } from "#src/nn/module.js";
import { formulaFill } from "../fixtures/formula.js";
import { maxRelativeError } from "../helpers/compare.js";

/** Of the largest. onnxruntime-web is up to 2.2e-6 away in these nets: 16 layers, and logits smaller than what they are sums of. */
const TOLERANCE = 1e-5;

interface FormatNet {
  readonly config: string;
  readonly classes: number;
  readonly inputSize: number;
  readonly logits: readonly (readonly number[])[];
  readonly files: readonly FormatFile[];
}

interface FormatFile {
  readonly file: string;
  readonly what: string;
  readonly order: "RGB" | "BGR";
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

interface LayersNet {
  readonly file: string;
  readonly what: string;
  readonly input: readonly number[];
  readonly t: number;
  readonly softmax: boolean;
  readonly output: readonly number[];
}

const pathOf = (file: string): string => fileURLToPath(new URL(`../fixtures/formats/${file}`, import.meta.url));
const readJson = (file: string) => JSON.parse(readFileSync(pathOf(file), "utf8"));
const { nets, pictures }: { nets: FormatNet[]; pictures: { t: number; scale: number }[] } = readJson("formats.json");
const { nets: layerNets, scale: layersScale }: { nets: LayersNet[]; scale: number } = readJson("layers.json");

async function outputOf(
  model: Module,
  engine: Engine,
  shape: readonly number[],
  t: number,
  scale: number,
): Promise<Float32Array> {
  const x = new Float32Array(shape.reduce((product, side) => product * side, 1));
  formulaFill(x, t, scale);
  return engine.noGrad(() => model.forward(engine.tensor(x, [1, ...shape]))).data();
}
