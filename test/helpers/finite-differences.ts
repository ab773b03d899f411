/** Central finite differences of an operation's own forward pass, in double precision: what its gradients must be. */
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import type { Tensor } from "#src/core/tensor.js";
import { mul, sum } from "#src/ops/index.js";
import { maxRelativeError } from "./compare.js";
import { type OpRun, randomTensor, runOp, type TensorData } from "./run-op.js";

/** The error of a central difference is step² · f''' / 6, some 1e-9 here, and rounding 1e-16 / step. */
const STEP = 1e-4;
const TOLERANCE = 1e-6;

/** All values at least 0.05 from one another and from 0, in an order that is not theirs: no kink within STEP. */
export function apart(shape: readonly number[]): TensorData {
  const { data } = randomTensor("order", shape);
  const order = [...data.keys()].sort((i, j) => data[i] - data[j]);
  const values = new Float64Array(data.length);
  for (const [rank, i] of order.entries()) values[i] = (rank - data.length / 2 + 0.5) * 0.1;
  return { shape, data: values };
}

/** The loss that runOp() differentiates: y, or the sum of y · dy. */
async function lossOf(engine: Engine, { inputs, forward, dy }: OpRun): Promise<number> {
  return engine
    .noGrad(() => {
      const tensors: Record<string, Tensor> = {};
      for (const [role, { data, shape }] of Object.entries(inputs)) tensors[role] = engine.tensor(data, shape);
      const y = forward(tensors, engine);
      return { loss: dy === null ? y : sum(mul(y, engine.tensor(dy.data, dy.shape))) };
    })
    .loss.item();
}

async function differences(engine: Engine, run: OpRun, role: string): Promise<Float64Array> {
  const { data, shape } = run.inputs[role];
  const slopes = new Float64Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const losses: number[] = [];
    for (const step of [STEP, -STEP]) {
      const moved = Float64Array.from(data);
      moved[i] += step;
      losses.push(await lossOf(engine, { ...run, inputs: { ...run.inputs, [role]: { data: moved, shape } } }));
    }
    slopes[i] = (losses[0] - losses[1]) / (2 * STEP);
  }
  return slopes;
}

/** Asserts that the gradients of all inputs are the finite differences. `engine` must compute in float64. */
export async function checkGradients(engine: Engine, run: OpRun): Promise<void> {
  const result = await runOp(engine, run);
  assert.equal(Object.keys(result.gradients).sort(), Object.keys(run.inputs).sort());
  for (const [role, gradient] of Object.entries(result.gradients)) {
    const error = maxRelativeError(gradient, await differences(engine, run, role));
    assert.ok(error <= TOLERANCE, `d${role}: relative error ${error.toExponential(2)}`);
  }
}
