// What results are compared with before anything is timed: PyTorch's float64 logits where there is a fixture (VGG-16 at batch 1),
// else the first engine of the run, which is verydeep unless others are asked for.

import { readFileSync } from "node:fs";

/** Training steps whose losses are compared; the second and third show gradients and momentum. */
export const CHECKED_STEPS = 3;

/**
 * Largest distance. Forward: PyTorch's own float32 logits of VGG-16 are 2.6e-6 from its float64. Training: float32 losses part as
 * roundings send ReLUs the other way (test/fixtures/README.md).
 */
export const TOLERANCE = { forward: 5e-5, train: 1e-3 };

/** {from, values}; null where there is no fixture. */
export function expectedLogits({ name }) {
  if (name !== "vgg16-forward-b1") return null;
  const file = readFileSync(new URL("../../test/fixtures/vgg16-logits.safetensors", import.meta.url));
  const headerBytes = Number(file.readBigUInt64LE(0));
  const [begin, end] = JSON.parse(file.toString("utf8", 8, 8 + headerBytes)).logits64.data_offsets;
  const at = (i) => file.readDoubleLE(8 + headerBytes + begin + 8 * i);
  return { from: "PyTorch float64 (fixture)", values: Array.from({ length: (end - begin) / 8 }, (_, i) => at(i)) };
}

/** Outputs: the largest difference over the largest number. Losses: the largest relative difference. NaN where lengths differ. */
export function distance(kind, values, expected) {
  if (values.length !== expected.length) return Number.NaN;
  const differences = values.map((value, i) => Math.abs(value - expected[i]));
  if (kind === "train") return Math.max(...differences.map((difference, i) => difference / Math.abs(expected[i])));
  return Math.max(...differences) / Math.max(...expected.map(Math.abs));
}
