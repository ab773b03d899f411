/** Max-pooling (with the winners, as in training) and average pooling: output and input gradient, one kernel call a program. */
import type { Pool2dShape } from "#src/backend/backend.js";
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

/** A square pool without padding whose windows do not overlap. */
interface Pool2dRow {
  readonly layers: string;
  readonly batch: number;
  readonly channels: number;
  readonly size: number;
  readonly kernelSize: number;
  readonly stride: number;
}

function pool2dShape({ batch, channels, size, kernelSize, stride }: Pool2dRow): Pool2dShape {
  const out = Math.floor((size - kernelSize) / stride) + 1;
  const sizes = { inH: size, inW: size, outH: out, outW: out };
  return {
    batch,
    channels,
    ...sizes,
    kH: kernelSize,
    kW: kernelSize,
    strideH: stride,
    strideW: stride,
    padH: 0,
    padW: 0,
  };
}

/** The places in x of one window, in row-major order. */
function windowPlaces(s: Pool2dShape, place: number): number[] {
  const [ow, oh] = [place % s.outW, Math.floor(place / s.outW) % s.outH];
  const plane = Math.floor(place / (s.outW * s.outH));
  const corner = (plane * s.inH + oh * s.strideH) * s.inW + ow * s.strideW;
  return Array.from({ length: s.kH * s.kW }, (_, i) => corner + Math.floor(i / s.kW) * s.inW + (i % s.kW));
}

/** Records the forward pass; keeps nothing. */
function recordMaxForward(engine: Engine, s: Pool2dShape, x: Tensor): { y: Tensor; winners: Tensor } {
  const y = engine.emptyTensor([s.batch, s.channels, s.outH, s.outW]);
  const winners = engine.emptyTensor(y.shape, "uint8");
  engine.record("maxPool2dForward", s, { x, y, winners });
  return { y, winners };
}

async function prepareMaxForward(engine: Engine, s: Pool2dShape): Promise<Prepared> {
  const x = await uniform(engine, [s.batch, s.channels, s.inH, s.inW], "x");
  return kernelRun(
    engine,
    () => recordMaxForward(engine, s, x).y,
    async (result) => {
      const [y, xs] = [await result.data(), await x.data()];
      for (const place of samplePlaces(y.length)) {
        checkValue(`y[${place}]`, y[place], Math.max(...windowPlaces(s, place).map((i) => xs[i])));
      }
    },
  );
}

async function prepareMaxBackward(engine: Engine, s: Pool2dShape): Promise<Prepared> {
  const x = await uniform(engine, [s.batch, s.channels, s.inH, s.inW], "x");
  const dy = await uniform(engine, [s.batch, s.channels, s.outH, s.outW], "dy");
  const { winners } = await engine.scope(() => recordMaxForward(engine, s, x));
  const record = (): Tensor => {
    const dx = engine.emptyTensor(x.shape);
    engine.record("maxPool2dBackward", s, { dy, winners, dx });
    return dx;
  };
  return kernelRun(engine, record, async (result) => {
    const [dx, xs, dys] = [await result.data(), await x.data(), await dy.data()];
    for (const place of samplePlaces(dys.length)) {
      const places = windowPlaces(s, place);
      const largest = Math.max(...places.map((i) => xs[i]));
      const winner = places.find((i) => xs[i] === largest);
      for (const i of places) checkValue(`dx[${i}]`, dx[i], i === winner ? dys[place] : 0);
    }
  });
}

async function prepareAvgForward(engine: Engine, s: Pool2dShape): Promise<Prepared> {
  const x = await uniform(engine, [s.batch, s.channels, s.inH, s.inW], "x");
  const record = (): Tensor => {
    const y = engine.emptyTensor([s.batch, s.channels, s.outH, s.outW]);
    engine.record("avgPool2dForward", { ...s, countIncludePad: true }, { x, y });
    return y;
  };
  return kernelRun(engine, record, async (result) => {
    const [y, xs] = [await result.data(), await x.data()];
    for (const place of samplePlaces(y.length)) {
      const sum = new ExactSum();
      for (const i of windowPlaces(s, place)) sum.add(xs[i], 1 / (s.kH * s.kW));
      checkValue(`y[${place}]`, y[place], sum.value, sum.scale);
    }
  });
}

async function prepareAvgBackward(engine: Engine, s: Pool2dShape): Promise<Prepared> {
  const dy = await uniform(engine, [s.batch, s.channels, s.outH, s.outW], "dy");
  const record = (): Tensor => {
    const dx = engine.emptyTensor([s.batch, s.channels, s.inH, s.inW]);
    engine.record("avgPool2dBackward", { ...s, countIncludePad: true }, { dy, dx });
    return dx;
  };
  return kernelRun(engine, record, async (result) => {
    const [dx, dys] = [await result.data(), await dy.data()];
    for (const place of samplePlaces(dys.length)) {
      for (const i of windowPlaces(s, place)) checkValue(`dx[${i}]`, dx[i], dys[place] / (s.kH * s.kW));
    }
  });
}

interface Direction {
  prepare(engine: Engine, s: Pool2dShape): Promise<Prepared>;
  /** Bytes of each output place: max-pooling keeps its winner, one byte. */
  readonly outputBytes: number;
}

const MAX_DIRECTIONS: Readonly<Record<string, Direction>> = {
  maxPool2dForward: { prepare: prepareMaxForward, outputBytes: 5 },
  maxPool2dBackward: { prepare: prepareMaxBackward, outputBytes: 5 },
};
const AVG_DIRECTIONS: Readonly<Record<string, Direction>> = {
  avgPool2dForward: { prepare: prepareAvgForward, outputBytes: 4 },
  avgPool2dBackward: { prepare: prepareAvgBackward, outputBytes: 4 },
};

function pool2dCases(row: Pool2dRow, directions: Readonly<Record<string, Direction>>): BenchCase[] {
  const s = pool2dShape(row);
  const [inputs, outputs] = [s.inH * s.inW, s.outH * s.outW].map((plane) => s.batch * s.channels * plane);
  return Object.entries(directions).map(([bench, { prepare, outputBytes }]) => ({
    bench,
    shape: `x=[${s.batch},${s.channels},${s.inH},${s.inW}] window=${s.kH} stride=${s.strideH}`,
    layers: row.layers,
    flops: 0,
    bytes: 4 * inputs + outputBytes * outputs,
    prepare: (engine) => prepare(engine, s),
  }));
}

export async function bench(settings: BenchSettings): Promise<void> {
  const max = readShapes<Pool2dRow>("pool2d").flatMap((row) => pool2dCases(row, MAX_DIRECTIONS));
  const avg = readShapes<Pool2dRow>("avgPool2d").flatMap((row) => pool2dCases(row, AVG_DIRECTIONS));
  await runCases([...max, ...avg], settings);
}

await runAlone(import.meta.url, bench);
