/**
 * How far methods without convolutions get on `shapes`: multinomial logistic regression and 5 nearest neighbours, both on
 * normalised pixels, trained on the training split and scored on all test pictures. Run: npx tsx scripts/shapes-baselines.ts
 * (about two and a half minutes). The linear model is given its best test score over all epochs, so its number is an upper estimate.
 */
import { exp } from "#src/core/math.js";
import { Random } from "#src/core/random.js";
import { type Dataset, pixelStatistics } from "#src/data/dataset.js";
import { Loader } from "#src/data/loader.js";
import { shapes } from "#src/data/shapes.js";

const EPOCHS = 30;
const BATCH = 64;
const LEARNING_RATE = 0.001;
const MOMENTUM = 0.9;
const WEIGHT_DECAY = 0.01;
const NEIGHBOURS = 5;

interface Pixels {
  /** [count, size] */
  readonly x: Float32Array;
  readonly labels: Uint16Array;
  readonly count: number;
  readonly size: number;
}

const { train, test } = shapes();
const statistics = pixelStatistics(train);
const trainPixels = normalisedPixels(train);
const testPixels = normalisedPixels(test);
console.log(
  `shapes: ${trainPixels.count} training pictures, ${testPixels.count} test pictures, ${train.classNames.length} classes`,
);

const linear = logisticRegression(trainPixels, testPixels, train.classNames.length);
console.log(`linear: test ${percent(linear.test)} (best of ${EPOCHS} epochs), train ${percent(linear.train)}`);
console.log(`5-NN:   test ${percent(nearestNeighbours(trainPixels, testPixels, train.classNames.length))}`);

function normalisedPixels(dataset: Dataset): Pixels {
  const count = dataset.labels.length;
  const loader = new Loader(dataset, { batch: count, normalise: statistics });
  const [{ x }] = [...loader.epoch(0)];
  return { x, labels: dataset.labels, count, size: x.length / count };
}

/** Softmax regression by SGD with momentum and weight decay; the rate falls linearly to 0. Accuracies are parts of 1. */
function logisticRegression(data: Pixels, heldOut: Pixels, classes: number): { test: number; train: number } {
  const { size } = data;
  const weight = new Float32Array(classes * size);
  const bias = new Float32Array(classes);
  const velocity = new Float32Array(weight.length);
  const gradient = new Float32Array(weight.length);
  const logits = new Float64Array(classes);
  let best = 0;
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    const rate = LEARNING_RATE * (1 - epoch / EPOCHS);
    const order = new Random(1, "baseline", epoch).permutation(data.count);
    for (let start = 0; start + BATCH <= data.count; start += BATCH) {
      gradient.fill(0);
      for (let i = start; i < start + BATCH; i++) {
        const row = order[i] * size;
        score(data.x, row, size, weight, bias, logits);
        softmax(logits);
        for (let k = 0; k < classes; k++) {
          const error = (logits[k] - (data.labels[order[i]] === k ? 1 : 0)) / BATCH;
          bias[k] -= rate * error;
          for (let j = 0; j < size; j++) gradient[k * size + j] += error * data.x[row + j];
        }
      }
      for (let j = 0; j < weight.length; j++) {
        velocity[j] = MOMENTUM * velocity[j] + gradient[j] + WEIGHT_DECAY * weight[j];
        weight[j] -= rate * velocity[j];
      }
    }
    best = Math.max(best, linearAccuracy(heldOut, weight, bias, logits));
  }
  return { test: best, train: linearAccuracy(data, weight, bias, logits) };
}

function score(
  x: Float32Array,
  row: number,
  size: number,
  weight: Float32Array,
  bias: Float32Array,
  out: Float64Array,
): void {
  for (let k = 0; k < out.length; k++) {
    let sum = 0;
    for (let j = 0; j < size; j++) sum += weight[k * size + j] * x[row + j];
    out[k] = sum + bias[k];
  }
}

function softmax(logits: Float64Array): void {
  const highest = logits.reduce((a, b) => Math.max(a, b));
  let sum = 0;
  for (let k = 0; k < logits.length; k++) {
    logits[k] = exp(logits[k] - highest);
    sum += logits[k];
  }
  for (let k = 0; k < logits.length; k++) logits[k] /= sum;
}

function linearAccuracy(data: Pixels, weight: Float32Array, bias: Float32Array, logits: Float64Array): number {
  let right = 0;
  for (let i = 0; i < data.count; i++) {
    score(data.x, i * data.size, data.size, weight, bias, logits);
    if (logits.indexOf(logits.reduce((a, b) => Math.max(a, b))) === data.labels[i]) right++;
  }
  return right / data.count;
}

/** Majority of the 5 training pictures at the least Euclidean distance; the nearer class wins a tie. Part of 1. */
function nearestNeighbours(data: Pixels, heldOut: Pixels, classes: number): number {
  let right = 0;
  const distances = new Float64Array(data.count);
  for (let i = 0; i < heldOut.count; i++) {
    for (let t = 0; t < data.count; t++)
      distances[t] = squaredDistance(heldOut.x, i * data.size, data.x, t * data.size, data.size);
    const votes = new Int32Array(classes);
    let winner = 0;
    for (let n = 0; n < NEIGHBOURS; n++) {
      let nearest = 0;
      for (let t = 1; t < data.count; t++) if (distances[t] < distances[nearest]) nearest = t;
      distances[nearest] = Infinity;
      votes[data.labels[nearest]]++;
      if (n === 0 || votes[data.labels[nearest]] > votes[winner]) winner = data.labels[nearest];
    }
    if (winner === heldOut.labels[i]) right++;
  }
  return right / heldOut.count;
}

function squaredDistance(a: Float32Array, aStart: number, b: Float32Array, bStart: number, size: number): number {
  // Four sums, so that additions need not wait for each other.
  let sum0 = 0;
  let sum1 = 0;
  let sum2 = 0;
  let sum3 = 0;
  for (let j = 0; j < size; j += 4) {
    const d0 = a[aStart + j] - b[bStart + j];
    const d1 = a[aStart + j + 1] - b[bStart + j + 1];
    const d2 = a[aStart + j + 2] - b[bStart + j + 2];
    const d3 = a[aStart + j + 3] - b[bStart + j + 3];
    sum0 += d0 * d0;
    sum1 += d1 * d1;
    sum2 += d2 * d2;
    sum3 += d3 * d3;
  }
  return sum0 + sum1 + sum2 + sum3;
}

function percent(part: number): string {
  return `${(100 * part).toFixed(1)} %`;
}
