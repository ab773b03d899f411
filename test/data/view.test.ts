import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import { Random } from "#src/core/random.js";
import type { Batch } from "#src/data/batch-source.js";
import { arrayDataset, type Dataset } from "#src/data/dataset.js";
import type { LoaderOptions } from "#src/data/loader.js";
import { Loader } from "#src/data/loader.js";
import { openBatches } from "#src/data/open-batches.js";
import { renderView } from "#src/data/view.js";
import { fitPicture, resizePicture } from "#src/pictures/picture.js";
import { fromPlanes, toPlanes } from "#src/pictures/pixels.js";
import { interleaved, planar, rescaledSize } from "#src/pictures/resample.js";
import { throws } from "../engine/nets.js";

const PLAIN = { mean: [0, 0, 0], std: [1, 1, 1] };

/** `count` pictures [3,10,14] of noise. */
function pictures(count: number): Dataset {
  const random = new Random(1, "test pictures");
  const images = Uint8Array.from({ length: count * 420 }, () => random.integer(256));
  const labels = Uint16Array.from({ length: count }, (_, i) => i % 2);
  return arrayDataset({ name: "noise", classNames: ["a", "b"], channels: 3, height: 10, width: 14, images, labels });
}

function load(dataset: Dataset, options: Partial<LoaderOptions>, epoch = 0): Batch[] {
  return [...new Loader(dataset, { batch: 16, normalise: PLAIN, ...options }).epoch(epoch)];
}

function fails(run: () => unknown, text: string): void {
  assert.throws(run, (error: Error) => {
    assert.instance(error, UsageError);
    assert.is(error.message, text);
    return true;
  });
}

test("rescaledSize: the smaller side becomes S, the other is rounded down", () => {
  assert.equal(rescaledSize(500, 375, 256), { width: 341, height: 256 });
  assert.equal(rescaledSize(375, 500, 256), { width: 256, height: 341 });
  assert.equal(rescaledSize(10, 10, 7), { width: 7, height: 7 });
});

test("x=[3,10,14] size=8 scale=12 centre: fitPicture's square of the picture resized to 16x12", () => {
  const dataset = pictures(1);
  const [{ x, shape }] = load(dataset, { view: { size: 8, scale: 12, place: "centre" } });
  assert.equal(shape, [1, 3, 8, 8]);
  const whole = resizePicture(fromPlanes(dataset.images, 14, 10), 16, 12);
  for (let i = 0; i < 192; i++) {
    const [c, row, column] = [Math.floor(i / 64), Math.floor(i / 8) % 8, i % 8];
    assert.is(x[i], whole.pixels[((row + 2) * 16 + column + 4) * 3 + c]);
  }
  const [{ x: fitted }] = load(dataset, { view: { size: 8, place: "centre" } });
  const picture = fromPlanes(dataset.images, 14, 10);
  assert.equal([...fitted], [...fitPicture(picture, 8)]);
  assert.equal([...x], [...fitPicture(picture, 8, 12)]);
  for (const scale of [7, 8.5, 0, Number.NaN, 10_001]) {
    throws(
      () => fitPicture(picture, 8, scale),
      UsageError,
      `fitPicture: the scale is not a whole number from the size to 10000 (scale ${scale}, size 8). Leave it out, or pass a larger one.`,
    );
  }
});

test("x=[3,10,14] size=10 scale=10: nothing is resampled", () => {
  const dataset = pictures(1);
  const [{ x }] = load(dataset, { view: { size: 10, place: "centre" } });
  for (let i = 0; i < 300; i++) assert.is(x[i], dataset.images[Math.floor(i / 10) * 14 + 2 + (i % 10)]);
});

test("renderView: planes and interleaved pixels give the same, S=[8,20]", () => {
  const { images } = pictures(1);
  const picture = fromPlanes(images, 14, 10);
  assert.equal(toPlanes(picture), images);
  const recipe = { view: { size: 8, scale: [8, 20], place: "random" }, flip: true, colourShift: undefined } as const;
  for (let i = 0; i < 20; i++) {
    const [a, b] = [new Float32Array(192), new Float32Array(192)];
    renderView(planar(images, 3, 10, 14), { ...recipe, normalise: PLAIN }, new Random(i), a);
    renderView(interleaved(picture), { ...recipe, normalise: PLAIN }, new Random(i), b);
    assert.equal(a, b);
  }
});

test("random place size=8 scale=10: all 3 x 7 windows occur and are windows of the picture", () => {
  const dataset = pictures(1);
  const seen = new Set<string>();
  for (let epoch = 0; epoch < 400; epoch++) {
    const [{ x }] = load(dataset, { view: { size: 8, scale: 10, place: "random" } }, epoch);
    const found: string[] = [];
    for (let top = 0; top <= 2; top++) {
      for (let left = 0; left <= 6; left++) {
        const same = x.every((value, i) => {
          const [c, row, column] = [Math.floor(i / 64), Math.floor(i / 8) % 8, i % 8];
          return value === dataset.images[c * 140 + (row + top) * 14 + column + left];
        });
        if (same) found.push(`${top},${left}`);
      }
    }
    assert.is(found.length, 1);
    seen.add(found[0]);
  }
  assert.is(seen.size, 21);
});

test("a picture's view depends on (seed, epoch, picture), not on order, batch or first step", () => {
  const dataset = pictures(20);
  const options = { view: { size: 8, scale: [9, 16], place: "random" }, augment: { flip: true } } as const;
  const byPicture = (batches: Batch[]): Map<number, number[]> =>
    new Map(
      batches.flatMap(({ x, indices }) =>
        Array.from(indices, (index, i): [number, number[]] => [index, [...x.subarray(i * 192, (i + 1) * 192)]]),
      ),
    );
  const plain = byPicture(load(dataset, options, 3));
  const shuffled = byPicture(load(dataset, { ...options, shuffle: true, batch: 7 }, 3));
  for (const [index, x] of plain) assert.equal(shuffled.get(index), x);
  assert.not.equal(byPicture(load(dataset, options, 4)).get(0), plain.get(0));
  const loader = new Loader(dataset, { batch: 6, normalise: PLAIN, shuffle: true, ...options });
  assert.equal([...loader.epoch(3, 2)], [...loader.epoch(3)].slice(2));
});

test("openBatches: a set in memory gives the Loader's batches; a set of neither kind", async () => {
  const dataset = pictures(5);
  const source = openBatches(dataset, { batch: 2, normalise: PLAIN });
  const batches: Batch[] = [];
  for await (const batch of source.epoch(0)) batches.push(batch);
  assert.equal(batches, load(dataset, { batch: 2 }));
  await source.close();
  const { name, classNames, channels, labels } = dataset;
  fails(
    () => openBatches({ name, classNames, channels, labels }, { batch: 2, normalise: PLAIN }),
    "openBatches: the set has neither pixels nor files (set noise). Pass what openData or arrayDataset returns.",
  );
});

test("bad views: sizes, scale below size, range the wrong way, place, padding", () => {
  const view = (size: number, scale?: number | [number, number]) => () =>
    load(pictures(1), { view: { size, scale, place: "centre" } });
  const text = (size: number, scale: string): string =>
    "loader: the view is not a size and a scale of at least that size, whole numbers up to 10000 " +
    `(size ${size}, scale ${scale}). Pass such as size 224, scale 256.`;
  fails(view(0), text(0, "0"));
  fails(view(8.5), text(8.5, "8.5"));
  fails(view(8, 7), text(8, "7"));
  fails(view(8, 10_001), text(8, "10001"));
  fails(view(8, [7, 9]), text(8, "[7,9]"));
  fails(view(8, [12, 9]), text(8, "[12,9]"));
  fails(
    () => load(pictures(1), { view: { size: 8, place: "random" }, augment: { cropPadding: 2 } }),
    "loader: a view crops already (cropPadding 2, size 8). Leave cropPadding out, and make the scale larger than the size.",
  );
});

test.run();
