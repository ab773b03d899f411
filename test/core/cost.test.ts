/** FLOPs and bytes of kernel calls, counted by hand. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Conv2dShape, KERNEL_WRITES, type Rectify } from "#src/backend/backend.js";
import { bytesOf, flopsOf } from "#src/core/cost.js";

const float = (...shape: number[]) => ({ size: shape.reduce((a, b) => a * b, 1), dtype: "float32" as const });
const byte = (...shape: number[]) => ({ size: shape.reduce((a, b) => a * b, 1), dtype: "uint8" as const });
const int = (...shape: number[]) => ({ size: shape.reduce((a, b) => a * b, 1), dtype: "int32" as const });

const conv: Conv2dShape & Rectify = {
  relu: false,
  ...{ batch: 2, inC: 6, inH: 8, inW: 9, outC: 4, outH: 7, outW: 5, kH: 3, kW: 2 },
  ...{ strideH: 1, strideW: 2, padH: 0, padW: 0, dilationH: 1, dilationW: 1, groups: 1 },
};
const x = float(2, 6, 8, 9);
const y = float(2, 4, 7, 5);
const weight = float(4, 6, 3, 2);

test("conv2d x=[2,6,8,9] w=[4,6,3,2] y=[2,4,7,5]: the same FLOPs in all directions, half of them in two groups", () => {
  const flops = 2 * (2 * 4 * 7 * 5) * (6 * 3 * 2);
  assert.is(flopsOf("conv2dForward", conv), flops);
  assert.is(flopsOf("conv2dBackwardInput", conv), flops);
  assert.is(flopsOf("conv2dBackwardWeight", { ...conv, accumulate: true }), flops);
  assert.is(flopsOf("conv2dBackwardBias", { ...conv, accumulate: true }), 0);
  assert.is(flopsOf("conv2dForward", { ...conv, groups: 2 }), flops / 2);
});

test("conv2d: every tensor once, a gradient that is added to twice, no bias that is not there", () => {
  const tensors = { x, weight, y };
  assert.is(
    bytesOf({ kernel: "conv2dForward", shape: conv, tensors: { ...tensors, bias: float(4) } }),
    4 * (864 + 144 + 280 + 4),
  );
  assert.is(
    bytesOf({ kernel: "conv2dForward", shape: conv, tensors: { ...tensors, bias: null } }),
    4 * (864 + 144 + 280),
  );
  for (const accumulate of [false, true]) {
    const bytes = bytesOf({
      kernel: "conv2dBackwardWeight",
      shape: { ...conv, accumulate },
      tensors: { x, dy: y, dWeight: weight },
    });
    assert.is(bytes, 4 * (864 + 280 + (accumulate ? 2 : 1) * 144));
  }
});

test("linear x=[3,5] w=[7,5]", () => {
  const shape = { batch: 3, inFeatures: 5, outFeatures: 7, relu: false };
  assert.is(flopsOf("linearForward", shape), 2 * 3 * 5 * 7);
  assert.is(flopsOf("linearBackwardInput", shape), 2 * 3 * 5 * 7);
  assert.is(flopsOf("linearBackwardWeight", { ...shape, accumulate: false }), 2 * 3 * 5 * 7);
  const tensors = { x: float(3, 5), weight: float(7, 5), bias: float(7), y: float(3, 7) };
  assert.is(bytesOf({ kernel: "linearForward", shape, tensors }), 4 * (15 + 35 + 7 + 21));
});

test("one byte of a winner, four of a label; what is updated is read and written; copies move what they move", () => {
  const pool = {
    ...{ batch: 1, channels: 2, inH: 4, inW: 4, outH: 2, outW: 2 },
    ...{ kH: 2, kW: 2, strideH: 2, strideW: 2, padH: 0, padW: 0 },
  };
  const pooled = { x: float(2, 4, 4), y: float(2, 2, 2), winners: byte(2, 2, 2) };
  assert.is(bytesOf({ kernel: "maxPool2dForward", shape: pool, tensors: pooled }), 4 * 32 + 4 * 8 + 8);
  const ranked = { x: float(3, 10), labels: int(3), ranks: int(3) };
  assert.is(bytesOf({ kernel: "labelRank", shape: { rows: 3, classes: 10 }, tensors: ranked }), 4 * (30 + 3 + 3));
  const sgd = { length: 5, lr: 1, momentum: 0.9, weightDecay: 0, form: "pytorch" as const };
  const param = float(5);
  assert.is(
    bytesOf({ kernel: "sgd", shape: sgd, tensors: { grad: param, param, velocity: param } }),
    4 * 5 * (1 + 2 + 2),
  );
  const copy = { length: 3, xBegin: 1, yBegin: 0 };
  assert.is(bytesOf({ kernel: "copy", shape: copy, tensors: { x: float(9), y: float(4) } }), 4 * (3 + 3));
  const strides = { begin: 0, stride0: 1, stride1: 1, stride2: 1 };
  const strided = { size0: 2, size1: 3, size2: 4, x: strides, y: strides };
  assert.is(bytesOf({ kernel: "stridedCopy", shape: strided, tensors: { x: float(24), y: float(99) } }), 4 * 48);
});

test("every kernel that multiplies matrices has FLOPs", () => {
  const names = Object.keys(KERNEL_WRITES).filter((name) => /^(conv2d|linear)/.test(name) && !name.endsWith("Bias"));
  const shape = { ...conv, accumulate: false, inFeatures: 5, outFeatures: 7 };
  const without = names.filter((name) => !(flopsOf(name as "conv2dForward", shape) > 0));
  assert.equal(without, []);
});

test.run();
