import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import { Random } from "#src/core/random.js";
import { type ColourShift, drawShift, eigenSymmetric3 } from "#src/data/colour.js";
import { arrayDataset, type Dataset, pixelStatistics } from "#src/data/dataset.js";
import { Loader } from "#src/data/loader.js";
import { shapes } from "#src/data/shapes.js";
import { trainingStatistics } from "#src/data/statistics.js";

const NORMALISE = { mean: [100, 110, 120], std: [50, 60, 70] };
/** Widely used values for ImageNet, colours in 0..1 (Krizhevsky 2012 as published by Torch's examples). */
const IMAGENET: ColourShift = {
  components: [
    [-0.5675, 0.7192, 0.4009],
    [-0.5808, -0.0045, -0.814],
    [-0.5836, -0.6948, 0.4203],
  ],
  deviations: [255 * 0.2175, 255 * 0.0188, 255 * 0.0045],
  std: 0.1,
};
/** Float64 through a few rotations. */
const EIGEN_TOLERANCE = 1e-12;

function rgb(pixels: number[][]): Dataset {
  const images = Uint8Array.from([0, 1, 2].flatMap((c) => pixels.map((pixel) => pixel[c])));
  const size = { channels: 3, height: 1, width: pixels.length };
  return arrayDataset({ name: "colours", classNames: ["only"], ...size, images, labels: new Uint16Array(1) });
}

test("eigenSymmetric3: 200 random matrices: A v = lambda v, orthonormal, descending, greatest component positive", () => {
  const random = new Random(1, "matrices");
  for (let round = 0; round < 200; round++) {
    const [a, b, c, d, e, f] = Array.from({ length: 6 }, () => random.normal());
    const matrix = [
      [a, b, c],
      [b, d, e],
      [c, e, f],
    ];
    const { values, vectors } = eigenSymmetric3(matrix);
    assert.ok(values[0] >= values[1] && values[1] >= values[2]);
    for (let k = 0; k < 3; k++) {
      const column = vectors.map((row) => row[k]);
      for (let row = 0; row < 3; row++) {
        const product = matrix[row][0] * column[0] + matrix[row][1] * column[1] + matrix[row][2] * column[2];
        assert.ok(Math.abs(product - values[k] * column[row]) < EIGEN_TOLERANCE);
      }
      for (let other = 0; other <= k; other++) {
        const dot = vectors.reduce((sum, row) => sum + row[k] * row[other], 0);
        assert.ok(Math.abs(dot - (k === other ? 1 : 0)) < EIGEN_TOLERANCE);
      }
      assert.ok(Math.max(...column) >= -Math.min(...column));
    }
  }
});

test("eigenSymmetric3: diagonal and zero matrices as they are", () => {
  const diagonal = [
    [2, 0, 0],
    [0, 5, 0],
    [0, 0, 3],
  ];
  assert.equal(eigenSymmetric3(diagonal).values, [5, 3, 2]);
  const zero = [
    [0, 0, 0],
    [0, 0, 0],
    [0, 0, 0],
  ];
  assert.equal(eigenSymmetric3(zero).values, [0, 0, 0]);
});

test("trainingStatistics: four greys: one axis (1,1,1)/sqrt(3), 255 times the eigenvalue of colours in 0..1", async () => {
  const greys = [10, 50, 90, 250].map((value) => [value, value, value]);
  const { mean, std, colour } = await trainingStatistics(rgb(greys));
  assert.equal(mean, [100, 100, 100]);
  const variance = (90 * 90 + 50 * 50 + 10 * 10 + 150 * 150) / 4;
  assert.ok(Math.abs(std[0] - Math.sqrt(variance)) < 1e-9);
  assert.ok(colour !== undefined);
  for (const row of colour.components) assert.ok(Math.abs(row[0] - 1 / Math.sqrt(3)) < EIGEN_TOLERANCE);
  const eigenvalue = (3 * variance) / 255 / 255;
  assert.ok(Math.abs(colour.deviations[0] - 255 * eigenvalue) < 1e-9);
  assert.ok(Math.abs(colour.deviations[1]) < 1e-9 && Math.abs(colour.deviations[2]) < 1e-9);
  assert.is(colour.std, 0.1);
});

test("trainingStatistics: shapes: pixelStatistics' numbers; the eigenvalues sum to the variances", async () => {
  const { train } = shapes({ count: 300 });
  const { mean, std, colour } = await trainingStatistics(train);
  assert.equal({ mean, std }, pixelStatistics(train));
  assert.ok(colour !== undefined);
  const variances = std.reduce((sum, value) => sum + value * value, 0) / 255 / 255;
  const eigenvalues = colour.deviations.reduce((sum, value) => sum + value, 0) / 255;
  assert.ok(Math.abs(variances - eigenvalues) < 1e-9);
});

test("trainingStatistics: one channel has no colour; an aborted signal; maxPictures 0", async () => {
  const grey = { ...rgb([[1, 2, 3]]), channels: 1, width: 3 };
  assert.is((await trainingStatistics(grey)).colour, undefined);
  const reason = await trainingStatistics(grey, { signal: AbortSignal.abort("stop") }).catch((error: unknown) => error);
  assert.is(reason, "stop");
  const error = await trainingStatistics(grey, { maxPictures: 0 }).catch((thrown: unknown) => thrown);
  assert.instance(error, UsageError);
  assert.is(
    error instanceof Error ? error.message : "",
    "trainingStatistics: the count is not a positive whole number (maxPictures 0). Pass how many pictures to look at.",
  );
});

test("drawShift: 20,000 draws with ImageNet's axes: mean 0, deviation sqrt(sum of squares) of each channel", () => {
  const random = new Random(3, "shifts");
  const sums = [0, 0, 0];
  const squares = [0, 0, 0];
  for (let i = 0; i < 20_000; i++) {
    for (const [c, shift] of drawShift(IMAGENET, random).entries()) {
      sums[c] += shift / 20_000;
      squares[c] += (shift * shift) / 20_000;
    }
  }
  for (let c = 0; c < 3; c++) {
    const deviation =
      0.1 * Math.sqrt(IMAGENET.components[c].reduce((s, p, k) => s + (p * IMAGENET.deviations[k]) ** 2, 0));
    // About 3 levels of 255, not thousands.
    assert.ok(deviation > 2 && deviation < 5);
    assert.ok(Math.abs(sums[c]) < 0.1, `${sums[c]}`);
    assert.ok(Math.abs(Math.sqrt(squares[c]) / deviation - 1) < 0.03);
  }
});

test("Loader: one shift for all pixels of a picture, other ones for other pictures and epochs; crop and flip as without", () => {
  const { train } = shapes({ count: 40 });
  const options = { batch: 8, normalise: NORMALISE };
  const augment = { cropPadding: 0, flip: true };
  const first = (shift: ColourShift | undefined, epoch: number): Float32Array => {
    const loader = new Loader(train, { ...options, augment: { ...augment, colourShift: shift } });
    for (const { x } of loader.epoch(epoch)) return x;
    return new Float32Array(0);
  };
  const shiftOf = (epoch: number, picture: number): number[] => {
    const [plain, shifted] = [first(undefined, epoch), first(IMAGENET, epoch)];
    return [0, 1, 2].map((c) => {
      const begin = (picture * 3 + c) * 1024;
      const shift = (shifted[begin] - plain[begin]) * NORMALISE.std[c];
      for (let i = begin; i < begin + 1024; i++) {
        // Float32 of values below 8.
        assert.ok(Math.abs((shifted[i] - plain[i]) * NORMALISE.std[c] - shift) < 1e-4);
      }
      return shift;
    });
  };
  assert.ok(Math.abs(shiftOf(0, 0)[0] - shiftOf(0, 1)[0]) > 1e-3);
  assert.ok(Math.abs(shiftOf(0, 0)[0] - shiftOf(1, 0)[0]) > 1e-3);
  assert.equal(first(IMAGENET, 2), first(IMAGENET, 2));
});

test("bad shifts: one channel, two components, NaN", () => {
  const fails = (run: () => unknown, text: string): void => {
    assert.throws(run, (error: Error) => error instanceof UsageError && error.message === text);
  };
  const grey = { ...rgb([[1, 2, 3]]), channels: 1, width: 3 };
  const make = (dataset: Dataset, colourShift: ColourShift) => () =>
    new Loader(dataset, { batch: 1, normalise: { mean: [0], std: [1] }, augment: { colourShift } });
  fails(make(grey, IMAGENET), "loader: a colour shift is for RGB pictures only (channels 1). Leave colourShift out.");
  const text = (components: number, std: number): string =>
    "loader: the colour shift is not 3 x 3 components, 3 deviations and a std, all finite " +
    `(components ${components}, deviations 3, std ${std}). Pass what trainingStatistics returns.`;
  const colours = rgb([[1, 2, 3]]);
  fails(make(colours, { ...IMAGENET, components: IMAGENET.components.slice(1) }), text(2, 0.1));
  fails(make(colours, { ...IMAGENET, std: NaN }), text(3, NaN));
});

test.run();
