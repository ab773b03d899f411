/**
 * How far the gradients and the output of a 3x3 convolution are from float64: inputs that PyTorch can make too (test/fixtures/formula.ts),
 * one engine's three results, and their largest error at random places, where the definition is summed in float64 by plain loops.
 */
import type { Engine } from "#src/core/engine.js";
import { Random } from "#src/core/random.js";
import { conv2d, mul, sum } from "#src/ops/index.js";
import { formulaFill, heScale } from "../fixtures/formula.js";
import { recordParameter } from "./run-op.js";

/** 3x3, stride 1, padding 1, square. */
export interface ConvCase {
  readonly batch: number;
  readonly inC: number;
  readonly size: number;
  readonly outC: number;
}

/** The three tensors that a convolution computes, or a number for each. */
export interface ThreeDirections<Value> {
  readonly y: Value;
  readonly dx: Value;
  readonly dWeight: Value;
}

/** `signed`: x uniform around 0, as pictures are; `rectified`: negative ones are 0, as behind a ReLU. */
export type InputKind = "signed" | "rectified";

export interface ConvInputs {
  readonly x: Float32Array;
  readonly weight: Float32Array;
  readonly dy: Float32Array;
}

/** Largest error over largest value that any algorithm may have in any direction, and that of the exact ones. */
export const CONV_LIMIT: ThreeDirections<number> = { y: 5e-5, dx: 5e-5, dWeight: 5e-5 };
export const EXACT_LIMIT: ThreeDirections<number> = { y: 1e-6, dx: 3e-6, dWeight: 3e-6 };

/** By the name of an engine's `convAlgorithm`. */
export function limitOf(algorithm: string): ThreeDirections<number> {
  return algorithm === "im2col" || algorithm === "exact" ? EXACT_LIMIT : CONV_LIMIT;
}

export const caseName = ({ batch, inC, size, outC }: ConvCase): string =>
  `x=[${batch},${inC},${size},${size}] w=[${outC},${inC},3,3]`;

/** Tensors 0, 1 and 2 of the formula; scales of x and dy 2, of the weight He's. conv-accuracy.py makes the same. */
export function convInputs({ batch, inC, size, outC }: ConvCase, kind: InputKind): ConvInputs {
  const x = new Float32Array(batch * inC * size * size);
  formulaFill(x, 0, 2);
  if (kind === "rectified") for (let i = 0; i < x.length; i++) x[i] = Math.max(0, x[i]);
  const weight = new Float32Array(outC * inC * 9);
  formulaFill(weight, 1, heScale(inC * 9));
  const dy = new Float32Array(batch * outC * size * size);
  formulaFill(dy, 2, 2);
  return { x, weight, dy };
}

/** Output and both gradients by this engine. */
export async function convResults(
  engine: Engine,
  { batch, inC, size, outC }: ConvCase,
  inputs: ConvInputs,
): Promise<ThreeDirections<Float32Array>> {
  const { x, weight, y } = await engine.scope(() => {
    const x = recordParameter(engine, "x", { shape: [batch, inC, size, size], data: inputs.x });
    const weight = recordParameter(engine, "weight", { shape: [outC, inC, 3, 3], data: inputs.weight });
    const y = conv2d(x, weight, null, { padding: 1 });
    sum(mul(y, engine.tensor(inputs.dy, [batch, outC, size, size]))).backward();
    return { x, weight, y };
  });
  if (x.grad === null || weight.grad === null) throw new Error("conv2d gave no gradient");
  return { y: await y.data(), dx: await x.grad.data(), dWeight: await weight.grad.data() };
}

interface Place {
  readonly b: number;
  readonly channel: number;
  readonly h: number;
  readonly w: number;
}

function planePlace(index: number, channels: number, size: number): Place {
  const plane = size * size;
  const image = Math.floor(index / plane);
  return {
    b: Math.floor(image / channels),
    channel: image % channels,
    h: Math.floor((index % plane) / size),
    w: index % size,
  };
}

/** One number of y: the sum over channels and taps. */
function exactY({ inC, size, outC }: ConvCase, { x, weight }: ConvInputs, index: number): number {
  const { b, channel, h, w } = planePlace(index, outC, size);
  let total = 0;
  for (let c = 0; c < inC; c++)
    for (let tap = 0; tap < 9; tap++) {
      const [ih, iw] = [h + Math.floor(tap / 3) - 1, w + (tap % 3) - 1];
      if (ih < 0 || ih >= size || iw < 0 || iw >= size) continue;
      total += x[((b * inC + c) * size + ih) * size + iw] * weight[(channel * inC + c) * 9 + tap];
    }
  return total;
}

/** One number of dx: the sum over output channels and taps. */
function exactDx({ inC, size, outC }: ConvCase, { weight, dy }: ConvInputs, index: number): number {
  const { b, channel, h, w } = planePlace(index, inC, size);
  let total = 0;
  for (let o = 0; o < outC; o++)
    for (let tap = 0; tap < 9; tap++) {
      const [oh, ow] = [h + 1 - Math.floor(tap / 3), w + 1 - (tap % 3)];
      if (oh < 0 || oh >= size || ow < 0 || ow >= size) continue;
      total += dy[((b * outC + o) * size + oh) * size + ow] * weight[(o * inC + channel) * 9 + tap];
    }
  return total;
}

/** One number of dWeight: the sum over pictures and pixels. */
function exactDWeight({ batch, inC, size, outC }: ConvCase, { x, dy }: ConvInputs, index: number): number {
  const [o, c, tap] = [Math.floor(index / (9 * inC)), Math.floor(index / 9) % inC, index % 9];
  const [down, right] = [Math.floor(tap / 3) - 1, (tap % 3) - 1];
  const [firstW, endW] = [Math.max(0, -right), Math.min(size, size - right)];
  let total = 0;
  for (let b = 0; b < batch; b++)
    for (let oh = Math.max(0, -down); oh < Math.min(size, size - down); oh++) {
      const dyRow = ((b * outC + o) * size + oh) * size;
      const xRow = ((b * inC + c) * size + oh + down) * size + right;
      for (let ow = firstW; ow < endW; ow++) total += dy[dyRow + ow] * x[xRow + ow];
    }
  return total;
}

function largest(values: Float32Array): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}

/** Largest error at `places` random places of each tensor (all of a smaller one), over the tensor's largest value. */
export function sampledErrors(
  c: ConvCase,
  inputs: ConvInputs,
  results: ThreeDirections<Float32Array>,
  places: number,
): ThreeDirections<number> {
  const worst = (name: string, values: Float32Array, exact: (index: number) => number): number => {
    const random = new Random(1, "conv-accuracy", name);
    const count = Math.min(places, values.length);
    let error = 0;
    for (let i = 0; i < count; i++) {
      const index = count === values.length ? i : random.integer(values.length);
      const difference = Math.abs(values[index] - exact(index));
      error = Math.max(error, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
    }
    return error / largest(values);
  };
  return {
    y: worst("y", results.y, (index) => exactY(c, inputs, index)),
    dx: worst("dx", results.dx, (index) => exactDx(c, inputs, index)),
    dWeight: worst("dWeight", results.dWeight, (index) => exactDWeight(c, inputs, index)),
  };
}
