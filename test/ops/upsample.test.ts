/** Bilinear upsampling: large factors, random sizes, the bilinear filter of a transposed convolution, errors. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ShapeError, UsageError } from "#src/core/errors.js";
import { Random } from "#src/core/random.js";
import { bilinear, ConvTranspose2d, UpsampleBilinear2d } from "#src/nn/index.js";
import { convTranspose2d, type UpsampleBilinear2dOptions, upsampleBilinear2d } from "#src/ops/index.js";
import { maxRelativeError } from "../helpers/compare.js";
import { compare, engines, gradients, oracle, ROUNDING, refuses, reportAfter, valuesOf } from "../helpers/op-tests.js";
import { type Inputs, type OpRun, randomTensor } from "../helpers/run-op.js";

reportAfter();

function nameOf(x: readonly number[], options: UpsampleBilinear2dOptions): string {
  return [`x=[${x}]`, ...Object.entries(options).map(([key, value]) => `${key}=${value}`)].join(" ");
}

function runOf(x: readonly number[], options: UpsampleBilinear2dOptions): OpRun {
  const name = nameOf(x, options);
  const values = randomTensor(`x ${name}`, x);
  const forward = (t: Inputs) => upsampleBilinear2d(t.x, options);
  const { shape } = forward({ x: oracle.tensor(values.data, x) });
  return { inputs: { x: values }, forward, dy: randomTensor(`dy ${name}`, shape) };
}

function compareUpsample(x: readonly number[], options: UpsampleBilinear2dOptions): void {
  compare("upsampleBilinear2d", nameOf(x, options), () => runOf(x, options));
}

for (const alignCorners of [false, true]) {
  // Several grains a plane, the last one short; steps that float32 would round; a long row from a single place.
  compareUpsample([1, 2, 40, 61], { size: [301, 173], alignCorners });
  compareUpsample([1, 1, 3, 3], { scaleFactor: 32, alignCorners });
  compareUpsample([1, 1, 200, 3], { size: [7, 1000], alignCorners });
  compareUpsample([1, 1, 7, 1], { size: [1, 5000], alignCorners });
  compareUpsample([1, 1, 1500, 2], { size: [4500, 2], alignCorners });
  for (let seed = 0; seed < 25; seed++) {
    const random = new Random(seed, "upsample");
    const upTo = (low: number, high: number): number => low + random.integer(high - low + 1);
    const x = [upTo(1, 3), upTo(1, 4), upTo(1, 9), upTo(1, 9)];
    const size = [upTo(1, 25), upTo(1, 25)] as const;
    const scaleFactor = [0, 1].map((i) => size[i] / x[2 + i] + 0.01) as [number, number];
    compareUpsample(x, seed % 2 === 0 ? { size, alignCorners } : { scaleFactor, alignCorners });
  }
  gradients("upsampleBilinear2d", nameOf([1, 2, 3, 4], { size: [5, 7], alignCorners }), () =>
    runOf([1, 2, 3, 4], { size: [5, 7], alignCorners }),
  );
  gradients("upsampleBilinear2d", nameOf([1, 1, 5, 4], { scaleFactor: [0.5, 2.5], alignCorners }), () =>
    runOf([1, 1, 5, 4], { scaleFactor: [0.5, 2.5], alignCorners }),
  );
}

test("upsampleBilinear2d x=[1,1,1,2] size=[1,4]: by hand", async () => {
  const on = (alignCorners: boolean) =>
    valuesOf([3, 9], [1, 1, 1, 2], (x) => upsampleBilinear2d(x, { size: [1, 4], alignCorners }));
  assert.equal(await on(false), [3, 4.5, 7.5, 9]);
  const corners = await on(true);
  assert.ok(maxRelativeError(corners, [3, 5, 7, 9]) <= ROUNDING, corners.join(" "));
});

test("UpsampleBilinear2d: the layer computes what the operation does", async () => {
  const [engine] = engines;
  const { data, shape } = randomTensor("x", [1, 2, 3, 3]);
  const x = await engine.scope(() => engine.tensor(data, shape));
  const options = { scaleFactor: 2, alignCorners: true };
  const [layer, op] = [new UpsampleBilinear2d(options).forward(x), upsampleBilinear2d(x, options)];
  assert.equal(layer.shape, [1, 2, 6, 6]);
  assert.equal(...((await Promise.all([layer.values(), op.values()])) as [Float64Array, Float64Array]));
});

// ---- the bilinear initialiser ------------------------------------------------------------------------------------------------

test("bilinear: FCN's 4x4 and 3x3 filters on the diagonal, 0 elsewhere", async () => {
  const layer = new ConvTranspose2d(engines[0], { inChannels: 2, outChannels: 2, kernelSize: 4, init: bilinear });
  const side = [0.25, 0.75, 0.75, 0.25];
  const filter = side.flatMap((h) => side.map((w) => h * w));
  const none = new Array(16).fill(0);
  assert.equal([...(await layer.weight.values())], [...filter, ...none, ...none, ...filter]);
  const odd = new ConvTranspose2d(engines[0], { inChannels: 1, outChannels: 1, kernelSize: [3, 1], init: bilinear });
  assert.equal([...(await odd.weight.values())], [0.5, 1, 0.5]);
});

test("bilinear: with a group a channel every filter is the bilinear one", async () => {
  const options = { inChannels: 3, outChannels: 3, groups: 3, kernelSize: 2, init: bilinear };
  const layer = new ConvTranspose2d(engines[0], options);
  assert.equal([...(await layer.weight.values())], new Array(12).fill(0.25));
});

for (const [factor, kernelSize] of [
  [2, 4],
  [3, 5],
  [8, 16],
]) {
  test(`bilinear: stride ${factor} enlarges as upsampleBilinear2d does, away from the border`, async () => {
    const { data, shape } = randomTensor("x", [1, 2, 5, 6]);
    const padding = Math.ceil((factor - 1) / 2);
    const layer = new ConvTranspose2d(oracle, { inChannels: 2, outChannels: 2, kernelSize, init: bilinear });
    const y = convTranspose2d(oracle.tensor(data, shape), layer.weight, null, { stride: factor, padding });
    const expected = upsampleBilinear2d(oracle.tensor(data, shape), { scaleFactor: factor });
    assert.equal(y.shape, expected.shape);
    const [, channels, height, width] = y.shape;
    const [a, b] = await Promise.all([y.values(), expected.values()]);
    let checked = 0;
    for (let i = 0; i < a.length; i++) {
      const [h, w] = [Math.floor(i / width) % height, i % width];
      if (Math.min(h, w, height - 1 - h, width - 1 - w) < factor) continue;
      assert.ok(Math.abs(a[i] - b[i]) <= ROUNDING, `${a[i]} at ${i}, expected ${b[i]}`);
      checked++;
    }
    assert.is(checked, channels * (height - 2 * factor) * (width - 2 * factor));
  });
}

refuses(
  ShapeError,
  "bilinear: there must be as many outputs as inputs (weight [2,3,4,4]). Use it for a ConvTranspose2d that has.",
  () => new ConvTranspose2d(oracle, { inChannels: 2, outChannels: 3, kernelSize: 4, init: bilinear }),
);

// ---- errors --------------------------------------------------------------------------------------------------------------------

const image = oracle.tensor(new Float32Array(60), [1, 2, 5, 6]);
refuses(
  ShapeError,
  "upsampleBilinear2d: x must have 4 dimensions, [batch, channels, height, width] (x [2,3]). Reshape it.",
  () => upsampleBilinear2d(oracle.tensor(new Float32Array(6), [2, 3]), { size: 2 }),
);
refuses(
  UsageError,
  "upsampleBilinear2d: either size or scaleFactor says how large y is (neither is given). Give one of them.",
  () => upsampleBilinear2d(image, {}),
);
refuses(
  UsageError,
  "upsampleBilinear2d: either size or scaleFactor says how large y is (both are given). Give one of them.",
  () => upsampleBilinear2d(image, { size: 2, scaleFactor: 2 }),
);
refuses(
  UsageError,
  "upsampleBilinear2d: scaleFactor must be a number above 0, or two of them (scaleFactor [2,-1]). Change scaleFactor.",
  () => upsampleBilinear2d(image, { scaleFactor: [2, -1] }),
);
refuses(
  UsageError,
  "upsampleBilinear2d: scaleFactor must be a number above 0, or two of them (scaleFactor NaN). Change scaleFactor.",
  () => upsampleBilinear2d(image, { scaleFactor: Number.NaN }),
);
refuses(
  ShapeError,
  "upsampleBilinear2d: size must be an integer of at least 1, or two of them (size [4,0]). Change size.",
  () => upsampleBilinear2d(image, { size: [4, 0] }),
);
refuses(
  ShapeError,
  "upsampleBilinear2d: nothing is left of the output (x [1,2,5,6], y [0,1]). Use a larger scaleFactor.",
  () => upsampleBilinear2d(image, { scaleFactor: 0.19 }),
);

test.run();
