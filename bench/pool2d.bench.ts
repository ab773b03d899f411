/** Max-pooling 2x2: output (with the winners, as in training) and input gradient, one kernel call a program. */
import type { Pool2dShape } from "#src/backend/backend.js";
import type { Engine, Tensor } from "#src/index.js";
import {
  type BenchCase,
  type BenchSettings,
  checkValue,
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
function recordForward(engine: Engine, s: Pool2dShape, x: Tensor): { y: Tensor; winners: Tensor } {
  const y = engine.emptyTensor([s.batch, s.channels, s.outH, s.outW]);
  const winners = engine.emptyTensor(y.shape, "uint8");
  engine.record("maxPool2dForward", s, { x, y, winners });
  return { y, winners };
}

async function prepareForward(engine: Engine, s: Pool2dShape): Promise<Prepared> {
  const x = await uniform(engine, [s.batch, s.channels, s.inH, s.inW], "x");
  return kernelRun(
    engine,
    () => recordForward(engine, s, x).y,
    async (result) => {
      const [y, xs] = [await result.data(), await x.data()];
      for (const place of samplePlaces(y.length)) {
        checkValue(`y[${place}]`, y[place], Math.max(...windowPlaces(s, place).map((i) => xs[i])));
      }
    },
  );
}

async function prepareBackward(engine: Engine, s: Pool2dShape): Promise<Prepared> {
  const x = await uniform(engine, [s.batch, s.channels, s.inH, s.inW], "x");
  const dy = await uniform(engine, [s.batch, s.channels, s.outH, s.outW], "dy");
  const { winners } = await engine.scope(() => recordForward(engine, s, x));
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

function pool2dCases(row: Pool2dRow): BenchCase[] {
  const s = pool2dShape(row);
  const shape = `x=[${s.batch},${s.channels},${s.inH},${s.inW}] window=${s.kH} stride=${s.strideH}`;
  const [inputs, outputs] = [s.inH * s.inW, s.outH * s.outW].map((plane) => s.batch * s.channels * plane);
  // x and y in float32, winners in bytes; the gradient moves as much the other way.
  const common = { shape, layers: row.layers, flops: 0, bytes: 4 * inputs + 5 * outputs };
  return [
    { bench: "maxPool2dForward", ...common, prepare: (engine) => prepareForward(engine, s) },
    { bench: "maxPool2dBackward", ...common, prepare: (engine) => prepareBackward(engine, s) },
  ];
}

export async function bench(settings: BenchSettings): Promise<void> {
  await runCases(readShapes<Pool2dRow>("pool2d").flatMap(pool2dCases), settings);
}

await runAlone(import.meta.url, bench);
