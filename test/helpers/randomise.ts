/** Values for nets whose initial ones, 0 and 1, would hide mistakes. */
import type { Module } from "#src/nn/module.js";
import { formulaFill } from "../fixtures/formula.js";

/**
 * Overwrites biases, statistics of batch normalisation and scores; weights stay as they are.
 * @param scale half the width of the range of the values.
 */
export async function randomise(model: Module, scale: number): Promise<void> {
  let t = 500;
  for (const [name, tensor] of model.stateDict()) {
    if (!/running|bias|^score/.test(name)) continue;
    const values = new Float32Array(tensor.shape.reduce((product, side) => product * side, 1));
    formulaFill(values, t++, scale);
    await tensor.write(name.endsWith("var") ? values.map((value) => 0.5 + Math.abs(value)) : values);
  }
}
