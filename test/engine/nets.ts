/** Small nets, batches and checks that the engine's tests share. */
import { createHash } from "node:crypto";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { Random } from "#src/core/random.js";
import type { Tensor } from "#src/core/tensor.js";
import { Dropout, Linear, type Module, ReLU, Sequential } from "#src/nn/index.js";
import { crossEntropy, labelsTensor } from "#src/ops/index.js";

export const FEATURES = 4;
export const CLASSES = 3;

/** 4 -> 8 -> 3 with dropout: `0.weight 0.bias 3.weight 3.bias`. */
export function smallNet(engine: Engine, seed = 1): Sequential {
  return new Sequential([
    new Linear(engine, { inFeatures: FEATURES, outFeatures: 8, random: new Random(seed, "0") }),
    new ReLU(),
    new Dropout(0.25, new Random(seed, "2")),
    new Linear(engine, { inFeatures: 8, outFeatures: CLASSES, random: new Random(seed, "3") }),
  ]);
}

/** Values between -1 and 1 that depend on the seed alone. */
export function values(length: number, seed = 0): Float32Array {
  const random = new Random(seed, "values");
  return Float32Array.from({ length }, () => 2 * random.uniform() - 1);
}

export function input(engine: Engine, batch = 2, seed = 0): Tensor {
  return engine.tensor(values(batch * FEATURES, seed), [batch, FEATURES]);
}

export function lossOf(model: Module, engine: Engine, batch = 2, seed = 0): Tensor {
  const labels = Array.from({ length: batch }, (_, i) => (i + seed) % CLASSES);
  return crossEntropy(model.forward(input(engine, batch, seed)), labelsTensor(engine, labels, CLASSES));
}

/** SHA-256 of all parameters' values, in order. */
export async function weightsHash(model: Module): Promise<string> {
  const hash = createHash("sha256");
  for (const parameter of model.parameters()) {
    const data = await parameter.read();
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest("hex");
}

type ErrorClass = abstract new (...args: never[]) => Error;

function check(error: unknown, errorClass: ErrorClass, message: string | RegExp): void {
  assert.instance(error, errorClass);
  const text = error instanceof Error ? error.message : String(error);
  if (typeof message === "string") assert.is(text, message);
  else assert.match(text, message);
}

/** The promise, or the promise that the function returns, is rejected with this error. */
export async function rejects(
  run: Promise<unknown> | (() => Promise<unknown>),
  errorClass: ErrorClass,
  message: string | RegExp,
): Promise<void> {
  try {
    await (typeof run === "function" ? run() : run);
  } catch (error) {
    check(error, errorClass, message);
    return;
  }
  assert.unreachable(`no error where one was expected: ${message}`);
}

/** The function throws this error. */
export function throws(run: () => unknown, errorClass: ErrorClass, message: string | RegExp): void {
  try {
    run();
  } catch (error) {
    check(error, errorClass, message);
    return;
  }
  assert.unreachable(`no error where one was expected: ${message}`);
}
