/**
 * Batch normalisation in training: the batch's statistics and the output; the gradients of weight, bias and input. Each direction is the
 * two kernel calls that the operation records, in one program.
 */
import type { BatchNormStatisticsShape } from "#src/backend/backend.js";
import type { Engine, Tensor } from "#src/index.js";
import {
  type BenchCase,
  type BenchSettings,
  checkValue,
  ExactSum,
  kernelRun,
  type Prepared,
  readShapes,
  runAlone,
  runCases,
  samplePlaces,
  uniform,
} from "./harness.js";

interface BatchNormRow {
  readonly layers: string;
  readonly batch: number;
  readonly channels: number;
  readonly size: number;
}

function batchNormShape({ batch, channels, size }: BatchNormRow): BatchNormStatisticsShape {
  return { batch, channels, plane: size * size, momentum: 0.1, eps: 1e-5 };
}

/** The state of a layer, the input, and the recorder of the statistics and output. */
async function layer(engine: Engine, s: BatchNormStatisticsShape) {
  const x = await uniform(engine, [s.batch, s.channels, s.plane], "x");
  const state = {
    weight: await uniform(engine, [s.channels], "weight"),
    bias: await uniform(engine, [s.channels], "bias"),
    runningMean: await uniform(engine, [s.channels], "runningMean"),
    runningVar: await uniform(engine, [s.channels], "runningVar"),
  };
  const record = (): { y: Tensor; mean: Tensor; invStd: Tensor } => {
    const { weight, bias, runningMean, runningVar } = state;
    const [mean, invStd] = [engine.emptyTensor([s.channels]), engine.emptyTensor([s.channels])];
    const y = engine.emptyTensor(x.shape);
    engine.record("batchNormStatistics", s, { x, runningMean, runningVar, mean, invStd });
    engine.record("batchNormForward", s, { x, mean, invStd, weight, bias, y });
    return { y, mean, invStd };
  };
  return { x, ...state, record };
}

/** The places of one channel. */
function channelPlaces(s: BatchNormStatisticsShape, channel: number): number[] {
  return Array.from({ length: s.batch * s.plane }, (_, i) => {
    const b = Math.floor(i / s.plane);
    return (b * s.channels + channel) * s.plane + (i % s.plane);
  });
}

function channelOf(s: BatchNormStatisticsShape, place: number): number {
  return Math.floor(place / s.plane) % s.channels;
}

/** In float64. */
function statistics(s: BatchNormStatisticsShape, x: Float32Array, places: readonly number[]) {
  const mean = places.reduce((sum, i) => sum + x[i], 0) / places.length;
  const variance = places.reduce((sum, i) => sum + (x[i] - mean) ** 2, 0) / places.length;
  return { mean, invStd: 1 / Math.sqrt(variance + s.eps) };
}

async function prepareForward(engine: Engine, s: BatchNormStatisticsShape): Promise<Prepared> {
  const { x, weight, bias, record } = await layer(engine, s);
  return kernelRun(
    engine,
    () => record().y,
    async (result) => {
      const [y, xs, ws, bs] = [await result.data(), await x.data(), await weight.data(), await bias.data()];
      for (const place of samplePlaces(y.length)) {
        const channel = channelOf(s, place);
        const { mean, invStd } = statistics(s, xs, channelPlaces(s, channel));
        const sum = new ExactSum();
        sum.add((xs[place] - mean) * invStd, ws[channel]);
        sum.add(bs[channel], 1);
        checkValue(`y[${place}]`, y[place], sum.value, sum.scale);
      }
    },
  );
}

async function prepareBackward(engine: Engine, s: BatchNormStatisticsShape): Promise<Prepared> {
  const { x, weight, record: recordForward } = await layer(engine, s);
  const dy = await uniform(engine, [s.batch, s.channels, s.plane], "dy");
  const { mean, invStd } = await engine.scope(recordForward);
  const record = (): Tensor => {
    const [dWeight, dBias] = [engine.emptyTensor([s.channels]), engine.emptyTensor([s.channels])];
    const dx = engine.emptyTensor(x.shape);
    engine.record("batchNormBackwardWeight", s, { dy, x, mean, invStd, dWeight, dBias });
    const sums = { sumDy: dBias, sumDyNormalised: dWeight };
    engine.record("batchNormBackwardInput", s, { dy, x, mean, invStd, weight, ...sums, dx });
    return dx;
  };
  return kernelRun(engine, record, async (result) => {
    const [dx, xs, dys, ws] = [await result.data(), await x.data(), await dy.data(), await weight.data()];
    for (const place of samplePlaces(dx.length)) {
      const channel = channelOf(s, place);
      const places = channelPlaces(s, channel);
      const { mean, invStd } = statistics(s, xs, places);
      const z = (i: number): number => (xs[i] - mean) * invStd;
      const sumDy = places.reduce((sum, i) => sum + dys[i], 0);
      const sumDyZ = places.reduce((sum, i) => sum + dys[i] * z(i), 0);
      const sum = new ExactSum();
      const factor = ws[channel] * invStd;
      sum.add(dys[place], factor);
      sum.add(sumDy / places.length, -factor);
      sum.add((z(place) * sumDyZ) / places.length, -factor);
      checkValue(`dx[${place}]`, dx[place], sum.value, sum.scale);
    }
  });
}

function batchNormCases(row: BatchNormRow): BenchCase[] {
  const s = batchNormShape(row);
  const floats = s.batch * s.channels * s.plane;
  const common = { shape: `x=[${s.batch},${s.channels},${row.size},${row.size}]`, layers: row.layers, flops: 0 };
  return [
    { bench: "batchNormForward", ...common, bytes: 4 * 2 * floats, prepare: (engine) => prepareForward(engine, s) },
    { bench: "batchNormBackward", ...common, bytes: 4 * 3 * floats, prepare: (engine) => prepareBackward(engine, s) },
  ];
}

export async function bench(settings: BenchSettings): Promise<void> {
  await runCases(readShapes<BatchNormRow>("batchNorm").flatMap(batchNormCases), settings);
}

await runAlone(import.meta.url, bench);
