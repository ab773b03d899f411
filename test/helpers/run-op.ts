/** Runs one operation forward and backward on an engine, so that tests can compare engines with one another. */
import * as assert from "uvu/assert";
import type { HostArray } from "#src/backend/backend.js";
import type { Engine } from "#src/core/engine.js";
import { Random } from "#src/core/random.js";
import { type Shape, sizeOf } from "#src/core/shape.js";
import type { Parameter, Tensor } from "#src/core/tensor.js";
import { mul, sum } from "#src/ops/index.js";
import { maxRelativeError, sameValues } from "./compare.js";

export interface TensorData {
  readonly shape: Shape;
  readonly data: HostArray;
}

export type Inputs = Readonly<Record<string, Tensor>>;

/** One operation on given values. */
export interface OpRun {
  /** By role. Floats become parameters, so that their gradients can be read; integers (labels) become plain tensors. */
  readonly inputs: Readonly<Record<string, TensorData>>;
  /** The operation; a role that `inputs` lacks is undefined. */
  forward(inputs: Inputs, engine: Engine): Tensor;
  /** The gradient of y; null where y is a loss: 1 then. */
  readonly dy: TensorData | null;
}

export interface OpResult {
  readonly y: Float64Array;
  /** By the role of the input. */
  readonly gradients: Readonly<Record<string, Float64Array>>;
}

/** Records a parameter with these values, in the open scope. */
export function recordParameter(engine: Engine, name: string, { shape, data }: TensorData): Parameter {
  const parameter = engine.parameter(shape, name);
  const shapeOfCopy = { length: parameter.size, xBegin: 0, yBegin: 0 };
  engine.record("copy", shapeOfCopy, { x: engine.tensor(data, shape), y: parameter });
  return parameter;
}

/** y and the gradients of all float inputs. The loss is sum(y · dy), whose gradient with respect to y is dy, to the bit. */
export async function runOp(engine: Engine, { inputs, forward, dy }: OpRun): Promise<OpResult> {
  const parameters = new Map<string, Parameter>();
  const y = await engine.scope(() => {
    const tensors: Record<string, Tensor> = {};
    for (const [role, values] of Object.entries(inputs)) {
      if (values.data instanceof Int32Array) {
        tensors[role] = engine.tensor(values.data, values.shape);
      } else {
        const parameter = recordParameter(engine, role, values);
        parameters.set(role, parameter);
        tensors[role] = parameter;
      }
    }
    const result = forward(tensors, engine);
    const loss = dy === null ? result : sum(mul(result, engine.tensor(dy.data, dy.shape)));
    loss.backward();
    return result;
  });
  const gradients: Record<string, Float64Array> = {};
  for (const [role, parameter] of parameters) {
    const { grad } = parameter;
    if (grad === null) throw new Error(`${role} got no gradient`);
    gradients[role] = await grad.values();
  }
  return { y: await y.values(), gradients };
}

/** Asserts that y and every gradient are within `tolerance` of what is expected. Returns the worst relative error. */
export function checkResult(actual: OpResult, expected: OpResult, tolerance: number): number {
  assert.equal(Object.keys(actual.gradients).sort(), Object.keys(expected.gradients).sort());
  let worst = 0;
  const check = (name: string, values: Float64Array, truth: Float64Array): void => {
    const error = maxRelativeError(values, truth);
    assert.ok(error <= tolerance, `${name}: relative error ${error.toExponential(2)}, at most ${tolerance} is allowed`);
    worst = Math.max(worst, error);
  };
  check("y", actual.y, expected.y);
  for (const [role, truth] of Object.entries(expected.gradients)) check(`d${role}`, actual.gradients[role], truth);
  return worst;
}

/**
 * Runs the operation on groups of engines: each engine must agree with the oracle within `tolerance`, and with the others of
 * its group to the bit (threads do not change results, algorithms do). Returns the worst relative error.
 */
export async function checkOp(
  groups: readonly (readonly Engine[])[],
  oracle: Engine,
  run: OpRun,
  tolerance: number,
): Promise<number> {
  const expected = await runOp(oracle, run);
  let worst = 0;
  for (const engines of groups) {
    let first: OpResult | null = null;
    for (const engine of engines) {
      const result = await runOp(engine, run);
      worst = Math.max(worst, checkResult(result, expected, tolerance));
      first ??= result;
      const { y, gradients } = first;
      const same = Object.entries(gradients).every(([role, values]) => sameValues(result.gradients[role], values));
      assert.ok(same && sameValues(result.y, y), `${engine.threads} and ${engines[0].threads} threads: different bits`);
    }
  }
  return worst;
}

/** Values uniform in [low, high), exact in float32; the name is the seed. */
export function randomTensor(name: string, shape: Shape, low = -1, high = 1): TensorData {
  const random = new Random(1, "test", name);
  return { shape, data: Float32Array.from({ length: sizeOf(shape) }, () => low + (high - low) * random.uniform()) };
}
