import { test } from "uvu";
import * as assert from "uvu/assert";
import { DataError, ShapeError, UsageError } from "#src/core/errors.js";
import { arrayDataset, type Dataset, pixelStatistics, splitValidation, subset } from "#src/data/dataset.js";

/** `count` pictures [2,2,3] whose bytes count up from 0; labels 0, 1, 0, 1, … */
function counting(count: number): Dataset {
  return {
    name: "counting",
    classNames: ["even", "odd"],
    channels: 2,
    height: 2,
    width: 3,
    images: Uint8Array.from({ length: count * 12 }, (_, i) => i % 256),
    labels: Uint16Array.from({ length: count }, (_, i) => i % 2),
  };
}

function fails(run: () => unknown, type: new (text: string) => Error, text: string): void {
  assert.throws(run, (error: Error) => {
    assert.instance(error, type);
    assert.is(error.message, text);
    return true;
  });
}

test("arrayDataset: 4 pictures [2,2,3] pass and are not copied", () => {
  const parts = counting(4);
  const dataset = arrayDataset(parts);
  assert.is(dataset.images, parts.images);
  assert.is(dataset.labels.length, 4);
});

test("arrayDataset: one byte too few", () => {
  fails(
    () => arrayDataset({ ...counting(4), images: new Uint8Array(47) }),
    ShapeError,
    "arrayDataset: pixels of counting do not fill the shape (images 47, [4,2,2,3] 48). Pass one byte for each channel of each pixel.",
  );
});

test("arrayDataset: no pictures, no classes, a label without a class, width 0", () => {
  fails(
    () => arrayDataset({ ...counting(0) }),
    DataError,
    "arrayDataset: counting has no pictures (labels 0). Pass at least one picture and its label.",
  );
  fails(
    () => arrayDataset({ ...counting(4), classNames: [] }),
    DataError,
    "arrayDataset: counting needs 1 to 65536 classes (classNames 0). Pass one name a class.",
  );
  fails(
    () => arrayDataset({ ...counting(4), classNames: ["only"] }),
    DataError,
    "arrayDataset: a label of counting has no class (labels[1] 1, classNames 1). Count classes from 0, or name the missing ones.",
  );
  fails(
    () => arrayDataset({ ...counting(4), width: 0 }),
    ShapeError,
    "arrayDataset: a size of counting is not a positive whole number (width 0). Pass the size of one picture.",
  );
});

test("subset: indices [3,0,3] in that order", () => {
  const part = subset(counting(4), [3, 0, 3]);
  assert.equal([...part.labels], [1, 0, 1]);
  assert.equal([...part.images.subarray(0, 13)], [36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 0]);
});

test("subset: index 4 of 4", () => {
  fails(
    () => subset(counting(4), [4]),
    UsageError,
    "subset: an index is outside counting (indices[0] 4, count 4). Pass whole numbers from 0 to 3.",
  );
});

test("splitValidation: 20 pictures, fraction 0.25: 15 and 5, disjoint, by the seed", () => {
  const all = counting(20);
  const firstBytes = (dataset: Dataset): number[] => Array.from(dataset.labels, (_, i) => dataset.images[12 * i]);
  const { train, validation } = splitValidation(all, 0.25, 1);
  assert.is(train.labels.length, 15);
  assert.is(validation.labels.length, 5);
  const both = [...firstBytes(train), ...firstBytes(validation)].sort((a, b) => a - b);
  assert.equal(
    both,
    firstBytes(all).sort((a, b) => a - b),
  );
  assert.equal(firstBytes(splitValidation(all, 0.25, 1).validation), firstBytes(validation));
  assert.not.equal(firstBytes(splitValidation(all, 0.25, 2).validation), firstBytes(validation));
});

test("splitValidation: at least one picture on each side; fraction 0, 1 and NaN; one picture", () => {
  assert.is(splitValidation(counting(4), 0.01, 1).validation.labels.length, 1);
  assert.is(splitValidation(counting(4), 0.99, 1).train.labels.length, 1);
  for (const fraction of [0, 1, NaN]) {
    fails(
      () => splitValidation(counting(4), fraction, 1),
      UsageError,
      `splitValidation: the fraction is not between 0 and 1 (fraction ${fraction}). Pass a part such as 0.1.`,
    );
  }
  fails(
    () => splitValidation(counting(1), 0.5, 1),
    DataError,
    "splitValidation: too few pictures to split (count 1). Pass at least two.",
  );
});

test("pixelStatistics: 2 pictures [2,2,3] by hand", () => {
  const { mean, std } = pixelStatistics(counting(2));
  // Channel 0 holds 0..5 and 12..17: mean 8.5, variance 36 + 35/12.
  assert.equal(mean, [8.5, 14.5]);
  assert.ok(Math.abs(std[0] - Math.sqrt(36 + 35 / 12)) < 1e-12);
  assert.ok(Math.abs(std[1] - std[0]) < 1e-12);
});

test("pixelStatistics: a constant channel has std 1", () => {
  assert.equal(pixelStatistics({ ...counting(4), images: new Uint8Array(48).fill(77) }), {
    mean: [77, 77],
    std: [1, 1],
  });
});

test.run();
