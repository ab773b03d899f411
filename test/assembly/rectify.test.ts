/**
 * Layers whose kernel does a ReLU's work, forward (relu) and in the input gradient (mask), against the same layers followed
 * by reluForward and reluBackward: the same bits on every backend, with every algorithm.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Conv2dShape, LinearShape } from "#src/backend/backend.js";
import type { Engine } from "#src/core/engine.js";
import type { Tensor } from "#src/core/tensor.js";
import { createEngine } from "#src/engine.js";
import { sameValues } from "../helpers/compare.js";
import { BACKENDS } from "../helpers/engines.js";
import { randomTensor } from "../helpers/run-op.js";

const engines = new Map<string, Engine>();
for (const { name, options } of BACKENDS) engines.set(name, await createEngine(options));

/** Random values between -1 and 1; one of several images has a NaN. */
function operand(engine: Engine, name: string, shape: readonly number[]): Tensor {
  const { data } = randomTensor(name, shape);
  if (shape[0] > 1) data[data.length - 2] = Number.NaN;
  return engine.tensor(data, shape);
}

/** The output of a ReLU, and what cannot be one: zeros of both signs, NaN, values below 0. */
function maskLike(engine: Engine, shape: readonly number[]): Tensor {
  const { data } = randomTensor("mask", shape);
  for (let i = 0; i < data.length; i += 5) data[i] = [0, -0, Number.NaN][(i / 5) % 3];
  return engine.tensor(data, shape);
}

/** What both ways computed, and what the ReLU had to do: the layer without it. */
interface Ways {
  readonly fused: Tensor;
  readonly separate: Tensor;
  readonly plain: Tensor;
}

/** Records a layer with `record`, which writes `target` with or without the ReLU, and a ReLU of its own. */
function bothWays(
  engine: Engine,
  shape: readonly number[],
  record: (rectified: boolean, target: Tensor) => void,
  recordRelu: (from: Tensor, to: Tensor) => void,
): Ways {
  const [fused, separate, plain] = [0, 1, 2].map(() => engine.emptyTensor(shape));
  record(false, plain);
  recordRelu(plain, separate);
  record(true, fused);
  for (const tensor of [fused, separate, plain]) tensor.keep();
  return { fused, separate, plain };
}

async function checkWays(name: string, { fused, separate, plain }: Ways): Promise<void> {
  const [actual, expected] = [await fused.values(), await separate.values()];
  assert.ok(sameValues(actual, expected), `${name} differs`);
  if (fused.size > 1) assert.not(sameValues(expected, await plain.values()), `${name}: the ReLU did nothing`);
}

/** The sizes of a square convolution; padding keeps a 3x3 map's size unless an option says otherwise. */
function conv2dShape(x: readonly number[], outC: number, k: number, options: Partial<Conv2dShape> = {}): Conv2dShape {
  const [batch, inC, inH, inW] = x;
  const { strideH = 1, padH = 1, dilationH = 1, groups = 1 } = options;
  const out = (size: number): number => Math.floor((size + 2 * padH - dilationH * (k - 1) - 1) / strideH) + 1;
  const window = { kH: k, kW: k, strideH, strideW: strideH, padH, padW: padH, dilationH, dilationW: dilationH };
  return { batch, inC, inH, inW, outC, outH: out(inH), outW: out(inW), ...window, groups };
}

/** Odd maps, tiles over the border, several images in a grain, more than one block of every cut, groups, strides. */
const CONVOLUTIONS: readonly (readonly [x: readonly number[], outC: number, k: number, Partial<Conv2dShape>?])[] = [
  [[1, 1, 1, 1], 9, 3],
  [[1, 3, 5, 7], 4, 3],
  [[2, 5, 8, 8], 33, 3],
  [[3, 17, 9, 11], 16, 3],
  [[2, 20, 16, 14], 40, 3],
  [[2, 16, 13, 13], 16, 3, { padH: 0 }],
  [[1, 300, 6, 6], 20, 3],
  [[2, 8, 7, 5], 12, 1, { padH: 0 }],
  [[2, 6, 9, 9], 9, 5, { padH: 2, strideH: 2 }],
  [[2, 6, 8, 8], 9, 3, { groups: 3 }],
  [[1, 12, 10, 9], 12, 3, { groups: 12, dilationH: 2, padH: 2 }],
];

for (const [xShape, outC, k, options] of CONVOLUTIONS) {
  const s = conv2dShape(xShape, outC, k, options);
  const weightShape = [outC, s.inC / s.groups, k, k];
  const yShape = [s.batch, outC, s.outH, s.outW];
  const words = Object.entries(options ?? {}).map(([key, value]) => ` ${key}=${value}`);
  test(`conv2d x=[${xShape}] w=[${weightShape}]${words.join("")}`, async () => {
    for (const [backend, engine] of engines) {
      const weight = engine.tensor(randomTensor("weight", weightShape).data, weightShape);
      const y = await engine.scope(() => {
        const [x, bias] = [operand(engine, "x", xShape), operand(engine, "bias", [outC])];
        return bothWays(
          engine,
          yShape,
          (relu, to) => engine.record("conv2dForward", { ...s, relu }, { x, weight, bias, y: to }),
          (from, to) => engine.record("reluForward", { length: to.size }, { x: from, y: to }),
        );
      });
      await checkWays(`${backend}: y`, y);
      const dx = await engine.scope(() => {
        const [dy, mask] = [operand(engine, "dy", yShape), maskLike(engine, xShape)];
        return bothWays(
          engine,
          xShape,
          (masked, to) =>
            engine.record("conv2dBackwardInput", s, { dy, weight, bias: null, mask: masked ? mask : null, dx: to }),
          (from, to) => engine.record("reluBackward", { length: to.size }, { dy: from, y: mask, dx: to }),
        );
      });
      await checkWays(`${backend}: dx`, dx);
    }
  });
}

const LINEARS: readonly LinearShape[] = [
  { batch: 1, inFeatures: 1, outFeatures: 5 },
  { batch: 1, inFeatures: 70, outFeatures: 33 },
  { batch: 3, inFeatures: 33, outFeatures: 7 },
  { batch: 9, inFeatures: 300, outFeatures: 130 },
];

for (const s of LINEARS) {
  const weightShape = [s.outFeatures, s.inFeatures];
  const [xShape, yShape] = [s.inFeatures, s.outFeatures].map((features) => [s.batch, features]);
  test(`linear x=[${xShape}] w=[${weightShape}]`, async () => {
    for (const [backend, engine] of engines) {
      const weight = engine.tensor(randomTensor("weight", weightShape).data, weightShape);
      const y = await engine.scope(() => {
        const [x, bias] = [operand(engine, "x", xShape), operand(engine, "bias", [s.outFeatures])];
        return bothWays(
          engine,
          yShape,
          (relu, to) => engine.record("linearForward", { ...s, relu }, { x, weight, bias, y: to }),
          (from, to) => engine.record("reluForward", { length: to.size }, { x: from, y: to }),
        );
      });
      await checkWays(`${backend}: y`, y);
      const dx = await engine.scope(() => {
        const [dy, mask] = [operand(engine, "dy", yShape), maskLike(engine, xShape)];
        return bothWays(
          engine,
          xShape,
          (masked, to) => engine.record("linearBackwardInput", s, { dy, weight, mask: masked ? mask : null, dx: to }),
          (from, to) => engine.record("reluBackward", { length: to.size }, { dy: from, y: mask, dx: to }),
        );
      });
      await checkWays(`${backend}: dx`, dx);
    }
  });
}

test.run();
