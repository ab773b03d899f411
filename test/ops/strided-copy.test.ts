/** concat, crop2d, pad2d and channelsLast: copies between layouts, exact on every backend. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ShapeError } from "#src/core/errors.js";
import {
  add,
  channelsLast,
  concat,
  crop2d,
  crossEntropy,
  labelsTensor,
  mul,
  type PadSides,
  pad2d,
  relu,
  sum,
} from "#src/ops/index.js";
import { compare, engines, gradients, oracle, refuses, reportAfter } from "../helpers/op-tests.js";
import { type Inputs, type OpRun, randomTensor, recordParameter } from "../helpers/run-op.js";

reportAfter();

/** Nothing is computed. The oracle's inputs are those of float32. */
const EXACT = 0;

function concatRun(shapes: readonly (readonly number[])[]): OpRun {
  const roles = shapes.map((_, i) => `x${i}`);
  const [batch, , ...rest] = shapes[0];
  const channels = shapes.reduce((count, shape) => count + shape[1], 0);
  return {
    inputs: Object.fromEntries(shapes.map((shape, i) => [roles[i], randomTensor(`${roles[i]} ${shape}`, shape)])),
    forward: (t: Inputs) => concat(roles.map((role) => t[role])),
    dy: randomTensor(`dy ${shapes}`, [batch, channels, ...rest]),
  };
}

const CONCATS: readonly (readonly (readonly number[])[])[] = [
  [[1, 1]],
  [
    [3, 2],
    [3, 5],
  ],
  [
    [300, 3],
    [300, 70],
    [300, 1],
  ],
  [[2, 3, 5, 7]],
  [
    [2, 3, 4, 5],
    [2, 1, 4, 5],
    [2, 6, 4, 5],
  ],
  [
    [2, 2, 1, 1],
    [2, 3, 1, 1],
    [2, 1, 1, 1],
    [2, 4, 1, 1],
    [2, 1, 1, 1],
  ],
  [
    [1, 3, 100, 101],
    [1, 2, 100, 101],
  ],
  [
    [1, 1, 150, 150],
    [1, 1, 150, 150],
  ],
];
for (const shapes of CONCATS) {
  compare("concat", shapes.map((shape) => `[${shape}]`).join(" "), () => concatRun(shapes), EXACT);
}

function cropRun(x: readonly number[], [top, left, height, width]: readonly number[]): OpRun {
  return {
    inputs: { x: randomTensor(`x ${x}`, x) },
    forward: (t) => crop2d(t.x, { top, left, height, width }),
    dy: randomTensor(`dy ${x}`, [x[0], x[1], height, width]),
  };
}

const CROPS: readonly (readonly [readonly number[], readonly number[]])[] = [
  [
    [1, 1, 1, 1],
    [0, 0, 1, 1],
  ],
  [
    [2, 3, 6, 7],
    [0, 0, 6, 7],
  ],
  [
    [2, 3, 6, 7],
    [1, 2, 4, 3],
  ],
  [
    [2, 3, 6, 7],
    [5, 6, 1, 1],
  ],
  [
    [2, 150, 20, 21],
    [3, 4, 15, 16],
  ],
];
for (const [x, window] of CROPS) {
  compare("crop2d", `x=[${x}] window=[${window}]`, () => cropRun(x, window), EXACT);
}

function padRun(x: readonly number[], sides: PadSides): OpRun {
  const [top, left, bottom, right] = sides;
  return {
    inputs: { x: randomTensor(`x ${x}`, x) },
    forward: (t) => pad2d(t.x, sides),
    dy: randomTensor(`dy ${x}`, [x[0], x[1], top + x[2] + bottom, left + x[3] + right]),
  };
}

const PADS: readonly (readonly [readonly number[], PadSides])[] = [
  [
    [1, 1, 1, 1],
    [0, 0, 0, 0],
  ],
  [
    [2, 3, 6, 7],
    [0, 0, 1, 1],
  ],
  [
    [2, 3, 6, 7],
    [3, 1, 0, 2],
  ],
  [
    [2, 150, 20, 21],
    [1, 2, 3, 4],
  ],
];
for (const [x, sides] of PADS) {
  compare("pad2d", `x=[${x}] sides=[${sides}]`, () => padRun(x, sides), EXACT);
}
gradients("pad2d", "x=[1,2,2,3] sides=[1,0,2,1]", () => padRun([1, 2, 2, 3], [1, 0, 2, 1]));

test("pad2d x=[1,1,1,2] sides=[1,0,0,1]: zeros where there was nothing", async () => {
  for (const engine of [...engines, oracle]) {
    const y = pad2d(engine.tensor([1, 2], [1, 1, 1, 2]), [1, 0, 0, 1]);
    assert.equal(y.shape, [1, 1, 2, 3]);
    assert.equal([...(await y.data())], [0, 0, 0, 1, 2, 0]);
  }
});

for (const x of [
  [1, 1, 1, 1],
  [2, 3, 4, 5],
  [3, 1, 5, 5],
  [1, 7, 1, 9],
  [2, 21, 40, 41],
]) {
  compare(
    "channelsLast",
    `x=[${x}]`,
    () => ({
      inputs: { x: randomTensor(`x ${x}`, x) },
      forward: (t) => channelsLast(t.x),
      dy: randomTensor(`dy ${x}`, [x[0] * x[2] * x[3], x[1]]),
    }),
    EXACT,
  );
}

gradients("concat", "[2,2] [2,3] [2,1]", () =>
  concatRun([
    [2, 2],
    [2, 3],
    [2, 1],
  ]),
);
gradients("concat", "[1,2,2,3] [1,1,2,3]", () =>
  concatRun([
    [1, 2, 2, 3],
    [1, 1, 2, 3],
  ]),
);
gradients("crop2d", "x=[1,2,4,5] window=[1,2,2,3]", () => cropRun([1, 2, 4, 5], [1, 2, 2, 3]));
gradients("channelsLast and crossEntropy", "x=[2,3,2,2]", () => ({
  inputs: { x: randomTensor("x", [2, 3, 2, 2]) },
  forward: (t, engine) => crossEntropy(channelsLast(t.x), labelsTensor(engine, [0, 1, 2, 1, 0, 0, 2, 1], 3)),
  dy: null,
}));

test("channelsLast x=[1,2,1,3]: one row a pixel", async () => {
  for (const engine of [...engines, oracle]) {
    const y = channelsLast(engine.tensor([1, 2, 3, 4, 5, 6], [1, 2, 1, 3]));
    assert.equal(y.shape, [3, 2]);
    assert.equal([...(await y.data())], [1, 4, 2, 5, 3, 6]);
  }
});

test("concat: one tensor three times, and also used elsewhere: the gradients add up", async () => {
  for (const engine of [...engines, oracle]) {
    const { p, q } = await engine.scope(() => ({
      p: recordParameter(engine, "p", { shape: [1, 2], data: Float32Array.of(1, 2) }),
      q: recordParameter(engine, "q", { shape: [1, 2], data: Float32Array.of(-3, 4) }),
    }));
    const factors = [1, 10, 100, 1000, 1e4, 1e5, 1e6, 1e7];
    await engine.scope(() => {
      const h = relu(p);
      const y = concat([h, q, h, h]);
      add(sum(mul(y, engine.tensor(factors, [1, 8]))), sum(h)).backward();
    });
    assert.equal([...((await p.grad?.values()) ?? [])], [1 + 1 + 1e4 + 1e6, 1 + 10 + 1e5 + 1e7]);
    assert.equal([...((await q.grad?.values()) ?? [])], [100, 1000]);
    // A parameter itself, twice.
    p.zeroGrad();
    await engine.scope(() => sum(mul(concat([p, p]), engine.tensor([1, 2, 30, 40], [1, 4]))).backward());
    assert.equal([...((await p.grad?.values()) ?? [])], [31, 42]);
  }
});

// ---- errors ------------------------------------------------------------------------------------------------------------

const x = (...shape: number[]) => oracle.tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
refuses(
  ShapeError,
  "pad2d: the sides are not four whole numbers of at least 0 (sides [0,1,-1,0]). Give [top, left, bottom, right].",
  () => pad2d(x(1, 1, 1, 1), [0, 1, -1, 0]),
);
refuses(ShapeError, "concat: there is nothing to join (inputs 0). Give at least one tensor.", () => concat([]));
refuses(
  ShapeError,
  "concat: inputs must have 2 or 4 dimensions, [batch, channels] or [batch, channels, height, width] (x [4]). Reshape them.",
  () => concat([x(4), x(4)]),
);
for (const [first, other] of [
  [
    [2, 3],
    [3, 3],
  ],
  [
    [2, 3, 4, 4],
    [2, 3, 4, 5],
  ],
  [
    [2, 3, 1, 1],
    [2, 3],
  ],
]) {
  refuses(
    ShapeError,
    `concat: the inputs differ in more than their channels (first [${first}], other [${other}]). Bring them to one batch, height and width.`,
    () => concat([x(...first), x(...first), x(...other)]),
  );
}
for (const [top, left, height, width] of [
  [0, 0, 6, 1],
  [-1, 0, 2, 2],
  [0, 5, 1, 2],
  [0, 0, 0, 1],
  [0.5, 0, 1, 1],
]) {
  refuses(
    ShapeError,
    `crop2d: the window is not inside the input (x [1,2,5,6], top ${top}, left ${left}, height ${height}, width ${width}). Move it, or make it smaller.`,
    () => crop2d(x(1, 2, 5, 6), { top, left, height, width }),
  );
}
refuses(ShapeError, "crop2d: x must have 4 dimensions, [batch, channels, height, width] (x [5,6]). Reshape it.", () =>
  crop2d(x(5, 6), { top: 0, left: 0, height: 1, width: 1 }),
);
refuses(
  ShapeError,
  "channelsLast: x must have 4 dimensions, [batch, channels, height, width] (x [5,6]). Reshape it.",
  () => channelsLast(x(5, 6)),
);

test.run();
