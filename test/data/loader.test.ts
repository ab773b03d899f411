import { test } from "uvu";
import * as assert from "uvu/assert";
import { ShapeError, UsageError } from "#src/core/errors.js";
import type { Batch } from "#src/data/batch-source.js";
import { arrayDataset, type Dataset } from "#src/data/dataset.js";
import { Loader, type LoaderOptions } from "#src/data/loader.js";
import { shapes } from "#src/data/shapes.js";

const NORMALISE = { mean: [10, 20, 30], std: [2, 4, 8] };

/** `count` pictures [3,4,5] of different bytes; label i mod 7. */
function pictures(count: number): Dataset {
  return arrayDataset({
    name: "pictures",
    classNames: ["a", "b", "c", "d", "e", "f", "g"],
    channels: 3,
    height: 4,
    width: 5,
    images: Uint8Array.from({ length: count * 60 }, (_, i) => (i * 7 + Math.floor(i / 60)) % 256),
    labels: Uint16Array.from({ length: count }, (_, i) => i % 7),
  });
}

function epochOf(dataset: Dataset, epoch: number, options: Partial<LoaderOptions> = {}): Batch[] {
  return [...new Loader(dataset, { batch: 4, normalise: NORMALISE, ...options }).epoch(epoch)];
}

function order(batches: Batch[]): number[] {
  return batches.flatMap((batch) => [...batch.indices]);
}

function fails(run: () => unknown, type: new (text: string) => Error, text: string): void {
  assert.throws(run, (error: Error) => {
    assert.instance(error, type);
    assert.is(error.message, text);
    return true;
  });
}

test("10 pictures [3,4,5], batch 4: shapes, order, labels and normalised values", () => {
  const dataset = pictures(10);
  const batches = epochOf(dataset, 0);
  assert.equal(
    batches.map((batch) => batch.shape),
    [
      [4, 3, 4, 5],
      [4, 3, 4, 5],
      [2, 3, 4, 5],
    ],
  );
  assert.equal(order(batches), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal([...batches[2].labels], [1, 2]);
  for (const [i, value] of batches[1].x.entries()) {
    const c = Math.floor(i / 20) % 3;
    assert.is(value, Math.fround((dataset.images[240 + i] - NORMALISE.mean[c]) / NORMALISE.std[c]));
  }
});

test("dropLast: 10 pictures, batch 4: 2 steps instead of 3", () => {
  assert.is(new Loader(pictures(10), { batch: 4, normalise: NORMALISE }).steps, 3);
  assert.is(new Loader(pictures(10), { batch: 4, normalise: NORMALISE, dropLast: true }).steps, 2);
  assert.is(epochOf(pictures(10), 0, { dropLast: true }).length, 2);
});

test("shuffle: a permutation by (seed, epoch), whatever was read before", () => {
  const dataset = pictures(50);
  const loader = new Loader(dataset, { batch: 4, seed: 5, shuffle: true, normalise: NORMALISE });
  const second = order([...loader.epoch(2)]);
  assert.equal(
    [...second].sort((a, b) => a - b),
    Array.from({ length: 50 }, (_, i) => i),
  );
  assert.not.equal(order([...loader.epoch(1)]), second);
  assert.equal(order([...loader.epoch(2)]), second);
  assert.equal(order(epochOf(dataset, 2, { seed: 5, shuffle: true, batch: 7 })), second);
  assert.not.equal(order(epochOf(dataset, 2, { seed: 6, shuffle: true })), second);
});

test("epoch(3, firstStep=2) goes on as epoch(3) does", () => {
  const loader = new Loader(pictures(50), {
    batch: 8,
    shuffle: true,
    normalise: NORMALISE,
    augment: { cropPadding: 2, flip: true },
  });
  assert.equal([...loader.epoch(3, 2)], [...loader.epoch(3)].slice(2));
  assert.equal([...loader.epoch(3, loader.steps)], []);
});

test("augment: a picture's change depends on (seed, epoch, picture), not on order or batch", () => {
  const dataset = pictures(40);
  const augment = { cropPadding: 2, flip: true };
  const byPicture = (batches: Batch[]): Map<number, number[]> =>
    new Map(
      batches.flatMap(({ x, indices }) =>
        Array.from(indices, (index, i): [number, number[]] => [index, [...x.subarray(i * 60, (i + 1) * 60)]]),
      ),
    );
  const plain = byPicture(epochOf(dataset, 1, { augment }));
  const shuffled = byPicture(epochOf(dataset, 1, { augment, shuffle: true, batch: 9 }));
  for (const [index, x] of plain) assert.equal(shuffled.get(index), x);
  assert.not.equal(byPicture(epochOf(dataset, 2, { augment })).get(0), plain.get(0));
});

test("augment: flip alone mirrors about half of 200 pictures, and leaves the others", () => {
  const dataset = pictures(200);
  const [{ x: plain }] = epochOf(dataset, 0, { batch: 200 });
  const [{ x: flipped }] = epochOf(dataset, 0, { batch: 200, augment: { flip: true } });
  let mirrored = 0;
  for (let i = 0; i < 200; i++) {
    const before = [...plain.subarray(i * 60, (i + 1) * 60)];
    const after = [...flipped.subarray(i * 60, (i + 1) * 60)];
    const mirror = before.map((_, k) => before[k - (k % 5) + 4 - (k % 5)]);
    if (after.join() === mirror.join()) mirrored++;
    else assert.equal(after, before);
  }
  assert.ok(mirrored > 70 && mirrored < 130, `${mirrored}`);
});

test("batches are new arrays, so an older one keeps its values", () => {
  const [first, second] = epochOf(pictures(10), 0);
  assert.is.not(first.x.buffer, second.x.buffer);
});

test("speed: a batch of 64 pictures [3,32,32]", () => {
  const { train } = shapes({ count: 800 });
  for (const augment of [{}, { cropPadding: 4, flip: true }]) {
    const loader = new Loader(train, { batch: 64, shuffle: true, normalise: NORMALISE, augment });
    let bestMs = Infinity;
    for (let epoch = 0; epoch < 20; epoch++) {
      const start = performance.now();
      let batches = 0;
      for (const { x } of loader.epoch(epoch)) batches += Math.min(x.length, 1);
      bestMs = Math.min(bestMs, (performance.now() - start) / batches);
    }
    // Measured 0.40 ms plain and 0.87 ms augmented (Node 20, busy 2-core machine); the bound only catches a slip of a magnitude.
    assert.ok(bestMs < 10, `${bestMs} ms`);
  }
});

test("bad input: batch, padding, seed, normalise, epoch, step", () => {
  const make = (options: Partial<LoaderOptions>) => () =>
    new Loader(pictures(10), { batch: 4, normalise: NORMALISE, ...options });
  fails(
    make({ batch: 0 }),
    UsageError,
    "loader: the batch is not a positive whole number (batch 0). Pass the number of pictures in a batch.",
  );
  fails(
    make({ batch: 11, dropLast: true }),
    UsageError,
    "loader: no batch is left (batch 11, count 10, dropLast true). Pass a smaller batch.",
  );
  fails(
    make({ augment: { cropPadding: -1 } }),
    UsageError,
    "loader: the padding is not a whole number of at least 0 (cropPadding -1). Pass the number of pixels.",
  );
  fails(
    make({ seed: 1.5 }),
    UsageError,
    "loader: the seed is not a whole number from 0 to 2^53 - 1 (seed 1.5). Pass one.",
  );
  fails(
    make({ normalise: { mean: [0], std: [1] } }),
    ShapeError,
    "normalise: one mean and one std are needed for each channel (mean 1, std 1, channels 3). " +
      "Pass what pixelStatistics returns for the training pictures.",
  );
  fails(
    make({ normalise: { mean: [0, 0, 0], std: [1, 0, 1] } }),
    UsageError,
    "normalise: channel 1 cannot be normalised (mean 0, std 0). Pass finite numbers, std above 0.",
  );
  const loader = make({})();
  fails(
    () => loader.epoch(-1).next(),
    UsageError,
    "loader.epoch: the epoch is not a whole number of at least 0 (epoch -1). Count epochs from 0.",
  );
  fails(
    () => loader.epoch(0, 4).next(),
    UsageError,
    "loader.epoch: there is no such step (firstStep 4, steps 3). Pass 0 to 3.",
  );
});

test.run();
